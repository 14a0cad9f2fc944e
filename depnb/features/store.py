"""A cache of extracted features on disk, keyed by what they depend on and nothing else.

An entry is a folder of .npy files named by a hash of the source file's content, the extractor's
name and version and its parameters. It appears by one rename, so it is whole or absent; a killed
extraction goes on where it was; several processes may share a cache (the second waits for an entry
that the first is making). entry.json holds checksums, which are verified whenever an entry is taken
up; one that was damaged is made again, and named. Large arrays are memory-mapped, never copied.
joblib runs the processes, filelock guards the entries; joblib's own cache is not used because it
pickles, and pickles can be neither memory-mapped nor safely shared.
"""

import errno
import hashlib
import json
import shutil
import tempfile
import warnings
import zlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from filelock import FileLock
from joblib import Parallel, delayed, effective_n_jobs
from tqdm import tqdm

from depnb.corpora.readers import quiet_stderr
from depnb.files import ENTRY, content_hash, made, settle

MAP_FROM = 1 << 20          # bytes; smaller arrays are read into memory
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def entry_of(source, extractor, folder, parameters):
    """Folder of the entry, whether it exists or not.

    Arrays and files (Path) among the parameters count by their content.
    """
    memo = Path(folder) / "hashes"

    def content(value):
        if isinstance(value, np.ndarray):
            return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return content_hash(value, memo) if isinstance(value, Path) else value

    described = [content_hash(source, memo), extractor.__module__, extractor.__qualname__,
                 extractor.version, {name: content(value) for name, value in parameters.items()}]
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]
    return Path(folder) / extractor.__name__ / key


def read(entry):
    """The arrays of an entry, by name; None when it is absent or damaged."""
    try:
        known = json.loads((entry / ENTRY).read_text())
        files = sorted(entry.glob("*.npy"))
        if known != noted(known["source"], files):
            return None
        arrays = {f.stem: np.load(f, mmap_mode="r" if f.stat().st_size > MAP_FROM else None,
                                  allow_pickle=False) for f in files}
    except (ValueError, OSError, KeyError, TypeError):
        return None
    return arrays or None


def noted(source, files):
    """What entry.json holds: hash of the source, checksums of the arrays, and one of these two."""
    told = {"source": source, "files": {f.name: checksum(f) for f in files}}
    return told | {"check": zlib.crc32(json.dumps(told, sort_keys=True).encode())}


def checksum(file):
    """CRC-32 of a file: 3 GB a second, and enough against accidents."""
    crc = 0
    with file.open("rb") as content:
        while block := content.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return crc


def write(entry, arrays, source=""):
    """Store arrays as an entry, atomically.

    Parameters
    ----------
    entry : folder
    arrays : mapping name -> array
    source : hash of the file that they were made of

    Raises
    ------
    OSError
        With a clear sentence when the disk is full.
    """
    made(entry.parent.parent)
    entry.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=entry.parent))
    try:
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)
        (part / ENTRY).write_text(json.dumps(noted(source, sorted(part.glob("*.npy")))))
        shutil.rmtree(entry, ignore_errors=True)            # a damaged one
        settle(part, entry)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        if error.errno in DISK_FULL:
            free = shutil.disk_usage(entry.parent).free / 1e9
            raise OSError(error.errno, f"cache {entry.parent.parent}: the disk is full "
                          f"({free:.1f} GB free). Nothing extracted so far is lost: "
                          "free space, or set cache_dir to another disk, and run again.") from None
        raise


def cached(source, extractor, folder, **parameters):
    """`extractor(source, **parameters)`, computed unless it is in the cache.

    Returns
    -------
    Path of its entry; `read` gives the arrays
    """
    entry = entry_of(source, extractor, folder, parameters)
    if read(entry) is None:
        with lock(entry):
            if read(entry) is None:
                write(entry, extractor(source, **parameters),
                      content_hash(source, Path(folder) / "hashes"))
    return entry


def lock(entry):
    """The lock of an entry; the system frees it when its holder dies."""
    locks = made(entry.parent.parent) / "locks"
    locks.mkdir(exist_ok=True)
    return FileLock(locks / entry.name)


