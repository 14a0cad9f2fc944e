import re

import numpy as np
import pandas as pd
import pytest
import torch

from depnb.book import claims
from depnb.learn import reproduce
from depnb.models import cfrafn
from tests.learn import lessons

PARAMETERS = {"participants": 40, "seeds": 2}


class TestLesson(lessons.Whole):
    def test_ends_with_a_checklist_to_tick(self, executed):
        text = "\n".join(c.source for c in executed.cells if c.cell_type == "markdown")
        assert (text.split("## The checklist")[1].split("## What you can do now")[0].count("- ☐")
                >= 12)


@pytest.fixture(scope="module")
def table():
    return reproduce.recordings(participants=30, seed=2)


class TestRecordings:
    def test_are_those_of_the_list_and_repeat(self, table):
        listed = reproduce.files(30, seed=2)
        pd.testing.assert_frame_equal(table[list(listed)], listed)
        again = reproduce.recordings(30, seed=2)
        for part, width in (("functionals", 50), ("spectrum", 128)):
            values = np.stack(table[part])
            assert values.shape == (len(table), width)
            np.testing.assert_array_equal(np.stack(again[part]), values)

    def test_have_names_of_their_own_in_the_folder_of_their_class(self, table):
        assert table["file"].is_unique
        assert (table["file"].str[7].astype(int) == table["label"]).all()
        assert set(table.groupby("participant").size()) == {1, 2, 3}

    def test_only_the_split_by_file_shares_participants(self, table):
        assert reproduce.audited(table, reproduce.split_by_file(table))[0] > 0
        split = reproduce.split_by_participant(table, 0)
        assert reproduce.audited(table, split) == (0, 0)
        assert set(split) == {"train", "validation", "test"}


class TestExperiment:
    def test_both_models_find_a_strong_effect_on_unseen_people(self):
        strong = reproduce.recordings(participants=60, effect=3.0, seed=1)
        values, p = reproduce.compared(strong, 0)
        assert values["name"].tolist() == ["logistic regression", "CFRAFN"]
        assert (values["value"] > 0.8).all()
        assert 0 <= p <= 1

    def test_a_seed_decides_the_network(self, table):
        split = reproduce.split_by_participant(table, 0)
        one, same, other = (reproduce.network(table, split, seed, epochs=3) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - other).max() > 1e-3


def test_the_checkpoints_widths_are_those_of_its_size():
    assert reproduce.trainable(cfrafn.CFRAFN(**reproduce.CHECKPOINT)) == 485_946


def test_taps_that_a_wider_kernel_adds_change_no_answer():
    torch.manual_seed(0)
    wide = cfrafn.CFRAFN(**reproduce.CHECKPOINT, kernel_size=7).eval()
    inputs = torch.randn(3, 88), torch.randn(3, 128)
    before = wide(*inputs)
    with torch.no_grad():
        for layer in wide.modules():
            if isinstance(layer, cfrafn.LengthOneConv) and layer.kernel_size == (7,):
                layer.weight[:, :, [0, 1, 2, 4, 5, 6]] = 1000.0
    assert torch.equal(wide(*inputs), before)


@pytest.mark.parametrize(("exercise", "answer", "part"), [
    ("reproduce-1", 566_786, "widths of the released program"),
    ("reproduce-1", 487_017, "running means and variances"),
    ("reproduce-1", 487_105, "everything in the state dictionary"),
    ("reproduce-1", len(list(cfrafn.CFRAFN(**reproduce.CHECKPOINT).parameters())),
     "the number of tensors"),
    ("reproduce-1", cfrafn.CFRAFN(), "expected one number"),
    ("reproduce-2", -266_288, "the sign is wrong"),
    ("reproduce-2", 752_234, "subtract the one with 3"),
    ("reproduce-2", 196_608, "take those of the checkpoint"),
    ("reproduce-2", 126_736, "the second convolution alone"),
    ("reproduce-2", 0, "too small"),
    ("reproduce-3", lambda columns, importances: list(importances.values()),
     "the released mistake"),
    ("reproduce-3", lambda columns, importances: sorted(importances[c] for c in columns),
     "the weights are sorted"),
    ("reproduce-3", lambda columns, importances: list(importances), "these are names"),
    ("reproduce-3", [0.1], "expected a function"),
    ("reproduce-5", lambda value, n, decimals: value * n == round(value * n),
     "the table shows rounded values"),
    ("reproduce-5", lambda value, n, decimals: round(round(value * n) / n, 2) == value,
     "two decimals"),
    ("reproduce-5", lambda value, n, decimals: round(int(value * n) / n, decimals) == value,
     "int cuts off"),
    ("reproduce-5", lambda value, n, decimals: True, "your function gives True, expected False"),
    ("reproduce-6", {"a": "reproduced"}, "expected a dictionary with the letters a, b, c, d, e, f"),
    ("reproduce-6", dict.fromkeys("abcdef", "true"), "a is 'true'; expected one of 'reproduced'")])
def test_wrong_answers_are_told_why(exercise, answer, part):
    message = lessons.reply(exercise, answer)
    assert message.startswith("Not yet: ")
    assert part in message


def test_every_way_to_miscount_the_shared_participants_is_told_apart():
    files = reproduce.files()
    held_out = reproduce.split_by_file(files) == "test"
    tested, others = files["participant"][held_out], files["participant"][~held_out]
    training = files["participant"][reproduce.split_by_file(files) == "train"]
    right = len(set(tested) & set(others))
    assert lessons.reply("reproduce-4", right).startswith("Right.")
    for answer, part in ((len(set(tested) & set(training)), "those are shared with training"),
                         (int(tested.isin(others).sum()), "that counts their recordings"),
                         (tested.nunique(), "those are all test participants"),
                         (tested.nunique() - right, "in the test set only"),
                         (len(tested), "number of test recordings")):
        assert part in lessons.reply("reproduce-4", answer)


@pytest.mark.parametrize(("value", "n", "decimals", "possible"), [
    (0.83, 24, 2, True), (0.897, 24, 3, False), (0.6, 3, 1, False), (0.7, 3, 1, True)])
def test_a_share_is_possible_when_some_number_of_people_rounds_to_it(value, n, decimals, possible):
    assert reproduce._possible(value, n, decimals) == possible
    assert any(round(k / n, decimals) == value for k in range(n + 1)) == possible


def test_the_claims_are_in_the_ledger_and_no_two_have_one_verdict():
    verdicts = [row["verdict"] for row in reproduce.ledger().values()]
    assert len(set(verdicts)) == len(verdicts) == 6
    assert set(verdicts) <= set(claims.VERDICTS)
    assert all(row["paper"] == "CFRAFN" for row in reproduce.ledger().values())


@pytest.mark.parametrize("verdict", claims.VERDICTS)
def test_a_wrong_verdict_is_answered_claim_by_claim(verdict):
    rows = reproduce.ledger()
    wrong = {letter for letter, row in rows.items() if row["verdict"] != verdict}
    message = lessons.reply("reproduce-6", dict.fromkeys(rows, verdict))
    assert message.startswith(f"Not yet: {len(wrong)} of 6: ")
    assert set(re.findall(r"(?:of 6: |; )([a-f]): ", message)) == wrong
