"""Runs: parameters in, a folder with all that a number in the book must come with out."""

from depnb.runs.ablations import beside, compare, finished, planned, side, summarise
from depnb.runs.folder import PLACE, Run, duration, export, without_nan
from depnb.runs.origin import code_fingerprint, git_state, hardware
