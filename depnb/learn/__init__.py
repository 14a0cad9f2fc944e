"""Answers to the exercises of the lessons, checked: what is wrong, not only that it is.

Each lesson has a module here with CHECKS, a mapping from the number of an exercise to its check: a
function of the answer that returns None if it is right, or one sentence about what is wrong with
this answer. The check's docstring is what is said after "Right.". The helpers below do what most
checks need; they return None or a sentence too, so that `is_number(...) or is_close(...)` reads as
one after the other. A function that a lesson leaves open ends with `return ...`.
"""

import copy
import importlib
import pkgutil
from numbers import Real

import numpy as np

NO_ANSWER = "No answer yet: put yours in place of ..."


def check(exercise, answer=...):
    """Print whether an answer is right and, if not, why; never raises for an answer.

    Parameters
    ----------
    exercise : lesson and number, as in "voice-1"

    Raises
    ------
    ValueError
        For an exercise that there is not.
    """
    known = {
        f"{lesson.name}-{number}": function for lesson in pkgutil.iter_modules(__path__)
        if lesson.name == exercise.rpartition("-")[0]
        for number, function in importlib.import_module(f"{__name__}.{lesson.name}").CHECKS.items()}
    if exercise not in known:
        lessons = ", ".join(known) or ", ".join(
            f"{lesson.name}-1" for lesson in pkgutil.iter_modules(__path__))
        raise ValueError(f"exercise {exercise!r}: there is none of that name. Known: {lessons}.")
    if _unanswered(answer):
        wrong = NO_ANSWER
    else:
        try:
            wrong = known[exercise](answer)
        except Exception as problem:
            wrong = f"this answer cannot be read; it led to {_named(problem)}."
    if wrong is None:
        print("Right.", " ".join((known[exercise].__doc__ or "").split()))
    else:
        print(wrong if wrong == NO_ANSWER else f"Not yet: {wrong}")


def _unanswered(answer):
    parts = (answer.values() if isinstance(answer, dict) else
             answer if isinstance(answer, list | tuple) else [answer])
    return any(part is ... for part in parts)


def is_number(answer, unit=""):
    """Is it one finite number? NumPy's and PyTorch's count, truth values and texts do not."""
    wanted = f"expected one number{f' in {unit}' if unit else ''}"
    if callable(answer):
        return f"{wanted}, this is a function; call it."
    if isinstance(answer, str | bool | np.bool_ | None):
        return f"{wanted}, this is {answer!r}."
    if not isinstance(answer, Real):
        shape = getattr(answer, "shape", None)
        if shape is None or len(shape):
            return f"{wanted}, this is {_shown(answer)}."
    if not np.isfinite(float(answer)):
        return f"{wanted}, this is {float(answer)}."
    return None


def is_array(answer, shape, meaning=""):
    """Is it an array of finite numbers of this shape?

    Parameters
    ----------
    shape : tuple, -1: any length
    meaning : what the axes are
    """
    wanted = f"expected an array of shape {_shape(shape)}{f' ({meaning})' if meaning else ''}"
    try:
        array = as_array(answer)
    except (TypeError, ValueError):
        return f"{wanted}, this is {_shown(answer)}."

    def fits(actual):
        return (len(actual) == len(shape)
                and all(n in (-1, m) for n, m in zip(shape, actual, strict=True)))

    if not fits(array.shape):
        turned = " Its axes are swapped." if len(shape) > 1 and fits(array.shape[::-1]) else ""
        return f"{wanted}, this one has {_shape(array.shape)}.{turned}"
    if not np.isfinite(array).all():
        return (f"{np.count_nonzero(~np.isfinite(array))} of {array.size} values are not finite "
                "(NaN or infinite).")
    return None


