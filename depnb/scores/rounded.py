"""Numbers with their intervals as text, rounded: 0.71 (0.60 to 0.80)."""

import numpy as np


def estimate(value, low=None, high=None, digits=2, sign=""):
    """A value and its interval, as "0.71 (0.60 to 0.80)".

    Parameters
    ----------
    value, low, high : numbers; None or NaN for what is not known
    digits : after the point
    sign : "+" for differences

    Returns
    -------
    text; a dash without a value, the value alone without an interval
    """
    ends = interval(low, high, digits, sign)
    return number(value, digits, sign) + (f" ({ends})" if known(value, low, high) else "")


def interval(low, high, digits=2, sign=""):
    """Both ends, as "0.60 to 0.80", or a dash where one is not known."""
    if not known(low, high):
        return "–"
    return f"{number(low, digits, sign)} to {number(high, digits, sign)}"


def number(value, digits=2, sign=""):
    """A number, never a negative zero, or a dash where it is not known."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}" if known(value) else "–"


def known(*values):
    """Whether all of these are finite numbers."""
    return all(value is not None and np.isfinite(value) for value in values)


def entry(report, name, digits=2):
    """A metric of a report and its interval, if it has one.

    Parameters
    ----------
    report : mapping with `name` and, perhaps, `name`_interval, as in metrics.json
    """
    ends = report.get(f"{name}_interval") or (None, None)
    return estimate(report.get(name), *ends, digits)
