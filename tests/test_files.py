"""Files appear whole or not at all, flushed before they are renamed; hashes follow content."""

import os
from pathlib import Path

import pytest

from depnb import files


@pytest.fixture
def order(monkeypatch):
    """What is flushed and what is renamed, by name, in order."""
    done, fsync, replace = [], os.fsync, Path.replace

    def flushed(handle):
        done.append(("flush", Path(f"/proc/self/fd/{handle}").resolve().name))
        fsync(handle)

    def renamed(path, target):
        done.append(("rename", path.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    return done


class TestWriting:
    def test_the_new_content_or_the_old(self, tmp_path, monkeypatch):
        target = tmp_path / "metrics.json"
        files.write_atomically(target, "old")

        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            files.write_atomically(target, "new")
        assert target.read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]

    def test_no_temporary_file_stays(self, tmp_path):
        files.write_atomically(tmp_path / "a.json", b"{}")
        assert [p.name for p in tmp_path.iterdir()] == ["a.json"]

    def test_a_private_file_is_the_owners_from_the_first_byte(self, tmp_path, monkeypatch):
        modes, replace = [], Path.replace
        monkeypatch.setattr(Path, "replace", lambda path, to:
                            modes.append(path.stat().st_mode & 0o777) or replace(path, to))
        (tmp_path / "a.csv").write_text("old, for all to read")
        files.write_atomically(tmp_path / "a.csv", "new", private=True)
        assert modes == [0o600]
        assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600

    def test_a_file_is_flushed_before_it_is_renamed_and_the_folder_after(self, tmp_path, order):
        files.write_atomically(tmp_path / "a.json", "{}")
        part = f".a.json.{os.getpid()}.part"
        assert order == [("flush", part), ("rename", part), ("flush", tmp_path.name)]

    def test_a_folder_is_flushed_with_all_it_holds(self, tmp_path, order):
        (tmp_path / "part/deep").mkdir(parents=True)
        (tmp_path / "part/deep/a.npy").write_bytes(b"a")
        files.settle(tmp_path / "part", tmp_path / "entry")
        assert {name for what, name in order[:3] if what == "flush"} == {"a.npy", "deep", "part"}
        assert order[3:] == [("rename", "part"), ("flush", tmp_path.name)]
        assert (tmp_path / "entry/deep/a.npy").read_bytes() == b"a"

    def test_of_many_files_the_disk_is_flushed_at_once(self, tmp_path, order, monkeypatch):
        (tmp_path / "part").mkdir()
        for number in range(files.MANY):
            (tmp_path / f"part/{number}").touch()
        monkeypatch.setattr(os, "sync", lambda: order.append(("flush", "everything")))
        files.settle(tmp_path / "part", tmp_path / "tree")
        assert order == [("flush", "everything"), ("rename", "part"), ("flush", tmp_path.name)]


class TestHash:
    def test_it_follows_content_and_is_remembered(self, tmp_path, monkeypatch):
        file, memo = tmp_path / "a.bin", tmp_path / "memo"
        file.write_bytes(b"one")
        first = files.content_hash(file, memo)
        monkeypatch.setattr(files, "_known", {})
        monkeypatch.setattr(files, "_hash", None)               # from the folder, not from the file
        assert files.content_hash(file, memo) == first
        monkeypatch.undo()
        file.write_bytes(b"two")
        assert files.content_hash(file, memo) != first

    def test_a_torn_note_is_made_again(self, tmp_path, monkeypatch):
        file, memo = tmp_path / "a.bin", tmp_path / "memo"
        file.write_bytes(b"one")
        first = files.content_hash(file, memo)
        note = next(memo.iterdir())
        for torn in ("", "0" * 64, first, first[:-1] + "0 00000000", "\0" * 73):
            note.write_text(torn)
            monkeypatch.setattr(files, "_known", {})
            assert files.content_hash(file, memo) == first

    def test_names_and_contents_of_a_folder_are_told_apart(self, tmp_path):
        for folder, name, content in (("x", "a", "bc"), ("y", "ab", "c")):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / name).write_text(content)
        assert files.content_hash(tmp_path / "x") != files.content_hash(tmp_path / "y")

    def test_the_cache_that_remembers_is_the_owners(self, tmp_path):
        (tmp_path / "a.bin").write_bytes(b"one")
        files.content_hash(tmp_path / "a.bin", tmp_path / "deep/cache/hashes")
        assert (tmp_path / "deep/cache").stat().st_mode & 0o777 == 0o700


class TestBelow:
    """What people's folders hold: links are followed, what systems leave beside does not exist."""

    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("corpus/a/1.wav", "corpus/b.csv", "elsewhere/c/2.wav"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        return tmp_path / "corpus"

    @staticmethod
    def names(folder):
        return [p.relative_to(folder).as_posix() for p in files.below(folder)]

    def test_without_links_as_the_system_has_them_in_order(self, folder):
        assert self.names(folder) == ["a", "a/1.wav", "b.csv"]
        assert files.below(folder) == sorted(folder.rglob("*"))
        assert not files.passed_over(folder)

    def test_linked_folders_and_files_are_entered(self, folder):
        (folder / "linked").symlink_to(folder.parent / "elsewhere")
        (folder / "again.wav").symlink_to(folder / "a/1.wav")
        assert self.names(folder) == ["a", "a/1.wav", "again.wav", "b.csv", "linked", "linked/c",
                                      "linked/c/2.wav"]

    @pytest.mark.parametrize("target", [".", "..", "../..", "a", "/"])
    def test_a_link_around_itself_ends(self, folder, target):
        (folder / "a/round").symlink_to(target)
        (folder.parent / "elsewhere/back").symlink_to(folder)
        (folder / "there").symlink_to(folder.parent / "elsewhere")
        expected = ["a", "a/1.wav", "b.csv", "there", "there/c", "there/c/2.wav"]
        assert [name for name in self.names(folder) if "round/" not in name
                and "back" not in name and name != "a/round"] == expected
        assert len(self.names(folder)) < 20
        assert set(files.passed_over(folder)) <= {"a/round"}

    def test_a_link_to_nowhere_is_named_and_the_rest_goes_on(self, folder):
        (folder / "a/lost.wav").symlink_to("/nowhere.wav")
        (folder / "self").symlink_to("self")
        assert self.names(folder) == ["a", "a/1.wav", "b.csv"]
        assert files.passed_over(folder) == {"a/lost.wav": files.DANGLING, "self": files.DANGLING}

    def test_a_closed_folder_is_named(self, folder, monkeypatch):
        scandir = os.scandir

        def closed(path):
            if Path(path).name == "a":
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", closed)
        assert self.names(folder) == ["a", "b.csv"]
        assert files.passed_over(folder) == {"a": files.CLOSED}

    def test_what_begins_with_a_dot_does_not_exist(self, folder):
        for name in ("._b.csv", "a/.DS_Store", ".git/c.wav", "__MACOSX/1.wav", "a/._1.wav"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("x")
        (folder / "__anna.wav").write_text("x")
        assert self.names(folder) == ["__anna.wav", "a", "a/1.wav", "b.csv"]

    def test_a_folder_below_a_hidden_one_counts(self, folder):
        hidden = folder.rename(folder.parent / ".hidden")
        assert self.names(hidden) == ["a", "a/1.wav", "b.csv"]

    def test_a_file_has_nothing_below(self, folder):
        assert files.passed_over(folder / "b.csv") == {}

    def test_hashes_of_what_can_be_read(self, folder, tmp_path):
        one = files.content_hash(folder / "b.csv")
        assert files.hashes_of([folder / "b.csv", folder / "x"], tmp_path / "memo/hashes") == {one}
