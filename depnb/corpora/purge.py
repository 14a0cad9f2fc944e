"""python -m depnb.corpora.purge /path/to/AVEC2014          remove everything that was derived from a corpus

What a cache remembers to stand on this folder, or on one below it: extracted features, hashes, run folders with their
weights, predictions and figures, also those moved aside. The corpus itself stays. Executed notebooks, exported runs and
copies lie where you put them, unknown to the cache: remove them yourself.
"""

import argparse
import json
import shutil
from pathlib import Path

import yaml

from depnb import privacy, runs
from depnb.features import store
from depnb.files import content_hash

# What runs write. Anything else in their folders is not theirs, and stays.
MADE = ("params.yaml", "provenance.json", "metrics.json", "scaler.json", "SHA256SUMS", "history.csv", "metrics.csv",
        "metrics_meanstd.csv", "costs.csv", *privacy.IDENTIFYING, "state.safetensors", "checkpoint.safetensors", "figures",
        "search", "search.db", "chain-*", "tensorboard", "wandb", ".*.part")


def purge(root, cache, dry=False):
    """Remove what was derived from the folder `root` -> (paths removed, paths that it cannot judge). dry: only tell.

    Runs below the repository's `runs/` whose parameters name the folder go too, whatever the cache remembers. Raises
    FileNotFoundError when there is no such cache.
    """
    root, cache = Path(root).resolve(), Path(cache)
    if not cache.is_dir():
        raise FileNotFoundError(f"cache {cache}: no such folder. Give the cache_dir of your runs with --cache.")
    notes = {note: json.loads(note.read_text()) for note in sorted((cache / privacy.REGISTRY).glob("*.json"))}
    notes = {note: known for note, known in notes.items() if Path(known["root"]).is_relative_to(root)}
    contents = {digest for known in notes.values() for digest in known["contents"]}
    contents |= contents_below(root, None if dry else cache / "hashes")
    sources = {entry: source(entry) for entry in sorted(cache.glob("*/*")) if entry.is_dir()}
    entries = [entry for entry, digest in sources.items() if digest in contents]
    unknown = [entry for entry, digest in sources.items() if digest is None]
    kept = {entry.name for entry in sources} - {entry.name for entry in entries}
    gone = [*entries, *(lock for lock in sorted((cache / "locks").glob("*")) if lock.name not in kept)]
    gone += [note for note in sorted((cache / "hashes").glob("*")) if note.read_text() in contents]
    folders = [Path(output) for known in notes.values() for output in known["outputs"]]
    folders += [file.parent for file in sorted(runs.path("runs").glob("*/*/params.yaml")) if reads(file, root)]
    folders = sorted({aside for folder in folders for aside in (folder, *folder.parent.glob(f"{folder.name}.replaced-*"))})
    for folder in (f for f in folders if (f / "params.yaml").exists()):
        made = sorted({path for pattern in MADE for path in folder.glob(pattern)})
        others = [path for path in folder.iterdir() if path not in made]
        gone, unknown = [*gone, *made, *([] if others else [folder])], [*unknown, *others]
    gone += [file for note in notes for file in (note, note.with_suffix(".lock"))]
    gone = [path for path in dict.fromkeys(gone) if path.exists()]
    for path in gone if not dry else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return gone, unknown


def source(entry):
    """Hash of what an entry of the cache was made of; None for one that does not tell."""
    try:
        return json.loads((entry / store.NOTE).read_text())["source"] or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def contents_below(root, memo):
    """Hashes of the files, and of the folders that hold files, that are still there."""
    there = [p for p in (root, *root.rglob("*")) if p.is_file() or (p.is_dir() and any(f.is_file() for f in p.iterdir()))]
    return {content_hash(p, memo) for p in there} if root.exists() else set()


def reads(file, root):
    """Whether a params.yaml names the folder, or one below it, as where its data lie."""
    given = yaml.safe_load(file.read_text()) or {}
    places = [given.get(name) for name in ("data_root", "input")]
    return any(isinstance(place, str) and place not in ("", "auto") and runs.path(place).resolve().is_relative_to(root)
               for place in places)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m depnb.corpora.purge", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root", type=Path, help="folder of the corpus, there or not")
    parser.add_argument("--cache", type=Path, default=runs.path("cache"), help="the notebooks' cache_dir")
    parser.add_argument("--dry", action="store_true", help="only say what would be removed")
    given = parser.parse_args(arguments)
    try:
        gone, unknown = purge(given.data_root, given.cache, given.dry)
    except OSError as error:
        raise SystemExit(str(error)) from None
    for path in gone:
        print(path)
    print(f"{len(gone)} files and folders {'would be' if given.dry else 'were'} removed. The corpus and the key of "
          f"pseudonyms ({given.cache / privacy.KEY}) stay. Executed notebooks, exported runs and copies lie where you put "
          "them.")
    for path in unknown:
        print(f"{path}: cannot be judged (damaged, of another version, or not written by a run). Look, and remove it by "
              "hand.")


if __name__ == "__main__":
    main()
