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
