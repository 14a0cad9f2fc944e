"""How near simulated voices are to recordings of people, and which eGeMAPS each control moves.

python benchmarks/voices.py --folder FOLDER
python benchmarks/voices.py --table

Real recordings: every file that can be read in the folder; a file name up to the first digit is a
speaker. Both kinds go through CFRAFN's preprocessing. The first number is the share of functionals
that lie beyond three standard deviations of the simulated recordings; then the spread of the
simulated ones (half the distance of the percentiles 16 and 84, because quotients by a mean near
zero have no standard deviation) over that of the real ones (between the speakers' means, with what
clips of 9 s of one speaker differ by). With five speakers a spread has so wide an interval that a
fifth of the functionals would exceed 1.5 if both were the same (chi-square, 4 degrees of freedom).

The table is `EGEMAPS` of `depnb.simulation.voice`: slopes of standardised functionals on
standardised controls that vary independently, as recorded and after preprocessing, of one woman in
one quiet room: between people and rooms much else differs, so that few slopes reach the threshold.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from depnb.corpora.readers import read_audio
from depnb.features import speech
from depnb.simulation import voice

MOVED = 0.35            # standard deviations of a functional, by one of its control


def simulated(i, alike=False, seconds=10.0):
    """One recording (alike: of one woman in one room): shifts of the controls (11,), eGeMAPS as
    recorded and preprocessed (2, 88).
    """
    rng = np.random.default_rng([77, i])
    person, place = voice.identity(("female", "male")[i % 2], rng), voice.conditions(rng)
    if alike:
        first = np.random.default_rng(0)
        person, place = voice.identity("female", first), voice.conditions(first)
        place |= {"noise": 50.0, "limit": 30.0}
    setting, _ = voice.controls(dict.fromkeys(voice.CUES, 0.0), person, rng)
    shifts = np.clip(rng.standard_normal(len(setting)), -3, 3)
    for shift, (name, control) in zip(shifts, voice.CONTROLS.items(), strict=True):
        amount = abs(control.spread) * shift
        moved = setting[name] + amount if control.unit == "dB" else setting[name] * np.exp(amount)
        setting[name] = float(np.clip(moved, control.low, control.high))
    spoken = voice.phrases(setting, seconds, rng)
    sound = voice.record(voice.speak(setting, person, spoken, seconds, rng), place, rng)
    sound, rate = sound.astype(np.float32), place["sample_rate"]
    steps = list(speech.preprocess(sound, rate).values())
    plain = list(speech.preprocess(sound, rate, normalise=False, silence="keep").values())
    return shifts, np.stack([speech.egemaps(*plain[-1]), speech.egemaps(*steps[-1])])


def real(folder):
    """Recordings of people -> mapping speaker -> (files, 88) and (clips, 88)."""
    files, clips = {}, {}
    for path in sorted(folder.iterdir()):
        try:
            samples, rate = list(speech.preprocess(*read_audio(path, mono=False)).values())[-1]
        except ValueError as problem:
            print(f"{path.name}: left out ({problem})")
            continue
        speaker = re.match(r"\D*", path.stem)[0]
        pieces = np.array_split(samples, max(1, round(len(samples) / rate / 9)))
        files.setdefault(speaker, []).append(speech.egemaps(samples, rate))
        clips.setdefault(speaker, []).extend(speech.egemaps(piece, rate) for piece in pieces)
    return {s: np.array(rows) for s, rows in files.items()}, {s: np.array(rows)
                                                              for s, rows in clips.items()}


def nearness(rows, folder):
    """Print the shares and spreads of rows (recordings, 88) against a folder."""
    files, clips = real(folder)
    beyond = {speaker: np.mean(np.abs(own - rows.mean(0)) > 3 * rows.std(0))
              for speaker, own in files.items()}
    for speaker, share in beyond.items():
        print(f"{speaker:40}{share:6.1%} beyond 3 SD")
    print(f"{'mean of speakers':40}{np.mean(list(beyond.values())):6.1%}")
    between = np.var([own.mean(0) for own in clips.values()], axis=0, ddof=1)
    within = np.mean([own.var(0, ddof=1) for own in clips.values() if len(own) > 1], axis=0)
    # the variance between means holds some of that within already
    within = within * (1 - np.mean([1 / len(own) for own in clips.values()]))
    low, high = np.percentile(rows, [16, 84], axis=0)
    ratio = (high - low) / 2 / np.sqrt(between + within)
    print(f"spread, simulated over real: median {np.median(ratio):.2f}, "
          f"{np.mean(ratio > 1.5):.1%} above 1.5:")
    for name, value in zip(speech.egemaps_names(), ratio, strict=True):
        if value > 1.5:
            print(f"  {value:5.2f}  {name}")


def table(shifts, rows):
    """Print which functionals each control moves: shifts (n, 11), rows (n, 2, 88)."""
    low, high = np.percentile(rows, [2, 98], axis=0)        # quotients by a mean near zero
    rows = np.clip(rows, low, high)
    rows = (rows - rows.mean(0)) / rows.std(0)
    design = np.c_[shifts, np.ones(len(shifts))]
    slopes = np.linalg.lstsq(design, rows.reshape(len(rows), -1), rcond=None)[0][:-1]
    strongest = np.abs(slopes).reshape(-1, 2, 88).max(1)                        # (11, 88)
    for control, own in zip(voice.CONTROLS, strongest, strict=True):
        moved = [name for name, s in zip(speech.egemaps_names(), own, strict=True) if s >= MOVED]
        print(f"{control}: {' '.join(moved)}")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="recordings of people")
    parser.add_argument("--table", action="store_true", help="print EGEMAPS")
    parser.add_argument("--recordings", type=int, default=240)
    parser.add_argument("--workers", type=int, default=-1)
    a = parser.parse_args()
    for alike, wanted in ((False, a.folder), (True, a.table)):
        if wanted:
            made = Parallel(a.workers)(delayed(simulated)(i, alike) for i in range(a.recordings))
            shifts, rows = (np.array(part) for part in zip(*made, strict=True))
            table(shifts, rows) if alike else nearness(rows[:, 1], a.folder)


if __name__ == "__main__":
    main()
