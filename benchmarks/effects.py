"""Cohen's d of every planted cue, as it is measured after extraction.

python benchmarks/effects.py --trees data/simulated/effects --save book/data/effects.csv

Corpora at effect 1 and at the literature's sizes are written into the folder, and depnb's own
extractors run on them: videos (AVEC 2014, two of 3 s at 160 pixels each), voices, transcripts of
interviews, and vlogs. Of each cue one plain feature of a participant is compared between those with
a PHQ-8 of at least 10 and the others, within women and within men. Corpora and features that are
there already are used as they are, so that a run may be stopped. Beside the table, a file .yaml
tells which run it was. --layouts speech_folder: a part of the table only, to try it.
"""

import argparse
import json
import re
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from scipy.ndimage import uniform_filter1d

from depnb import runs
from depnb.corpora.privacy import MARKER
from depnb.corpora.readers import read_array, read_audio, read_transcript
from depnb.corpora.simulated import VERSION, effect_text
from depnb.features import face, speech, store
from depnb.features.vlog_extract import acoustic_names
from depnb.files import write_atomically
from depnb.runs.origin import git_state
from depnb.simulation import effects, interview, severity, transcript
from depnb.simulation.layouts import simulate, write_tree

PARTICIPANTS, SEED = 200, 0
EFFECTS = (1.0, "literature")
GENDERS = ("female", "male")
RESAMPLED = 1000            # times, for an interval
MANY = 20_000               # people of whom a size is computed that is not one cue's
SECONDS, SIZE = 3.0, 160    # of the videos
SMOOTH = 21                 # seconds over which a slow cue is averaged
SUDDEN = 5                  # robust standard deviations of the change from second to second
REFERENCES = Path(__file__).parents[1] / "book/references.bib"


class Feature(NamedTuple):
    """How a cue is measured: of a row of a participant's features, positive in its direction."""

    layout: str
    words: str
    value: Callable


def mean(column, sign=1):
    """A column of the features, or its negative."""
    return lambda features: sign * features[column]


FEATURES = {
    "pitch": Feature("speech_folder", "mean F0, semitones",
                     mean("F0semitoneFrom27.5Hz_sma3nz_amean", -1)),
    "intonation": Feature("speech_folder", "variation of F0 (standard deviation over mean)",
                          mean("F0semitoneFrom27.5Hz_sma3nz_stddevNorm", -1)),
    "jitter": Feature("speech_folder", "mean local jitter", mean("jitterLocal_sma3nz_amean")),
    "shimmer": Feature("speech_folder", "mean local shimmer",
                       mean("shimmerLocaldB_sma3nz_amean")),
    "breathiness": Feature("speech_folder", "mean ratio of harmonics to noise",
                           mean("HNRdBACF_sma3nz_amean", -1)),
    "tilt": Feature("speech_folder", "alpha ratio of voiced parts",
                    mean("alphaRatioV_sma3nz_amean", -1)),
    "loudness": Feature("speech_folder", "equivalent sound level",
                        mean("equivalentSoundLevel_dBp", -1)),
    "emphasis": Feature("speech_folder", "variation of the spectral flux of voiced parts",
                        mean("spectralFluxV_sma3nz_stddevNorm", -1)),
    "rate": Feature("speech_folder", "voiced segments a second",
                    mean("VoicedSegmentsPerSec", -1)),
    "pauses": Feature("speech_folder", "mean length of unvoiced segments",
                      mean("MeanUnvoicedSegmentLength")),
    "smile": Feature("avec2014", "mean width of the mouth, in eye distances",
                     mean("mouth_width", -1)),
    "brow": Feature("avec2014", "mean height of the brow, in eye distances",
                    mean("brow_height", -1)),
    "eyes": Feature("avec2014", "mean opening of the eyes, in eye distances",
                    mean("eye_opening", -1)),
    "gaze": Feature("avec2014", "mean gaze downward, in eye widths", mean("gaze_y")),
    "head": Feature("avec2014", "logarithm of the standard deviations of pitch and yaw",
                    mean("head_motion", -1)),
    "slow_acoustic": Feature("dvlog", "share of seconds in which loudness, over 21 s, is low",
                             mean("quiet")),
    "short_acoustic": Feature("dvlog", "sudden falls of loudness less sudden rises, a second",
                              mean("falls")),
    "slow_visual": Feature("dvlog", "share of seconds in which the brow, over 21 s, is low",
                           mean("lowered")),
    "short_visual": Feature("dvlog", "sudden falls of the nose below the eyes less rises, a second",
                            mean("drops")),
    **{item: Feature("daic_woz", "first-person, negative and absolutist words, as a share of the "
                     "answers about the item", mean(item)) for item in effects.ITEMS},
}