def extract(sources, extractor, folder, each=None, workers=-1, **parameters):
    """Run an extractor over many files, in parallel, through the cache.

    A file that the extractor refuses (ValueError) or that cannot be read does not stop the others.
    An extractor with an attribute `batch` works on up to that many files together: it takes a list
    of paths and gives a list with the arrays, or the error, of each; it has no use for `each`.

    Parameters
    ----------
    sources : mapping name -> path
    each : mapping name -> further parameters of that file

    Returns
    -------
    features : mapping name -> arrays
    problems : mapping name -> sentence about what is wrong

    Raises
    ------
    OSError
        When the disk is full.
    """
    complete = {name: {**parameters, **(each[name] if each else {})} for name in sources}
    features, problems, damaged = {}, {}, []
    for name, source in sources.items():                    # what is there already needs no process
        if Path(source).exists():
            entry = entry_of(source, extractor, folder, complete[name])
            features[name] = read(entry)
            if features[name] is None and entry.exists():
                damaged.append(f"{entry.parent.name}/{entry.name}")
    if damaged:
        print(f"{len(damaged)} of {len(sources)} entries of the cache "
              "are not as they were written and are made again: "
              f"{', '.join(damaged[:5])}{' and others' if len(damaged) > 5 else ''}.")
    missing = [name for name in sources if features.get(name) is None]
    batches = in_batches(missing, getattr(extractor, "batch", 1), effective_n_jobs(workers))
    done = Parallel(workers, return_as="generator")(
        delayed(_attempt_batch)([sources[name] for name in names], extractor, folder, parameters)
        if hasattr(extractor, "batch") else
        delayed(_attempt)(sources[names[0]], extractor, folder, complete[names[0]])
        for names in batches)
    with warnings.catch_warnings(), tqdm(desc=extractor.__name__, total=len(missing), delay=2,
                                         leave=False) as bar:
        # Replaced because its memory had grown.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs")
        for names, outcomes in zip(batches, done, strict=True):
            for name, (entry, problem) in zip(names, outcomes, strict=True):
                if entry:
                    features[name] = read(entry)
                else:
                    problems[name] = problem
            bar.update(len(names))
    return {name: features[name] for name in sources if name not in problems}, problems


def in_batches(names, size, workers):
    """Lists of at most `size` names, as even as the workers need to finish together."""
    if size == 1 or not names:
        return [[name] for name in names]
    count = -(-len(names) // (size * workers)) * workers
    return [[names[i] for i in part]
            for part in np.array_split(range(len(names)), min(count, len(names)))]


def _attempt(path, extractor, folder, parameters):
    """One file, in a worker process -> [(entry, None)], or [(None, sentence)].

    Raises OSError when the disk is full.
    """
    try:
        with quiet_stderr():
            return [(cached(path, extractor, folder, **parameters), None)]
    except (ValueError, OSError) as error:
        return [(None, _sentence(error))]


def _attempt_batch(paths, extractor, folder, parameters):
    """Files that are worked on together, in a worker process -> list of what `_attempt` gives for
    each.
    """
    entries, outcomes = {}, {}
    for i, path in enumerate(paths):
        try:
            entries[i] = entry_of(path, extractor, folder, parameters)
        except OSError as error:
            outcomes[i] = None, _sentence(error)
    with ExitStack() as held:
        # In one order everywhere: no two processes block each other.
        for entry in sorted(set(entries.values())):
            held.enter_context(lock(entry))
        todo = [i for i in entries if read(entries[i]) is None]
        with quiet_stderr():
            results = extractor([paths[i] for i in todo], **parameters) if todo else []
        for i, result in zip(todo, results, strict=True):
            if isinstance(result, Exception):
                outcomes[i] = None, _sentence(result)
            else:
                write(entries[i], result, content_hash(paths[i], Path(folder) / "hashes"))
    return [outcomes.get(i) or (entries[i], None) for i in range(len(paths))]


def _sentence(error):
    """What to tell about a file. Raises the error when it is the disk that is full."""
    if isinstance(error, OSError):
        if error.errno in DISK_FULL:
            raise error
        return f"cannot be read ({error.strerror}). Check the file and its permissions."
    return str(error)
