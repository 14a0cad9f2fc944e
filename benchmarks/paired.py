"""Time two ways of doing the same in one process, taking turns, and report the ratio."""

import argparse
import json
import statistics
import time
from datetime import date
from pathlib import Path

import torch

from depnb import runs


def compare(plain, ours, rounds):
    """Run plain() and ours() in turns -> medians in seconds, and the ratio of each round's pair with its spread."""
    plain(), ours()                                         # once before timing: caches, compilation, memory
    times = {"plain": [], "ours": []}
    for _ in range(rounds):
        for name, run in (("plain", plain), ("ours", ours)):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(times["plain"], times["ours"], strict=True)]
    return {"plain_seconds": statistics.median(times["plain"]), "ours_seconds": statistics.median(times["ours"]),
            "ratio": statistics.median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios), "rounds": rounds}


def arguments(description, rounds):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--save", type=Path, help="write the result here as JSON")
    return parser


def report(rows, save, device="cpu"):
    """Print one line a comparison; with `save`, write them with the machine and versions that they were measured on."""
    for name, row in rows.items():
        print(f"{name}: plain {row['plain_seconds']:.3f} s, ours {row['ours_seconds']:.3f} s, ratio {row['ratio']:.2f} "
              f"({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f} in {row['rounds']} rounds)")
    if save:
        result = {"date": date.today().isoformat(), "hardware": runs.hardware(device), "torch": torch.__version__,
                  "commit": runs.git_state()["commit"], "results": rows}
        runs.write_atomically(save, json.dumps(result, indent=1) + "\n")
