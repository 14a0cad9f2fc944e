"""python -m depnb.runs export RUN FOLDER: give a finished run away."""

import argparse
from pathlib import Path

from depnb.runs import folder

WEIGHTS = "checkpoint.safetensors"


def main(arguments=None):
    """The command line; arguments: list of words, None: those of the shell."""
    parser = argparse.ArgumentParser(prog="python -m depnb.runs",
                                     description="Give a finished run away.")
    command = parser.add_subparsers(required=True).add_parser(
        "export", help="copy a run without what is identifying")
    command.add_argument("run", type=Path, help="folder of a finished run, as runs/sta_drn/quick")
    command.add_argument("target", type=Path, help="folder to write; must not be there")
    wanted = parser.parse_args(arguments)
    try:
        left = folder.export(wanted.run, wanted.target)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from None
    names = ", ".join(" ".join(name.split()) for name in left)
    warning = "; trained weights may reveal whom they were trained on (see the guide)"
    print(f"{wanted.target}: written{', without ' if left else ''}{names}. params.yaml names your "
          f"folders{warning if (wanted.target / WEIGHTS).exists() else ''}.")


if __name__ == "__main__":
    main()
