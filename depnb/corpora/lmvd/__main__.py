"""python -m depnb.corpora.lmvd extract /path/to/openface /path/to/LMVD/visual"""

import argparse
from pathlib import Path

from depnb.corpora import lmvd, privacy


def main(arguments=None):
    """The command line -> 1 if a table failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m depnb.corpora.lmvd", description=lmvd.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command = parser.add_subparsers(required=True).add_parser(
        "extract", help="OpenFace tables to visual arrays")
    command.add_argument("input", type=Path,
                         help="folder of OpenFace tables, <id>.csv, in it and below")
    command.add_argument("output", type=Path, help="folder of the arrays: visual/ of the corpus")
    command.add_argument("--workers", type=int, default=-1, help="processes; -1 uses every core")
    command.add_argument("--overwrite", action="store_true", help="make arrays anew that exist")
    wanted = parser.parse_args(arguments)
    if wanted.workers == 0 or wanted.workers < -1:
        parser.error(f"--workers {wanted.workers}: expected a number of processes, or -1.")
    if not wanted.input.is_dir() or not lmvd.tables_below(wanted.input):
        raise SystemExit(f"{wanted.input}: no folder with OpenFace tables (*.csv). "
                         "Give the one that holds them.")
    try:
        # at once; and the log lies there if every table is faulty
        wanted.output.mkdir(parents=True, exist_ok=True)
        written, before, problems, remarks = lmvd.extract(wanted.input, wanted.output,
                                                          wanted.workers, wanted.overwrite)
        lines = privacy.report(remarks | problems, wanted.input, wanted.output / "private.log")
    except OSError as error:
        raise SystemExit(f"{wanted.output}: cannot be written ({error.strerror}). Free space or "
                         "choose another folder, and run again; what was written stays.") from None
    for line in lines:
        print(line)
    tables = len(written) + len(before) + len(problems)
    if 0 < len(problems) < privacy.FEWEST and not privacy.simulated(wanted.input):
        print(f"{privacy.used(tables - len(problems), tables, 'tables', True)}; "
              f"their arrays are in {wanted.output}.")
    else:
        print(f"{len(written)} arrays written to {wanted.output}, "
              f"{len(before)} were there already, {len(problems)} failed.")
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
