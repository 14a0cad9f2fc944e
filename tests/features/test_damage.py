"""Damage to recordings: nothing at level 0, more with every level, of the size and in the place
that the dose says.
"""

import numpy as np
import pytest
import soundfile
import torch

from depnb.features import damage, speech, vggish

RATE = 16_000


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def video():
    """Twelve frames that differ, smooth within a frame."""
    ramp = np.linspace(20, 220, 32)
    across, down = np.meshgrid(ramp, ramp)
    return np.stack([np.stack([across, down, np.full((32, 32), 100 + t)], -1)
                     for t in range(12)]).astype(np.uint8)


@pytest.fixture(scope="module")
def tone():
    """Two seconds with energy up to 7 kHz."""
    seconds = np.arange(2 * RATE) / RATE
    return sum(0.1 * np.sin(2 * np.pi * f * seconds) for f in (200, 900, 1500, 3000, 7000)).astype(
        np.float32)


def hurt(what, recording, kind, level, seed=0):
    rng = np.random.default_rng(seed)
    if what == "sound":
        return damage.sound(recording, RATE, kind, level, rng)
    return getattr(damage, what)(recording, kind, level, rng)


@pytest.fixture(scope="module")
def recordings(video, tone):
    return {"pictures": video, "rows": noise(400, 3), "sound": tone}


EVERY = [(what, kind) for what in damage.LEVELS for kind in damage.KINDS]


@pytest.mark.parametrize(("what", "kind"), EVERY)
class TestEvery:
    def test_level_0_is_the_recording_itself(self, recordings, what, kind):
        assert hurt(what, recordings[what], kind, 0) is recordings[what]

    def test_more_with_every_level_in_the_same_form(self, recordings, what, kind):
        recording = recordings[what]
        worse = [hurt(what, recording, kind, level) for level in (1, 2, 3)]
        assert {w.dtype for w in worse} == {recording.dtype}
        if kind == "short":
            lengths = [round(damage.dose(what, kind, level) * len(recording))
                       for level in (1, 2, 3)]
            assert [len(w) for w in worse] == lengths
            assert all((w == recording[:len(w)]).all() for w in worse)
            return
        assert {w.shape for w in worse} == {recording.shape}
        far = [np.abs(w.astype(float) - recording).mean() for w in worse]
        assert 0 < far[0] < far[1] < far[2]

    def test_same_seed_same_damage_and_the_recording_stays_as_it_was(self, recordings, what, kind):
        before = recordings[what].copy()
        np.testing.assert_array_equal(hurt(what, recordings[what], kind, 2),
                                      hurt(what, recordings[what], kind, 2))
        np.testing.assert_array_equal(recordings[what], before)
        if kind in ("noise", "lost"):
            one, other = (hurt(what, recordings[what], kind, 2, seed=seed) for seed in (0, 1))
            assert (one != other).any()

    def test_a_dose_is_named_with_its_unit(self, recordings, what, kind):
        assert damage.UNITS[what][kind]
        levels = damage.LEVELS[what][kind]
        assert [damage.dose(what, kind, 1 + i) for i in range(len(levels))] == list(levels)
        assert len(levels) >= 3


@pytest.mark.parametrize(("what", "kind", "level"),
                         [("rows", "fog", 1), ("smell", "noise", 1), ("sound", "noise", 4),
                          ("rows", "noise", 0), ("rows", "noise", 1.5)])
def test_any_other_dose_is_refused_with_the_choices(what, kind, level):
    with pytest.raises(
        ValueError,
        match=rf"^{kind!r} of {what!r} at level {level}: choose noise, .*; 1 to [34]\.$"):
        damage.dose(what, kind, level)


