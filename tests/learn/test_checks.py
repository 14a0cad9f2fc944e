"""Checks of answers: what they say about a right one, a wrong one, none, and things that are no
answer at all.
"""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from depnb import learn


def double(answer):
    """Twice two
    is four."""
    return learn.is_number(answer) or learn.is_close(answer, 4.0, [(-4.0, "the sign is wrong.")],
                                                     "Count again.")


@pytest.fixture
def lesson(monkeypatch):
    """A lesson `sums` whose exercise 1 asks for 4; 2 is a check that fails on everything."""
    module = ModuleType("depnb.learn.sums")
    module.CHECKS = {1: double, 2: lambda answer: answer.nothing}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    listed = type("Lesson", (), {"name": "sums"})
    monkeypatch.setattr(learn.pkgutil, "iter_modules", lambda path: [listed])


@pytest.mark.usefixtures("lesson")
class TestCheck:
    @pytest.mark.parametrize(("answer", "message"), [
        (4.0, "Right. Twice two is four.\n"),
        (-4, "Not yet: the sign is wrong.\n"),
        (5, "Not yet: 5 is too large. Count again.\n"),
        (..., "No answer yet: put yours in place of ...\n"),
        ((3, ...), "No answer yet: put yours in place of ...\n"),
        ("four", "Not yet: expected one number, this is 'four'.\n")])
    def test_says_what_is_wrong(self, answer, message, capsys):
        learn.check("sums-1", answer)
        assert capsys.readouterr().out == message

    def test_called_without_an_answer_asks_for_one(self, capsys):
        learn.check("sums-1")
        assert capsys.readouterr().out == learn.NO_ANSWER + "\n"

    def test_never_raises_for_an_answer(self, capsys):
        learn.check("sums-2", object())
        assert capsys.readouterr().out.startswith("Not yet: this answer cannot be read; "
                                                  "it led to AttributeError (")

    @pytest.mark.parametrize("exercise", ["sums-9", "sum-1", "sums"])
    def test_an_unknown_exercise_is_an_error_that_names_the_known(self, exercise):
        with pytest.raises(ValueError, match=f"exercise '{exercise}': there is none of that name. "
                           "Known: sums-1"):
            learn.check(exercise, 4)


class TestNumber:
    @pytest.mark.parametrize("answer", [1, 2.5, np.float32(3), np.array(4.0), torch.tensor(5.0)])
    def test_numbers_of_all_kinds_are_numbers(self, answer):
        assert learn.is_number(answer) is None

    @pytest.mark.parametrize(("answer", "message"), [
        (True, "expected one number in Hz, this is True."),
        (None, "expected one number in Hz, this is None."),
        (np.nan, "expected one number in Hz, this is nan."),
        ([1, 2], r"expected one number in Hz, this is [1, 2]."),
        (len, "expected one number in Hz, this is a function; call it."),
        (np.zeros(99), "expected one number in Hz, this is an array of shape (99,).")])
    def test_other_things_are_told_what_they_are(self, answer, message):
        assert learn.is_number(answer, "Hz") == message


class TestArray:
    @pytest.mark.parametrize("answer",
                             [np.ones((3, 2)), [[1, 2]] * 3, torch.ones(3, 2, requires_grad=True)])
    def test_of_the_right_shape(self, answer):
        assert learn.is_array(answer, (3, 2)) is None
        assert learn.is_array(answer, (-1, 2)) is None

    @pytest.mark.parametrize(("answer", "message"), [
        (np.ones((2, 3)), "expected an array of shape (any, 2) (frames, "
         "mels), this one has (2, 3). Its axes are swapped."),
        ([[1, 2], [3]],
         "expected an array of shape (any, 2) (frames, mels), this is [[1, 2], [3]]."),
        ("one", "expected an array of shape (any, 2) (frames, mels), this is 'one'."),
        ([[1, np.nan]], "1 of 2 values are not finite (NaN or infinite).")])
    def test_of_another_kind(self, answer, message):
        assert learn.is_array(answer, (-1, 2), "frames, mels") == message


class TestClose:
    def test_a_typical_mistake_is_named(self):
        right = np.arange(3.0)
        assert learn.is_close(right + 1e-4, right) is None
        assert learn.is_close(right[::-1], right, [(right[::-1], "backwards.")]) == "backwards."

    def test_others_are_told_where_they_differ_most(self):
        assert learn.is_close([[0, 1], [2, 9]], [[0, 1], [2, 3]], hint="Look.") == (
            "it differs most at [1, 1], where it is 9 and not 3. Look.")
        assert learn.is_close(0.5, 1.0) == "0.5 is too small."
        assert learn.is_close([1.0], 1.0) == "expected the shape (), this has (1,)."


def test_a_word_is_right_or_gets_its_sentence():
    def ask(answer):
        return learn.is_one_of(answer, "rises", {"falls": "it goes up."})

    assert ask(" Rises ") is None
    assert ask("falls") == "it goes up."
    assert ask("stays") == "expected one of 'falls', 'rises', this is 'stays'."
    assert ask(3) == "expected one of 'falls', 'rises', this is 3."


class TestFunction:
    def ask(self, answer):
        cases = [(np.array([1.0, 2.0]),), (np.array([4.0, 6.0]),)]
        return learn.is_function(answer, cases, np.mean, [(np.sum, "divide by the length.")],
                                 "Think of the mean.")

    @pytest.mark.parametrize(("answer", "message"), [
        (np.mean, None), (lambda x: torch.tensor(x).mean(), None), (sum, "divide by the length."),
        (max, "on the input [1., 2.] your function gives 2., expected 1.5. Think of the mean."),
        (lambda x: x[5], "on the input [1., 2.] your function stopped with "
         "IndexError (index 5 is out of bounds for axis 0 with size 2)."),
        (lambda x: None, "your function returns nothing; end it with return and the result."),
        (lambda x: ..., learn.NO_ANSWER),
        (3.0, "expected a function, this is 3; give its name, without brackets behind it.")])
    def test_is_tried_on_hidden_inputs(self, answer, message):
        assert self.ask(answer) == message

    def test_that_spoils_its_input_does_not_spoil_the_check(self):
        def spoils(x):
            mean = x.mean()
            x[:] = 0
            return mean

        assert self.ask(spoils) is None
        assert self.ask(spoils) is None

    def test_may_give_words(self):
        assert learn.is_function(str.split, [("a b",)], lambda text: ["a", "b"]) is None
        assert learn.is_function(list, [("a b",)], str.split) == (
            "on the input 'a b' your function gives ['a', ' ', 'b'], expected ['a', 'b'].")
