"""python -m depnb.simulation avec2014 --root data/simulated/my_corpus --participants 160 --seed 0 --effect 1.0"""

import argparse

from depnb.simulation.layouts import LAYOUTS, simulate


def main():
    parser = argparse.ArgumentParser(prog="python -m depnb.simulation", description="Write a simulated corpus.")
    parser.add_argument("layout", choices=LAYOUTS, help="real corpus whose folder layout is written")
    parser.add_argument("--root", required=True, help="folder to write; must be new or empty")
    parser.add_argument("--participants", type=int, default=None,
                        help="160 in videos, 110 voices, 240 interviews, 400 with two vlogs each unless given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effect", type=float, default=1.0, help="how far severity moves the cues; 0 is the null corpus")
    parser.add_argument("--seconds", type=float, default=None,
                        help="length of a video or recording, of the participant's speech in an interview, median of a vlog")
    parser.add_argument("--size", type=int, default=160, help="side of a video frame in pixels")
    parser.add_argument("--recorded", action="store_true",
                        help="dvlog and lmvd: few vlogs with sound and video, from which the arrays are extracted")
    parser.add_argument("--workers", type=int, default=-1, help="processes; -1 uses every core")
    print(simulate(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
