"""The synthesiser does what its controls say, and openSMILE hears it."""

import librosa
import numpy as np
import opensmile
import pytest
import soundfile
from scipy.signal import freqz, freqz_sos

from depnb.simulation import voice

QUIET = {"level": 0.0, "noise": 50.0, "reverberation": 0.2, "wet": -26.0, "sample_rate": voice.RATE, "channels": 1}
AVERAGE = {name: control.usual for name, control in voice.CONTROLS.items()}
# An eGeMAPS functional that each control moves, and the sign.
HEARD = {
    "f0": ("F0semitoneFrom27.5Hz_sma3nz_amean", 1), "f0_range": ("F0semitoneFrom27.5Hz_sma3nz_stddevNorm", 1),
    "jitter": ("jitterLocal_sma3nz_amean", 1), "shimmer": ("shimmerLocaldB_sma3nz_amean", 1),
    "breathiness": ("HNRdBACF_sma3nz_amean", -1), "tilt": ("alphaRatioV_sma3nz_amean", -1),
    "loudness": ("loudness_sma3_amean", 1), "emphasis": ("spectralFluxV_sma3nz_stddevNorm", 1),
    "rate": ("loudnessPeaksPerSec", 1), "pause_share": ("MeanUnvoicedSegmentLength", 1),
    "pause_length": ("StddevUnvoicedSegmentLength", 1)}


@pytest.fixture(scope="module")
def person():
    return voice.identity("female", np.random.default_rng(4))


@pytest.fixture(scope="module")
def functionals():
    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


def say(setting, person, seconds=4, place=QUIET, seed=0):
    """A recording with some controls set, the others average -> (samples, channels), phrases."""
    rng = np.random.default_rng(seed)
    setting = AVERAGE | setting
    spoken = voice.phrases(setting, seconds, rng)
    return voice.record(voice.speak(setting, person, spoken, seconds, rng), place, rng), spoken


@pytest.mark.parametrize("control", voice.CONTROLS)
def test_opensmile_hears_each_control(control, person, functionals):
    name, sign = HEARD[control]
    ends = voice.CONTROLS[control].low, voice.CONTROLS[control].high
    heard = [functionals.process_signal(say({control: value}, person)[0][:, 0], voice.RATE)[name].item() for value in ends]
    assert sign * (heard[1] - heard[0]) > 0
    assert name in voice.EGEMAPS[control]


def test_truth_names_egemaps_as_opensmile_does(functionals):
    assert voice.EGEMAPS.keys() == voice.CONTROLS.keys()
    assert {name for names in voice.EGEMAPS.values() for name in names} <= set(functionals.feature_names)


def test_controls_follow_the_cues_in_the_reported_direction(person):
    low, high = (voice.controls(dict.fromkeys(voice.CUES, value), person, np.random.default_rng(0))[0]
                 for value in (-1.5, 1.5))
    up = {name for name in low if high[name] > low[name]}
    assert up == {"jitter", "shimmer", "breathiness", "tilt", "pause_share", "pause_length"}
    assert {name for name in low if high[name] < low[name]} == voice.CONTROLS.keys() - up


def test_recorded_move_is_what_the_cue_did(person):
    cues = dict.fromkeys(voice.CUES, 0.5)
    (with_cue, moved), (without, still) = (voice.controls(c, person, np.random.default_rng(0))
                                           for c in (cues, dict.fromkeys(cues, 0.0)))
    assert set(still.values()) == {0.0}
    for name, control in voice.CONTROLS.items():
        change = with_cue[name] - without[name] if control.unit == "dB" else np.log(with_cue[name] / without[name])
        assert change == pytest.approx(moved[name]), name


def test_women_and_men_differ_and_people_vary():
    people = {gender: [voice.identity(gender, np.random.default_rng(i)) for i in range(20)] for gender in ("female", "male")}
    f0 = {gender: [voice.controls(dict.fromkeys(voice.CUES, 0), p, np.random.default_rng(0))[0]["f0"] for p in some]
          for gender, some in people.items()}
    assert np.median(f0["female"]) > 1.5 * np.median(f0["male"])
    assert np.ptp(f0["female"]) > 30
    tract = {gender: np.mean([p["formants"] for p in some]) for gender, some in people.items()}
    assert tract["female"] / tract["male"] == pytest.approx(1.16, abs=0.04)


