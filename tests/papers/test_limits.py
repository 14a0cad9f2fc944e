"""What lies outside of what a network was trained on, and that nothing is answered of it."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from scipy.signal import chirp

from depnb.features import vlog
from depnb.papers import limits, paper
from depnb.papers.cfrafn import Paper
from depnb.papers.dynmultidep import Paper as Vlogs
from depnb.papers.sta_drn import Paper as Faces

RATE = 16000
SIMULATED = SimpleNamespace(metrics={"simulated": True})


def described(numbers, **measures):
    names = np.array([f"r{i}" for i in range(len(numbers))])
    return limits.Described(names, names, {"numbers": numbers}, measures, {})


class TestRange:
    @pytest.fixture
    def known(self):
        rng = np.random.default_rng(0)
        known = limits.range_of(described(rng.normal(5, 2, (40, 50)),
                                          seconds=rng.uniform(20, 40, 40),
                                          voiced=rng.normal(0.6, 0.05, 40)))
        return json.loads(json.dumps(known, allow_nan=False))       # as a run keeps it

    def test_people_like_those_who_trained_are_inside_and_others_are_not(self, known):
        rng = np.random.default_rng(1)
        like, unlike = rng.normal(5, 2, (500, 50)), rng.normal(15, 2, (100, 50))
        for numbers, expected in ((like, []), (unlike, ["numbers"])):
            held = limits.held_against(described(numbers, seconds=np.full(len(numbers), 30),
                                                 voiced=np.full(len(numbers), 0.6)), known)
            assert all(outside == expected for outside in held["outside"])
        assert (held["numbers beyond range"] > 0.9).all()

    def test_a_few_odd_numbers_are_told_and_bar_nothing(self, known):
        numbers = np.full((1, 50), 5.0)
        numbers[0, :4] = 99
        held = limits.held_against(described(numbers, seconds=[30], voiced=[0.6]), known)
        assert held["numbers beyond range"].item() == pytest.approx(0.08)
        assert held["outside"].item() == []

    @pytest.mark.parametrize(("seconds", "voiced", "outside"), [
        (16, 0.6, []), (3, 0.6, ["seconds"]), (9999, 0.6, []), (30, 0.1, ["voiced"]),
        (30, 1.0, ["voiced"]), (0, 0.0, ["seconds", "voiced"])])
    def test_one_measure_bars_alone_and_nothing_is_too_long(self, known, seconds, voiced, outside):
        held = limits.held_against(described(np.full((1, 50), 5.0), seconds=[seconds],
                                             voiced=[voiced]), known)
        assert held["outside"].item() == outside

    def test_what_no_recording_has_bars_nothing(self, known):
        """A session without a face once ended in KeyError."""
        nothing = limits.Described(np.array(["r0"]), np.array(["r0"]), {}, {}, {})
        assert limits.held_against(nothing, known)["outside"].tolist() == [[]]

    def test_what_a_recording_lacks_is_not_beyond(self, known):
        held = limits.held_against(described(np.full((1, 50), np.nan), seconds=[30], voiced=[0.6]),
                                   known)
        assert np.isnan(held["numbers beyond range"].item())
        assert held["outside"].item() == []

    def test_the_limit_is_twice_that_of_the_oddest_of_those_who_trained(self):
        numbers = np.random.default_rng(0).normal(size=(30, 100))
        numbers[7, :20] += 60
        known = limits.range_of(described(numbers))
        assert known["groups"]["numbers"]["limit"] == pytest.approx(0.4, abs=0.03)

    def test_of_three_people_no_range_is_learnt_and_it_is_not_known(self):
        assert limits.range_of(described(np.ones((3, 5)))) == {}
        held = limits.held_against(described(np.ones((3, 5))), {})
        assert list(held.columns) == ["outside"]
        assert "not known here" in limits.rule({}, True)

    def test_the_sentences_say_what_and_of_whom(self, known):
        assert limits.sentence(["eGeMAPS", "seconds"], True) == (
            "no answer: outside what the simulated people show who trained the model, in eGeMAPS, "
            "length. Give recordings like theirs.")
        assert "simulated" not in limits.sentence(["eGeMAPS"], False)
        assert "length is far from theirs" in limits.rule(known, False)


@pytest.mark.parametrize("name", ["cfrafn", "sta_drn", "aafn", "dynmultidep"])
class TestOfEveryPaper:
    @pytest.fixture
    def model(self, models, name):
        return models[name].paper

    @pytest.fixture
    def units(self, models, cohort, name):
        return models[name].labelled(cohort.people, "train")

    def predicted(self, model, units, state):
        return model.predicted(model.network(state, 0).eval(), units, state)

    def test_those_who_trained_it_are_answered(self, model, units):
        state = json.loads(json.dumps(model.prepare(units, np.arange(len(units)))))
        table, problems = self.predicted(model, units, state)
        assert problems == {}
        assert "problem" not in table
        assert table.filter(like=limits.BEYOND).notna().any().all()
        answer = [column for column in model.tells if column in table]
        assert answer
        assert table[answer].notna().all().all()

    def test_whoever_is_unlike_them_is_not(self, model, units):
        state = model.prepare(units, np.arange(len(units)))
        for group in state["range"]["groups"].values():         # as if trained on others
            group["mean"] = [mean + 50 * sd for mean, sd in zip(group["mean"], group["sd"],
                                                                strict=True)]
        table, problems = self.predicted(model, units, state)
        assert table[[c for c in model.tells if c in table]].isna().all().all()
        assert table["problem"].str.startswith("no answer: outside what the people show").all()
        assert problems == dict(zip(table[model.counts], table["problem"], strict=True))

    def test_what_was_read_all_the_same_and_what_was_not_is_told_beside(self, model, units):
        name = units.table["session" if model.counts == "session" else "recording"].iloc[0]
        part = f"{name}/keypoints" if model.counts == "session" else name
        noted = dataclasses.replace(units, facts=units.facts | {"remarks": {part: "odd."}})
        state = model.prepare(units, np.arange(len(units)))
        table, told = model.predicted(model.network(state, 0).eval(), noted, state,
                                      others={"lost": "is empty."})
        rows = table.set_index(model.counts)
        assert rows["remark"][name] == "odd."
        assert rows["remark"].notna().sum() == 1
        assert rows["problem"]["lost"] == "is empty."
        assert told == {"lost": "is empty.", name: "odd."}

    def test_without_a_range_every_answer_is_told_and_what_is_used(self, model, units):
        state = model.prepare(units, np.arange(len(units))) | {"range": {}}
        table, problems = self.predicted(model, units, state)
        assert problems == {}
        assert table[[c for c in model.tells if c in table]].notna().all().all()


def vowel(t):
    """A sustained vowel: harmonics of 120 Hz under three formants."""
    formants = ((700, 130), (1220, 160), (2600, 250))
    return sum(sum(np.exp(-((120 * k - f) / width)**2) for f, width in formants)
               * np.sin(2 * np.pi * 120 * k * t) for k in range(1, 34))


@pytest.fixture(scope="module")
def of_voices(voices, cache):
    """A network of simulated voices: the paper, its units, what was learnt, the network."""
    asked = Paper(vars(paper.settings("cfrafn", data_root=str(voices), cache_dir=str(cache),
                                      vggish_weights="none", transformed_width=8, conv_width=4,
                                      classifier_width=4, workers=2)))
    corpus = asked.open(None)
    units = asked.features(corpus, asked.split(corpus))
    state = asked.prepare(units, units.rows("train"))
    return asked, units, state, asked.network(state, 0).eval()


class TestSpeech:
    SECONDS = np.arange(4 * RATE) / RATE

    def sounds(self):
        t, rng = self.SECONDS, np.random.default_rng(0)
        white = rng.standard_normal(len(t))
        spectrum = np.fft.rfft(white)
        pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), len(t))
        modem = np.where(rng.integers(0, 2, 1200).repeat(len(t) // 1200 + 1)[:len(t)], 1200, 2200)
        on = (t % 1 < 0.6) + 1e-3
        return {"pink": pink, "white": white, "tone": np.sin(2 * np.pi * 440 * t),
                "vowel": vowel(t), "chirp": chirp(t % 2, 100, 2, 4000),
                "modem": np.sin(2 * np.pi * np.cumsum(modem) / RATE),
                "tone and silence": on * np.sin(2 * np.pi * 440 * t), "vowel and silence":
                on * vowel(t), "noise and silence": on * white}

    def test_noise_tones_and_a_vowel_get_no_probability(self, of_voices, tmp_path):
        asked, _, state, network = of_voices
        for name, samples in self.sounds().items():
            soundfile.write(tmp_path / f"{name}.wav", 0.5 * samples / np.abs(samples).max(), RATE)
        units, problems = asked.unlabelled({f.name: f for f in tmp_path.iterdir()})
        table, why = asked.predicted(network, units, state, SIMULATED, problems)
        assert len(table) == len(why) == len(self.sounds())
        assert table["probability"].isna().all()
        assert table["problem"].str.contains("outside what the simulated people show").all()
        assert (table["eGeMAPS beyond range"] > 0.2).all()
        voiced = table.set_index("file")["voiced share"]
        assert voiced["pink.wav"] < 0.1 < 0.9 < voiced["vowel.wav"]

    def test_people_whom_it_does_not_know_are_answered(self, of_voices):
        asked, units, state, network = of_voices
        table, problems = asked.predicted(network, units, state, SIMULATED)
        assert len(problems) <= 0.05 * len(table)
        assert table["probability"].notna().sum() == len(table) - len(problems)
        assert table["seconds"].between(2, 10).all()


class TestFaces:
    SIZE = 32

    def moving(self, rng, frames=40, speed=6.0):
        """Pictures of one face: light that drifts over a pattern."""
        pattern = 110 + 40 * np.sin(np.linspace(0, 9, self.SIZE))[None, :, None, None]
        shift = np.cumsum(rng.normal(0, speed, (frames, self.SIZE, self.SIZE, 1)), 0)
        return np.clip(pattern + shift + rng.normal(0, 10), 0, 255).repeat(3, -1).astype(np.uint8)

    def units(self, videos):
        names = [f"v{i}" for i in range(len(videos))]
        table = paper.unit_table(paper.unknown(names), dict.fromkeys(names, 1))
        return paper.Units(table.assign(score=10.0), {"crops": videos, "tracks": {},
                                                      "statistics": None})

    @pytest.mark.parametrize("normalise", ["clip", "imagenet"])
    def test_a_picture_that_does_not_move_and_a_moment_get_no_score(self, normalise):
        rng = np.random.default_rng(0)
        asked = Faces(paper.settings("sta_drn", normalise=normalise, clip_frames=4, units=[1] * 4,
                                     features=4, stem_features=4))
        trained = self.units([self.moving(rng) for _ in range(20)])
        state = asked.prepare(trained, np.arange(20))
        still = np.repeat(self.moving(rng, 1), 40, axis=0)
        others = self.units([self.moving(rng), still, self.moving(rng, 6), 255 - still])
        held = limits.held_against(asked.described(others, np.arange(4)), state["range"])
        assert held["outside"].iloc[0] == []
        assert "movement" in held["outside"].iloc[1]
        assert "frames" in held["outside"].iloc[2]
        assert held["frames"].tolist() == [40, 40, 6, 40]


class TestArrays:
    def vlogs(self, rng, count, rows=120, unit=1.0, moves=1.0):
        shape = 100 * np.random.default_rng(9).random(136)
        arrays = {f"{i}": {"acoustic": unit * rng.normal(3, 1, (rows, 25)).astype(np.float32),
                           "visual": (shape + rng.normal(0, 5) + moves * rng.normal(
                               0, 2, (rows, 136))).astype(np.float32)} for i in range(count)}
        return arrays

    @pytest.mark.parametrize("scaling", ["vlog", "training"])
    def test_values_beyond_the_range_and_a_moment_get_no_probability(self, scaling):
        rng = np.random.default_rng(0)
        asked = Vlogs(paper.settings("dynmultidep", scaling=scaling))
        trained = self.vlogs(rng, 20)
        units = asked.units(trained, paper.unknown(trained))
        known = asked.prepare(units, np.arange(20))["range"]
        for options, outside in (({}, []), ({"unit": 1000.0}, ["acoustic"]),
                                 ({"rows": 2}, "seconds"), ({"moves": 0.0}, "movement")):
            arrays = self.vlogs(rng, 3, **options)
            others = asked.units(arrays, paper.unknown(arrays))
            held = limits.held_against(asked.described(others, np.arange(3)), known)["outside"]
            for names in held:
                assert names == outside if isinstance(outside, list) else outside in names

    def test_where_a_face_stands_counts_where_the_network_sees_it(self):
        rng = np.random.default_rng(0)
        trained = self.vlogs(rng, 20)
        elsewhere = {name: a | {"visual": 4 * a["visual"]} for name, a in trained.items()}
        shares = {}
        for scaling in ("vlog", "training"):
            asked = Vlogs(paper.settings("dynmultidep", scaling=scaling))
            units = asked.units(trained, paper.unknown(trained))
            known = asked.prepare(units, np.arange(20))["range"]
            others = asked.units(elsewhere, paper.unknown(elsewhere))
            held = limits.held_against(asked.described(others, np.arange(20)), known)
            shares[scaling] = held["visual beyond range"].mean()
        assert shares["vlog"] < shares["training"]
        assert vlog.WIDTHS["dvlog"]["visual"] == 136
