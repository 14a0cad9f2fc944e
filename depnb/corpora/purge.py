"""python -m depnb.corpora.purge /path/to/AVEC2014     remove what was derived from a corpus

What a cache remembers to stand on this folder, or on one below it: extracted features, hashes, run
folders with their weights, predictions and figures, also those moved aside. The corpus itself
stays. Executed notebooks, exported runs, copies and what other commands wrote to a folder that you
named lie where you put them: remove them yourself.
"""

import argparse
import json
import shutil
from pathlib import Path

import yaml

from depnb.corpora import privacy
from depnb.files import ENTRY, below, content_hash, located, remembered

# What runs write. Anything else in their folders is not theirs, and stays. The parameters go last:
# they tell that it is one.
MADE = (*privacy.GIVEN[1:], *privacy.IDENTIFYING, "state.safetensors", "written.json",
        "figures/*.png", "search",
        "search.db", "chain-*", "tensorboard", "wandb", ".*.part", "params.yaml")


OWN = ("hashes", "locks")           # folders of the cache that hold no entries, beside the registry


def purge(root, cache, dry=False):
    """Remove what was derived from the folder `root`.

    Runs below the repository's `runs/` whose parameters name the folder go too, whatever the cache
    remembers. An entry that another folder's files would give as well stays, for that folder.

    Parameters
    ----------
    root, cache : path
    dry : bool
        Only tell.

    Returns
    -------
    gone : list of Path
    left : list of str
        Sentences on what is left.

    Raises
    ------
    FileNotFoundError
        There is no such cache.
    ValueError
        The cache is none, or `root` holds more than a corpus: everything, or the home folder.
    OSError
        Something cannot be removed.
    """
    cache = Path(cache)
    if not str(root).strip():
        raise ValueError("data_root is empty. Give the folder of the corpus, there or not.")
    if Path.home().resolve().is_relative_to(root := Path(root).resolve()):
        raise ValueError(f"{root}: holds your home folder, which is more than a corpus. "
                         "Give the folder of the corpus.")
    if not cache.is_dir():
        raise FileNotFoundError(f"cache {cache}: no such folder. "
                                "Give the cache_dir of your runs with --cache.")
    if not is_cache(cache):
        raise ValueError(f"cache {cache}: is no cache of depnb (no key, nothing derived, "
                         "no extracted features). Give the cache_dir of your runs with --cache.")
    known, left = registry(cache)
    notes = {note: told for note, told in known.items() if Path(told["root"]).is_relative_to(root)}
    others = {digest for note, told in known.items() if note not in notes
              for digest in told["contents"]}
    below, unread = contents_below(root, cache / "hashes")
    contents = below.union(*(told["contents"] for told in notes.values()))
    if unread:
        left.append(f"{unread} files of the corpus cannot be read, "
                    "so that what was made of them may not be known.")
    if contents & others:
        left.append(f"{len(contents & others)} files lie in another folder too; "
                    "what was made of them stays, for that one.")
    sources = {entry: source(entry) for entry in sorted(cache.glob("*/*")) if entry.is_dir()
               and entry.parent.name not in (privacy.REGISTRY, *OWN)}
    gone = [entry for entry, digest in sources.items() if digest in contents - others]
    left += [f"{entry}: does not tell what it was made of (damaged, or of another version)."
             for entry, digest in sources.items() if digest is None]
    entries_left = {entry.name for entry in sources} - {entry.name for entry in gone}
    gone += [lock for lock in sorted((cache / "locks").glob("*")) if lock.name not in entries_left]
    for note in sorted((cache / "hashes").glob("*")):
        digest = remembered(note)
        if digest in contents - others:
            gone.append(note)
        elif digest is None:
            left.append(f"{note}: cannot be read. If in doubt, remove it: it is made again.")
    for folder in folders_on(root, notes):
        made, foreign = parts(folder)
        if not any((folder / name).exists() for name in ("params.yaml", "provenance.json")):
            left.append(f"{folder}: "
                        "has neither params.yaml nor provenance.json, so that it may be no run's.")
            continue
        gone += [*made, *([] if foreign else [folder])]
        left += [f"{path}: was not written by a run." for path in foreign]
    gone += [cache / "private.log"] if notes or gone else []
    # at last: a purge that was stopped
    gone += [file for note in notes for file in (note, note.with_suffix(".lock"))]
    # finds the rest when it runs again
    gone = [path for path in dict.fromkeys(gone) if path.exists()]
    if not gone:
        left.append("Nothing is left that was derived from this folder, as far as the cache knows. "
                    "It knows " + (", ".join(
                        sorted(told["root"] for told in known.values())) or "no folder") + ".")
    for path in gone if not dry else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return gone, left


