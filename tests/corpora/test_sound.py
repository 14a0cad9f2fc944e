"""Sound is read to the end of its file, or what is missing is told."""

import struct
from fractions import Fraction

import av
import librosa
import numpy as np
import pytest
import soundfile

from depnb.corpora import readers, sound
from tests.features.test_media import encode
from tests.paths import GOLDEN

RATE = 16000


@pytest.fixture(scope="module")
def voice():
    """3 s of a synthetic voice, at 16 kHz."""
    return soundfile.read(GOLDEN / "speech_a.flac", dtype="float32")[0]


def wav(path, samples, length=None, riff=None, after=b""):
    """A WAV file whose header tells other lengths than it has, and bytes after its sound."""
    soundfile.write(path, samples, RATE)
    content = bytearray(path.read_bytes())
    for at, told in ((40, length), (4, riff)):
        if told is not None:
            content[at:at + 4] = struct.pack("<I", told)
    path.write_bytes(bytes(content) + after)
    return path


class TestWav:
    """What a header tells of its length is not believed."""

    @pytest.mark.parametrize(("length", "remark"), [
        (48000, "its header tells 1.5 s, the file holds 3.0 s; all is used"), (0, ""),
        (0xFFFFFFFF, ""), (0x7FFFFFDB, ""), (0x7FFFF000, "")])
    def test_no_sound_is_left_out(self, length, remark, voice, tmp_path):
        samples, rate, facts = sound.heard(wav(tmp_path / "a.wav", voice, length))
        np.testing.assert_array_equal(samples, voice)
        assert rate == RATE
        assert " ".join(facts.remarks()).startswith(remark)
        assert bool(facts.remarks()) == bool(remark)

    @pytest.mark.parametrize("length", [2 * 96000, 96000 + 4000])
    def test_a_file_shorter_than_its_header_tells_is_truncated(self, length, voice, tmp_path):
        with pytest.raises(sound.AudioError, match=r"truncated: 3\.0 of \d\.\d s are there"):
            sound.heard(wav(tmp_path / "a.wav", voice, length))
        assert readers.glance(tmp_path / "a.wav").startswith("truncated: the file breaks off")

    @pytest.mark.parametrize("after", [b"LIST\x20\x4e\0\0" + bytes(20000), bytes(300),
                                       b"LIST\x12\0\0\0INFOIART\6\0\0\0Zo\xe9 M\0"])
    def test_what_follows_the_sound_is_none(self, after, voice, tmp_path):
        samples, _, facts = sound.heard(wav(tmp_path / "a.wav", voice, after=after))
        np.testing.assert_array_equal(samples, voice)
        assert facts.remarks() == []

    @pytest.mark.parametrize(("at", "field", "sentence"), [
        (20, b"\x99\x99", "its sound is coded in a way that is not known"),
        (24, b"\1\0\0\0", "its header tells a sampling rate of 1 Hz; expected 1000 to 768000"),
        (22, b"\0\0", "the recording holds no samples")])
    def test_a_damaged_header_is_told(self, at, field, sentence, voice, tmp_path):
        content = bytearray(wav(tmp_path / "a.wav", voice).read_bytes())
        content[at:at + len(field)] = field
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(sound.AudioError, match=sentence):
            sound.heard(tmp_path / "a.wav")

    def test_two_files_in_one_are_refused(self, voice, tmp_path):
        path = wav(tmp_path / "a.wav", voice)
        path.write_bytes(2 * path.read_bytes())
        with pytest.raises(sound.AudioError, match=r"a second file begins within it, after 3\.0 s"):
            sound.heard(path)
        assert readers.glance(path).startswith("a second file begins within it; expected one")

    @pytest.mark.parametrize("subtype", ["PCM_U8", "ULAW", "ALAW", "PCM_16"])
    def test_sound_that_reads_as_letters_is_no_chunk(self, subtype, voice, tmp_path):
        path = tmp_path / "a.wav"
        soundfile.write(path, voice / np.abs(voice).max(), RATE, subtype=subtype)
        content = path.read_bytes()
        begin, size = content.rindex(b"data", 0, 100) + 8, soundfile.SoundFile(path).frames
        per_sample = (len(content) - begin) // size
        for length in range(size // 2, size // 2 + 400, 4):
            path.write_bytes(content[:begin - 4] + struct.pack("<I", per_sample * length)
                             + content[begin:])
            assert sound.header_remark(path).startswith("its header tells 5"), length
        assert len(sound.heard(path)[0]) >= len(voice)

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
    @pytest.mark.parametrize("after", [
        [], [b"abcd\x03\0\0\0xyz\0" + b"more\x90\x01\0\0" + bytes(400)],
        [b"abcd\x91\x01\0\0" + bytes(401)], [b"LIST\xff\0\1\0INFO" + bytes(900)]])
    def test_chunks_behind_the_sound_are_no_sound(self, subtype, after, voice, tmp_path):
        odd = voice[:4001]                                  # of 8 bits and 24: an odd length
        soundfile.write(tmp_path / "a.wav", odd, RATE, subtype=subtype)
        content = (tmp_path / "a.wav").read_bytes()
        (tmp_path / "a.wav").write_bytes(content + b"".join(after))
        assert sound.header_remark(tmp_path / "a.wav") == ""
        assert len(sound.heard(tmp_path / "a.wav")[0]) == len(odd)

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
    def test_every_sample_format_is_read_as_soundfile_does(self, subtype, voice, tmp_path):
        soundfile.write(tmp_path / "a.wav", np.c_[voice, -0.5 * voice], RATE, subtype=subtype)
        samples, _ = sound.read_audio(tmp_path / "a.wav", mono=False)
        expected = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
        np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-7)
        np.testing.assert_allclose(sound.read_audio(tmp_path / "a.wav")[0], expected.mean(1),
                                   atol=1e-7)


