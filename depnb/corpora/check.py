"""python -m depnb.corpora.check daic_woz /path/to/DAIC-WOZ     look at a corpus before it is used

What a licence holder runs first, a minute's work: how many sessions, of which parts and modalities,
and what is missing, moved, unreadable or odd, with counts. Of every file its beginning is looked
at, of a table its end, of videos and containers of sound the sizes of their parts; arrays and
transcripts are read whole. Nothing is extracted. What is printed of a licensed corpus names nobody
and may be passed on; which files are meant stands in private.log in the cache. Ends with status 1
if a session, modality or file is missing or cannot be used, else 0.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from depnb import corpora
from depnb.corpora import privacy, vlogs
from depnb.corpora.daic_woz import KNOWN
from depnb.corpora.readers import AUDIO, glance, quiet_stderr, read_transcript
from depnb.corpora.sound import header_remark
from depnb.files import located, passed_over


def check(corpus, layout=""):
    """Look at every file of a corpus.

    Files that cannot be used are excluded from `corpus`.

    Parameters
    ----------
    corpus : Corpus
    layout : str, name of an opener
        Of dvlog and lmvd, whether the arrays of a vlog have their widths and go together.

    Returns
    -------
    lines : list of str, which may be shown
    sound : bool
        Nothing is missing, and everything can be used; what the owners themselves call faulty does
        not count.

    Raises
    ------
    ValueError
        No session, or one class only, is left.
    """
    files = corpus.files()
    with quiet_stderr(), ThreadPoolExecutor(8) as pool:
        widths = [vlogs.WIDTHS.get(layout, {}).get(name.rpartition("/")[2]) for name in files]
        sentences = dict(zip(files, pool.map(
            glance, files.values(), widths, [layout == "speech_folder"] * len(files)), strict=True))
    unread = {recording: sentence for recording, sentence in sentences.items() if sentence}
    if layout in vlogs.WIDTHS:
        unread |= _apart({name: path for name, path in files.items() if name not in unread})
    corpus.exclude(unread)
    corpus.note({recording: told for recording, path in corpus.files().items()
                 if (told := _remark(recording, path))})
    sessions, problems = corpus.sessions, corpus.problems
    out = problems[~problems["session"].isin(["all", *sessions["session"]])]
    lines = [f"{corpus.name}, {'licensed' if corpus.restricted else 'simulated'}: "
             f"{corpus.few(len(sessions))} sessions of "
             f"{corpus.few(sessions['participant'].nunique())} participants can be used, "
             f"left out: {corpus.few(out['session'].nunique())}",
             f"classes: {_counts(corpus, sessions['label'])}"]
    if (sessions["split"] != "").any():
        lines.append(f"official split: {_counts(corpus, sessions['split'])}")
    lines += [f"{name}: {corpus.used(count, len(sessions), 'sessions').removesuffix(' used')}"
              for name, count in _present(corpus).items()]
    lines.append(f"{corpus.used(len(files) - len(unread), len(files), 'files')}, "
                 "as far as their beginnings tell")
    rows = corpus.listing().data.to_numpy()
    lines += ["missing, moved, unreadable or odd:" if len(rows) else
              "nothing is missing, moved, unreadable or odd",
              *(f"  {count}: {' '.join(sentence.split())}" for count, sentence in rows)]
    sound = not (unread or passed_over(corpus.root) or (out["problem"] != KNOWN).any()
                 or (_present(corpus) < len(sessions)).any())
    return lines, sound


def _remark(recording, path):
    """What is odd about a file that is used all the same, without decoding it; "" for nothing."""
    if recording.endswith("/transcript"):
        return " ".join(read_transcript(path).attrs["remarks"])
    return header_remark(path) if path.suffix.lower() in AUDIO else ""


def _apart(files):
    """Vlogs of which sound and picture do not go together: mapping "session/visual" -> sentence."""
    faults = {}
    for session in {name.rpartition("/")[0] for name in files}:
        paths = [files.get(f"{session}/{part}") for part in vlogs.MODALITIES]
        try:
            if all(paths):
                vlogs.together(*(np.load(path, mmap_mode="r") for path in paths))
        except ValueError as error:
            faults[f"{session}/visual"] = str(error)
    return faults


def _counts(corpus, column):
    """How many sessions there are of each value; nothing where one of a licensed corpus has so few
    that the others would tell how many.
    """
    counts = column.value_counts().sort_index()
    if corpus.restricted and counts.min() < privacy.FEWEST:
        return f"{privacy.FEWER} sessions in one, so none is told"
    return ", ".join(f"{value} {count}" for value, count in counts.items())


def _present(corpus):
    """In how many sessions there is each modality or, where the corpus has none, each part."""
    modalities = corpus.modalities()
    return (modalities.sum() if len(modalities.columns)
            else corpus.recordings()["part"].value_counts().sort_index())


def main(arguments=None):
    """The command line -> 1 if something is missing or cannot be used, else 0."""
    parser = argparse.ArgumentParser(prog="python -m depnb.corpora.check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help=", ".join(corpora.OPENERS))
    parser.add_argument("root", type=Path, help="folder of the corpus as distributed")
    parser.add_argument("--pattern", help="of speech_folder: finds the participant in a file name")
    parser.add_argument("--cache", type=Path, default=located("cache"),
                        help="the notebooks' cache_dir, where private.log is written")
    wanted = parser.parse_args(arguments)
    options = {"pattern": wanted.pattern} if wanted.pattern else {}
    if wanted.name in corpora.OPENERS and not wanted.root.is_dir():
        raise SystemExit(f"{wanted.root}: no such folder. "
                         f"Give the one that holds the {wanted.name} corpus as distributed.")
    if wanted.pattern and wanted.name != "speech_folder":
        raise SystemExit("--pattern is of speech_folder alone. Leave it out.")
    if wanted.cache.resolve().is_relative_to(wanted.root.resolve()):
        raise SystemExit(f"cache {wanted.cache}: lies in the corpus, which is only read. "
                         "Name another folder with --cache.")
    try:
        corpus = corpora.open(wanted.name, wanted.root, wanted.cache, **options)
        lines, sound = check(corpus, wanted.name)
        if corpus.restricted and len(corpus.problems):
            corpus.write_private_log(wanted.cache)
            lines.append(f"Which these are stands in {wanted.cache / privacy.LOG}, "
                         "which is for your eyes: it names them.")
    except OSError as error:
        if error.strerror is None:              # a sentence of ours
            raise SystemExit(str(error)) from None
        raise SystemExit(f"cache {wanted.cache}: cannot be written ({error.strerror}). "
                         "Name another folder with --cache.") from None
    except ValueError as error:
        raise SystemExit(str(error)) from None
    for line in lines:
        print(line)
    return int(not sound)


if __name__ == "__main__":
    raise SystemExit(main())
