"""Speech features: the authors' numbers, clear words about bad recordings, rows that always belong
together.
"""

import re
import sys

import librosa
import numpy as np
import pytest
import soundfile

from depnb.features import __main__ as command
from depnb.features import speech, vggish
from tests.features.test_vggish import fresh, weights  # noqa: F401, fixtures
from tests.paths import GOLDEN, MEDIA

RATE = 16000
PLAIN = {"workers": 1, "weights": "none"}


@pytest.fixture(scope="module")
def voice():
    """3 s of a synthetic voice, at 16 kHz."""
    return soundfile.read(GOLDEN / "speech_a.flac", dtype="float32")[0]


@pytest.fixture
def files(voice, tmp_path):
    """Three recordings of 7 to 9 s, of which two thirds are speech."""
    made = {}
    for i, level in enumerate((0.9, 0.5, 0.25)):
        made[f"r{i}"] = tmp_path / f"r{i}.wav"
        soundfile.write(made[f"r{i}"], level * np.tile(voice, 3)[i * RATE:], RATE)
    return made


def test_egemaps_equal_the_reference(voice, golden):
    expected, _ = golden("egemaps_a")
    np.testing.assert_allclose(speech.egemaps(voice, RATE), expected["output/functionals"],
                               rtol=1e-6, atol=1e-6)
    assert speech.egemaps_names() == [name.decode() for name in expected["output/feature_names"]]


@pytest.mark.parametrize("rate", [16000, 22050])
def test_a_long_recording_has_the_same_functionals_bit_by_bit(rate, voice, monkeypatch):
    recording = np.tile(voice, 4)
    expected = speech.egemaps(recording, rate)
    monkeypatch.setattr(speech, "LONG", 5)
    np.testing.assert_array_equal(speech.egemaps(recording, rate), expected)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_formats_rates_and_channels_are_read(voice, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.c_[voice, 0.5 * voice], 22050)
    samples, rate = speech.read_audio(path)
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, 22050)
    loss = 1e-4 if suffix in ("wav", "flac") else 0.05
    assert np.abs(samples[:len(voice)] - 0.75 * voice).mean() < loss
    assert speech.read_audio(path, mono=False)[0].shape == (len(samples), 2)