def halved(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    return path


class TestOthers:
    """FLAC, Ogg, AIFF and the containers of phones and browsers."""

    @pytest.mark.parametrize(("suffix", "form"), [("flac", None), ("aiff", None), ("wav", "RF64"),
                                                  ("wav", "WAVEX")])
    def test_half_a_file_is_refused(self, suffix, form, voice, tmp_path):
        soundfile.write(tmp_path / f"a.{suffix}", voice, RATE, format=form)
        assert len(sound.read_audio(tmp_path / f"a.{suffix}")[0]) == len(voice)
        with pytest.raises(sound.AudioError, match=r"truncated: [012]\.\d of 3\.0 s are there"):
            sound.heard(halved(tmp_path / f"a.{suffix}"))

    def test_half_an_ogg_does_not_tell_its_length_and_is_remarked(self, voice, tmp_path):
        soundfile.write(tmp_path / "a.ogg", np.tile(voice, 9), RATE)
        assert not sound.heard(tmp_path / "a.ogg")[2].unfinished
        _, _, facts = sound.heard(halved(tmp_path / "a.ogg"))
        assert facts.recorded < 20
        assert facts.remarks()[0].startswith("the file ends without its last page")

    @pytest.mark.parametrize("suffix", ["ogg", "flac"])
    def test_joined_files_are_read_to_the_end(self, suffix, voice, tmp_path):
        path = tmp_path / f"a.{suffix}"
        soundfile.write(path, voice, RATE)
        path.write_bytes(2 * path.read_bytes())
        samples, _, facts = sound.heard(path)
        assert len(samples) == pytest.approx(2 * len(voice), abs=0.1 * RATE)
        assert facts.remarks()[0].startswith("its header tells 3.0 s, the file holds 6.0 s")

    def test_a_flac_that_was_written_without_its_length(self, voice, tmp_path):
        soundfile.write(tmp_path / "a.flac", voice, RATE)
        content = bytearray((tmp_path / "a.flac").read_bytes())
        content[21] &= 0xF0
        content[22:26] = bytes(4)
        (tmp_path / "a.flac").write_bytes(content)
        np.testing.assert_array_equal(sound.read_audio(tmp_path / "a.flac")[0], voice)

    def test_damage_within_is_filled_in_its_place_and_told(self, voice, tmp_path):
        soundfile.write(tmp_path / "a.flac", np.tile(voice, 4), RATE)
        content = bytearray((tmp_path / "a.flac").read_bytes())
        middle = len(content) // 2
        content[middle:middle + 2000] = bytes(2000)
        (tmp_path / "a.flac").write_bytes(content)
        samples, _, facts = sound.heard(tmp_path / "a.flac")
        assert len(samples) == 4 * len(voice)
        np.testing.assert_array_equal(samples[-RATE:], voice[-RATE:])
        assert 0 < facts.filled < 1
        assert "filled with silence" in " ".join(facts.remarks())

    @pytest.mark.parametrize("suffix", ["m4a", "webm"])
    def test_a_container_that_breaks_off_is_refused(self, suffix, voice, tmp_path):
        options = {"movflags": "faststart"} if suffix == "m4a" else {}
        encode(tmp_path / f"a.{suffix}", np.tile(voice, 5), 16000, **options)
        with pytest.raises(sound.AudioError, match="truncated"):
            sound.heard(halved(tmp_path / f"a.{suffix}"))

    @pytest.mark.parametrize("suffix", ["m4a", "webm"])
    def test_two_containers_in_one_are_refused(self, suffix, voice, tmp_path):
        path = tmp_path / f"a.{suffix}"
        encode(path, voice, 16000)
        path.write_bytes(2 * path.read_bytes())
        with pytest.raises(sound.AudioError, match="a second file begins within it; expected one"):
            sound.heard(path)
        assert readers.glance(path, heard=True).startswith("a second file begins within it; expect")

    @pytest.mark.parametrize("suffix", ["mp3", "aac"])
    @pytest.mark.parametrize("hole", [bytes, lambda n: np.random.default_rng(0).bytes(n)])
    def test_a_hole_in_a_stream_without_times_is_refused_or_told_in_seconds(self, suffix, hole,
                                                                            voice, tmp_path):
        path = tmp_path / f"a.{suffix}"
        encode(path, np.tile(voice, 10), 16000, **{"write_xing": "0"} if suffix == "mp3" else {})
        content = path.read_bytes()
        for share, seconds in ((0.2, 6.0), (0.012, 0.36)):
            middle, lost = len(content) // 2, int(share * len(content))
            path.write_bytes(content[:middle] + hole(lost) + content[middle + lost:])
            if share == 0.2:
                with pytest.raises(sound.AudioError, match=r"damaged: about [56]\.\d of (29|30)\."):
                    sound.heard(path)
            else:
                facts = sound.heard(path)[2]
                assert facts.missing == pytest.approx(seconds, abs=0.2)
                assert facts.remarks()[0].startswith(
                    f"its packets that cannot be decoded are left out: {facts.lost}, about 0.")
        path.write_bytes(content + b"APETAGEX" + bytes(len(content) // 4))
        assert sound.heard(path)[2].missing == 0

    def test_half_an_mp3_with_an_index_is_refused_at_a_glance(self, voice, tmp_path):
        encode(tmp_path / "a.mp3", np.tile(voice, 5), 16000)
        assert readers.glance(tmp_path / "a.mp3") == ""
        assert readers.glance(halved(tmp_path / "a.mp3")).startswith("truncated: the file breaks")

    def test_the_sound_of_a_video_lies_where_the_video_has_it(self, voice, tmp_path):
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            video = container.add_stream("mpeg4", rate=25)
            video.width = video.height = 32
            track = container.add_stream("flac", rate=RATE, layout="mono")
            for i in range(100):
                picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
                picture.pts = i
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
            values = np.round(voice[None] * 32768).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, RATE, Fraction(1, RATE)  # 1 s
            container.mux([*track.encode(frame), *track.encode(None)])
        samples, _, facts = sound.heard(tmp_path / "a.mkv")
        assert facts.filled == pytest.approx(1, abs=0.01)
        np.testing.assert_allclose(samples[-RATE:], voice[-RATE:], atol=1e-4)

    def test_a_video_without_sound_is_told(self, tmp_path):
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            video = container.add_stream("mpeg4", rate=25)
            video.width = video.height = 32
            container.mux(video.encode(av.VideoFrame.from_ndarray(
                np.zeros((32, 32, 3), np.uint8), "rgb24")))
            container.mux(video.encode(None))
        with pytest.raises(sound.AudioError, match="the file holds no sound; expected WAV"):
            sound.heard(tmp_path / "a.mp4")

    def test_a_playlist_leads_nowhere(self, tmp_path):
        (tmp_path / "a.wav").write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n")
        with pytest.raises(sound.AudioError, match="not a readable recording"):
            sound.heard(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_a_recording_resampled_while_it_is_read_is_the_recording_resampled(rate, voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.c_[voice, 0.2 * voice], rate)
    mixed, _ = sound.read_audio(tmp_path / "a.wav")
    samples, target, facts = sound.heard(tmp_path / "a.wav", target_rate=RATE)
    expected = librosa.resample(mixed, orig_sr=rate, target_sr=RATE)
    assert target == RATE
    np.testing.assert_array_equal(samples, expected)
    assert facts.recorded == len(voice) / rate
    first, _, _ = sound.heard(tmp_path / "a.wav", "first")
    np.testing.assert_array_equal(first, sound.read_audio(tmp_path / "a.wav", False)[0][:, 0])


def test_a_name_may_hold_what_addresses_hold(voice, tmp_path):
    for name in ("a#1.wav", "50 %.wav", "http:x.wav", "é?.wav"):
        soundfile.write(tmp_path / name, voice, RATE)
        assert len(sound.read_audio(tmp_path / name)[0]) == len(voice)


@pytest.mark.parametrize("end", [b"OggS", b"OggS\0"])
def test_an_ogg_that_breaks_off_within_the_head_of_a_page(end, voice, tmp_path):
    soundfile.write(tmp_path / "a.ogg", voice, RATE)
    whole_file = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(whole_file[:whole_file.rfind(b"OggS")] + end)
    facts = sound.heard(tmp_path / "a.ogg")[2]
    assert facts.unfinished


@pytest.mark.parametrize("title", [b"Info", b"Info abc", b"Xing\0\0\0\x01"])
def test_a_title_that_reads_as_the_index_of_an_mp3_is_none(title, voice, tmp_path):
    soundfile.write(tmp_path / "a.mp3", voice, RATE, bitrate_mode="CONSTANT")
    content = (tmp_path / "a.mp3").read_bytes()
    begin = content.find(b"Info") - 36 if b"Info" in content[:200] else 0
    frame = b"TIT2" + struct.pack(">IH", 1 + len(title), 0) + b"\0" + title
    tag = b"ID3\x03\0\0" + bytes([0, 0, 0, len(frame)]) + frame
    (tmp_path / "a.mp3").write_bytes(tag + content[max(begin, 0):])
    assert len(sound.heard(tmp_path / "a.mp3")[0]) / RATE == pytest.approx(3, abs=0.2)
