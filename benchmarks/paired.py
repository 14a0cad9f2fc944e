"""Time two ways of doing the same in one process, taking turns, and report the ratio."""

import argparse
import statistics
import time
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from depnb import runs
from depnb.files import write_atomically


def compare(plain, ours, rounds, before_plain=lambda: None, before_ours=lambda: None):
    """Run plain() and ours() in turns.

    Parameters
    ----------
    plain, ours : functions without arguments
    rounds : int
    before_plain, before_ours : functions called before each run, outside the time

    Returns
    -------
    dict
        Medians in seconds, the median ratio of each round's pair, its lowest and highest, rounds.
    """
    plain(), ours()  # once before timing: caches, compilation, memory
    times = {"plain": [], "ours": []}
    for _ in range(rounds):
        for name, prepare, run in (("plain", before_plain, plain), ("ours", before_ours, ours)):
            prepare()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(times["plain"], times["ours"], strict=True)]
    return {"plain_seconds": statistics.median(times["plain"]),
            "ours_seconds": statistics.median(times["ours"]), "ratio": statistics.median(ratios),
            "ratio_lowest": min(ratios), "ratio_highest": max(ratios), "rounds": rounds}


def arguments(description, rounds):
    """A parser with the arguments that every benchmark has."""
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--save", type=Path,
                        help="write the results here as CSV, as the guide shows them")
    return parser


def report(rows, save, device="cpu"):
    """Print one line a comparison; with `save`, write them with machine and version."""
    machine = runs.hardware(device)
    table = pd.DataFrame([{
        "what": name, "plain, s": f"{row['plain_seconds']:.3f}",
        "ours, s": f"{row['ours_seconds']:.3f}", "ratio": f"{row['ratio']:.2f}",
        "lowest to highest": f"{row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f}",
        "rounds": row["rounds"], "machine": machine["device"], "torch": torch.__version__,
        "date": date.today().isoformat()} for name, row in rows.items()])
    print(table.T.to_string(header=False))
    if save:
        write_atomically(save, table.to_csv(index=False))