def halve(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


BAD = {
    "empty": (lambda p, v: p.write_bytes(b""),
              "the file is empty; expected a recording. Copy it again"),
    "text": (lambda p, v: p.write_text("no audio"),
             "not a readable recording .* convert it to WAV"),
    "no samples": (lambda p, v: soundfile.write(p, v[:0], RATE), "the recording holds no samples"),
    "half": (lambda p, v: (soundfile.write(p, v, RATE), halve(p)),
             r"truncated: 1\.5 of 3\.0 s are there"),
    "nan": (lambda p, v: soundfile.write(p, np.r_[v, np.nan, np.inf], RATE, subtype="FLOAT"),
            "2 of 48002 samples are not numbers .* Export"),
    "silent": (lambda p, v: soundfile.write(p, np.zeros(RATE), RATE),
               "the recording is silent; expected speech"),
    "constant": (lambda p, v: soundfile.write(p, np.full(RATE, 0.3), RATE),
                 "the recording is silent"),}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_told_in_one_sentence(kind, voice, tmp_path):
    make, sentence = BAD[kind]
    make(tmp_path / "a.wav", voice)
    with pytest.raises(speech.AudioError, match=sentence) as told:
        speech.read_audio(tmp_path / "a.wav")
    assert "\n" not in str(told.value)


def test_channels_that_cancel_each_other_are_silence(voice):
    with pytest.raises(speech.AudioError, match="silent"):
        speech.preprocess(np.c_[voice, -voice], RATE)
    assert "mono" in speech.preprocess(np.c_[voice, -voice], RATE, mono=False)


def test_a_file_of_unknown_length_is_not_truncated(voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", voice, RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    for at in (4, 40):                                      # what ffmpeg writes into a pipe
        content[at:at + 4] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    np.testing.assert_allclose(speech.read_audio(tmp_path / "a.wav")[0], voice, atol=1e-4)


def test_preprocessing_goes_step_by_step_and_every_step_can_be_left_out(voice):
    stereo = np.c_[voice, 0.5 * voice].repeat(2, axis=0)    # 32 kHz, and a second of silence inside
    stereo = np.concatenate([stereo, np.zeros((32000, 2), np.float32), stereo])
    steps = speech.preprocess(stereo, 32000)
    assert list(steps) == ["recording", "mono", "16000 Hz", "normalised", "without silence"]
    assert [rate for _, rate in steps.values()] == [32000, 32000, 16000, 16000, 16000]
    np.testing.assert_allclose(steps["mono"][0], stereo.mean(1))
    assert np.abs(steps["normalised"][0]).max() == pytest.approx(0.9)
    assert len(steps["normalised"][0]) == 7 * RATE
    assert len(steps["without silence"][0]) == pytest.approx(6 * RATE, abs=0.15 * RATE)
    untouched = speech.preprocess(stereo, 32000, mono=False, target_rate=0, normalise=False,
                                  silence="keep")
    assert list(untouched) == ["recording", "mono"]
    np.testing.assert_array_equal(untouched["mono"][0], stereo[:, 0])


def test_ends_only_keeps_the_pauses(voice):
    silence, voice = np.zeros(RATE, np.float32), speech.without_silence(voice, RATE)
    recording = np.concatenate([silence, voice, silence, voice, silence])
    both = 2 * len(voice)
    assert len(speech.without_silence(recording, RATE)) == pytest.approx(both, abs=0.15 * RATE)
    assert len(speech.without_silence(recording, RATE, ends_only=True)) == pytest.approx(
        both + RATE, abs=0.15 * RATE)
    gap = np.concatenate([voice, silence[:RATE // 10], voice])
    assert len(speech.without_silence(gap, RATE)) == len(gap)           # too short for a pause


def test_what_is_cut_and_a_loud_room_are_remarked(voice, tmp_path):
    rng, files = np.random.default_rng(0), {}
    rooms = {"quiet": (1e-4, 2), "loud": (0.008, 2), "mostly empty": (0, 12)}
    for name, (noise, seconds) in rooms.items():
        sound = np.r_[voice, np.zeros(seconds * RATE)]
        files[name] = tmp_path / f"{name}.wav"
        soundfile.write(files[name], sound + noise * rng.standard_normal(len(sound)), RATE)
    features, problems, _ = speech.extract(files, tmp_path / "cache", **PLAIN)
    assert not problems
    told = speech.remarks(features)
    assert list(told) == ["loud", "mostly empty"]
    assert "its quietest moments lie less than 40 dB below speech" in told["loud"]
    assert told["mostly empty"].startswith("80% of it count as silence and are left out. Listen")
    recorded, used = features["loud"]["seconds"]
    assert recorded - used > 2                              # the room's noise is no speech


def test_released_versions_are_the_authors(voice):
    made = speech.versions(voice, RATE, "released")
    np.random.seed(42)
    expected = [voice, voice + 0.05 * np.random.randn(len(voice)),
                librosa.effects.pitch_shift(voice, sr=RATE, n_steps=2),
                librosa.effects.time_stretch(voice, rate=2), voice[:24000], voice[24000:]]
    assert tuple(made) == speech.VERSIONS["released"]
    for ours, theirs in zip(made.values(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_corrected_versions_follow_the_recording(voice):
    loud, quiet = (speech.versions(level * voice, RATE, "corrected") for level in (1, 0.1))
    assert tuple(loud) == speech.VERSIONS["corrected"]
    for made, level in ((loud, 1), (quiet, 0.1)):
        noise = made["noise"] - made["original"]
        assert noise.std() == pytest.approx(0.1 * level * np.sqrt(np.mean(voice**2)), rel=0.02)
    noises = [made["noise"] - made["original"] for made in (loud, quiet)]
    # the released code gives every recording the same
    assert abs(np.corrcoef(*noises)[0, 1]) < 0.05
    again = speech.versions(voice, RATE, "corrected")
    for name in loud:
        np.testing.assert_array_equal(loud[name], again[name])
    assert len(loud["stretch"]) in (round(len(voice) / 0.9), round(len(voice) / 1.1))
    too_loud = speech.versions(voice / np.abs(voice).max(), RATE, "corrected")
    assert max(v.max() for v in too_loud.values()) < 1
    assert list(speech.versions(voice, RATE)) == ["original"]
    with pytest.raises(ValueError, match=r"augmentation 'loud': choose none, released, corrected"):
        speech.versions(voice, RATE, "loud")


def literal_vector_augmentation(matrix):
    """The reference's procedure, step by step (specification, section 2), on NumPy's global
    generator.
    """
    rows = []
    for f in matrix:
        n = len(f)
        noise = f + 0.05 * np.random.randn(n)
        rolled = np.roll(f, 2)
        rolled[:2] = 0
        m = int(n * np.random.choice([0.5, 1.5, 2.0]))
        stretched = np.interp(np.linspace(0, n - 1, m), np.arange(n), f)
        stretched = np.pad(stretched, (0, n))[:n]
        versions = [f, noise, rolled, stretched, np.r_[f[:n // 2], np.zeros(n - n // 2)],
                    np.r_[np.zeros(n // 2), f[n // 2:]]]
        rows.append(versions[np.random.randint(6)].astype(np.float32))
    return np.stack(rows)


def test_released_vector_augmentation_is_the_authors_over_epochs():
    rng = np.random.default_rng(0)
    egemaps, embeddings = rng.normal(0, 50, (40, 88)), rng.uniform(0, 255, (40, 128))
    ours = speech.VectorAugmentation(egemaps, embeddings, "released")
    np.random.seed(42)
    for epoch in range(3):
        expected = [literal_vector_augmentation(m.astype(np.float32))
                    for m in (egemaps, embeddings)]
        for a, b in zip(ours(epoch), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    resumed = speech.VectorAugmentation(egemaps, embeddings, "released")(2)
    for a, b in zip(resumed, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(ours(1)[0],
                                  speech.VectorAugmentation(egemaps, embeddings, "released")(1)[0])


def test_corrected_vector_augmentation_keeps_the_modalities_together():
    rng = np.random.default_rng(0)
    matrices = rng.normal(0, [1] * 40 + [1000] * 48, (400, 88)), rng.normal(100, 20, (400, 128))
    augment = speech.VectorAugmentation(*matrices, "corrected", seed=1)
    egemaps, embeddings = augment(5)
    moved = [(a != b.astype(np.float32)).any(1)
             for a, b in zip((egemaps, embeddings), matrices, strict=True)]
    np.testing.assert_array_equal(*moved)
    assert 150 < moved[0].sum() < 250
    change = (egemaps - matrices[0])[moved[0]].std(0) / matrices[0].std(0)
    np.testing.assert_allclose(change, 0.1, rtol=0.3)       # in units of each feature
    np.testing.assert_array_equal(augment(5)[0], egemaps)
    assert not np.array_equal(augment(6)[0], egemaps)
    plain = speech.VectorAugmentation(*matrices, "none")(0)
    np.testing.assert_array_equal(plain[1], matrices[1].astype(np.float32))


def test_every_version_has_a_row_in_both_matrices(files, tmp_path, capsys):
    features, problems, name = speech.extract(files, tmp_path / "cache", augmentation="released",
                                              **PLAIN)
    assert (list(features), problems, name) == (list(files), {}, "logmel-statistics")
    assert "Log-mel statistics stand in for VGGish" in capsys.readouterr().out
    for file, path in files.items():
        assert features[file]["egemaps"].shape == (6, 88)
        assert features[file]["vggish"].shape == (6, 128)
        samples, rate = list(speech.preprocess(*speech.read_audio(path)).values())[-1]
        for i, version in enumerate(speech.versions(samples, rate, "released").values()):
            np.testing.assert_array_equal(features[file]["egemaps"][i],
                                          speech.egemaps(version, rate))
            np.testing.assert_array_equal(features[file]["vggish"][i],
                                          vggish.logmel_statistics(vggish.examples(version, rate)))
        recorded, used = features[file]["seconds"]
        assert recorded == pytest.approx(soundfile.info(path).duration)
        assert used <= recorded


def test_vggish_is_the_mean_of_the_examples_with_and_without_post_processing(
        files, weights, tmp_path):  # noqa: F811
    settings = {"workers": 1, "weights": weights, "normalise": False, "silence": "keep"}
    features, _, name = speech.extract(files, tmp_path / "cache", **settings)
    plain, _, _ = speech.extract(files, tmp_path / "cache", **settings, postprocess=False)
    assert name == "vggish"
    network, pca = weights / "vggish-random.pth", weights / "vggish_pca_params-random.pth"
    for file, path in files.items():
        embeddings, = vggish.embed([vggish.examples(*speech.read_audio(path))], network)
        assert len(embeddings) in (7, 8, 9)
        np.testing.assert_allclose(plain[file]["vggish"][0], embeddings.mean(0), rtol=1e-4,
                                   atol=1e-5)
        np.testing.assert_allclose(features[file]["vggish"][0],
                                   vggish.postprocess(embeddings, pca).mean(0), atol=0.5)


def test_a_bad_recording_loses_both_rows_and_the_rest_goes_on(files, voice, tmp_path):
    bad = {"text": tmp_path / "text.wav", "gone": tmp_path / "gone.wav",
           "short": tmp_path / "short.wav", "clipped": tmp_path / "clipped.wav"}
    bad["text"].write_text("no audio")
    soundfile.write(bad["short"], voice, RATE)         # long enough alone, too short for its halves
    soundfile.write(bad["clipped"], np.clip(3 * np.tile(voice, 3), -1, 1), RATE)
    everything = {**bad, **files, "twin": files["r1"]}
    features, problems, _ = speech.extract(everything, tmp_path / "cache", workers=2,
                                           weights="none", augmentation="corrected")
    assert list(features) == ["clipped", *files, "twin"]
    assert all(len(f["egemaps"]) == len(f["vggish"]) == 6 for f in features.values())
    np.testing.assert_array_equal(features["twin"]["vggish"], features["r1"]["vggish"])
    assert problems["text"].startswith("not a readable recording")
    assert (problems["gone"] == "cannot be read (No such file or directory). "
            "Check the file and its permissions.")
    assert re.fullmatch(r"[23]\.\d\d s of sound after preprocessing; expected 3\.87 s, so that "
                        r"every version gives two VGGish examples\. A run with augmentation none "
                        r"would take it\. Record longer, or leave the recording out\.",
                        problems["short"])
    assert "clipped" not in speech.remarks(features)["r0"]
    assert re.match(r"\d+\.\d% of the samples are at full scale \(clipped\)",
                    speech.remarks(features)["clipped"])
    alone, problems, _ = speech.extract({"short": bad["short"]}, tmp_path / "cache", **PLAIN)
    assert alone["short"]["vggish"].shape == (1, 128)


@pytest.mark.parametrize(("speech_s", "silence_s", "setting", "advice"), [
    (0.5, 0.5, "remove", ""), (0.5, 3.0, "remove", " A run with silence keep would take it."),
    (0.5, 0.0, "keep", ""), (0.5, 0.5, "ends", "")])
def test_advice_on_a_short_recording_is_given_where_it_helps(speech_s, silence_s, setting, advice,
                                                             voice, tmp_path):
    sound = np.r_[voice[:int(speech_s * RATE)], np.zeros(int(silence_s * RATE), np.float32)]
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    _, problems, _ = speech.extract({"a": tmp_path / "a.wav"}, tmp_path / "cache", workers=1,
                                    weights="none", silence=setting)
    assert problems["a"].endswith(f"two VGGish examples.{advice} Record longer, or leave the "
                                  "recording out.")


@pytest.mark.parametrize(("subtype", "gain", "clipped"),
                         [("FLOAT", 8, False), ("FLOAT", 0.5, False), ("PCM_16", 8, True)])
def test_floats_beyond_full_scale_are_not_clipped(subtype, gain, clipped, voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", gain * voice / np.abs(voice).max(), RATE, subtype=subtype)
    assert (speech.heard(tmp_path / "a.wav")[2].clipped > speech.CLIPPED) == clipped


@pytest.mark.parametrize(("augmentation", "needed"),
                         [("none", vggish.SHORTEST), ("released", 2 * vggish.SHORTEST)])
def test_one_sample_too_few_is_too_short(augmentation, needed, voice, tmp_path):
    settings = {**PLAIN, "augmentation": augmentation, "silence": "keep"}
    files = {"enough": tmp_path / "enough.wav", "short": tmp_path / "short.wav"}
    for name, length in (("enough", needed), ("short", needed - 1)):
        soundfile.write(files[name], np.tile(voice, 2)[:length], RATE)
    features, problems, _ = speech.extract(files, tmp_path / "cache", **settings)
    assert list(features) == ["enough"]
    assert list(problems) == ["short"]


def test_other_rates_can_be_kept(voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile(voice, 2), 22050)
    features, problems, _ = speech.extract({"a": tmp_path / "a.wav"}, tmp_path / "cache", **PLAIN,
                                           target_rate=0)
    assert not problems
    assert features["a"]["egemaps"].shape == (1, 88)


def test_an_unknown_setting_is_refused_before_the_work(tmp_path):
    with pytest.raises(ValueError, match="choose none, released, corrected; remove, ends or keep"):
        speech.extract({}, tmp_path, silence="some")


@pytest.mark.parametrize(("option", "sentence"), [
    ("--frame-step", "expected 1 or more"), ("--size", "expected 1 or more"),
    ("--step", "expected 1 or more"), ("--workers", "expected a number of processes, or -1")])
def test_the_command_refuses_nought_in_a_sentence(option, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["features", str(tmp_path), option, "0"])
    with pytest.raises(SystemExit):
        command.main()
    assert f"{option} 0: {sentence}." in capsys.readouterr().err


def test_the_command_fills_the_cache(files, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.ogg").write_bytes(b"")
    (tmp_path / "._broken.ogg").write_bytes(b"\0\5\x16\7")
    (tmp_path / "lost.wav").symlink_to("/nowhere.wav")
    (tmp_path / "round").symlink_to(tmp_path)
    for name in ("a.wmv", "b.WMV", "c.flv", "notes.txt"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "argv", ["features", str(tmp_path), "--cache", str(tmp_path / "cache"),
                                      "--workers", "1", "--weights", "none"])
    command.main()
    told = capsys.readouterr().out
    assert "3 of 4 recordings in the cache." in told
    assert "Passed over, as no recordings that are read: 1 .flv, 2 .wmv." in told
    assert "fewer than five: the file is empty" in told      # the folder is not simulated: no names
    assert "fewer than five: a link that leads nowhere." in told
    assert "broken.ogg" not in told
    assert "lost.wav" not in told
    assert "broken.ogg\tthe file is empty" in (tmp_path / "cache/private.log").read_text()
    monkeypatch.setattr(speech, "egemaps", None)
    features, _, _ = speech.extract(files, tmp_path / "cache", **PLAIN)   # what a notebook asks for
    assert len(features) == 3


def test_the_command_lists_what_is_odd_about_recordings(voice, tmp_path, monkeypatch, capsys):
    long = np.tile(voice, 3)
    for i in range(5):
        path = tmp_path / f"half{i}.wav"
        soundfile.write(path, (1 - i / 10) * long, RATE)
        content = bytearray(path.read_bytes())
        content[40:44] = len(long).to_bytes(4, "little")    # half of its bytes
        path.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["features", str(tmp_path), "--cache", str(tmp_path / "cache"),
                                      "--workers", "1", "--weights", "none"])
    command.main()
    told = capsys.readouterr().out
    assert "5 of 5 recordings in the cache." in told
    assert "5: its header tells … s, the file holds … s; all is used." in told


@pytest.mark.parametrize("room", [0.0, 1e-4])
@pytest.mark.parametrize("seconds", [1, 3])
def test_a_word_in_two_minutes_of_silence_is_what_is_kept(room, seconds):
    """Where sound was less than 1 % of a recording all of its silence was kept."""
    rng = np.random.default_rng(0)
    samples = room * rng.standard_normal(120 * RATE).astype(np.float32)
    samples[30 * RATE:(30 + seconds) * RATE] = 0.2 * rng.standard_normal(seconds * RATE)
    assert len(speech.without_silence(samples, RATE)) / RATE == pytest.approx(seconds, abs=0.1)


def test_a_bang_does_not_make_silence_of_speech(voice):
    quiet = 0.02 * voice / np.abs(voice).max()
    banged = np.r_[quiet, np.float32([0.9, -0.9] * 400), np.zeros(RATE // 2, np.float32)]
    pauses = len(quiet) - len(speech.without_silence(quiet, RATE))
    used = len(speech.without_silence(banged, RATE))
    assert used > len(quiet) - pauses - 0.3 * RATE


@pytest.mark.parametrize(("seconds", "decay", "times"), [(0.3, 0, 1), (0.5, 0, 1), (0.1, 0, 4),
                                                         (1.5, 0.15, 1)])
@pytest.mark.parametrize("level", [-20, -24, -30])
def test_bangs_and_a_slammed_door_take_no_speech_and_are_told(seconds, decay, times, level, voice,
                                                              tmp_path):
    rng, time = np.random.default_rng(0), np.arange(int(seconds * RATE)) / RATE
    bang = rng.uniform(-1, 1, len(time)) * (np.exp(-time / decay) if decay else 1)
    quiet = np.tile(10 ** (level / 20) * voice / np.abs(voice).max(), 10)
    banged = np.r_[np.tile(np.r_[quiet[:RATE], bang], times), quiet].astype(np.float32)
    alone, used = (len(speech.without_silence(s, RATE)) / RATE for s in (quiet, banged))
    assert used > 0.98 * alone
    for name, samples in {"quiet": quiet, "banged": banged}.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    features, _, _ = speech.extract({n: tmp_path / f"{n}.wav" for n in ("quiet", "banged")},
                                    tmp_path / "cache", **PLAIN)
    told = speech.remarks(features)
    assert "bang" not in told.get("quiet", "")
    assert re.search(r"its loudest moment lies \d\d dB above speech \(a bang", told["banged"])


@pytest.mark.parametrize("number", ["0870", "0880", "0930"])
def test_of_people_who_speak_nothing_is_a_bang(number):
    path = MEDIA / f"sense_and_sensibility_01_austen_{number}.flac"
    level = speech.levels(*speech.read_audio(path))
    assert level.max() - speech.speech_level(level) < 1
