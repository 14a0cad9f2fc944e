"""The synthesiser does what its controls say, and openSMILE hears it."""

import librosa
import numpy as np
import opensmile
import pytest
import soundfile
from scipy.signal import freqz, lfilter

from depnb.simulation import voice

QUIET = {"level": 0.0, "noise": 50.0, "colour": 0.9, "hum": -40.0, "mains": 50.0, "unsteady": 0.0,
         "reverberation": 0.2, "wet": -26.0, "low_cut": 20.0, "high_cut": 8000.0, "slope": 0.0,
         "presence": 0.0, "limit": 30.0, "sample_rate": voice.RATE, "channels": 1}
AVERAGE = {name: control.usual for name, control in voice.CONTROLS.items()}
# An eGeMAPS functional that each control moves, and the sign.
HEARD = {"f0": ("F0semitoneFrom27.5Hz_sma3nz_amean", 1),
         "f0_range": ("F0semitoneFrom27.5Hz_sma3nz_stddevNorm", 1),
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
    heard = [functionals.process_signal(say({control: value}, person)[0][:, 0],
                                        voice.RATE)[name].item() for value in ends]
    assert sign * (heard[1] - heard[0]) > 0
    assert name in voice.EGEMAPS[control]


def test_truth_names_egemaps_as_opensmile_does(functionals):
    assert voice.EGEMAPS.keys() == voice.CONTROLS.keys()
    assert {name for names in voice.EGEMAPS.values()
            for name in names} <= set(functionals.feature_names)


def test_controls_follow_the_cues_in_the_reported_direction(person):
    low, high = (voice.controls(dict.fromkeys(voice.CUES, value), person,
                                np.random.default_rng(0))[0] for value in (-1.5, 1.5))
    up = {name for name in low if high[name] > low[name]}
    assert up == {"jitter", "shimmer", "breathiness", "tilt", "pause_share", "pause_length"}
    assert {name for name in low if high[name] < low[name]} == voice.CONTROLS.keys() - up


def test_recorded_move_is_what_the_cue_did(person):
    cues = dict.fromkeys(voice.CUES, 0.5)
    (with_cue, moved), (without, still) = (voice.controls(c, person, np.random.default_rng(0))
                                           for c in (cues, dict.fromkeys(cues, 0.0)))
    assert set(still.values()) == {0.0}
    for name, control in voice.CONTROLS.items():
        change = with_cue[name] - without[name] if control.unit == "dB" else np.log(with_cue[name]
                                                                                    / without[name])
        assert change == pytest.approx(moved[name]), name


def test_women_and_men_differ_and_people_vary():
    people = {gender: [voice.identity(gender, np.random.default_rng(i)) for i in range(20)]
              for gender in ("female", "male")}
    f0 = {gender: [voice.controls(dict.fromkeys(voice.CUES, cue), p,
                                  np.random.default_rng(0))[0]["f0"]
                   for p, cue in zip(some, np.linspace(-1, 1, 20), strict=True)]
          for gender, some in people.items()}
    assert np.median(f0["female"]) > 1.5 * np.median(f0["male"])
    assert np.ptp(f0["female"]) > 30
    tract = {gender: np.mean([p["formants"] for p in some]) for gender, some in people.items()}
    assert tract["female"] / tract["male"] == pytest.approx(1.16, abs=0.05)


def test_pauses_are_silent_and_their_share_is_exact(person):
    sound, spoken = say({"pause_share": 0.3}, person, seconds=6)
    assert (spoken[1:, 0] > spoken[:-1, 1]).all()
    assert (spoken[1:, 0] - spoken[:-1, 1]).sum() == pytest.approx(0.3 * (6 - 2 * voice.LEAD))
    time = np.arange(len(sound)) / voice.RATE
    inside = ((time[:, None] >= spoken[:, 0]) & (time[:, None] < spoken[:, 1])).any(1)
    # after the room has died away
    late = (time[:, None] > spoken[:-1, 1] + 0.1) & (time[:, None] < spoken[1:, 0])
    assert voice.rms(sound[inside]) > 30 * voice.rms(sound[late.any(1)])


def test_halves_stay_usable_when_silence_is_removed(person):
    """CFRAFN needs 1.94 s in each half; the shortest default recording with the most pauses must
    have them.
    """
    sound, _ = say({"pause_share": voice.CONTROLS["pause_share"].high, "emphasis": 5.0},
                   person, seconds=9)
    loud = librosa.effects.split(sound[:, 0], top_db=30, frame_length=1024, hop_length=256)
    assert (loud[:, 1] - loud[:, 0]).sum() > 2 * 1.94 * voice.RATE


def test_loudness_is_the_level_of_the_phrases(person):
    rng = np.random.default_rng(0)
    spoken = np.array([[0.2, 1.4], [1.7, 2.8]])
    speech = voice.speak(AVERAGE | {"loudness": -6.0}, person, spoken, 3, rng)
    inside = np.r_[speech[3200:22400], speech[27200:44800]]
    assert 20 * np.log10(voice.rms(inside)) == pytest.approx(-6, abs=0.01)


def test_pulses_between_samples_keep_their_height():
    train = voice.pulse_train(np.array([100.0, 200.25, 300.5]), np.array([1.0, 2.0, 3.0]), 400)
    assert train[100] == pytest.approx(1)
    assert [train[i - 10:i + 11].sum()
            for i in (100, 200, 300)] == pytest.approx([1, 2, 3], rel=0.03)


def test_filters_have_the_promised_response():
    attenuation = np.array([2.0, 11.0, 24.0])
    for pole, loss in zip(voice.tilt_pole(attenuation), attenuation, strict=True):
        response = np.abs(freqz([1 - pole], [1, -pole], [0.001, 3000], fs=voice.RATE)[1])
        assert 20 * np.log10(response) == pytest.approx([0, -loss], abs=0.01)
    formants = np.array([730, 1090, 2440, *voice.HIGHER_FORMANTS])
    gain, denominator = voice.tract_filter(formants[None], voice.BANDWIDTHS[None], np.array([3.0]))
    frequency, response = freqz(gain, denominator[0], 4096, fs=voice.RATE)
    assert np.abs(response[0]) == pytest.approx(1)
    for formant in formants[[0, 2]]:
        near = abs(frequency - formant) < 200
        assert frequency[near][np.abs(response[near]).argmax()] == pytest.approx(formant, abs=60)


def test_a_response_that_does_not_change_filters_as_ever():
    x = np.random.default_rng(0).standard_normal(4000)
    denominator = [1, -0.9, 0.5]
    response = np.tile(1 / np.fft.rfft(denominator, voice.SIZE), (4000 // voice.STEP + 1, 1))
    assert voice.filtered(x, response) == pytest.approx(lfilter([1], denominator, x), abs=1e-9)


def test_a_microphone_keeps_its_band():
    _, response = freqz(voice.microphone(QUIET | {"low_cut": 200.0, "high_cut": 3500.0}),
                                worN=[50, 1000, 2500, 5000], fs=voice.RATE)
    low, middle, upper, high = 20 * np.log10(np.abs(response))
    assert (middle, upper) == pytest.approx((0, 0), abs=0.5)
    assert low < -15
    assert high < -25


def test_people_who_do_not_differ_in_a_cue_differ_in_their_throats(person):
    other = voice.identity("female", np.random.default_rng(5))
    assert other["usual"].keys() == person["usual"].keys()
    assert all(other["usual"][name] != person["usual"][name]
               for name in other["usual"].keys() - {"f0"})
    assert not set(voice.CONTROLS) & set(person["usual"]) - {"f0"}


def test_recordings_lie_in_the_ranges_of_speech(functionals):
    """As openSMILE reports them for adults who read or talk: wide, and not of one study."""
    rows = []
    for i in range(16):
        rng = np.random.default_rng([3, i])
        who, cues = voice.identity(("female", "male")[i % 2], rng), rng.standard_normal(10)
        setting, _ = voice.controls(dict(zip(voice.CUES, cues, strict=True)), who, rng)
        place = voice.conditions(rng) | {"sample_rate": voice.RATE, "channels": 1}
        spoken = voice.phrases(setting, 5, rng)
        sound = voice.record(voice.speak(setting, who, spoken, 5, rng), place, rng)[:, 0]
        rows.append(functionals.process_signal(0.9 * sound / np.abs(sound).max(),
                                               voice.RATE).iloc[0])
    for name, low, high in (
            ("F0semitoneFrom27.5Hz_sma3nz_amean", 20, 39),      # 87 to 262 Hz
            ("HNRdBACF_sma3nz_amean", 2, 12), ("jitterLocal_sma3nz_amean", 0.005, 0.04),
            ("shimmerLocaldB_sma3nz_amean", 0.7, 2), ("VoicedSegmentsPerSec", 1.2, 4.5),
            ("MeanVoicedSegmentLengthSec", 0.1, 0.6), ("F1frequency_sma3nz_amean", 420, 800),
            ("F2frequency_sma3nz_amean", 1350, 1900), ("loudnessPeaksPerSec", 2, 7)):
        values = np.array([row[name] for row in rows])
        assert low < np.median(values) < high, name
        assert np.mean((values > low) & (values < high)) >= 0.8, (name, values)


def test_recordings_never_clip_and_have_the_wanted_format(person):
    place = QUIET | {"level": 20.0, "sample_rate": 44_100, "channels": 2}
    sound, _ = say({"loudness": 7.0, "emphasis": 7.0}, person, seconds=2, place=place)
    assert sound.shape == (88_200, 2)
    assert np.abs(sound).max() == pytest.approx(0.95)
    assert not np.array_equal(sound[:, 0], sound[:, 1])


def test_same_seed_same_bytes(person, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        spoken = voice.phrases(AVERAGE, 2, np.random.default_rng(0))
        voice.write_recording(tmp_path / f"{name}.wav", AVERAGE, person, QUIET, spoken, 2,
                              np.random.default_rng(seed))
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b != c
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "b.wav", "c.wav"]
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_a_single_syllable_can_be_said(person):
    sound, spoken = say({"pause_share": 0.08, "rate": 0.5}, person, seconds=1)
    assert np.isfinite(sound).all()
    assert len(spoken) >= 1


def test_too_short_recordings_are_refused(person):
    with pytest.raises(ValueError,
                       match=r"seconds: 0\.3\. A simulated recording needs at least 0\.5"):
        say({}, person, seconds=0.3)
