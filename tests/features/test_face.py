"""Frames, landmarks, alignment; videos that cannot be used."""

import shutil
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from depnb.features import __main__ as command
from depnb.features import face, store
from tests import films
from tests.features.test_face_mesh import person, placed


@pytest.fixture(scope="module")
def video(tree):
    return sorted(tree.rglob("*_Freeform_video.mp4"))[0]


@pytest.fixture(scope="module")
def tracked(video):
    return face.track(video, frame_step=3)


@pytest.fixture(scope="module")
def boxed(video):
    return face.boxes(video, frame_step=3)


def write(path, frames, fps=30):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps,
                             frames[0].shape[1::-1])
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def test_every_third_frame_is_read(video):
    every, third = list(face.read_frames(video)), list(face.read_frames(video, 3))
    assert len(every) == 60
    assert len(third) == 20
    np.testing.assert_array_equal(third[1], every[3])


def test_tracking_gives_named_arrays_of_the_promised_shapes(tracked):
    assert {k: v.shape for k, v in tracked.items()} == {
        "landmarks": (20, 68, 2), "gaze": (20, 2), "head_pose": (20, 3), "alignment": (20, 2, 3),
        "found": (20,), "frame": (20,), "time": (20,), "outside": (20,), "several": (2,),
        "blinks": tracked["blinks"].shape, "jumps": (0,)}
    assert tracked["found"].all()
    np.testing.assert_allclose(tracked["time"], tracked["frame"] / 30, atol=1e-9)
    assert not tracked["several"].any()
    assert face.odd(tracked) == []
    assert tracked["frame"].tolist() == list(range(0, 60, 3))


def test_points_lie_where_the_68_order_says(tracked):
    points = tracked["landmarks"].mean(0)
    eyes, mouth, chin, nose = points[36:48], points[48:68], points[8], points[30]
    assert eyes[:6, 0].mean() < nose[0] < eyes[6:, 0].mean()
    assert points[17:27, 1].mean() < eyes[:, 1].mean() < nose[1] < mouth[:, 1].mean() < chin[1]


def test_aligned_crops_put_eyes_and_mouth_where_they_belong(tracked):
    unit = face.to_crop(tracked["landmarks"], tracked["alignment"])
    right, left = unit[:, 36:42].mean(1), unit[:, 42:48].mean(1)
    np.testing.assert_allclose((right + left) / 2, [[0.5, 1 / 3]] * 20, atol=1e-5)
    np.testing.assert_allclose(right[:, 1], left[:, 1], atol=1e-5)
    distance, below = left[:, 0] - right[:, 0], unit[:, 48:68].mean(1)[:, 1] - 1 / 3
    np.testing.assert_allclose(np.maximum(distance / 0.35, below / (1 / 3)), 1, atol=1e-5)


@pytest.mark.parametrize("size", [48, 224])
def test_crops_are_stored_as_uint8_and_show_the_aligned_face(video, tracked, size):
    crops = face.crop(video, tracked["alignment"], 3, size)["crops"]
    assert crops.shape == (20, size, size, 3)
    assert crops.dtype == np.uint8
    if size == 224:
        again = face.face_mesh(list(crops))
        eyes = again[-1, face.SIXTY_EIGHT][36:48, :2].mean(0) / size
        np.testing.assert_allclose(eyes, [0.5, 1 / 3], atol=0.02)


def test_gaze_and_pose_do_not_depend_on_where_the_face_is(tracked):
    rng = np.random.default_rng(0)
    mesh = rng.normal(0, 30, (5, 478, 3)).astype(np.float32)
    np.testing.assert_allclose(face.gaze(mesh), face.gaze(mesh * 2 + 7), atol=1e-4)
    np.testing.assert_allclose(face.head_pose(mesh), face.head_pose(mesh * 2 + 7), atol=1e-2)


def test_short_gaps_are_interpolated_and_counted():
    mesh = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((10, 478, 3), np.float32)
    mesh[[0, 4, 5]] = np.nan
    filled, has_face = face.fill_gaps(mesh)
    assert has_face.sum() == 7
    np.testing.assert_allclose(filled[:, 0, 0], [1, 1, 2, 3, 4, 5, 6, 7, 8, 9])


