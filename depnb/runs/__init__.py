"""Runs: parameters in, a folder with everything that a number in the book needs to be believed out."""

from depnb.runs.ablations import compare, finished, side, summarise
from depnb.runs.folder import PLACE, Run, duration, export, without_nan
from depnb.runs.origin import code_fingerprint, git_state, hardware