def groups(truth):
    """Gender and group of every participant of a planted truth: DataFrame by participant."""
    people = {}
    for facts in truth["sessions"].values():
        person = facts.get("participant", facts.get("speaker"))
        told = facts | truth.get("participants", {}).get(str(person), {})
        label = told["label"] if "label" in told else told["phq8_total"] >= severity.CUT
        people.setdefault(person, {"gender": told["gender"], "depressed": bool(label)})
    return pd.DataFrame.from_dict(people, orient="index")


def told(problems):
    """Say what could not be measured."""
    for name, problem in problems.items():
        print(f"{name}: {problem}")


def faces(root, truth, cache, workers):
    """Features of the first session of every participant, mean of its two videos."""
    videos = {(facts["participant"], task): root / video["file"]
              for name, facts in truth["sessions"].items() if name.endswith("_1")
              for task, video in facts["videos"].items()}
    tracks, problems = store.extract(videos, face.track, cache, workers=workers, frame_step=3)
    told(problems)
    rows = {}
    for name, arrays in tracks.items():
        width, _, _, eyes, brow, _, gaze, *rest = face.expression_statistics(
            arrays["landmarks"], arrays["gaze"], arrays["head_pose"])
        rows[name] = {"mouth_width": width, "eye_opening": eyes, "brow_height": brow,
                      "gaze_y": gaze, "head_motion": np.log(rest[-2:]).mean()}
    return pd.DataFrame.from_dict(rows, orient="index").groupby(level=0).mean()


def egemaps(path):
    """eGeMAPS of a recording at 16 kHz with its level and its pauses: {"egemaps": (88,)}."""
    steps = speech.preprocess(*read_audio(path, mono=False), normalise=False, silence="keep")
    samples, rate = list(steps.values())[-1]
    return {"egemaps": speech.egemaps(speech.in_range(samples), rate)}


egemaps.version = 1


def voices(root, truth, cache, workers):
    """eGeMAPS of every participant, mean of the recordings."""
    files = {name: root / facts["file"] for name, facts in truth["sessions"].items()}
    features, problems = store.extract(files, egemaps, cache, workers=workers)
    told(problems)
    table = pd.DataFrame([arrays["egemaps"] for arrays in features.values()],
                         columns=speech.egemaps_names())
    return table.groupby([truth["sessions"][name]["participant"] for name in features]).mean()


def words(root, truth, *_):
    """Shares of words of every participant whose transcript can be read.

    By item, of the answers about it: first person, negative or absolutist. first_person: of all
    that the participant says.
    """
    rows = {}
    for name, facts in truth["sessions"].items():
        if facts["degraded"] and facts["degraded"]["modality"] == "text":
            continue
        turns = read_transcript(transcript_of(root / f"{name}_P"))
        turns = turns.assign(topic=[turn["topic"] for turn in facts["turns"]])
        turns = turns[turns["speaker"] == "Participant"]
        told_of = turns.groupby("topic")["value"].agg(lambda values: " ".join(values).split())
        row = {item: len(set().union(*transcript.kinds(told_of[item]).values()))
               / len(told_of[item]) for item in effects.ITEMS}
        everything = [word for answer in told_of for word in answer]
        own = transcript.kinds(everything)["first_person"]
        rows[facts["participant"]] = row | {"first_person": len(own) / len(everything)}
    return pd.DataFrame.from_dict(rows, orient="index")


def transcript_of(folder):
    """Where the transcript of a session lies."""
    return folder / f"{folder.name.removesuffix('_P')}_TRANSCRIPT.csv"


def low(values):
    """Share of seconds in which the smoothed values (T,) are nearer to their low end."""
    smooth = uniform_filter1d(values, SMOOTH)
    return float((smooth < np.percentile(smooth, (5, 95)).mean()).mean())


def sudden(values):
    """Falls less rises from one second to the next that are larger than usual, a second."""
    change = np.diff(values)
    usual = 1.4826 * np.median(np.abs(change - np.median(change)))
    return float((change < -SUDDEN * usual).mean() - (change > SUDDEN * usual).mean())


