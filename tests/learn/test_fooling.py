import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from depnb.learn import fooling
from depnb.scores import report
from tests.learn import lessons

PARAMETERS = {"participants": 30, "repeats": 2}


class TestLesson(lessons.Whole):
    pass


@pytest.fixture(scope="module")
def null():
    return fooling.simulate(participants=24, seed=3)


class TestCorpus:
    def test_same_seed_same_clips_and_another_seed_others(self, null):
        pd.testing.assert_frame_equal(fooling.simulate(24, seed=3), null)
        assert not np.allclose(fooling.simulate(24, seed=4)[fooling.FEATURES].mean(),
                               null[fooling.FEATURES].mean())

    def test_effect_moves_the_voices_of_the_same_people(self, null):
        planted = fooling.simulate(24, effect=2.0, seed=3)
        assert (planted["label"] == null["label"]).all()
        assert not np.allclose(planted[fooling.FEATURES], null[fooling.FEATURES])

    def test_every_participant_keeps_one_label_when_labels_are_dealt_anew(self, null):
        dealt = fooling.relabelled(null, 0)
        assert (dealt.groupby("participant")["label"].nunique() == 1).all()
        assert dealt["label"].sum() == null["label"].sum()
        assert (dealt["label"] != null["label"]).any()
        assert (dealt[fooling.FEATURES] == null[fooling.FEATURES]).all(axis=None)


class TestWays:
    def test_participants_are_shared_by_a_split_of_clips_only(self, null):
        people = null["participant"].to_numpy()
        clips, by_person = (cut(people, 1)
                            for cut in (fooling.hold_out_clips, fooling.hold_out_participants))
        assert set(people[clips]) & set(people[~clips])
        assert not set(people[by_person]) & set(people[~by_person])

    def test_on_null_corpora_sharing_lifts_the_value_and_strangers_narrow_the_interval(self, null):
        results = pd.DataFrame([fooling.study(fooling.relabelled(null, i), way, i) for i in range(5)
                              for way in ("honest", "shared participants", "clips for people")])
        mean = results.assign(width=results["high"] - results["low"]).groupby(
            "way")[["auc", "width"]].mean()
        assert mean["auc"]["shared participants"] > mean["auc"]["honest"] + 0.25
        assert mean["width"]["clips for people"] < 0.6 * mean["width"]["honest"]

    @pytest.mark.parametrize("way", ["choice on test", "restarts"])
    def test_the_best_of_more_tries_is_never_worse(self, null, way):
        tried = [fooling.study(null, way, 0, tries)["auc"] for tries in (1, 4, 16)]
        assert tried == sorted(tried)
        assert tried[-1] > tried[0]

    def test_all_four_together_make_a_finding_of_nothing(self, null):
        assert fooling.study(null, "all four", 0, tries=2)["low"] > 0.6

    def test_an_effect_is_found_by_folds_of_participants(self):
        scores = fooling.cross_score(fooling.simulate(60, 3.0), "participant")
        assert fooling.auc(report.probabilities_by_participant(scores)) > 0.7

    def test_chance_is_one_half_for_one_model_and_rises_with_their_number(self):
        one, few, many = (fooling.best_by_chance(20, models) for models in (1, 5, 20))
        assert one == pytest.approx(0.5, abs=0.02)
        assert one < few < many
        ranks = np.random.default_rng(0).uniform(size=(1, 1, 20))
        assert fooling.best_by_chance(20, 1, repeats=1) == pytest.approx(
            roc_auc_score([1] * 10 + [0] * 10, ranks[0, 0]))


