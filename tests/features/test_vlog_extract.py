"""Sound and video of a vlog to one row a second."""

import cv2
import numpy as np
import pytest
import soundfile

from depnb.features import face, speech, store, vggish, vlog_extract
from tests import films
from tests.features.test_vggish import fresh, weights  # noqa: F401, fixtures
from tests.paths import GOLDEN

RATE = 16000


@pytest.fixture(scope="module")
def voice():
    """6 s of a synthetic voice."""
    return np.tile(soundfile.read(GOLDEN / "speech_a.flac", dtype="float32")[0], 2)


def recorded(path, samples, rate=RATE):
    soundfile.write(path, samples, rate)
    return path


@pytest.mark.parametrize(("seconds", "rows"), [(0.49, 0), (0.5, 1), (1.49, 1), (1.5, 2), (7, 7)])
def test_a_last_part_of_half_a_second_is_a_row(seconds, rows):
    assert vlog_extract.seconds_of(seconds) == rows


class TestAcoustic:
    def test_each_row_is_the_mean_of_the_frames_of_its_second(self, voice, tmp_path):
        samples = voice[:int(4.7 * RATE)]
        rows = vlog_extract.acoustic(recorded(tmp_path / "a.flac", samples))["acoustic"]
        assert rows.shape == (5, 25)
        assert rows.dtype == np.float32
        frames = vlog_extract._opensmile().process_file(str(tmp_path / "a.flac"))
        second = frames.index.get_level_values("start").total_seconds().to_numpy().round(3).astype(
            int)
        np.testing.assert_allclose(rows, frames.groupby(second).mean().to_numpy(), rtol=1e-5)
        assert vlog_extract.acoustic_names() == list(frames)
        assert "F0semitoneFrom27.5Hz_sma3nz" in list(frames)

    def test_a_short_rest_is_dropped(self, voice, tmp_path):
        full = vlog_extract.acoustic(recorded(tmp_path / "a.flac", voice[:3 * RATE]))["acoustic"]
        longer = vlog_extract.acoustic(recorded(tmp_path / "b.flac",
                                                voice[:int(3.4 * RATE)]))["acoustic"]
        assert longer.shape == full.shape
        np.testing.assert_allclose(longer[:2], full[:2], rtol=1e-3)

    def test_half_a_second_is_enough_and_unvoiced_seconds_have_pitch_0(self, tmp_path):
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE // 2)
        rows = vlog_extract.acoustic(recorded(tmp_path / "a.wav", noise))["acoustic"]
        assert rows.shape == (1, 25)
        assert rows[0, vlog_extract.acoustic_names().index("F0semitoneFrom27.5Hz_sma3nz")] == 0

    @pytest.mark.parametrize(("samples", "message"), [
        (np.zeros(2 * RATE), "silent"), (np.full(2 * RATE, np.nan), "not numbers"),
        (np.tile([0.5, -0.5], RATE // 8), r"0\.25 s of sound; expected half a second")])
    def test_recordings_that_cannot_be_used(self, tmp_path, samples, message):
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
        for extractor in (vlog_extract.acoustic, vlog_extract.logmel):
            with pytest.raises(speech.AudioError, match=message):
                extractor(tmp_path / "a.wav")

    def test_the_cache_takes_it(self, voice, tmp_path):
        path = recorded(tmp_path / "a.wav", voice[:RATE])
        (tmp_path / "silent.wav").write_bytes(b"")
        files = {"a": path, "b": tmp_path / "silent.wav"}
        for extractor in (vlog_extract.acoustic, vlog_extract.logmel):
            features, problems = store.extract(files, extractor, tmp_path / "cache", workers=1)
            assert list(features) == ["a"]
            assert "the file is empty" in problems["b"]


class TestLogmel:
    def test_statistics_of_each_second(self, voice, tmp_path):
        rows = vlog_extract.logmel(recorded(tmp_path / "a.flac",
                                            voice[:int(3.6 * RATE)]))["acoustic"]
        assert rows.shape == (4, 128)
        assert rows.dtype == np.float32
        second = vggish.examples(
            soundfile.read(tmp_path / "a.flac", dtype="float32")[0][RATE:2 * RATE], RATE)
        np.testing.assert_allclose(rows[1], vggish.logmel_statistics(second), rtol=1e-5)

    def test_the_sample_rate_hardly_matters(self, voice, tmp_path):
        low = vlog_extract.logmel(recorded(tmp_path / "a.wav", voice[:3 * RATE]))["acoustic"]
        twice = cv2.resize(voice[None, :3 * RATE], (6 * RATE, 1), interpolation=cv2.INTER_LINEAR)[0]
        high = vlog_extract.logmel(recorded(tmp_path / "b.wav", twice, 2 * RATE))["acoustic"]
        assert np.corrcoef(low.ravel(), high.ravel())[0, 1] > 0.99

    def test_vggish_where_there_are_weights(self, voice, tmp_path, weights):  # noqa: F811
        path = recorded(tmp_path / "a.flac", voice[:2 * RATE])
        _, network, pca = vggish.locate(str(weights), str(tmp_path))
        plain = vlog_extract.logmel(path, network)["acoustic"]
        eight_bits = vlog_extract.logmel(path, network, pca)["acoustic"]
        assert plain.shape == eight_bits.shape == (2, 128)
        assert (eight_bits == eight_bits.round()).all()
        assert not np.allclose(plain, vlog_extract.logmel(path)["acoustic"])

    def test_less_than_a_second(self, voice, tmp_path):
        with pytest.raises(speech.AudioError,
                           match=r"0\.75 s of sound; expected a second at least"):
            vlog_extract.logmel(recorded(tmp_path / "a.wav", voice[:RATE * 3 // 4]))


class TestVisual:
    def test_landmarks_in_pixels_x_before_y(self, tree):
        video = sorted(tree.rglob("*_Freeform_video.mp4"))[0]
        features = vlog_extract.visual(video)
        assert features["found"].tolist() == [True, True]
        points = face.track(video, 30)["landmarks"]
        np.testing.assert_allclose(features["visual"].reshape(2, 2, 68).transpose(0, 2, 1), points,
                                   atol=1e-4)

    @pytest.fixture
    def counted(self, monkeypatch):
        """Frames are grey as their number; FaceMesh returns it as every point."""
        def mesh(frames):
            return np.array([np.full((478, 3), frame.mean()) for frame in frames], np.float32)

        def write(path, count, fps):
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), fps, (64, 64))
            for i in range(count):
                writer.write(np.full((64, 64, 3), i, np.uint8))
            writer.release()
            return path

        monkeypatch.setattr(face, "face_mesh", mesh)
        return write

    @pytest.mark.parametrize(("fps", "count", "frames"),
                             [(30, 89, [0, 30, 60]), (30, 74, [0, 30]), (30, 75, [0, 30, 60]),
                              (12.5, 60, [0, 13, 25, 38, 50]), (25, 5, [0])])
    def test_the_first_frame_of_each_second(self, counted, tmp_path, fps, count, frames):
        rows = vlog_extract.visual(counted(tmp_path / "v.avi", count, fps))["visual"]
        assert rows[:, 0].round().tolist() == frames

    def test_a_folder_of_images_needs_its_frame_rate(self, counted, tmp_path):
        for i in range(12):
            cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((8, 8, 3), i, np.uint8))
        assert vlog_extract.visual(tmp_path, fps=5)["visual"][:, 0].tolist() == [0, 5]
        with pytest.raises(face.VideoError, match=r"does not tell its frame rate; .* Give fps"):
            vlog_extract.visual(tmp_path)

    def test_seconds_are_those_of_the_time_stamps(self, counted, tmp_path):
        """Frames come ever faster: counted, the row of second 8 would show second 5."""
        stamps = np.cumsum(np.r_[0, np.linspace(120, 20, 145)])
        rows = vlog_extract.visual(films.film(tmp_path / "v.mp4", stamps))
        np.testing.assert_allclose(rows["visual"][:, 0], [
            np.flatnonzero(stamps // 1000 == second)[0] for second in range(10)], atol=1.5)
        assert rows["found"].all()

    def test_a_second_in_which_the_picture_stands_still_is_interpolated(self, counted, tmp_path):
        stamps = [40 * i + 2500 * (i >= 50) for i in range(100)]
        rows = vlog_extract.visual(films.film(tmp_path / "v.mkv", stamps))
        assert rows["found"].tolist() == [True, True, False, False, True, True, True]
        np.testing.assert_allclose(rows["visual"][:, 0], [0, 25, 33, 42, 50, 63, 88], atol=1.5)

    def test_rows_begin_with_the_sound(self, counted, tmp_path):
        """As after a cut by copying to Matroska: the picture begins at its next key frame."""
        path = films.film(tmp_path / "v.mkv", 2200 + np.arange(60) * 40, sound=4)
        rows = vlog_extract.visual(path)
        assert rows["found"].tolist() == [False, False, True, True, True]
        np.testing.assert_allclose(rows["visual"][2:, 0], [0, 20, 45], atol=1.5)

    def test_a_browser_recording_without_rate_or_duration(self, counted, tmp_path):
        path = films.film(tmp_path / "v.webm", [33 * i + i % 7 for i in range(100)], rate=1000,
                          options={"live": "1"})
        assert vlog_extract.visual(path)["found"].tolist() == [True] * 3

    def test_videos_that_cannot_be_used(self, tmp_path, counted, monkeypatch):
        (tmp_path / "text.mp4").write_text("x")
        with pytest.raises(face.VideoError):
            vlog_extract.visual(tmp_path / "text.mp4")
        video = counted(tmp_path / "v.avi", 60, 30)
        monkeypatch.setattr(face, "face_mesh",
                            lambda frames: np.full((len(list(frames)), 478, 3), np.nan, np.float32))
        with pytest.raises(face.VideoError, match="no face in any of 2 frames"):
            vlog_extract.visual(video)