def is_close(answer, expected, mistakes=(), hint="", tolerance=1e-3):
    """Is it the expected number or array?

    Parameters
    ----------
    mistakes : (what a typical mistake gives, sentence about it) in order
    hint : for any other answer
    tolerance : relative to the expected one's largest value
    """
    if _same(answer, expected, tolerance):
        return None
    for value, sentence in mistakes:
        if _same(answer, value, tolerance):
            return sentence
    answer, expected = as_array(answer), as_array(expected)
    if answer.shape != expected.shape:
        return (f"expected the shape {_shape(expected.shape)}, this has {_shape(answer.shape)}. "
                f"{hint}".strip())
    if expected.ndim:
        worst = np.unravel_index(np.abs(answer - expected).argmax(), expected.shape)
        place = ", ".join(str(int(i)) for i in worst)
        return (f"it differs most at [{place}], where it is {answer[worst]:.4g} and not "
                f"{expected[worst]:.4g}. {hint}".strip())
    return f"{float(answer):.4g} is too {'large' if answer > expected else 'small'}. {hint}".strip()


def is_one_of(answer, right, wrong):
    """Is it the right word?

    Parameters
    ----------
    right : the word
    wrong : mapping from each of the other words to a sentence about it
    """
    choice = answer.strip().lower() if isinstance(answer, str) else answer
    if choice == right:
        return None
    if isinstance(choice, str) and choice in wrong:
        return wrong[choice]
    words = ", ".join(repr(word) for word in sorted([right, *wrong]))
    return f"expected one of {words}, this is {_shown(answer)}."


def is_function(answer, cases, expected, mistakes=(), hint="", tolerance=1e-3):
    """Does the function give what is expected on all hidden inputs? If not, on which first?

    Parameters
    ----------
    cases : list of tuples of arguments
    expected : the right function
    mistakes : (function with a typical mistake, sentence about it) in order
        Told when the answer does as that one on every case.
    hint : for any other answer
    """
    if not callable(answer):
        return (f"expected a function, this is {_shown(answer)}; "
                "give its name, without brackets behind it.")
    results = []
    for case in cases:
        try:
            results.append(answer(*copy.deepcopy(case)))
        except Exception as problem:
            return f"on the input {_inputs(case)} your function stopped with {_named(problem)}."
        if _unanswered(results[-1]):
            return NO_ANSWER
        if results[-1] is None:
            return "your function returns nothing; end it with return and the result."
    right = [expected(*copy.deepcopy(case)) for case in cases]
    if all(_same(a, b, tolerance) for a, b in zip(results, right, strict=True)):
        return None
    for mistaken, sentence in mistakes:
        if all(_same(a, mistaken(*copy.deepcopy(case)), tolerance)
               for a, case in zip(results, cases, strict=True)):
            return sentence
    case, a, b = next((c, a, b) for c, a, b in zip(cases, results, right, strict=True)
                      if not _same(a, b, tolerance))
    return (f"on the input {_inputs(case)} your function gives {_shown(a)}, expected {_shown(b)}. "
            f"{hint}".strip())


def as_array(answer):
    """Numbers of any kind (lists, NumPy, PyTorch) as a float array.

    Raises
    ------
    TypeError, ValueError
        For others.
    """
    if isinstance(answer, str | bytes):
        raise TypeError("a text, not numbers")
    return np.asarray(answer.detach().cpu() if hasattr(answer, "detach") else answer, float)


def _same(a, b, tolerance):
    """Equal words or, up to the tolerance, numbers; lists of words must be equal altogether."""
    try:
        a, b = as_array(a), as_array(b)
    except (TypeError, ValueError):
        return type(a) is type(b) and a == b
    if a.shape != b.shape:
        return False
    top = np.abs(b[np.isfinite(b)]).max(initial=0) or 1
    return bool(np.allclose(a, b, rtol=0, atol=tolerance * top, equal_nan=True))


def _named(problem):
    return f"{type(problem).__name__} ({' '.join(str(problem).split()) or 'without a message'})"


def _shape(shape):
    sizes = ", ".join("any" if n == -1 else str(n) for n in shape)
    return f"({sizes}{',' if len(shape) == 1 else ''})"


def _inputs(case):
    return ", ".join(map(_shown, case))


def _shown(value):
    """A value in a sentence: small ones in full, large ones by kind and shape."""
    shape = getattr(value, "shape", None)
    if shape is not None and np.prod(shape) > 8:
        return f"an array of shape {_shape(tuple(shape))}"
    if shape is not None:
        return np.array2string(as_array(value), precision=4, separator=", ",
                               suppress_small=True).replace("\n", "")
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
