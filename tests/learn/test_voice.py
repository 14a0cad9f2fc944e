"""The lesson on voices: it runs, its solutions are right, and typical mistakes are named."""

import librosa
import numpy as np
import pytest

from depnb.learn import voice
from tests.learn import lessons


class TestLesson(lessons.Whole):
    def test_has_two_voices_to_hear_and_three_sliders_two_of_them_with_sound(self, executed):
        pages = [o["data"]["text/html"] for c in executed.cells for o in c.get("outputs", [])
                 if "text/html" in o.get("data", {})]
        sliders = [p for p in pages if 'class="depnb-slider"' in p]
        heard = [p for p in pages if 'src="data:audio/mpeg;base64,' in p]
        assert len(sliders) == 3
        assert ([p in sliders for p in heard], len(heard)) == ([False, False, True, True], 4)


@pytest.mark.parametrize(("answer", "message"), [
    (8, "8 is the period in milliseconds"), (0.008, "0.008 is the period in seconds"),
    (250, "that is twice it"), (60, "60 is too small"), ("125", "expected one number in Hz")])
def test_a_wrong_f0_of_a_period_is_told_why(answer, message):
    assert lessons.reply("voice-1", answer).startswith(f"Not yet: {message}")


def lag(frame, rate):
    return rate / voice.f0_of(frame, rate)


def lag_zero(frame, rate):
    return rate / np.float64(np.argmax(np.correlate(frame, frame, "full")[len(frame) - 1:]))


def not_added_back(frame, rate):
    similar = np.correlate(frame - frame.mean(), frame - frame.mean(), "full")[len(frame) - 1:]
    return rate / np.argmax(similar[int(rate / 400):int(rate / 70)])


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(("answer", "message"), [
    (lag, "it gives the lag in samples"),
    (lambda f, r: 1 / voice.f0_of(f, r), "it gives the period in seconds"),
    (lag_zero, "it finds lag 0"), (not_added_back, "the lags you looked at begin at rate / 400"),
    (lambda f, r: voice.f0_of(f, r, centred=False), "it fails for a frame whose mean is not 0"),
    (lambda f, r: voice.f0_of(f, 16_000), "it takes 16,000 samples a second for granted"),
    (lambda f: 1, "on the input an array of shape (800,), 16000 your function stopped with "
     "TypeError")])
def test_a_wrong_f0_of_a_frame_is_told_why(answer, message):
    assert lessons.reply("voice-2", answer).startswith(f"Not yet: {message}")


def test_f0_by_another_estimator_is_right_too():
    def yin(frame, rate):
        frame = frame - frame.mean()
        return np.median(librosa.yin(frame, fmin=70, fmax=400, sr=rate, frame_length=len(frame),
                                     center=False))

    assert lessons.reply("voice-2", yin).startswith("Right.")


@pytest.mark.parametrize(("answer", "message"), [
    (lambda t: np.abs(np.diff(t)).mean() / t.mean(), "it gives a fraction"),
    (lambda t: 100 * np.diff(t).mean() / t.mean(), "differences up and down cancel"),
    (lambda t: 100 * t.std() / t.mean(), "that is the spread around the mean"),
    (lambda t: 100 * t.std(ddof=1) / t.mean(), "that is the spread around the mean"),
    (lambda t: 100 * np.abs(np.diff(t)).sum() / t.sum(), "n periods have n - 1 differences"),
    (lambda t: t.mean(), "on the input [")])
def test_a_wrong_jitter_is_told_why(answer, message):
    assert lessons.reply("voice-3", answer).startswith(f"Not yet: {message}")


@pytest.mark.parametrize(("answer", "message"), [
    (256, "256 samples hold 1.8 periods"), (1024, "1024 samples show the harmonics, but a shorter"),
    (400, "choose one of the windows"), (None, "expected one number")])
def test_a_wrong_window_is_told_why(answer, message):
    assert lessons.reply("voice-4", answer).startswith(f"Not yet: {message}")


def test_the_window_that_is_right_shows_harmonics_and_the_next_shorter_does_not():
    assert voice.ripple(512) > 6
    assert voice.ripple(256) < 2.5


@pytest.fixture(scope="module")
def power():
    return librosa.feature.melspectrogram(y=voice.say()[0], sr=voice.RATE, **voice.MEL)


def test_a_wrong_log_mel_is_told_why(power):
    in_db = librosa.power_to_db(power)
    for answer, message in [
            (in_db, "expected an array of shape (any, 64) (frames, "
             "mel bands), this one has (64, 301). Its axes"),
            (power.T, "these are powers"),
            (librosa.amplitude_to_db(power).T, "amplitude_to_db squares"),
            (np.log(power.T + 1e-10), "that is the natural logarithm"),
            (librosa.power_to_db(power, ref=np.max).T, "it is off by a constant"),
            (in_db.T[::2], "151 frames of 3.0 s"),
            (np.zeros_like(in_db.T), "it differs most at ["), ("picture", "expected an array")]:
        assert lessons.reply("voice-5", answer).startswith(f"Not yet: {message}"), message
    assert lessons.reply("voice-5", librosa.power_to_db(power, top_db=None).T).startswith("Right.")


def test_jitter_of_a_held_vowel_is_measured_as_it_was_set():
    for planted in (0.5, 1, 3):
        times, _ = voice.pulses(voice.hold(planted), voice.HELD_F0)
        assert voice.local_jitter(np.diff(times)) == pytest.approx(planted, rel=0.15)


def test_the_cue_moves_the_voice_and_timing_stays_where_it_is_asked_to():
    usual, moved = voice.say(0.0), voice.say(2.0, timing=False)
    assert moved[1]["f0"] < usual[1]["f0"]
    assert moved[1]["rate"] == usual[1]["rate"]
    assert np.array_equal(moved[2], usual[2])
    assert voice.say(2.0)[1]["rate"] < usual[1]["rate"]