def test_pauses_are_silent_and_their_share_is_exact(person):
    sound, spoken = say({"pause_share": 0.3}, person, seconds=6)
    assert (spoken[1:, 0] > spoken[:-1, 1]).all()
    assert (spoken[1:, 0] - spoken[:-1, 1]).sum() == pytest.approx(0.3 * (6 - 2 * voice.LEAD))
    time = np.arange(len(sound)) / voice.RATE
    inside = ((time[:, None] >= spoken[:, 0]) & (time[:, None] < spoken[:, 1])).any(1)
    late = (time[:, None] > spoken[:-1, 1] + 0.1) & (time[:, None] < spoken[1:, 0])          # after the room has died away
    assert voice.rms(sound[inside]) > 30 * voice.rms(sound[late.any(1)])


def test_halves_stay_usable_when_silence_is_removed(person):
    """CFRAFN needs 1.94 s in each half; the shortest default recording with the most pauses must have them."""
    sound, _ = say({"pause_share": voice.CONTROLS["pause_share"].high, "emphasis": 5.0}, person, seconds=9)
    kept = librosa.effects.split(sound[:, 0], top_db=30, frame_length=1024, hop_length=256)
    assert (kept[:, 1] - kept[:, 0]).sum() > 2 * 1.94 * voice.RATE


def test_loudness_is_the_level_of_the_phrases(person):
    rng = np.random.default_rng(0)
    spoken = np.array([[0.2, 1.4], [1.7, 2.8]])
    speech = voice.speak(AVERAGE | {"loudness": -6.0}, person, spoken, 3, rng)
    inside = np.r_[speech[3200:22400], speech[27200:44800]]
    assert 20 * np.log10(voice.rms(inside)) == pytest.approx(-6, abs=0.01)


def test_pulses_between_samples_keep_their_height():
    train = voice.pulse_train(np.array([100.0, 200.25, 300.5]), np.array([1.0, 2.0, 3.0]), 400)
    assert train[100] == pytest.approx(1)
    assert [train[i - 10:i + 11].sum() for i in (100, 200, 300)] == pytest.approx([1, 2, 3], rel=0.03)


def test_filters_have_the_promised_response():
    for attenuation in (2, 11, 24):
        response = np.abs(freqz(*voice.tilt_filter(attenuation), [0.001, 3000], fs=voice.RATE)[1])
        assert 20 * np.log10(response) == pytest.approx([0, -attenuation], abs=0.01)
    formants = np.array([730, 1090, 2440, 3500, 4500])
    frequency, response = freqz_sos(voice.formant_filter(formants), 4096, fs=voice.RATE)
    assert np.abs(response[0]) == pytest.approx(1)
    for formant in formants[[0, 2]]:
        near = abs(frequency - formant) < 200
        assert frequency[near][np.abs(response[near]).argmax()] == pytest.approx(formant, abs=60)


def test_recordings_never_clip_and_have_the_wanted_format(person):
    place = QUIET | {"level": 20.0, "sample_rate": 44_100, "channels": 2}
    sound, _ = say({"loudness": 7.0, "emphasis": 7.0}, person, seconds=2, place=place)
    assert sound.shape == (88_200, 2)
    assert np.abs(sound).max() == pytest.approx(0.95)
    assert not np.array_equal(sound[:, 0], sound[:, 1])


def test_same_seed_same_bytes(person, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        spoken = voice.phrases(AVERAGE, 2, np.random.default_rng(0))
        voice.write_recording(tmp_path / f"{name}.wav", AVERAGE, person, QUIET, spoken, 2, np.random.default_rng(seed))
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b != c
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "b.wav", "c.wav"]
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_a_single_syllable_can_be_said(person):
    sound, spoken = say({"pause_share": 0.08, "rate": 0.5}, person, seconds=1)
    assert np.isfinite(sound).all()
    assert len(spoken) >= 1


def test_too_short_recordings_are_refused(person):
    with pytest.raises(ValueError, match=r"seconds: 0\.3\. A simulated recording needs at least 0\.5"):
        say({}, person, seconds=0.3)