class TestPictures:
    def test_noise_has_the_stated_spread(self):
        grey = np.full((8, 64, 64, 3), 128, np.uint8)
        assert hurt("pictures", grey, "noise", 1).std() == pytest.approx(16, rel=0.05)

    def test_blur_spreads_a_bright_pixel_along_rows_and_columns_and_over_no_other_colour(self):
        dark = np.zeros((1, 48, 48, 3), np.uint8)
        dark[0, 24, 24, 1] = 255
        sizes = []
        for level in (1, 2, 3):
            lit = hurt("pictures", dark, "blur", level)[0] > 0
            assert not lit[..., [0, 2]].any()
            np.testing.assert_array_equal(lit[..., 1], lit[..., 1].T)
            sizes.append(lit[24, :, 1].sum())
        assert sizes[0] == 3
        assert sizes == sorted(set(sizes))

    @pytest.mark.parametrize("level", [1, 2, 3])
    def test_lost_frames_are_black_and_those_of_a_lower_level_among_them(self, video, level):
        long = np.concatenate([video] * 40)
        lost = [(hurt("pictures", long, "lost", i) == 0).all((1, 2, 3)) for i in (level, 3)]
        assert lost[0].mean() == pytest.approx(damage.dose("pictures", "lost", level), abs=0.06)
        assert lost[1][lost[0]].all()

    def test_a_lower_rate_holds_frames(self, video):
        np.testing.assert_array_equal(hurt("pictures", video, "rate", 2),
                                      video[[0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8]])


class TestRows:
    def test_noise_is_in_standard_deviations_and_the_same_noise_at_every_level(self):
        recording = noise(5000, 2) * np.float32([1, 100])
        added = [hurt("rows", recording, "noise", level) - recording for level in (1, 2)]
        np.testing.assert_allclose(added[0].std(0) / recording.std(0), 0.5, rtol=0.05)
        np.testing.assert_allclose(added[1], 2 * added[0], rtol=1e-3, atol=1e-2)

    @pytest.mark.parametrize(("level", "bits"), [(1, 4), (3, 2)])
    def test_compression_leaves_so_many_values_within_the_range(self, level, bits):
        recording = np.stack([np.linspace(-3, 5, 500), np.full(500, 7)], 1).astype(np.float32)
        worse = hurt("rows", recording, "compression", level)
        assert len(np.unique(worse[:, 0])) == 2**bits
        assert (worse[:, 0].min(), worse[:, 0].max()) == pytest.approx((-3, 5))
        assert (worse[:, 1] == 7).all()

    @pytest.mark.parametrize("kind", damage.KINDS)
    def test_time_may_be_another_axis(self, kind):
        recording = noise(3, 40)
        worse = damage.rows(recording, kind, 2, np.random.default_rng(0), axis=1)
        np.testing.assert_array_equal(worse, hurt("rows", recording.T, kind, 2).T)

    def test_one_row_is_left_of_one_row(self):
        assert hurt("rows", noise(1, 4), "short", 3).shape == (1, 4)


class TestBatches:
    def test_noise_grows_with_the_level_at_the_same_places(self):
        x = torch.zeros(2, 10, 3, 2)
        one, two = (damage.batch(x, "noise", level, 1, spread=0.5)[0] for level in (2, 3))
        assert torch.allclose(2 * one, two)
        assert one.std() == pytest.approx(0.5, rel=0.2)

    def test_whole_frames_are_lost(self):
        x, left = damage.batch(torch.ones(8, 5, 200), "lost", 1, 2)
        blank = (x == 0).all(1)
        assert ((x == 0).any(1) == blank).all()
        assert blank.float().mean() == pytest.approx(0.25, abs=0.05)
        assert left.all()

    def test_a_share_of_the_windows_misses_the_modality(self):
        x, left = damage.batch(torch.ones(400, 2, 2), "missing", 1, 1)
        assert (x == 1).all()
        assert left.float().mean() == pytest.approx(0.75, abs=0.06)
        assert not damage.batch(torch.ones(4, 2, 2), "missing", 4, 1)[1].any()

    @pytest.mark.parametrize(("kind", "level", "message"),
                             [("fog", 1, "choose noise, lost, missing"),
                              ("blur", 1, "choose noise, lost, missing"), ("noise", 5, "1 to 4")])
    def test_impossible_damage_is_refused(self, kind, level, message):
        with pytest.raises(ValueError, match=message):
            damage.batch(torch.ones(1, 2, 3), kind, level, 1)


