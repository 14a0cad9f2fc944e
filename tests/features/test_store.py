"""The cache: whole or absent, shared, resumable."""

import errno
import json
import multiprocessing
import os
import time

import numpy as np
import pytest

from depnb.features import store
from depnb.files import ENTRY, content_hash

CALLS = "calls.txt"


def double(path, factor=2, offset=None):
    """An extractor: the bytes of a file times a factor. Notes each call beside the file."""
    with (path.parent / CALLS).open("a") as calls:
        calls.write(f"{path.name}\n")
    if path.read_bytes() == b"bad":
        raise ValueError("not a good file; expected another. Replace it.")
    values = np.frombuffer(path.read_bytes(), np.uint8).astype(float) * factor
    return {"values": values if offset is None else values + offset}


def slow(path):
    time.sleep(0.5)
    return double(path)


def together(paths, note=None):
    """An extractor of several files at once, each refused or read as `double` does; tells how many
    came together.
    """
    out = []
    for path in paths:
        try:
            out.append({**double(path), "company": np.array(len(paths))})
        except (ValueError, OSError) as error:
            out.append(error)
    return out


double.version = slow.version = together.version = 1
together.batch = 2


@pytest.fixture
def files(tmp_path):
    paths = {}
    for i in range(4):
        paths[f"f{i}"] = tmp_path / f"f{i}.bin"
        paths[f"f{i}"].write_bytes(bytes([i, i + 1]))
    return paths


def calls(tmp_path):
    return sorted((tmp_path / CALLS).read_text().split()) if (tmp_path / CALLS).exists() else []


def test_a_second_look_computes_nothing(files, tmp_path):
    first, problems = store.extract(files, double, tmp_path / "cache", workers=2)
    assert not problems
    assert list(first) == list(files)
    np.testing.assert_array_equal(first["f2"]["values"], [4, 6])
    second, _ = store.extract(files, double, tmp_path / "cache")
    assert len(calls(tmp_path)) == 4
    np.testing.assert_array_equal(second["f2"]["values"], first["f2"]["values"])


def test_content_parameters_and_version_make_the_key(files, tmp_path, monkeypatch):
    cache, one = tmp_path / "cache", {"f1": files["f1"]}
    store.extract(one, double, cache, workers=1)
    store.extract(one, double, cache, workers=1, factor=3)
    store.extract(one, double, cache, workers=1, each={"f1": {"offset": np.array([1.0])}})
    shifted, _ = store.extract(one, double, cache, workers=1,
                               each={"f1": {"offset": np.array([2.0])}})
    np.testing.assert_array_equal(shifted["f1"]["values"], [4, 6])
    monkeypatch.setattr(double, "version", 2)
    store.extract(one, double, cache, workers=1)
    assert len(calls(tmp_path)) == 5
    files["f1"].write_bytes(b"\x09")
    changed, _ = store.extract(one, double, cache, workers=1)
    np.testing.assert_array_equal(changed["f1"]["values"], [18])
    files["f1"].rename(tmp_path / "moved.bin")
    store.extract({"f1": tmp_path / "moved.bin"}, double, cache, workers=1)
    assert len(calls(tmp_path)) == 6          # same content elsewhere: found


def test_a_bad_file_is_named_and_does_not_stop_the_others(files, tmp_path):
    files["f1"].write_bytes(b"bad")
    files["gone"] = tmp_path / "gone.bin"
    features, problems = store.extract(files, double, tmp_path / "cache", workers=2)
    assert list(features) == ["f0", "f2", "f3"]
    assert problems["f1"] == "not a good file; expected another. Replace it."
    assert (problems["gone"] == "cannot be read (No such file or directory). "
            "Check the file and its permissions.")


def test_nothing_to_do(tmp_path):
    assert store.extract({}, double, tmp_path) == ({}, {})


def test_large_arrays_are_memory_mapped_and_pickles_refused(tmp_path):
    entry = tmp_path / "x/entry"
    store.write(entry, {"big": np.zeros(store.MAP_FROM, np.uint8), "small": np.arange(3)})
    features = store.read(entry)
    assert isinstance(features["big"], np.memmap)
    assert not isinstance(features["small"], np.memmap)
    with pytest.raises(ValueError, match="pickle"):
        store.write(tmp_path / "x/object", {"a": np.array([{}], object)})
    assert not (tmp_path / "x/object").exists()


def flip(file):
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


DAMAGE = {"half": lambda entry: (entry / "values.npy").write_bytes(b"\x93NUMPY half"),
          "a bit": lambda entry: flip(entry / "values.npy"),
          "zeroes": lambda entry: (entry / "values.npy").write_bytes(
              bytes((entry / "values.npy").stat().st_size)),
          "an array gone": lambda entry: (entry / "values.npy").unlink(),
          "an array more": lambda entry: np.save(entry / "more.npy", np.zeros(2)),
          "checksums gone": lambda entry: (entry / ENTRY).unlink(),
          "another source": lambda entry: (entry / ENTRY).write_text(
              (entry / ENTRY).read_text().replace('"source": "', '"source": "0')),
          "checksums zeroed": lambda entry: (entry / ENTRY).write_bytes(bytes(20))}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_entry_is_made_again_and_named(files, tmp_path, how, capsys):
    entry = store.cached(files["f1"], double, tmp_path / "cache")
    DAMAGE[how](entry)
    assert store.read(entry) is None
    features, _ = store.extract(files, double, tmp_path / "cache", workers=1)
    np.testing.assert_array_equal(features["f1"]["values"], [2, 4])
    assert list(features["f1"]) == ["values"]
    assert capsys.readouterr().out == ("1 of 4 entries of the cache are not as they were written "
                                       f"and are made again: double/{entry.name}.\n")
    store.extract(files, double, tmp_path / "cache", workers=1)
    assert capsys.readouterr().out == ""


