"""A cache of extracted features on disk, keyed by what they depend on and nothing else.

An entry is a folder of .npy files named by a hash of the source file's content, the extractor's name and version
and its parameters. It appears by one rename, so it is whole or absent; a killed extraction goes on where it was;
several processes may share a cache (the second waits for an entry that the first is making). Large arrays are
memory-mapped, never copied. joblib runs the processes, filelock guards the entries; joblib's own cache is not used
because it pickles, and pickles can be neither memory-mapped nor safely shared.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from filelock import FileLock
from joblib import Parallel, delayed
from tqdm import tqdm

MAP_FROM = 1 << 20          # bytes; smaller arrays are read into memory
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def content_hash(path, memo):
    """SHA-256 of a file, or of a folder's file names and contents; remembered in folder `memo` by size and time."""
    path = Path(path)
    parts = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    state = json.dumps([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in parts])
    note = memo / hashlib.sha256(f"{path.resolve()} {state}".encode()).hexdigest()
    if note.exists():
        return note.read_text()
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.name.encode() if path.is_dir() else b"")
        with part.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    memo.mkdir(parents=True, exist_ok=True)
    temporary = note.with_suffix(f".{os.getpid()}")
    temporary.write_text(digest.hexdigest())
    temporary.replace(note)
    return digest.hexdigest()


def entry_of(source, extractor, folder, parameters):
    """Folder of the entry, there or not. Arrays among the parameters count by their values."""
    text = {name: hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            if isinstance(value, np.ndarray) else value for name, value in parameters.items()}
    described = [content_hash(source, Path(folder) / "hashes"),
                 extractor.__module__, extractor.__qualname__, extractor.version, text]
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]
    return Path(folder) / extractor.__name__ / key


def read(entry):
    """The arrays of an entry, by name; None when it is absent or damaged."""
    try:
        files = sorted(entry.glob("*.npy"))
        arrays = {f.stem: np.load(f, mmap_mode="r" if f.stat().st_size > MAP_FROM else None, allow_pickle=False)
                  for f in files}
    except (ValueError, OSError):
        return None
    return arrays or None


def write(entry, arrays):
    """Store arrays as an entry, atomically. Raises OSError with a clear sentence when the disk is full."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=entry.parent))
    try:
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)
        shutil.rmtree(entry, ignore_errors=True)            # a damaged one
        part.replace(entry)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        if error.errno in DISK_FULL:
            free = shutil.disk_usage(entry.parent).free / 1e9
            raise OSError(error.errno, f"cache {entry.parent.parent}: the disk is full ({free:.1f} GB free). Nothing "
                                       "extracted so far is lost: free space, or set cache_dir to another disk, "
                                       "and run again.") from None
        raise


def cached(source, extractor, folder, **parameters):
    """`extractor(source, **parameters)`, computed unless it is in the cache -> its entry; `read` gives the arrays."""
    entry = entry_of(source, extractor, folder, parameters)
    if read(entry) is None:
        locks = Path(folder) / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / entry.name):                  # freed by the system when its holder dies
            if read(entry) is None:
                write(entry, extractor(source, **parameters))
    return entry


def extract(sources, extractor, folder, each=None, workers=-1, **parameters):
    """Run an extractor over many files, in parallel, through the cache.

    sources: mapping name -> path; each: mapping name -> further parameters of that file. A file that the extractor
    refuses (ValueError) or that cannot be read does not stop the others.
    -> (mapping name -> arrays, mapping name -> sentence about what is wrong). Raises OSError when the disk is full.
    """
    complete = {name: {**parameters, **(each[name] if each else {})} for name in sources}
    features, problems = {}, {}
    for name, source in sources.items():                    # what is there already needs no process
        if Path(source).exists():
            features[name] = read(entry_of(source, extractor, folder, complete[name]))
    missing = [name for name in sources if features.get(name) is None]
    done = Parallel(workers, return_as="generator")(
        delayed(_attempt)(sources[name], extractor, folder, complete[name]) for name in missing)
    for name, (entry, problem) in zip(missing, tqdm(done, extractor.__name__, len(missing), delay=2, leave=False),
                                      strict=True):
        if entry:
            features[name] = read(entry)
        else:
            problems[name] = problem
    return {name: features[name] for name in sources if name not in problems}, problems


def _attempt(path, extractor, folder, parameters):
    """One file, in a worker process -> (entry, None), or (None, sentence). Raises OSError when the disk is full."""
    try:
        return cached(path, extractor, folder, **parameters), None
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        return None, f"cannot be read ({error.strerror}). Check the file and its permissions."
    except ValueError as error:
        return None, str(error)