class TestWhatIsTold:
    """What a track says beside its numbers, and what a user is told of it."""

    def test_frames_have_their_own_times(self, tmp_path):
        stamps = np.cumsum([0, *[33, 100] * 10])
        path = films.film(tmp_path / "v.mp4", stamps, frames=person(4) * 21)
        tracked = face.track(path, 2)
        assert tracked["frame"].tolist() == list(range(0, 21, 2))
        np.testing.assert_allclose(tracked["time"], stamps[::2] / 1000, atol=2e-3)
        assert face.odd(tracked) == []
        uneven, = face.odd(face.track(path, 1))
        assert "of the time frames are missing or unevenly spaced" in uneven

    def test_blinks_are_counted_and_do_not_enter_the_gaze(self, tmp_path):
        closure = np.zeros(30)
        closure[[8, 9, 10, 20, 21]] = 1
        film = films.film(tmp_path / "v.mp4", np.arange(30) * 40,
                          frames=person(4, gaze_y=np.full(30, 0.2), closure=closure))
        tracked = face.track(film, 1)
        assert tracked["blinks"].tolist() == [8, 20]
        sight, raw = tracked["gaze"], face.gaze(face.face_mesh(face.read_frames(film)))
        line = sight[7] + (sight[11] - sight[7]) * np.array([[1], [2], [3]]) / 4
        np.testing.assert_allclose(sight[8:11], line, atol=1e-6)
        seen = np.r_[5:8, 12:20, 23:30]
        np.testing.assert_array_equal(sight[seen], raw[seen])
        assert (np.ptp(raw[5:], axis=0) > 1.5 * np.ptp(sight[5:], axis=0)).any()

    def test_a_jump_of_the_face_and_a_cut_are_remarked(self, tmp_path):
        one, other = person(4)[0], person(6)[0]
        frames = ([placed(one, 0, 40, 640, 320)] * 10 + [placed(one, 400, 40, 640, 320)] * 10
                  + [255 - placed(255 - other, 400, 40, 640, 320)] * 10)
        tracked = face.track(films.film(tmp_path / "v.mp4", np.arange(30) * 40, frames=frames), 1)
        assert abs(tracked["jumps"] - [10, 20]).max() <= 1          # FaceMesh is a frame late
        crops = {"v": {"crops": np.zeros((30, 4, 4, 3))}}
        assert face.remarks(crops, {"v": tracked}, 10)["v"] == (
            "jumps of the picture or the face: 2. Check that it is one person throughout.")

    def test_several_people_are_remarked(self, tmp_path):
        frames = [np.hstack([person(4)[0], person(6)[0]])] * 12
        tracked = face.track(films.film(tmp_path / "v.mp4", np.arange(12) * 40, frames=frames), 1)
        assert tracked["several"].tolist() == [True, True]
        sentence, = face.odd(tracked)
        assert sentence.startswith("several faces in 100% of the frames; one of them is followed.")

    def test_crops_beyond_the_border_are_remarked(self, tmp_path):
        picture = person(4)[0]
        for x, remarked in ((100, False), (-60, True)):
            path = films.film(tmp_path / f"{remarked}.mp4", np.arange(10) * 40,
                              frames=[placed(picture, x, 20, 400, 300)] * 10)
            tracked = face.track(path, 1)
            crops = face.crop(path, tracked["alignment"], 1, 64)["crops"]
            smeared = (crops[:, :, :4] == crops[:, :, :1]).all(axis=(2, 3)).mean() > 0.5
            assert any("lie outside the picture" in s for s in face.odd(tracked)) is remarked
            assert smeared == remarked
            assert (tracked["outside"] > 0.1).all() == remarked

    def test_share_outside_the_picture(self):
        matrices = np.array([[[1 / 100, 0, 0], [0, 1 / 100, 0]],
                             [[1 / 100, 0, 0.25], [0, 1 / 100, 0.5]]])
        np.testing.assert_allclose(face.outside(matrices, (100, 100)), [0, 1 - 0.75 * 0.5])

    @pytest.mark.parametrize("seed", [3, 4])
    def test_yaw_is_told_as_it_was_turned(self, seed):
        """Each frame alone, so that no other frame helps to know what a front is."""
        angles = np.arange(-40, 41, 10.0)
        mesh = face.face_mesh(person(seed, 256, yaw=np.repeat(angles, 3)))[2::3]
        pose = np.concatenate([face.head_pose(frame[None]) for frame in mesh])
        slope, _ = np.polyfit(angles, pose[:, 1], 1)
        assert 0.85 < slope < 1.2
        assert np.ptp(pose[:, 2]) < 6
        together = face.head_pose(mesh)[:, 1]
        assert 0.85 < np.polyfit(angles, together, 1)[0] < 1.2

    def test_pitch_is_told_from_its_own_median(self, tracked):
        assert np.median(tracked["head_pose"][:, 0]) == pytest.approx(0, abs=1e-5)
        assert np.ptp(tracked["head_pose"][:, 0]) > 0