def noisy(path):
    """An extractor whose library tells the file's name on the standard error."""
    os.write(2, f"cannot find {path}".encode())
    return double(path)


noisy.version = 1


@pytest.mark.parametrize("workers", [1, 2])
def test_what_libraries_print_about_files_goes_nowhere(files, tmp_path, workers, capfd):
    store.extract(files, noisy, tmp_path / "cache", workers=workers)
    assert "cannot find" not in capfd.readouterr().err
    os.write(2, b"and is heard again")
    assert "heard again" in capfd.readouterr().err


def test_an_entry_knows_what_it_was_made_of(files, tmp_path):
    entry = store.cached(files["f1"], double, tmp_path / "cache")
    assert json.loads((entry / ENTRY).read_text())["source"] == content_hash(files["f1"])


def test_a_full_disk_is_said_once_and_loses_nothing(files, tmp_path, monkeypatch):
    store.cached(files["f0"], double, tmp_path / "cache")
    save = np.save

    def full(path, *arguments, **options):
        save(path, *arguments, **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError,
                       match=r"the disk is full \(.* GB free\). Nothing extracted so far is lost"):
        store.extract(files, double, tmp_path / "cache", workers=1)
    monkeypatch.undo()
    entries = [p.name for p in (tmp_path / "cache/double").iterdir()]
    assert len(entries) == 1
    assert not entries[0].startswith(".part")
    features, _ = store.extract(files, double, tmp_path / "cache", workers=1)
    assert len(features) == 4


def test_two_processes_share_a_cache_and_compute_once(files, tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=store.cached, args=(files["f0"], slow, tmp_path / "cache"))
            for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [p.exitcode for p in both] == [0, 0]
    assert calls(tmp_path) == ["f0.bin"]


def test_a_process_killed_while_it_computes_leaves_no_entry_and_no_lock(files, tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=store.cached, args=(files["f0"], slow, tmp_path / "cache"))
    process.start()
    while not (tmp_path / "cache/locks").exists():
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -9
    np.testing.assert_array_equal(
        store.read(store.cached(files["f0"], slow, tmp_path / "cache"))["values"], [0, 2])


def test_a_folder_counts_by_its_files(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"a")
    first = store.content_hash(folder, tmp_path / "memo")
    (folder / "2.jpg").write_bytes(b"b")
    os.utime(folder / "2.jpg", (1, 1))
    assert store.content_hash(folder, tmp_path / "memo") != first


@pytest.mark.parametrize("workers", [1, 2])
def test_files_go_in_batches_and_a_bad_one_spares_its_neighbours(files, tmp_path, workers):
    files["f1"].write_bytes(b"bad")
    files["gone"], files["twin"] = tmp_path / "gone.bin", files["f2"]
    features, problems = store.extract(files, together, tmp_path / "cache", workers=workers)
    assert list(features) == ["f0", "f2", "f3", "twin"]
    assert problems == {"f1": "not a good file; expected another. Replace it.", "gone": "cannot be "
                            "read (No such file or directory). Check the file and its permissions."}
    np.testing.assert_array_equal(features["f3"]["values"], [6, 8])
    assert features["f0"]["company"] == 2
    before = len(calls(tmp_path))
    store.extract({name: files[name] for name in features}, together, tmp_path / "cache", workers=1)
    assert len(calls(tmp_path)) == before


@pytest.mark.parametrize(("names", "size", "workers", "lengths"),
                         [(20, 8, 2, [5, 5, 5, 5]), (3, 8, 2, [2, 1]), (1, 8, 4, [1]),
                          (0, 8, 2, []), (3, 1, 2, [1, 1, 1]), (17, 8, 1, [6, 6, 5])])
def test_batches_are_even(names, size, workers, lengths):
    batches = store.in_batches([f"f{i}" for i in range(names)], size, workers)
    assert [len(b) for b in batches] == lengths
    assert [name for batch in batches for name in batch] == [f"f{i}" for i in range(names)]


def test_a_file_among_the_parameters_counts_by_its_content(files, tmp_path):
    entries = [store.entry_of(files["f0"], together, tmp_path / "cache", {"note": files[name]})
               for name in ("f1", "f2")]
    assert entries[0] != entries[1]
    files["f1"].rename(tmp_path / "moved.bin")
    assert store.entry_of(files["f0"], together, tmp_path / "cache",
                          {"note": tmp_path / "moved.bin"}) == entries[0]