def vlogs(root, truth, *_):
    """Features of every speaker, mean of the vlogs in which that modality tells something."""
    rows = []
    loudness = acoustic_names().index("Loudness_sma3")
    for name, facts in truth["sessions"].items():
        row = {"speaker": facts["speaker"]}
        if facts["uninformative"] != "acoustic":
            loud = read_array(root / name / f"{name}_acoustic.npy")[:, loudness]
            row |= {"quiet": low(loud), "falls": sudden(loud)}
        if facts["uninformative"] != "visual":
            # all x, then all y -> (T, 68, 2)
            visual = read_array(root / name / f"{name}_visual.npy")
            points = np.moveaxis(visual.reshape(-1, 2, 68), 1, 2).astype(float)
            eyes = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
            unit = np.linalg.norm(eyes[0] - eyes[1], axis=1)
            brow = np.linalg.norm(points[:, [19, 24]] - points[:, [36, 45]], axis=2).mean(1)
            nose = (eyes[0] + eyes[1])[:, 1] / 2 - points[:, 30, 1]
            row |= {"lowered": low(brow / unit), "drops": sudden(nose / unit)}
        rows.append(row)
    return pd.DataFrame(rows).groupby("speaker").mean()


EXTRACT = {"speech_folder": voices, "avec2014": faces, "daic_woz": words, "dvlog": vlogs}


def write_transcripts(root, arguments, workers):
    """The transcripts of a corpus of interviews alone -> the planted truth."""
    jobs, truth = interview.plan(root, arguments)
    for folder, turns, *_ in jobs:
        folder.mkdir(exist_ok=True)
        interview.write_transcript(transcript_of(folder), turns)
    return truth


def written(layout, root, participants, effect, workers):
    """A corpus, written unless it is there -> its planted truth."""
    if layout == "daic_woz":
        write_tree(root, {"layout": layout, "participants": participants, "seed": SEED,
                          "effect": effect, "sample": "study", "seconds": 50.0, "version": VERSION,
                          "parts": "transcripts"}, write_transcripts, workers)
    else:
        of_video = {"seconds": SECONDS, "size": SIZE} if layout == "avec2014" else {}
        simulate(layout, root, participants, SEED, effect, workers=workers, **of_video)
    return json.loads((root / MARKER).read_text())


def differences(values, cells):
    """Cohen's d of every column between the groups, within women and within men.

    Parameters
    ----------
    values : (n, k)
    cells : mapping (gender, depressed) -> rows

    Returns
    -------
    dict gender -> (k,)
    """
    d = {}
    for gender in GENDERS:
        one, other = values[cells[gender, True]], values[cells[gender, False]]
        within = (len(one) - 1) * one.var(0, ddof=1) + (len(other) - 1) * other.var(0, ddof=1)
        d[gender] = (one.mean(0) - other.mean(0)) / np.sqrt(within / (len(one) + len(other) - 2))
    return d


def measured(values, people, genders=GENDERS):
    """Cohen's d with its 95 % interval, as text: mean of these genders and of the columns.

    Participants are drawn again within gender and group.

    Parameters
    ----------
    values : (n, k)
    people : DataFrame (n), gender and depressed

    Raises
    ------
    ValueError
        Of women or of men a group has fewer than two.
    """
    def d(cells):
        return np.mean([of_gender for gender, of_gender in differences(values, cells).items()
                        if gender in genders])

    cells = people.groupby(["gender", "depressed"]).indices
    if len(cells) < 4 or min(map(len, cells.values())) < 2:
        raise ValueError(f"{len(people)} participants: a group has fewer than two women or men. "
                         "Ask for more participants.")
    rng = np.random.default_rng(SEED)
    again = [d({name: rng.choice(rows, len(rows)) for name, rows in cells.items()})
             for _ in range(RESAMPLED)]
    return "{:.2f} [{:.2f}, {:.2f}]".format(d(cells), *np.nanpercentile(again, (2.5, 97.5)))


def published(name):
    """What `effects.LITERATURE` has of a cue, as text; of an unsettled sign, what was drawn."""
    size = effects.LITERATURE[name]
    if size.women is not None:
        return f"women {size.women:g}, men {size.men:g}"
    if size.settled:
        return f"{size.d:g} ({size.low:g} to {size.high:g})"
    drawn = effects.planted("literature", name, ["female"], SEED, 1, 1)[0]
    return f"{size.low:g} to {size.high:g}, drawn {drawn:.2f}"