class TestFaults:
    """Each gives one sentence through the cache, and the good videos go on."""

    def refused(self, path, tmp_path, video, extractor=face.track):
        features, problems = store.extract({"bad": path, "good": video}, extractor,
                                           tmp_path / "cache", workers=1, frame_step=3)
        assert list(features) == ["good"]
        return problems["bad"]

    def test_empty_file(self, tmp_path, video):
        (tmp_path / "v.mp4").touch()
        assert self.refused(tmp_path / "v.mp4", tmp_path, video) == (
            "the file is empty; expected a video. Copy it again from the corpus.")

    def test_not_a_video(self, tmp_path, video, capfd):
        (tmp_path / "v.mp4").write_text("hello")
        assert "not a readable video" in self.refused(tmp_path / "v.mp4", tmp_path, video)
        assert "v.mp4" not in capfd.readouterr().err

    def test_truncated_mp4(self, tmp_path, video):
        (tmp_path / "v.mp4").write_bytes(video.read_bytes()[:-5000])
        sentence = self.refused(tmp_path / "v.mp4", tmp_path, video)
        assert "not a readable video (truncated" in sentence

    def test_video_whose_end_is_missing(self, tmp_path, video):
        writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30,
                                 (160, 160))
        for frame in face.read_frames(video):
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()
        content = (tmp_path / "v.avi").read_bytes()
        (tmp_path / "v.avi").write_bytes(content[:len(content) // 2])
        sentence = self.refused(tmp_path / "v.avi", tmp_path, video)
        assert "truncated" in sentence
        assert "Copy it again from the corpus." in sentence

    def test_no_face(self, tmp_path, video):
        write(tmp_path / "v.mp4", [np.full((120, 120, 3), 120, np.uint8)] * 9)
        assert self.refused(tmp_path / "v.mp4", tmp_path, video) == (
            "no face in any of 3 frames. Check the recording, or leave the session out.")

    def test_face_in_few_frames(self, tmp_path, video):
        frames = list(face.read_frames(video))[:12] + [np.full((160, 160, 3), 120, np.uint8)] * 48
        write(tmp_path / "v.mp4", frames)
        assert "a face in only" in self.refused(tmp_path / "v.mp4", tmp_path, video)

    def test_folder_without_images(self, tmp_path, video):
        (tmp_path / "frames").mkdir()
        assert "the folder holds no images" in self.refused(tmp_path / "frames", tmp_path, video)

    def test_folder_with_a_broken_image(self, tmp_path, video):
        (tmp_path / "frames").mkdir()
        (tmp_path / "frames/1.jpg").write_text("no")
        sentence = self.refused(tmp_path / "frames", tmp_path, video, face.resize)
        assert "1.jpg is not a readable image" in sentence


class TestBoxes:
    """Crops of the face box, as the re-run in bilal1718/TUKL cuts them."""

    @pytest.mark.parametrize(("box", "corners"), [
        # 100 x 40 pixels and a fifth of 100 on every side
        ((0.25, 0.3, 0.5, 0.4), [[30, 10], [170, 90]]),
        # begins outside: moved inside, as wide as before
        ((0.0, 0.3, 0.5, 0.4), [[0, 10], [140, 90]]),
        ((0.7, 0.3, 0.5, 0.4), [[120, 10], [200, 90]]),         # ends outside: cut off
        ((1.5, 0.3, 0.5, 0.4), [[np.nan] * 2] * 2), ((0.2, 0.2, 0.0, 0.0), [[np.nan] * 2] * 2)])
    def test_corners_are_the_re_runs(self, box, corners):
        relative = SimpleNamespace(**dict(zip(("xmin", "ymin", "width", "height"), box,
                                              strict=True)))
        np.testing.assert_array_equal(face.corners_of(relative, height=100, width=200), corners)

    def test_a_box_holds_the_face_and_is_not_turned(self, boxed, tracked):
        shapes = {k: v.shape for k, v in boxed.items()}
        assert shapes == {"alignment": (20, 2, 3), "found": (20,), "frame": (20,)}
        assert boxed["found"].all()
        assert (boxed["alignment"][:, [0, 1], [1, 0]] == 0).all()
        inside = face.to_crop(tracked["landmarks"], boxed["alignment"])[:, 36:68]   # eyes and mouth
        assert (inside > 0.1).all()
        assert (inside < 0.9).all()
        assert (boxed["alignment"] != tracked["alignment"]).any()

    def test_crops_show_what_a_cut_and_a_resize_show(self, video, boxed):
        crops = face.crop(video, boxed["alignment"], 3, 48)["crops"]
        for frame, matrix, crop in zip(face.read_frames(video, 3), boxed["alignment"], crops,
                                       strict=True):
            (left, top), (right, bottom) = (
                np.round((corner - matrix[:, 2]) / np.diag(matrix[:, :2])).astype(int)
                for corner in (0, 1))
            cut = cv2.resize(frame[top:bottom, left:right], (48, 48), interpolation=cv2.INTER_AREA)
            assert np.abs(cut.astype(float) - crop).mean() < 6       # of 255: another interpolation

    def test_a_frame_without_a_face_is_interpolated_and_listed(self, tmp_path, video):
        frames = list(face.read_frames(video))[:24]
        frames[6:12] = [np.full((160, 160, 3), 120, np.uint8)] * 6
        path = write(tmp_path / "v.mp4", frames)
        crops, tracks, problems = face.extract({"v": path}, tmp_path / "cache", 1, 3, 32, "box")
        assert problems == {}
        assert tracks["v"]["found"].tolist() == [True, True, False, False, True, True, True, True]
        lost, before, after = (tracks["v"]["alignment"][i][:, :2].trace() for i in (2, 1, 4))
        assert min(before, after) <= lost <= max(before, after)
        assert "no face in 25% of the frames" in face.remarks(crops, tracks, 1)["v"]

    def test_a_video_without_a_face_is_refused(self, tmp_path):
        path = write(tmp_path / "v.mp4", [np.full((120, 120, 3), 120, np.uint8)] * 9)
        with pytest.raises(face.VideoError, match="no face in any of 3 frames"):
            face.boxes(path, 3)

    def test_aligned_crops_are_the_same_bits_under_the_same_key(self, tmp_path, video, tracked):
        cache = tmp_path / "cache"
        crops, tracks, _ = face.extract({"v": video}, cache, 1, 3, 32)
        boxed, *_ = face.extract({"v": video}, cache, 1, 3, 32, "box")
        np.testing.assert_array_equal(tracks["v"]["alignment"], tracked["alignment"])
        np.testing.assert_array_equal(crops["v"]["crops"],
                                      face.crop(video, tracked["alignment"], 3, 32)["crops"])
        asked = {"frame_step": 3, "size": 32, "alignment": tracked["alignment"]}
        assert store.read(store.entry_of(video, face.crop, cache, asked)) is not None
        assert len(list((cache / "crop").iterdir())) == 2          # the box has an entry of its own
        assert (boxed["v"]["crops"] != crops["v"]["crops"]).any()

    def test_the_command_fills_the_cache_with_either(self, tmp_path, video, monkeypatch, capsys):
        (tmp_path / "videos").mkdir()
        copy = shutil.copy(video, tmp_path / "videos/v.mp4")
        asked = ["features", str(tmp_path / "videos"), "--cache", str(tmp_path / "cache"),
                 "--workers", "1", "--size", "32"]
        for option in ([], ["--crop", "box"]):
            monkeypatch.setattr(sys, "argv", [*asked, *option])
            command.main()
            assert "1 of 1 videos in the cache." in capsys.readouterr().out
        assert len(list((tmp_path / "cache/crop").iterdir())) == 2
        monkeypatch.setattr(face, "read_frames", None)
        monkeypatch.setattr(face, "timed_frames", None)
        for kind in face.CROPS:                                         # what a notebook asks for
            assert list(face.extract({"v": copy}, tmp_path / "cache", 1, 3, 32, kind)[0]) == ["v"]

    def test_the_command_passes_over_what_openface_has_drawn(self, tmp_path, video, monkeypatch,
                                                             capsys):
        folder = tmp_path / "videos"
        (folder / "processed").mkdir(parents=True)
        shutil.copy(video, folder / "v.mp4")
        own = write(folder / "own.avi", list(face.read_frames(video))[:6])
        for drawn in (folder / "v.avi", folder / "processed/own.avi"):
            shutil.copy(own, drawn)
        (folder / "processed/own_of_details.txt").touch()
        monkeypatch.setattr(sys, "argv", ["features", str(folder), "--cache",
                                          str(tmp_path / "cache"), "--workers", "1", "--size", "8"])
        command.main()
        printed = capsys.readouterr().out
        assert "2 of 2 videos in the cache." in printed
        assert "OpenFace's drawing over a video: passed over" in printed
        log = (tmp_path / "cache/private.log").read_text()
        assert log.count("OpenFace's drawing") == 2

    def test_another_crop_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="crop 'mesh': choose one of aligned, box"):
            face.extract({}, tmp_path, kind="mesh")


def test_remarks_name_short_videos_and_lost_faces():
    crops = {name: {"crops": np.zeros((n, 4, 4, 3))}
             for name, n in (("short", 5), ("long", 20), ("lost", 20))}
    tracks = {"short": {"found": np.ones(5, bool)}, "long": {"found": np.ones(20, bool)},
              "lost": {"found": np.arange(20) < 14}}
    remarks = face.remarks(crops, tracks, 10)
    assert list(remarks) == ["short", "lost"]
    assert "5 frames, fewer than the 10 that a clip spans" in remarks["short"]
    assert "no face in 30% of the frames" in remarks["lost"]