class TestSound:
    @pytest.mark.parametrize(("level", "decibels"), [(1, 20), (3, 0)])
    def test_noise_has_the_stated_ratio(self, tone, level, decibels):
        added = hurt("sound", tone, "noise", level) - tone
        assert 10 * np.log10((tone**2).mean() / (added**2).mean()) == pytest.approx(
            decibels, abs=0.2)

    @pytest.mark.parametrize(("level", "rate"), [(1, 8000), (2, 4000), (3, 2000)])
    def test_a_lower_rate_leaves_nothing_above_half_of_it(self, tone, level, rate):
        power = np.abs(np.fft.rfft(hurt("sound", tone, "rate", level)[RATE // 2:-RATE // 2])) ** 2
        frequency = np.fft.rfftfreq(RATE, 1 / RATE)
        assert power[frequency > 0.55 * rate].sum() < 1e-4 * power.sum()
        # the low tone is still there
        assert power[np.abs(frequency - 200) < 5].sum() > 0.1 * power.sum()

    def test_lost_pieces_are_quarters_of_a_second_and_nearly_silent(self, tone):
        long = np.concatenate([tone] * 30)
        pieces = hurt("sound", long, "lost", 2).reshape(-1, RATE // 4)
        quiet = np.abs(pieces).max(1) < 1e-3
        assert quiet.mean() == pytest.approx(0.5, abs=0.1)
        np.testing.assert_array_equal(pieces[~quiet], long.reshape(-1, RATE // 4)[~quiet])


@pytest.fixture(scope="module")
def file(voices):
    return sorted(voices.glob("*/*.wav"))[0]


class TestSpeechParts:
    def test_undamaged_and_whole_is_what_the_chapter_extracts(self, file):
        features = damage.speech_parts(file, parts=1)
        used, rate = list(speech.preprocess(*speech.read_audio(file)).values())[-1]
        np.testing.assert_array_equal(features["egemaps"][0],
                                      speech.egemaps(speech.in_range(used), rate))
        expected = vggish.logmel_statistics(vggish.examples(speech.in_range(used), rate))
        np.testing.assert_array_equal(features["vggish"][0], expected)

    def test_two_parts_differ_and_are_finite(self, file):
        features = damage.speech_parts(file, "noise", 2, parts=2)
        assert {k: v.shape for k, v in features.items()} == {"egemaps": (2, 88), "vggish": (2, 128)}
        assert all(np.isfinite(v).all() and (v[0] != v[1]).any() for v in features.values())
        clean = damage.speech_parts(file, "noise", 0, parts=2)
        assert (features["egemaps"] != clean["egemaps"]).any()

    def test_the_seed_decides_where_it_is_hurt(self, file):
        first, again, other = (damage.speech_parts(file, "lost", 1, parts=1, seed=s)["vggish"]
                               for s in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_one_example_is_just_enough(self):
        samples = damage.ONE_EXAMPLE
        assert len(vggish.examples(noise(samples) / 10, vggish.RATE)) == 1
        assert len(vggish.examples(noise(samples - 160) / 10, vggish.RATE)) == 0

    def test_too_little_speech_for_the_parts_is_one_sentence(self, tmp_path, tone):
        file = tmp_path / "short.wav"
        soundfile.write(file, tone[:round(1.2 * RATE)], RATE)
        with pytest.raises(speech.AudioError,
                           match=r"^1\.\d\d s of speech are left; expected 3\.90 s for 4 parts\."):
            damage.speech_parts(file, parts=4)
