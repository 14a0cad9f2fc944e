"""python -m depnb.runs export RUN FOLDER: give a finished run away."""

import argparse
from pathlib import Path

from depnb.runs import folder


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m depnb.runs", description="Give a finished run away.")
    command = parser.add_subparsers(required=True).add_parser("export", help="copy a run without what is identifying")
    command.add_argument("run", type=Path, help="folder of a finished run, as runs/sta_drn/quick")
    command.add_argument("target", type=Path, help="folder to write; must not be there")
    given = parser.parse_args(arguments)
    try:
        left = folder.export(given.run, given.target)
    except OSError as error:
        raise SystemExit(str(error)) from None
    print(f"{given.target}: written{', without ' if left else ''}{', '.join(left)}. params.yaml names your folders; trained "
          "weights may reveal whom they were trained on (see the guide).")


if __name__ == "__main__":
    main()
