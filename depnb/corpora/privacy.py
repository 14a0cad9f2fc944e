"""What keeps people unnamed: who counts as simulated, pseudonyms, sentences without names.

A tree is simulated when its marker lists every file in it by content; everything else counts as
licensed. Pseudonyms of a licensed corpus, which no label table gives away, come from a random key
that lies with the cache and nowhere else. The cache also remembers what was derived from which
folder, so that `python -m depnb.corpora.purge` can remove it.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from depnb.corpora.simulated import outdated
from depnb.files import content_hash, made, passed_over, write_atomically

MARKER = "SIMULATED.json"  # in the root of a simulated tree; a tree without it counts as licensed
GENERATOR = "depnb.simulation"
KEY = "pseudonyms.key"              # in the cache
REGISTRY = "derived"  # folder in the cache: a file for every folder that something was derived from
FEWEST, FEWER = 5, "fewer than five"        # people that a printed group must have
# Of people and what they recorded, in metrics.
COUNTS = ("participants", "units", "sessions", "speakers", "vlogs", "people", "depressed")
DECIDED = ("tn", "fp", "fn", "tp")  # of people too; here a nought is told no more than a four
# What makes up a run, beside figures and what is identifying.
GIVEN = ("params.yaml", "provenance.json", "metrics.json", "SHA256SUMS", "history.csv",
         "checkpoint.safetensors", "scaler.json", "metrics.csv", "metrics_meanstd.csv", "costs.csv")
# Of a run on a licensed corpus: rows by person, by which a label table could name people.
LOG = "private.log"
IDENTIFYING = ("predictions.csv", "attributions.csv", "weights.csv", LOG)
# of our instructions and of tables, not of people
FORMATS = ("MP3|MP4|M4A|mp3|mp4|m4a|m4v|3gp|H264|H265|AVEC2013|AVEC2014|"
           "(?:train|dev|test)_split_Depression_AVEC2017")
# What a vlog's arrays are called, once its id has given way.
ARRAY = r"(?:(?:audio|visual|…)/)?…(?:_acoustic|_visual)?\.npy(?=\.?(?:\s|$))"
MASKED = (r"(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)", r'"(?:[^"\\]|\\.)*"',            # what is quoted
          r"(?<![\w.])/\S+/\S*", r"\b[A-Za-z]:\\\S+",                          # paths
          rf"(?<!\S)(?!{ARRAY})\S+/\S+\.\w+",
          rf"(?<!\S)(?!{ARRAY})\S+\.(?:wav|flac|mp3|ogg|opus|aiff?|m4a|aac|wma|amr|mp4|m4v|avi|mov|mkv|"
          r"webm|mpe?g|wmv|3gp|flv|jpe?g|png|bmp|npy|npz|txt)\b",
          # numbers, but the ends of class folders
          rf"(?<!PHQ-)(?<!UTF-)\b(?!(?:{FORMATS})\b)(?!(?<!\S)_[01]\b)\w*\d\w*(?:[.,:]\d\w*)*")
# What every corpus of a kind has, and so betrays nobody.
CONSTANT = (r"from 0 to (?:24|63)|between 0 and 63|not 0, 1, 2 or 3|expected 0 or 1|cut-off 1[04]|"
            r"expected \(seconds, (?:25|128|136)\)|gender of 0 \(female\) or 1 \(male\)")
HERE = secrets.token_bytes(32)      # the key of a process that is given no cache


class Terms(NamedTuple):
    """On which terms a tree is read."""

    truth: dict | None              # planted truth of a simulated tree; None: licensed
    remark: str                     # why a marker does not count
    key: bytes                      # of pseudonyms
    cache: Path | None              # folder that remembers hashes


def terms(root, cache=None):
    """The terms of the tree under `root`.

    Parameters
    ----------
    root : path
    cache : path, optional
        Folder that holds this machine's key; without, the key is of this process only.

    Returns
    -------
    Terms

    Raises
    ------
    ValueError
        Another version of the simulator wrote the tree.
    """
    memo = made(cache) / "hashes" if cache else None
    truth, remark = vouched(root, memo)
    if truth and (old := outdated(root, truth["arguments"])):
        raise ValueError(old)
    key = machine_key(cache) if cache and truth is None else HERE
    return Terms(truth, remark, key, Path(cache) if cache else None)


def vouched(root, memo=None):
    """What the marker under `root` says, if it vouches for every file there.

    Parameters
    ----------
    root : path
    memo : path, optional
        Folder that remembers hashes.

    Returns
    -------
    truth : dict or None
        The planted truth; None where it does not vouch.
    remark : str
        Why it does not; "" where there is no marker.
    """
    root, marker = Path(root), Path(root) / MARKER
    if not os.path.lexists(marker):
        return None, ""
    otherwise = ("so this folder counts as licensed. "
                 "Have depnb.simulation write it anew, or remove the marker.")
    try:
        told = json.loads("" if marker.is_symlink() else marker.read_text())
        if told["generator"] != GENERATOR or not told["files"]:
            raise ValueError
        numbers = [told["arguments"][name] for name in ("participants", "effect", "seed")]
        if not all(type(number) in (int, float) or number == "literature" for number in numbers):
            raise ValueError
        listed = told.pop("files")
        files = [p for p in root.rglob("*") if p != marker and (p.is_symlink() or not p.is_dir())]
        others = sum(p.is_symlink() or listed.get(p.relative_to(root).as_posix())
                     != content_hash(p, memo) for p in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, (f"{MARKER} is none that depnb's simulator writes today (it lists the files "
                      "it vouches for, and its arguments participants, "
                      f"effect and seed as numbers), {otherwise}")
    if others:
        return None, (f"{MARKER} does not vouch for {others} of {len(files)} files, "
                      f"which were added or changed since, {otherwise}")
    return told, ""


def simulated(path, memo=None):
    """Whether a file or folder is, or lies in, a tree whose marker vouches for it."""
    path = Path(path).resolve()
    return any((folder / MARKER).exists() and vouched(folder, memo)[0] is not None
               for folder in (path, *path.parents))


def report(problems, source, log):
    """What a command prints about files with problems.

    Of a simulated tree every file by its name. Of others each sentence with how many files it
    concerns; the names go to the file `log`, for the owner alone.

    Parameters
    ----------
    problems : mapping name -> sentence
    source : path of the tree
    log : path

    Returns
    -------
    list of str, the lines
    """
    if not problems or simulated(source):
        return [f"{name}: {sentence}" for name, sentence in problems.items()]
    write_atomically(log, "".join(logged(name, sentence) for name, sentence in problems.items()),
                     private=True)
    counts = Counter(masked(sentence, name) for name, sentence in problems.items())
    return [*(f"{few(count)}: {sentence}" for sentence, count in counts.items()),
            f"Which files these are stands in {log}, which is for your eyes: it names them."]


def logged(*cells):
    """A row of a private log: cells apart by tabs, the last one a sentence.

    A line break in a name does not split it.
    """
    names = [re.sub(r"[\x00-\x1f\x7f]", lambda sign: f"\\x{ord(sign[0]):02x}", str(cell))
             for cell in cells[:-1]]
    return "\t".join([*names, " ".join(cells[-1].split())]) + "\n"


def machine_key(cache):
    """This machine's random key, 32 bytes, made when it is first asked for.

    Raises
    ------
    ValueError
        Its file is damaged.
    """
    path = made(cache) / KEY
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            write_atomically(path, secrets.token_hex(32), private=True)
        path.chmod(0o600)
        text = path.read_text().strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"{path}: holds no key; expected 64 hexadecimal digits. Remove it: "
                         "a new one is made, and people go by other pseudonyms from then on.")
    return bytes.fromhex(text)


def pseudonym(corpus, kind, value, key):
    """What a session (kind S) or participant (P) of a corpus is called."""
    return f"{kind}-{hmac.new(key, f'{corpus} {kind} {value}'.encode(), 'sha256').hexdigest()[:10]}"


def masked(sentence, *names):
    """A sentence about one session without what a label table or a listing could be searched for.

    Names (of sessions, participants, files), quoted text and numbers give way to an ellipsis.
    """
    paths = [Path(str(name)) for name in names]
    for name in sorted({*map(str, names), *(p.name for p in paths), *(p.stem for p in paths)}
                       - {""}, key=len, reverse=True):
        sentence = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "…", sentence)
    for quoted in MASKED[:2]:                           # whatever stands in it
        sentence = re.sub(quoted, "…", sentence)
    parts = re.split(f"({CONSTANT})", sentence)         # every second one is such a phrase
    for text in MASKED[2:]:
        parts[::2] = [re.sub(text, "…", part) for part in parts[::2]]
    return "".join(parts)


def discreet(error, root, cache=None):
    """An error met while a licensed corpus is opened, without what it may say of people.

    Our sentences begin with the folder, or name a parameter; of the path of a table its last part
    stays. Of errors of libraries, whose sentences are not ours, only the type does. The error in
    full goes to private.log in the cache, for the owner alone.
    """
    kind, (place, colon, rest) = type(error), str(error).partition(": ")
    ours = (kind in (ValueError, FileNotFoundError) and len(error.args) == 1
            and place.startswith((str(root), "pattern ")))
    table = Path(place).name if place.startswith(str(root)) and place != str(root) else ""
    sentence = (f"{root}{f'/{table}' if table else ''}{colon}{rest}" if ours
                else f"{root}: cannot be read ({kind.__name__}).")
    if ours and place.startswith("pattern "):
        sentence = str(error)
    if (lost := passed_over(root)) and "passed over" not in sentence:
        sentence += f" Passed over: {few(len(lost))}, the first is {next(iter(lost.values()))}"
    if cache:
        log, rows = made(cache) / LOG, getattr(error, "problems",
                                               [("", Path(root, name), told)
                                                for name, told in lost.items()])
        write_atomically(log, "".join([*(logged(session or "all", path, told)
                                         for session, path, told in rows),
                                       *traceback.format_exception(error)]), private=True)
        sentence += where(log)
    return (kind if ours else ValueError)(sentence)


def where(log):
    """What to say of a private log after an error."""
    return f" In full, with the names: {log}, which is for your eyes."


def plain(text):
    """Text of a corpus as a page may show it: letters, digits, a few signs, no markup."""
    return re.sub(r"[^\w .,;:'\"()/+@=%…–-]", "\N{REPLACEMENT CHARACTER}", str(text))


def rounded_up(sentence):
    """A sentence about the whole corpus with counts below FEWEST in words."""
    return re.sub(rf"\b[1-{FEWEST - 1}](?= (?:of \d+ )?"
                  r"(?:participants|recordings|sessions|speakers|vlogs|files)\b)", FEWER, sentence)


def few(count):
    """A count of people, or of what is theirs, as it may be printed of a licensed corpus."""
    return FEWER if 0 < count < FEWEST else str(count)


def coarse(metrics):
    """Metrics of a licensed corpus without counts of fewer than five people.

    A nested value -> the same with None for these. Other numbers, such as sizes of a network, stay.
    """
    if isinstance(metrics, list):
        return [coarse(value) for value in metrics]
    if not isinstance(metrics, dict):
        return metrics
    small = {name for name, value in metrics.items() if type(value) is int
             and ((name in DECIDED and value < FEWEST) or (name in COUNTS and 0 < value < FEWEST))}
    return {name: None if name in small else coarse(value) for name, value in metrics.items()}


def used(count, total, what, restricted):
    """How many of all could be used, in words.

    Of a licensed corpus there is no number from which to tell how few were left out.

    Parameters
    ----------
    count, total : int
    what : str
        Their name, as "recordings".
    restricted : bool
        Whether they are of a licensed corpus.
    """
    if restricted and 0 < total - count < FEWEST:
        return f"all but {FEWER} of {total} {what} used"
    return f"{few(count) if restricted and count < total else count} of {total} {what} used"


def check_tracker(kind, restricted):
    """Refuse a tracker that would send what it is told of a licensed corpus off this machine.

    Raises
    ------
    ValueError
        It is wandb, and not told to stay offline.
    """
    mode = os.environ.get("WANDB_MODE")
    if kind == "wandb" and restricted and mode not in ("offline", "disabled"):
        raise ValueError("tracker wandb sends what it is told off this machine, and the corpus is "
                         "licensed. Set WANDB_MODE=offline, or choose csv or tensorboard.")


def noted(path):
    """What a note of the registry holds: mapping of root, contents and outputs.

    Raises
    ------
    ValueError
        It has another shape.
    """
    try:
        told = json.loads(path.read_text())
    except RecursionError:
        raise ValueError(f"{path}: is no note.") from None
    match told:
        case {"root": str(root), "contents": list(contents), "outputs": list(outputs)} if (
                all(isinstance(text, str) for text in contents + outputs)
                and all(map(os.path.isabs, [root, *outputs]))):
            return {"root": root, "contents": contents, "outputs": outputs}
    raise ValueError(f"{path}: is no note.")


def derived_from(cache, root, contents=(), outputs=()):
    """Remember, with the cache, what stands on the folder `root`.

    Parameters
    ----------
    cache, root : path
    contents : hashes of its files
    outputs : folders of runs

    Raises
    ------
    ValueError
        What the cache remembers of the folder cannot be read.
    """
    root = Path(root).resolve()
    path = made(cache) / REGISTRY / f"{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        known = {"root": str(root), "contents": [], "outputs": []}
        if os.path.lexists(path):
            try:
                known = noted(path)
            except (OSError, ValueError):
                raise ValueError(f"{path}: cannot be read; it says what was derived from {root}. "
                                 "Run python -m depnb.corpora.purge on that folder if in doubt, "
                                 "then remove this file.") from None
        more = known | {"contents": sorted({*known["contents"], *contents}), "outputs":
                        sorted({*known["outputs"], *(str(Path(o).resolve()) for o in outputs)})}
        if more != known or not path.exists():
            write_atomically(path, json.dumps(more), private=True)
