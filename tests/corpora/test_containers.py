"""Whether a video file is all there, by its container."""

import numpy as np
import pytest

from depnb.corpora import containers, readers
from tests import films

KINDS = {"v.mp4": {}, "fast.mp4": {"movflags": "faststart"},
         "fragments.mp4": {"movflags": "frag_keyframe+empty_moov"}, "v.mov": {}, "v.mkv": {},
         "v.webm": {}, "live.webm": {"live": "1"}, "v.avi": {}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return {name: films.film(folder / name, np.arange(60) * 40, options=options).read_bytes()
            for name, options in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_ends_early_where_it_was_cut_and_nowhere_else(name, made, tmp_path):
    path, raw = tmp_path / name, made[name]
    path.write_bytes(raw)
    assert containers.ends_early(path) is False
    assert containers.frames_in(path) == 60
    for share in (0.3, 0.6, 0.97):
        path.write_bytes(raw[:int(share * len(raw))])
        assert containers.ends_early(path) is True


@pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.avi"])
def test_what_lies_behind_the_last_part_is_no_fault(name, made, tmp_path):
    for rest in (b"\0" * 100, b"\0\0\0", b"junk and more", b"\0\0\0\5mdat"):
        (tmp_path / name).write_bytes(made[name] + rest)
        assert containers.ends_early(tmp_path / name) is False


@pytest.mark.parametrize("name", KINDS)
def test_a_second_file_within_is_refused(name, made, tmp_path):
    path = tmp_path / name
    path.write_bytes(made[name])
    assert not containers.joined(path)
    path.write_bytes(made[name] * 2)
    assert containers.joined(path)
    assert readers.glance(path).startswith("a second file begins within it; expected one video")
    with pytest.raises(readers.VideoError, match="a second file begins within it"):
        list(readers.read_frames(path))


def test_other_files_tell_nothing(tmp_path):
    for content in (b"", b"RIFF", b"text, and no video", b"RIFF\x10\0\0\0WAVE"):
        (tmp_path / "v.mp4").write_bytes(content)
        assert containers.ends_early(tmp_path / "v.mp4") is None
        assert containers.joined(tmp_path / "v.mp4") is False


def test_frames_outside_an_edit_list_are_not_counted(made, tmp_path):
    (tmp_path / "film.mp4").write_bytes(made["v.mp4"])
    assert containers.frames_in(films.cut(tmp_path / "film.mp4", tmp_path / "v.mp4", 0.92)) == 37


def test_boxes_of_more_than_four_gigabytes_and_to_the_end(tmp_path):
    start = b"\0\0\0\x10ftypisom\0\0\0\0"
    (tmp_path / "v.mp4").write_bytes(start + b"\0\0\0\1mdat" + (2**33).to_bytes(8) + b"\0" * 50)
    assert containers.ends_early(tmp_path / "v.mp4")
    (tmp_path / "v.mp4").write_bytes(start + b"\0\0\0\0mdat" + b"\0" * 50)
    assert containers.ends_early(tmp_path / "v.mp4") is False


def test_a_text_that_says_moof_is_no_fragment(made, tmp_path):
    text = b"fragments begin with moof, players say"
    box = (8 + len(text)).to_bytes(4) + b"XMP_" + text
    (tmp_path / "v.mp4").write_bytes(made["v.mp4"] + box)
    assert containers.ends_early(tmp_path / "v.mp4") is False
    start = b"\0\0\0\x10ftypisom\0\0\0\0"
    (tmp_path / "v.mp4").write_bytes(start + b"\0\0\0\0mdat" + b"\0" * 9 + b"moof\0\0\0\x10mfhd")
    assert containers.ends_early(tmp_path / "v.mp4") is False


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4"])
@pytest.mark.parametrize("late", [0, 0.05, 0.6, 1.5])
def test_a_picture_that_begins_after_the_sound(name, late, tmp_path):
    path = films.film(tmp_path / name, 1000 * late + np.arange(50) * 40, sound=3)
    assert containers.begins(path) == pytest.approx(late * (late > 0.1), abs=0.03)
    times = [time for _, time in readers.timed_frames(path)]
    np.testing.assert_allclose(times, late * (late > 0.1) + np.arange(50) / 25, atol=0.03)
    assert containers.begins(films.film(tmp_path / f"mute{name}", np.arange(9) * 40)) == 0


def test_what_is_no_video_begins_at_once(tmp_path):
    (tmp_path / "v.mp4").write_text("x")
    assert containers.begins(tmp_path / "v.mp4") == 0
