"""Files that appear whole or not at all, also when the power fails, and hashes of what files hold."""

import hashlib
import json
import os
from pathlib import Path

MANY = 64           # files: from here on the whole disk is flushed at once, which costs as much as a few files


def write_atomically(target, content, private=False):
    """Write text or bytes so that `target` is either the old file or the whole new one.

    private: for the owner's eyes only (mode 600, where the system knows modes).
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    mode = 0o600 if private else 0o666
    part.unlink(missing_ok=True)                            # of a killed process: its mode may be another
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
    """Put a file or folder that is written in its place: flushed to disk, with all it holds, before it is renamed."""
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


_known = {}                         # of this process


def content_hash(path, memo=None):
    """SHA-256 of a file, or of a folder's file names and contents; remembered by size and time, in folder `memo` too."""
    path = Path(path)
    parts = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    state = json.dumps([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in parts])
    name = hashlib.sha256(f"{path.resolve()} {state}".encode()).hexdigest()
    if name not in _known:
        note = memo and Path(memo) / name
        if note and note.exists() and len(text := note.read_text()) == 64:
            _known[name] = text
        else:
            _known[name] = _hash(path, parts)
            if note:
                note.parent.mkdir(parents=True, exist_ok=True)
                part = note.with_suffix(f".{os.getpid()}")  # not flushed: a lost or torn note is made again
                part.write_text(_known[name])
                part.replace(note)
    return _known[name]


def _hash(path, parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.name.encode() if path.is_dir() else b"")
        with part.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()