def is_cache(folder):
    """Whether a folder holds what only a cache of depnb does."""
    own = (privacy.KEY, privacy.REGISTRY, *OWN)
    return any((folder / name).exists() for name in own) or any(folder.glob(f"*/*/{ENTRY}"))


def registry(cache):
    """What the cache remembers: note -> its content; sentences on notes that cannot be read."""
    known, torn = {}, []
    for note in sorted((cache / privacy.REGISTRY).glob("*.json")):
        try:
            known[note] = privacy.noted(note)
        except (OSError, ValueError):
            torn.append(f"{note}: cannot be read. "
                        "If in doubt, remove the whole cache and the run folders by hand.")
    return known, torn


def folders_on(root, notes):
    """Run folders that stand on the corpus, and those of them that were moved aside."""
    folders = [Path(output) for told in notes.values() for output in told["outputs"]]
    folders += [file.parent
                for file in sorted(located("runs").glob("*/*/params.yaml")) if reads(file, root)]
    return sorted({aside for folder in folders
                   for aside in (folder, *folder.parent.glob(f"{folder.name}.replaced-*"))
                   if aside.is_dir()})


def parts(folder):
    """What a run wrote to its folder, its parameters last; what lies there besides."""
    made = list(dict.fromkeys(path for pattern in MADE for path in sorted(folder.glob(pattern))))
    pictures = [path for path in (folder / "figures").glob("*")
                if path not in made] if (folder / "figures").is_dir() else []
    foreign = [path for path in folder.iterdir() if path not in made
               and path.name != "figures"] + pictures
    if (folder / "figures").is_dir() and not pictures:
        made.insert(-1, folder / "figures")
    return made, foreign


def source(entry):
    """Hash of what an entry of the cache was made of; None for one that does not tell."""
    try:
        digest = json.loads((entry / ENTRY).read_text())["source"]
        return digest if isinstance(digest, str) and digest else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def contents_below(root, memo):
    """Hashes of the files, and of folders that hold files, still there; how many cannot be read."""
    digests, unread = set(), 0
    for path in (root, *below(root)) if root.exists() else ():
        try:
            if path.is_file() or (path.is_dir() and any(p.is_file() for p in path.iterdir())):
                digests.add(content_hash(path, memo, remember=False))
        except OSError:
            unread += 1
    return digests, unread


def reads(file, root):
    """Whether a params.yaml names the folder, or one below it, as where its data lie."""
    try:
        parameters = yaml.safe_load(file.read_text()) or {}
    except (OSError, ValueError, yaml.YAMLError):
        return False
    places = [parameters.get(name) for name in ("data_root", "input")]
    return any(isinstance(place, str) and place not in ("", "auto")
               and located(place).resolve().is_relative_to(root) for place in places)


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m depnb.corpora.purge", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root", help="folder of the corpus, there or not")
    parser.add_argument("--cache", type=Path, default=located("cache"),
                        help="the notebooks' cache_dir")
    parser.add_argument("--dry", action="store_true", help="only say what would be removed")
    wanted = parser.parse_args(arguments)
    try:
        gone, left = purge(wanted.data_root, wanted.cache, wanted.dry)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) is None:  # a sentence of ours; nothing was removed
            raise SystemExit(str(error)) from None
        raise SystemExit(f"{error.filename or wanted.cache}: cannot be removed ({error.strerror}). "
                         "What was not removed yet is found again when you run this "
                         "again.") from None
    for line in (*gone, *left):
        print(line)
    count = f"{len(gone)} {'file or folder' if len(gone) == 1 else 'files and folders'}"
    print(f"{count} {'would be' if wanted.dry else 'were' if len(gone) != 1 else 'was'} removed. "
          f"The corpus and the key of pseudonyms ({wanted.cache / privacy.KEY}) stay. "
          "Executed notebooks, exported runs and copies lie where you put them.")


if __name__ == "__main__":
    main()
