"""What every lesson must fulfil, for the tests of one lesson: run it once, ask it everything.

A lesson `notebooks/learn/<lesson>.ipynb` has checks in `depnb/learn/<lesson>.py`. Its cells follow
one pattern:

    markdown                  ```{exercise} Predict          (labels: ex-<lesson>-<word>)
    code, tagged "exercise"   answer = ...                   what the learner edits; a function
                                                             ends with `return ...`
                              learn.check("<lesson>-1", answer)
    markdown                  ```{solution-start} ex-<lesson>-<word>
                              :class: dropdown
    code, tagged "solution"   the answer, assigned, and the same learn.check("<lesson>-1", …)
    markdown                  why, and ```{solution-end}

so that one run from start to end shows "No answer yet" in every exercise and "Right." in every
folded solution. A test file `tests/learn/test_<lesson>.py` then holds, besides tests of its own,

    from tests.learn import lessons

    PARAMETERS = {"seconds": 2}             # optional: of the notebook, to make it faster

    class TestLesson(lessons.Whole):        # `executed` (conftest.py) runs it once a test file
        pass

    def test_the_unit_is_named():
        assert lessons.reply("voice-1", 0.2) == "Not yet: …"
"""

import contextlib
import importlib
import io
import re
import sys

from depnb import learn
from tests.paths import ROOT


def reply(exercise, answer):
    """What learn.check prints, on one line."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        learn.check(exercise, answer)
    return printed.getvalue().strip()


def verdicts(notebook, tag):
    """What the cells with this tag said about each exercise that they check -> list of (exercise,
    first words).
    """
    verdicts_by_letter = []
    for cell in notebook.cells:
        if tag in cell.metadata.get("tags", []):
            asked = re.findall(r'learn\.check\("([a-z_]+-\d+)"', cell.source)
            text = "".join(o["text"] for o in cell.outputs if o.get("name") == "stdout")
            answers = re.findall(r"^(Right\.|Not yet: .*|No answer yet)", text, re.MULTILINE)
            assert len(asked) == len(answers), f"{cell.id}: {len(asked)} checks said {text!r}"
            verdicts_by_letter += zip(asked, answers, strict=True)
    return verdicts_by_letter


class Whole:
    """Tests of an executed lesson; `lesson` and `executed` are fixtures of conftest.py."""

    def test_has_three_exercises_that_wait_for_an_answer(self, lesson, executed):
        checks = importlib.import_module(f"depnb.learn.{lesson}").CHECKS
        assert len(checks) >= 3
        assert verdicts(executed, "exercise") == [(f"{lesson}-{number}", "No answer yet")
                                                  for number in checks]

    def test_every_solution_is_right(self, lesson, executed):
        checks = importlib.import_module(f"depnb.learn.{lesson}").CHECKS
        assert verdicts(executed, "solution") == [(f"{lesson}-{number}", "Right.")
                                                  for number in checks]

    def test_every_solution_is_folded_and_belongs_to_an_exercise(self, executed):
        text = "\n".join(c.source for c in executed.cells if c.cell_type == "markdown")
        labels = re.findall(r"\{exercise(?:-start)?\}.*\n:label: (\S+)", text)
        assert re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", text) == labels
        assert text.count("{solution-end}") == len(labels)

    def test_nothing_is_printed_on_the_standard_error_and_no_path_of_the_machine(self, executed):
        outputs = [o for cell in executed.cells for o in cell.get("outputs", [])]
        assert [o["text"] for o in outputs if o.get("name") == "stderr"] == []
        assert not any(str(ROOT) in str(o) or sys.prefix in str(o) for o in outputs)

    def test_has_a_slider_that_needs_no_kernel(self, executed):
        outputs = [o["data"] for c in executed.cells for o in c.get("outputs", []) if "data" in o]
        assert any('class="depnb-slider"' in data.get("text/html", "") for data in outputs)
        assert not any("application/vnd.jupyter.widget-view+json" in data for data in outputs)
        assert "widgets" not in executed.metadata

    def test_every_picture_has_a_description_and_a_caption(self, executed):
        drawn = [c for c in executed.cells
                 if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))]
        for cell in drawn:
            described = cell.metadata.get("mystnb", {})
            assert len(described["image"]["alt"]) > 40, cell.id
            assert described["figure"]["name"].startswith("fig-"), cell.id
            assert len(described["figure"]["caption"]) > 40, cell.id
            assert len([o for o in cell.outputs if "image/png" in o.get("data", {})]) == 1, cell.id

    def test_says_what_it_takes_what_is_simulated_and_what_it_gave(self, executed):
        texts = [c.source for c in executed.cells if c.cell_type == "markdown"]
        assert re.search(r"\bminutes\b", texts[0])
        assert "simulated" in "\n".join(texts).lower()
        assert "What you can do now" in texts[-1]
