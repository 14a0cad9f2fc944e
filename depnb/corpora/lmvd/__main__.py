"""python -m depnb.corpora.lmvd extract /path/to/openface /path/to/LMVD/visual"""

import argparse
from pathlib import Path

from depnb.corpora import lmvd, privacy


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m depnb.corpora.lmvd", description=lmvd.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command = parser.add_subparsers(required=True).add_parser("extract", help="OpenFace tables to visual arrays")
    command.add_argument("input", type=Path, help="folder of OpenFace tables, <id>.csv, in it and below")
    command.add_argument("output", type=Path, help="folder of the arrays: visual/ of the corpus")
    command.add_argument("--workers", type=int, default=-1, help="processes; -1 uses every core")
    command.add_argument("--overwrite", action="store_true", help="make arrays anew that exist")
    given = parser.parse_args(arguments)
    if not given.input.is_dir() or not any(given.input.rglob("*.csv")):
        raise SystemExit(f"{given.input}: no folder with OpenFace tables (*.csv). Give the one that holds them.")
    try:
        written, there, problems, remarks = lmvd.extract(given.input, given.output, given.workers, given.overwrite)
    except OSError as error:
        raise SystemExit(f"{given.output}: cannot be written ({error.strerror}). Free space or choose another folder, and "
                         "run again; what was written stays.") from None
    for line in privacy.report(remarks | problems, given.input, given.output / "private.log"):
        print(line)
    print(f"{len(written)} arrays written to {given.output}, {len(there)} were there already, {len(problems)} failed.")
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