def source(key):
    """Authors and year of an entry of references.bib; "assumed" for none."""
    if not key:
        return "assumed"
    entry = re.search(rf"{{{key},.*", REFERENCES.read_text())[0]
    names = [name.split(",")[0] for name in re.search(r"author={(.*?)},", entry)[1].split(" and ")]
    year = re.search(r"year={(\d+)}", entry)[1]
    return f"{' and '.join(names) if len(names) < 3 else f'{names[0]} et al.'} {year}"


def planted(cues):
    """Cohen's d that is planted at effect 1, mean of these cues."""
    gaps = severity.groups("study")
    return np.mean([effects.planted(1.0, cue, GENDERS, SEED, *gaps.get(cue, gaps["severity"])[:2])
                    for cue in cues])


def together(effect):
    """Cohen's d of the mean of the eight cues in words, of many people."""
    people = severity.cohort(MANY, SEED, returning=False)
    latent, _ = severity.cues(people, effects.ITEMS, effect, SEED)
    cells = people.groupby(["gender", people["phq8_total"] >= severity.CUT]).indices
    return np.mean([*differences(latent.mean(axis=1).to_numpy(), cells).values()])


def row(cue, values, people, /, **others):
    """A row of the table.

    Parameters
    ----------
    cue : str
    values, people : lists, one entry for each of `EFFECTS`
        Features (n, k), and DataFrames (n) with gender and depressed.
    others : cells that differ from what is told of the cue
    """
    feature, size = FEATURES[cue], effects.LITERATURE[cue]
    usable = [np.isfinite(some).all(1) for some in values]
    easy, literature = ((some[rows], who[rows])
                        for some, who, rows in zip(values, people, usable, strict=True))
    return {"cue": cue, "with depression": size.direction,
            "feature": feature.words, "planted at effect 1": f"{planted([cue]):.2f}",
            "measured at effect 1": measured(*easy), "literature": published(cue),
            "measured at literature": measured(*literature) if size.women is None else
            f"women {measured(*literature, ['female'])}, men {measured(*literature, ['male'])}",
            "source": source(size.source),
            "sign": "not settled" if not size.settled else "settled" if size.d else "no difference",
            } | others


def rows_of(layout, trees, participants, workers):
    """The rows of one layout: list of dict."""
    extracted, people = [], []
    for effect in EFFECTS:
        root = trees / f"{layout}_{effect_text(effect)}"
        truth = written(layout, root, participants, effect, workers)
        extracted.append(EXTRACT[layout](root, truth, trees / "cache", workers))
        people.append(groups(truth).loc[extracted[-1].index])
    if layout != "daic_woz":
        return [row(cue, [feature.value(table).to_numpy()[:, None] for table in extracted], people)
                for cue, feature in FEATURES.items() if feature.layout == layout]
    item, all_together = ([table[columns].to_numpy() for table in extracted]
                          for columns in ([*effects.ITEMS], ["first_person"]))
    easy, literature = map(together, EFFECTS)
    return [row(effects.ITEMS[0], item, people, cue="words about an item, mean of eight",
                **{"planted at effect 1": f"{planted(effects.ITEMS):.2f}"}),
            row(effects.ITEMS[0], all_together, people, cue="words about all items",
                feature="share of the first person in all that is said",
                **{"planted at effect 1": f"{easy:.2f}", "literature": f"{literature:.2f}"})]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=Path, required=True, help="folder of corpora and features")
    parser.add_argument("--save", type=Path, help="write the table here as CSV")
    parser.add_argument("--participants", type=int, default=PARTICIPANTS)
    parser.add_argument("--layouts", nargs="+", choices=EXTRACT, default=list(EXTRACT))
    parser.add_argument("--workers", type=int, default=-1, help="processes; -1 uses every core")
    options = parser.parse_args(arguments)
    options.trees.mkdir(parents=True, exist_ok=True)
    rows, seconds = [], {}
    for layout in options.layouts:
        start = time.perf_counter()
        rows += rows_of(layout, options.trees, options.participants, options.workers)
        seconds[layout] = round(time.perf_counter() - start)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    machine, code = runs.hardware("cpu"), git_state()
    facts = {"participants": options.participants, "seed": SEED, "simulator": VERSION,
             "commit": code["commit"], "uncommitted changes": code["dirty"],
             "machine": machine["device"], "date": date.today().isoformat(),
             "seconds of this call": seconds}
    print(yaml.safe_dump(facts, sort_keys=False))
    if options.save:
        write_atomically(options.save, table.to_csv(index=False))
        write_atomically(options.save.with_suffix(".yaml"), yaml.safe_dump(facts, sort_keys=False))


if __name__ == "__main__":
    main()
