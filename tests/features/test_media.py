"""Voices of people, in the containers that people have: the same numbers, whoever computes them."""

import av
import numpy as np
import opensmile
import pytest
import soundfile

from depnb.corpora import sound
from depnb.features import speech
from tests.paths import MEDIA

# mean F0 in Hz by Praat, see tests/media/README.md
PRAAT = {"0870": 101.24, "0880": 89.43, "0930": 92.68}
RATE = 16000
CODECS = {"flac": "flac", "m4a": "aac", "mp4": "aac", "mov": "aac", "aac": "aac", "mka": "flac",
          "wma": "wmav2", "webm": "libopus", "mp3": "libmp3lame"}


def clip(number):
    """A voice: (n,) float32 at 16 kHz."""
    return soundfile.read(MEDIA / f"sense_and_sensibility_01_austen_{number}.flac",
                          dtype="float32")[0]


def encode(path, samples, rate=RATE, codec=None, **options):
    """Write a file by PyAV; options of the container."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec or CODECS[path.suffix[1:]], rate=rate, layout="mono")
        if stream.codec_context.name == "libmp3lame":               # of variable rate
            stream.codec_context.options = {"global_quality": "590", "flags": "+qscale"}
        elif stream.codec_context.name != "flac":
            stream.bit_rate = 96000
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = rate, 0
        to_codec = av.AudioResampler(stream.codec_context.format, "mono", rate)
        frame, = to_codec.resample(frame)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize("number", PRAAT)
def test_egemaps_of_a_voice_are_opensmiles(number):
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    expected = smile.process_signal(clip(number), RATE).to_numpy(np.float32)[0]
    np.testing.assert_array_equal(speech.egemaps(clip(number), RATE), expected)


@pytest.mark.parametrize("number", PRAAT)
def test_the_voices_pitch_is_praats(number):
    place = speech.egemaps_names().index("F0semitoneFrom27.5Hz_sma3nz_amean")
    semitones = speech.egemaps(clip(number), RATE)[place]
    assert 27.5 * 2 ** (semitones / 12) == pytest.approx(PRAAT[number], rel=0.1)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "m4a", "mp4", "mka", "webm"])
def test_a_voice_is_the_same_in_every_container(suffix, tmp_path):
    path, voice = tmp_path / f"a.{suffix}", clip("0930")
    if suffix in ("wav", "ogg"):
        soundfile.write(path, voice, RATE)
    else:
        rate = 48000 if suffix == "webm" else RATE
        encode(path, speech.librosa.resample(voice, orig_sr=RATE, target_sr=rate), rate)
    samples, rate, facts = sound.heard(path, target_rate=RATE)
    assert rate == RATE
    assert len(samples) / RATE == pytest.approx(len(voice) / RATE, abs=0.05)
    assert facts.remarks() == []
    names = speech.egemaps_names()
    places = [names.index(n) for n in ("F0semitoneFrom27.5Hz_sma3nz_amean",
                                       "loudness_sma3_amean", "HNRdBACF_sma3nz_amean")]
    ours, expected = (speech.egemaps(speech.in_range(s), RATE)[places] for s in (samples, voice))
    np.testing.assert_allclose(ours, expected, rtol=0.05, atol=0.2)
    if suffix in ("wav", "flac", "mka"):
        np.testing.assert_array_equal(samples, voice)


def test_mp3s_without_an_index_and_joined_ones_are_read_to_their_end(tmp_path):
    quiet_first = np.r_[np.zeros(20 * RATE, np.float32), clip("0870"), clip("0870")]
    encode(tmp_path / "a.mp3", quiet_first, write_xing="0")
    samples, _, facts = sound.heard(tmp_path / "a.mp3")
    assert len(samples) / RATE == pytest.approx(34.2, abs=0.15)
    assert facts.remarks() == []
    encode(tmp_path / "b.mp3", clip("0870"))
    (tmp_path / "c.mp3").write_bytes(2 * (tmp_path / "b.mp3").read_bytes())
    samples, _, facts = sound.heard(tmp_path / "c.mp3")
    assert len(samples) / RATE == pytest.approx(14.2, abs=0.15)
    assert facts.remarks()[0].startswith("its header tells 7.2 s, the file holds 14.3 s; all is")


@pytest.mark.parametrize("number", PRAAT)
def test_a_bang_an_8_bit_file_and_a_second_pass_change_little_of_what_is_silence(number):
    voice = clip(number)
    speaking = len(speech.without_silence(voice, RATE))
    assert 0.75 < speaking / len(voice) < 0.95                  # a room of 27 to 32 dB below speech
    eight_bit = (np.round(voice * 127) / 128).astype(np.float32)
    assert len(speech.without_silence(eight_bit, RATE)) == pytest.approx(speaking, rel=0.02)
    again = speech.without_silence(speech.without_silence(voice, RATE), RATE)
    assert len(again) == pytest.approx(speaking, rel=0.03)
    rng = np.random.default_rng(0)
    bang = 0.9 * np.exp(-np.arange(800) / 200) * rng.choice([-1, 1], 800)
    with_bang = np.r_[0.02 * voice, bang, 0.02 * voice].astype(np.float32)
    assert len(speech.without_silence(with_bang, RATE)) == pytest.approx(2 * speaking, rel=0.06)


def test_corrected_versions_keep_onsets_better_than_windows_of_128_ms():
    voice, names = speech.without_silence(clip("0870"), RATE), speech.egemaps_names()
    slope = names.index("loudness_sma3_meanRisingSlope")
    made = speech.versions(voice, RATE, "corrected")["stretch"]
    tempo = 0.9 if len(made) > len(voice) else 1.1
    coarse = speech.librosa.effects.time_stretch(voice, rate=tempo)
    before, ours, smeared = (speech.egemaps(speech.in_range(s), RATE)[slope]
                             for s in (voice, made, coarse))
    assert abs(ours - before) < abs(smeared - before)