def drawn(participants, seed):
    names = np.unique(participants)
    return np.random.default_rng(seed).permutation(names)[:len(names) // 3]


class TestSplit:
    @pytest.mark.parametrize(("mistake", "part"), [
        (fooling.hold_out_clips, "of 36 participants have clips on both sides, P-00 is one"),
        (drawn, "compare with np.isin"),
        (lambda p, seed: np.flatnonzero(np.isin(p, drawn(p, seed))), "compare with np.isin"),
        (lambda p, seed: ~np.isin(p, drawn(p, seed)),
         "67% of the participants are held out, expected a third. Is it the"),
        (lambda p, seed: np.isin(p, drawn(p, 0)), "seeds 0 and 1 hold out the same participants"),
        (lambda p, seed: np.isin(p, drawn(p, None)),
         "the same seed holds out other participants the second time"),
        (lambda p, seed: np.zeros(len(p), bool), "0% of the participants are held out"),
        (lambda p, seed: np.zeros(3, bool), "this has shape (3,) and type bool"),
        ([True, False], "expected a function (participants, seed)")])
    def test_the_check_names_the_mistake(self, mistake, part):
        assert part in lessons.reply("fooling-1", mistake)

    def test_any_right_split_is_right(self):
        assert lessons.reply("fooling-1", fooling.hold_out_participants).startswith("Right.")
        assert lessons.reply("fooling-1",
                             lambda p, seed: list(np.isin(p, drawn(p, seed)))).startswith("Right.")


def bootstrap(participants, y_true, y_pred, seed, unit="participant", ends=(2.5, 97.5), once=False):
    rng = np.random.default_rng(seed)
    units = participants if unit == "participant" else np.arange(len(participants))
    rows = [np.flatnonzero(units == name) for name in np.unique(units)]
    areas = []
    for _ in range(800):
        chosen = rng.integers(0, len(rows), len(rows))
        index = np.concatenate([rows[i] for i in (np.unique(chosen) if once else chosen)])
        areas.append(roc_auc_score(y_true[index], y_pred[index]))
    return np.percentile(areas, ends)


class TestInterval:
    @pytest.mark.parametrize(("change", "part"), [
        ({"unit": "clip"}, "you drew clips"),
        ({"once": True}, "who is drawn twice has to count twice"),
        ({"ends": (16, 84)}, "two thirds of the draws only"),
        ({"ends": (97.5, 2.5)}, "the upper end comes first"),
        ({"ends": (0, 100)}, "on hidden scores your interval runs from"),
        ({"ends": (2.5, 50, 97.5)}, "expected a function")])
    def test_the_check_names_the_mistake(self, change, part):
        assert part in lessons.reply("fooling-2", lambda *inputs: bootstrap(*inputs, **change))

    def test_undefined_draws_and_other_things_are_named(self):
        assert "hold one class only" in lessons.reply("fooling-2", lambda *inputs: (np.nan, np.nan))
        assert "give its name" in lessons.reply("fooling-2", (0.2, 0.7))
        assert (lessons.reply("fooling-2", lambda *inputs: ...) == "No answer yet: "
                "put yours in place of ...")

    @pytest.mark.parametrize("seed", range(5))
    def test_whatever_the_seed_the_right_one_is_right(self, seed):
        assert lessons.reply(
            "fooling-2", lambda p, y, s, _: tuple(bootstrap(p, y, s, seed))).startswith("Right.")


@pytest.mark.parametrize(("exercise", "answer", "part"), [
    ("fooling-3", 0.5, "that is what one such model reaches on average"),
    ("fooling-3", 0.62, "too low"), ("fooling-3", 0.95, "too high"),
    ("fooling-3", 74, "looks like per cent"),
    ("fooling-3", "high", "expected one number"),
    ("fooling-4", 60, "this is the number in each group"),
    ("fooling-4", 80, "with 80 people the best of twenty is still 0.62"),
    ("fooling-4", 400, "more than needed"),
    ("fooling-4", 10**9, "more than needed"), ("fooling-4", -1, "a whole number"),
    ("fooling-5", "A", "an effect was planted"), ("fooling-5", "C", "it claims nothing"),
    ("fooling-5", 2, "expected one of")])
def test_wrong_answers_are_told_why(exercise, answer, part):
    message = lessons.reply(exercise, answer)
    assert message.startswith("Not yet: ")
    assert part in message


@pytest.mark.parametrize(("exercise", "answer"),
                         [("fooling-3", 0.72), ("fooling-3", 0.77), ("fooling-4", 118),
                          ("fooling-4", 124.0), ("fooling-5", "b ")])
def test_answers_that_are_near_enough_are_right(exercise, answer):
    assert lessons.reply(exercise, answer).startswith("Right.")
