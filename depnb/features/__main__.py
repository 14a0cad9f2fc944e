"""Fill the cache ahead of a notebook, on a machine with many cores.

python -m depnb.features /path/to/AVEC2014 --frame-step 3 --size 224
    track and crop every video below a folder
python -m depnb.features /path/to/recordings --augmentation released
    eGeMAPS and VGGish of every recording
python -m depnb.features /path/to/DAIC-WOZ --modality interview --step 1
    face, voice and words of every interview

Videos are worked on where there are any, recordings of speech otherwise, or as --modality says.
"""

import argparse
from collections import Counter
from pathlib import Path

from depnb import corpora
from depnb.corpora import daic_woz, privacy
from depnb.corpora.readers import AUDIO, OTHER_MEDIA, VIDEOS, accompanied
from depnb.features import face, interview, speech, text, vggish
from depnb.files import below, hashes_of, passed_over


def main():
    parser = argparse.ArgumentParser(prog="python -m depnb.features", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path,
                        help="every file of the modality in it and below is read")
    parser.add_argument("--cache", default="cache", type=Path, help="the notebook's cache_dir")
    parser.add_argument("--workers", type=int, default=-1, help="processes; -1 uses every core")
    parser.add_argument("--modality", choices=["auto", "video", "audio", "interview"],
                        default="auto")
    parser.add_argument("--frame-step", type=int, default=3, help="video: every n-th frame")
    parser.add_argument("--size", type=int, default=224, help="video: side of the crops in pixels")
    parser.add_argument("--crop", choices=["aligned", "box"], default="aligned",
                        help="video: eyes and mouth at fixed places, or the face box plus 20 %%")
    parser.add_argument("--augmentation", choices=["none", "released", "corrected"],
                        default="none", help="audio: versions of every recording; "
                        "notebooks augment training recordings only")
    parser.add_argument("--silence", choices=["remove", "ends", "keep"], default="remove",
                        help="audio: what to do with it")
    parser.add_argument("--weights", default="auto", help="audio: VGGish weights; "
                        "auto, none, or a path")
    parser.add_argument("--step", type=int, default=1,
                        help="interview: mean of so many frames of the 30 in a second")
    parser.add_argument("--windows", choices=["corrected", "as_released"], default="corrected",
                        help="interview: whose way")
    parser.add_argument("--encoder", default="hashed",
                        help="interview: hashed, a sentence-transformer, or use:<folder>")
    a = parser.parse_args()
    if not a.folder.is_dir():
        parser.error(f"{a.folder}: no such folder. "
                     "Give the folder that holds the videos or recordings.")
    for option in ("frame_step", "size", "step"):
        if getattr(a, option) < 1:
            parser.error(f"--{option.replace('_', '-')} {getattr(a, option)}: expected 1 or more.")
    if a.workers == 0 or a.workers < -1:
        parser.error(f"--workers {a.workers}: expected a number of processes, or -1.")
    videos, recordings = files_below(a.folder, VIDEOS), files_below(a.folder, AUDIO)
    drawings = drawn_by_openface(videos)
    videos = {name: path for name, path in videos.items() if name not in drawings}
    if a.modality == "interview":
        done, problems, files, what = *interviews(a), "interviews"
    elif a.modality == "video" or (a.modality == "auto" and (videos or not recordings)):
        done, problems, files, what = *faces(videos, a), videos, "videos"
    else:
        besides = accompanied([*recordings.values(), *videos.values()])
        recordings |= {name: path for name, path in videos.items()         # for their sound
                       if path not in besides}
        done, problems, files, what = *voices(recordings, a), recordings, "recordings"
    problems |= passed_over(a.folder) | (drawings if what == "videos" else {})
    print(f"{len(done)} of {len(files)} {what} in the cache.")
    media = files_below(a.folder, (*VIDEOS, *AUDIO, *OTHER_MEDIA)) if what != "interviews" else {}
    passed = Counter(path.suffix.lower() for name, path in media.items()
                     if name not in {*files, *problems})
    if passed:
        print(f"Passed over, as no {what} that are read: "
              f"{', '.join(f'{count} {suffix}' for suffix, count in sorted(passed.items()))}.")
    for line in privacy.report(problems, a.folder, a.cache / "private.log"):
        print(line)


def files_below(folder, suffixes):
    """Mapping name, relative to the folder -> path."""
    return {str(p.relative_to(folder)): p for p in below(folder) if p.suffix.lower() in suffixes}


def drawn_by_openface(videos):
    """What to say of each .avi into which OpenFace has drawn, of (name -> path): by name.

    It writes <name>_of_details.txt beside it, often beside the video of which it is made.
    """
    stems = {path.with_suffix("") for path in videos.values() if path.suffix.lower() != ".avi"}
    return {name: "OpenFace's drawing over a video: passed over. Remove it, or give it another "
            "name to have it read."
            for name, path in videos.items() if path.suffix.lower() == ".avi"
            and (path.with_suffix("") in stems
                 or path.with_name(f"{path.stem}_of_details.txt").exists())}


def remember(files, a):
    """Have the cache remember what it holds of which folder, for `depnb.corpora.purge`."""
    privacy.derived_from(a.cache, a.folder, hashes_of(files.values(), a.cache / "hashes"))


def faces(videos, a):
    """Track and crop -> (crops by name, problems and remarks by name)."""
    remember(videos, a)
    crops, tracks, problems = face.extract(videos, a.cache, a.workers, a.frame_step, a.size, a.crop)
    return crops, problems | face.remarks(crops, tracks, 1)


def voices(recordings, a):
    """eGeMAPS and VGGish -> (features by name, problems and remarks by name)."""
    remember(recordings, a)
    try:
        done, problems, _ = speech.extract(recordings, a.cache, a.workers, a.augmentation,
                                           weights=a.weights, silence=a.silence)
    except vggish.WeightsError as error:
        raise SystemExit(str(error)) from None
    return done, problems | speech.remarks(done)


def interviews(a):
    """Signals and sentences of DAIC-WOZ -> (features by session, problems and remarks by file,
    sessions).
    """
    try:
        corpus = corpora.open("daic_woz", a.folder, a.cache)
        corpus.remember()
        sessions = daic_woz.interviews(corpus)          # errata included, as in the notebook
        done, problems, remarks = interview.extract(sessions, a.cache, a.workers, a.windows,
                                                    a.step, encoder=a.encoder)
    except (FileNotFoundError, ModuleNotFoundError, ValueError, text.EncoderError) as error:
        raise SystemExit(str(error)) from None
    for name, sentence in remarks.items():
        problems[name] = f"{problems.get(name, '')} {sentence}".strip()
    return done, problems, sessions


if __name__ == "__main__":
    main()
