"""Lesson "A state-space model, built by hand": the checks of its exercises."""

import numpy as np
import torch

from depnb.learn import as_array, is_array, is_close, is_function, is_number

DECAY = 0.98
VALUES = np.array([0.4, -0.9, 0.3, 2.0, -1.2, 0.7, 1.1, -0.5, 0.2, -1.6, 0.8, -0.3])
MARKED = 3                      # index of the value that is to be remembered


def half_life(answer):
    """ln 0.5 / ln 0.98; for decays near one about 0.69 / (1 − a)."""
    steps = np.log(0.5) / np.log(DECAY)
    return is_number(answer, "seconds") or is_close(answer, steps, [
        (1 / (1 - DECAY),
         "that is when it has fallen to about 37 %, 1/e; asked is the time to one half."),
        (0.5 / (1 - DECAY), "that would be so if every second took 2 % of the first weight; "
         "it takes 2 % of what is left."),
        (-steps, "the amount is right, the sign is not; time runs forward."),
        (np.log(DECAY) / np.log(0.5), "that is upside down: ln 0.5 over ln 0.98."),
        (DECAY**2, "that is the weight after two seconds; "
         "asked is how many seconds make it one half."),
    ], "After n seconds the weight is 0.98 to the power of n; when is that one half?",
       tolerance=0.01)


def _kernel(a, b, c, length):
    return np.array([(c * a**k * b).sum() for k in range(length)])


def kernel(answer):
    """What one input of 1 leaves behind: the first weight, C B, is felt at once, each later one
    fades by the decays.
    """
    rng = np.random.default_rng(0)
    cases = [(rng.uniform(0.1, 0.95, n), rng.standard_normal(n), rng.standard_normal(n), length)
             for n, length in ((3, 8), (1, 5), (4, 12))]
    return is_function(answer, cases, _kernel, [
        (lambda a, b, c, n: _kernel(a, a * b, c, n),
         "it begins with C A B; an input is felt in the same step, with C B."),
        (lambda a, b, c, n: _kernel(a, b, c, n)[::-1],
         "it is in reversed order; it begins with the newest input's weight."),
        (lambda a, b, c, n: np.array([(c * a**k).sum() for k in range(n)]),
         "b, how strongly the input enters, is missing."),
        (lambda a, b, c, n: np.array([(a**k * b).sum() for k in range(n)]),
         "c, how the state is read, is missing."),
        (lambda a, b, c, n: np.stack([c * a**k * b for k in range(n)]),
         "the states are still apart; y is their sum."),
    ], "Number k is the sum over the states of c a^k b, for k from 0.")


def _settled(step):
    return np.array([1, step / (1 - np.exp(-step))])


def settled(answer):
    """Zero-order hold keeps the gain at any step; Mamba's shortcut lets a large step write more
    than there is.
    """
    return is_array(answer, (2,), "zero-order hold, Mamba's") or is_close(answer, _settled(2), [
        (_settled(2)[::-1], "the two are exchanged; zero-order hold comes first."),
        (_settled(1), "that is for a step of 1; the step is 2."),
        ([1 - np.exp(-2), 2],
         "that is the output after one step; go on until it no longer changes."),
        ([1, 2], "2 is what Mamba's form adds in one step; "
         "what is left of the earlier steps comes on top."),
        ([1, 1], "Mamba's form does not settle at 1: solve h = exp(-2) h + 2."),
        (_settled(2) * [0, 1] + [1 - np.exp(-2), 0],
         "for zero-order hold that is one step alone; solve h = e h + (1 - e)."),
    ], "Where it settles, a step changes nothing: solve h = decay h + what enters, for each form.",
       tolerance=0.005)


def remembered(steps, values=VALUES):
    """Share of every value in the state after the last step (zero-order hold, A = -1) -> (t,)."""
    later = np.cumsum(steps[::-1])[::-1] - steps                            # sum of all later steps
    return (1 - np.exp(-steps)) * np.exp(-later)


def chosen_steps(answer):
    """A large step where something is to be written, steps of nearly nothing where it is to be
    kept: that is selection.
    """
    wrong = is_array(answer, (len(VALUES),), "one step a frame")
    if wrong:
        return wrong
    steps = as_array(answer)
    if (steps < 0).any():
        return (f"frame {np.argmax(steps < 0) + 1} has a negative step: "
                "time would run backwards, and the state grow.")
    shares = remembered(steps)
    others = np.where(np.arange(len(VALUES)) == MARKED, 0, shares)
    end = float(shares @ VALUES)
    if shares[MARKED] > 0.98 and abs(end - VALUES[MARKED]) < 0.02:
        return None
    if others.max() > 0.01:
        worst = int(others.argmax())
        when = ("is written later and covers it" if worst > MARKED else "is still in the state")
        remedy = ("make its step smaller" if worst > MARKED else "make the step of frame "
                  f"{MARKED + 1} larger")
        return (f"the state ends at {end:.2f}: frame {worst + 1} {when}, "
                f"with a share of {others[worst]:.0%}; {remedy}.")
    if steps[MARKED] < 3:
        return (f"frame {MARKED + 1} enters with a share of {1 - np.exp(-steps[MARKED]):.0%} only; "
                "make its step larger.")
    return (f"the state ends at {end:.2f}: of frame {MARKED + 1} only {shares[MARKED]:.0%} is "
            "left, since each later step forgets a little; make all of them smaller.")


def _scan(u, delta, A, B, C, drive=lambda step, A: step, decay=torch.exp, early=False):
    """The scan and, by its last arguments, its usual mistakes."""
    h, y = torch.zeros_like(A), []
    for t in range(u.shape[1]):
        step, before = delta[:, t, None], h                                 # (e, 1)
        h = decay(step * A) * h + drive(step, A) * B[:, t] * u[:, t, None]  # (e, n)
        y.append(((before if early else h) * C[:, t]).sum(1))
    return torch.stack(y, 1)


def scan(answer):
    """Every channel has its own step and its own states; B and C are shared by all channels."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    cases = [(draw(e, t), draw(e, t).abs(), -draw(e, n).abs() - 0.1, draw(n, t), draw(n, t))
             for e, t, n in ((2, 5, 3), (4, 9, 2), (1, 7, 4))]
    return is_function(answer, cases, _scan, [
        (lambda *c: _scan(*c, drive=lambda step, A: 1.0),
         "what enters is not multiplied by the step; it is delta B u."),
        (lambda *c: _scan(*c, drive=lambda step, A: (torch.exp(step * A) - 1) / A),
         "what enters follows zero-order hold; Mamba's form is delta B u."),
        (lambda *c: _scan(*c, decay=lambda x: 1 + x),
         "the decay is 1 + delta A (Euler); it is exp(delta A)."),
        (lambda *c: _scan(*c, early=True),
         "y is read before the state has seen the input of its step; update h first."),
        (lambda u, delta, A, B, C: _scan(u, delta, A, C, B),
         "B and C are exchanged: B is how the input enters, C how the state is read."),
        (lambda *c: _scan(*c).T, "the result is turned round; expected (channels, frames) like u."),
    ], "For every frame: h = exp(delta A) h + delta B u, all of shape (e, n); "
       "then y = the sum over n of C h.")


CHECKS = {1: half_life, 2: kernel, 3: settled, 4: chosen_steps, 5: scan}
