"""python -m depnb.simulation avec2014 --root data/simulated/my_corpus --participants 160 --seed 0

python -m depnb.simulation cohort --root data/simulated/my_cohort    the same people in all layouts
"""

import argparse
from pathlib import Path

from depnb.simulation import cohort, severity
from depnb.simulation.layouts import LAYOUTS, simulate


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m depnb.simulation",
                                     description="Write a simulated corpus.")
    parser.add_argument("layout", choices=[*LAYOUTS, "cohort"],
                        help="real corpus whose folder layout is written; cohort: "
                             "one cohort in four layouts")
    parser.add_argument("--root", required=True,
                        help="folder to write: new, empty, or begun with the same arguments")
    parser.add_argument("--participants", type=int, default=None,
                        help="160 in videos, 110 voices, 240 interviews, 400 with two vlogs each, "
                             "96 of a cohort, 4 when recorded by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effect", default=1.0,
                        help="how far severity moves the cues, 0 to 3; 0 is the null corpus; "
                             "literature: by what was published")
    parser.add_argument("--workers", type=int, default=-1, help="processes; -1 uses every core")
    one = parser.add_argument_group("not of a cohort")
    one.add_argument("--seconds", type=float,
                     help="length of a video or recording, "
                          "of the participant's speech in an interview, median of a vlog")
    one.add_argument("--sample", choices=severity.SAMPLES,
                     help="who takes part: study, as the corpora recruited (default); general: "
                          "8.6 %% reach a PHQ-8 of 10; clinical: half of them do")
    one.add_argument("--size", type=int, help="side of a video frame in pixels")
    one.add_argument("--recorded", action="store_true", default=None,
                     help="dvlog and lmvd: "
                          "few vlogs with sound and video, from which the arrays are extracted")
    cohorts = parser.add_argument_group("of a cohort only")
    cohorts.add_argument("--layouts", nargs="+", choices=cohort.SECONDS,
                         help="all four unless given")
    wanted = {name: value
              for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    layout = wanted.pop("layout")
    foreign = {"seconds", "sample", "size", "recorded"} if layout == "cohort" else {"layouts"}
    if wrong := foreign & wanted.keys():
        parser.error(f"--{min(wrong)} is no choice of {layout}. Leave it out.")
    if "size" in wanted and not (LAYOUTS[layout].video or wanted.get("recorded")):
        parser.error(f"--size is no choice of {layout}, which has no videos. Leave it out.")
    if not Path(wanted["root"]).name:
        raise SystemExit(f"--root {wanted['root']!r}: names no folder. "
                         "Give one that is new or empty.")
    try:
        print(cohort.render(**wanted) if layout == "cohort" else simulate(layout, **wanted))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f"{wanted['root']}: cannot be written ({error.strerror}). "
                         "Free space or choose another folder, and run again; "
                         "what was written is used again.") from None


if __name__ == "__main__":
    main()
