"""Files that appear whole or not at all, also when the power fails; hashes of what they hold."""

import contextlib
import hashlib
import itertools
import json
import os
import stat
import tempfile
import zlib
from pathlib import Path

# of the cache; source: hash of the file that an entry was made of; files: CRC-32 of its arrays
ENTRY = "entry.json"
LEFTOVERS = ("__MACOSX", "__pycache__")         # folders that systems put beside people's own
DANGLING = "a link that leads nowhere. Put there what it should lead to, or remove it."
CLOSED = "closed to you. Change its permissions."
# files: from here on the whole disk is flushed at once, which costs as much as a few files
MANY = 64


def write_atomically(target, content, private=False):
    """Write a file so that `target` is either the old one or the whole new one.

    Parameters
    ----------
    target : path
    content : str or bytes
    private : bool
        For the owner's eyes only (mode 600, where the system knows modes).
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    mode = 0o600 if private else 0o666
    part.unlink(missing_ok=True)  # of a killed process: its mode may be another
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    flush(target.parent)


def settle(part, target):
    """Put a written file or folder in its place: all flushed to disk, then renamed."""
    paths = [*part.rglob("*"), part] if part.is_dir() else [part]
    if len(paths) > MANY and hasattr(os, "sync"):
        os.sync()
    else:
        for path in paths:
            flush(path)
    part.replace(target)
    flush(target.parent)


def flush(path):
    """Have the system write a file or folder to disk."""
    if path.is_dir() and os.name == "nt":                   # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def made(cache):
    """The folder of a cache, made for its owner alone if it is not there: faces will lie in it."""
    cache = Path(cache)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.mkdir(mode=0o700, exist_ok=True)
    return cache


def check_writable(folder):
    """Make a folder, if it is not there.

    Raises
    ------
    OSError
        It cannot be made, or nothing can be written to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def below(folder):
    """Files and folders in a folder and below, sorted; links to either count as what they lead to.

    Names that begin with a dot and LEFTOVERS, which systems put beside people's own, do not exist;
    neither does a link to a folder around it. See `passed_over`.

    Returns
    -------
    list of Path
    """
    return sorted(path for path, fault in _walk(Path(folder)) if not fault)


def hidden(name):
    """Whether a file of this name is none of people's own."""
    return name.startswith(".") or name in LEFTOVERS


def passed_over(folder):
    """What `below` has to leave out: links that lead nowhere, folders that cannot be entered.

    Returns
    -------
    dict name, relative to the folder -> what it is and what to do, a sentence without its beginning
    """
    walked = sorted(_walk(Path(folder))) if Path(folder).is_dir() else ()
    return {str(path.relative_to(folder)): fault for path, fault in walked if fault}


def _walk(folder, around=None):
    """Paths below a folder, each with its fault or "". around: numbers of the folders around it."""
    if around is None:
        around = {_number(place.stat()) for place in (folder.resolve(), *folder.resolve().parents)}
    try:
        entries = list(os.scandir(folder))
    except OSError:
        yield folder, CLOSED
        return
    for entry in entries:
        path = folder / entry.name
        if hidden(entry.name):
            continue
        try:
            status = path.stat()
        except OSError:
            yield path, DANGLING if entry.is_symlink() else CLOSED
            continue
        if not stat.S_ISDIR(status.st_mode):
            yield path, ""
        elif _number(status) not in around:
            yield path, ""
            yield from _walk(path, around | {_number(status)})


def _number(status):
    """By what the system knows a folder, whatever its path."""
    return status.st_dev, status.st_ino


def hashes_of(paths, memo):
    """`content_hash` of those that can be read: a set."""
    digests = set()
    for path in paths:
        with contextlib.suppress(OSError):
            digests.add(content_hash(path, memo))
    return digests


_known = {}                         # of this process


def content_hash(path, memo=None, remember=True):
    """SHA-256 of a file, or of a folder's file names and contents.

    It is remembered under what the system says of the files: size, times, number.

    Parameters
    ----------
    path : path of a file or folder
    memo : path, optional
        Folder of the cache that remembers it beyond this process.
    remember : bool
        Whether to leave a note in `memo`; without, notes there are only read.

    Returns
    -------
    str, 64 hexadecimal digits
    """
    path = Path(path)
    parts = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    seen = [(p.name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for p in parts
            for s in [p.stat()]]
    name = hashlib.sha256(f"{path.resolve()} {json.dumps(seen)}".encode()).hexdigest()
    if name not in _known:
        note = memo and Path(memo) / name
        if note and (digest := remembered(note)):
            _known[name] = digest
        else:
            _known[name] = _hash(path, parts)
            if note and remember and not note.is_dir():
                made(note.parent.parent)
                note.parent.mkdir(exist_ok=True)
                # not flushed: a lost or torn note is made again
                part = note.with_suffix(f".{os.getpid()}")
                part.write_text(signed(_known[name]))
                part.replace(note)
    return _known[name]


def remembered(note):
    """The hash that a note holds; None for one that is not there or damaged."""
    try:
        text = note.read_text()
    except (OSError, ValueError):
        return None
    return text[:64] if text == signed(text[:64]) else None


def signed(digest):
    """A hash with a checksum of its own, as a note holds it."""
    return f"{digest} {zlib.crc32(digest.encode()):08x}"


def _hash(path, parts):
    if path.is_dir():               # names and contents, each closed off from the next
        told = [[p.relative_to(path).as_posix(), _hash(p, [p])] for p in parts]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def repository():
    """The repository's root, against which relative paths are resolved."""
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).parent.parent):
        if (folder / "_config.yml").exists() and (folder / "notebooks").is_dir():
            return folder
    return Path.cwd()


def located(relative):
    """A path as given if absolute, else below the repository's root."""
    return repository() / Path(relative).expanduser()


def notebook(page):
    """The notebook of a page: a chapter, a lesson (learn/voice), a page of evidence."""
    places = [located(f"notebooks/{folder}{page}.ipynb") for folder in ("", "evidence/")]
    return next((path for path in places if path.exists()), places[0])


def move_aside(folder):
    """Rename a folder, to make room, to the first free <name>.replaced-<i> -> its new path."""
    candidates = (folder.with_name(f"{folder.name}.replaced-{i}") for i in itertools.count(1))
    return folder.rename(next(p for p in candidates if not p.exists()))
