"""The sound of a recording or of a video, decoded block by block to the end of its file by PyAV.

What a header tells of a length is compared with what the file holds: a length that is too small, or
none, hides no sound; one that the file does not reach is refused. What else is odd is counted.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import soxr

from depnb.corpora import containers

SILENT = 1e-4               # of full scale; a recording that never leaves this band is silent
FULL_SCALE = 0.999
BLOCK = 1 << 16             # samples of a channel that are worked on together
LOSS = 0.02                 # share of a recording; where more is missing, it is refused
SLACK = 0.25                # seconds by which headers and decoders may differ
GAP = 0.1                   # seconds; a shorter one between time stamps is none
LONGEST_GAP = 600           # seconds; beyond it the time stamps are wrong
RATES = 1000, 768_000       # Hz
FRAME_HEADS = (13, 15, 21, 23, 36, 38)      # bytes from the begin of an MP3's frame to its index
UNTIMED = {"mp3", "aac"}    # streams of packets without time stamps
CUT_CHUNKS = b"LIST", b"id3 ", b"ID3 "      # names of RIFF chunks, also of ones that break off
# containers whose length libav reads instead of guessing it from the first bytes
TELLING = {"flac", "aiff", "ogg", "asf", "w64", "caf", "au"}
TRUNCATED = "truncated: the file breaks off. Copy it again from the corpus."
ONE = "expected one recording. Split it, or export it again."
EXPECTED = "expected WAV, FLAC, MP3, OGG, M4A or another file with sound"


class AudioError(ValueError):
    """A recording that cannot be used; the message says what was expected and what to do."""


class Facts(NamedTuple):
    """What the reading of a recording came upon."""

    promised: float         # seconds by the file's header; nan where it tells none
    recorded: float         # seconds
    filled: float           # seconds of silence, where time stamps leave a gap
    lost: int               # packets that cannot be decoded
    tracks: int             # of sound
    unfinished: bool        # an Ogg file without its last page
    clipped: float          # share of samples at full scale
    exact: bool = False     # whether the header tells the length to the sample
    missing: float = 0.0    # seconds, by bytes without sound in a stream without time stamps

    def remarks(self):
        """What a user should know of a recording that is used all the same: list of sentences."""
        told, slack = [], max(0 if self.exact else SLACK, LOSS * self.promised)
        if self.recorded > self.promised + slack:
            told.append(f"its header tells {self.promised:.1f} s, the file holds "
                        f"{self.recorded:.1f} s; all is used. Check that it is one recording.")
        elif self.recorded < self.promised - SLACK:
            told.append(f"{self.recorded:.1f} of {self.promised:.1f} s can be decoded.")
        if self.filled:
            told.append(f"its time stamps leave gaps of {self.filled:.1f} s together; they are "
                        "filled with silence.")
        if self.lost or self.missing:
            about = f", about {self.missing:.1f} s of sound" if self.missing else ""
            told.append("its packets that cannot be decoded are left out: "
                        f"{self.lost:.0f}{about}.")
        if self.tracks > 1:
            told.append(f"it holds {self.tracks:.0f} sound tracks; the first is used.")
        if self.unfinished:
            told.append(f"the file ends without its last page, after {self.recorded:.1f} s; what "
                        "may be missing is unknown. Compare it with the corpus.")
        return told


def read_audio(path, mono=True):
    """A recording at its own rate; of a video, its sound.

    Parameters
    ----------
    path : path
    mono : bool
        Mean of the channels.

    Returns
    -------
    samples : (n,) float32 in about [-1, 1]; without `mono` (n, channels)
    rate : int, Hz

    Raises
    ------
    AudioError, OSError
        As `heard`.
    """
    return heard(path, "mean" if mono else "all")[:2]


def heard(path, channels="mean", target_rate=0):
    """A recording, and what its reading came upon.

    It is mixed and resampled (soxr, high quality) while it is read: in memory lies the result only.

    Parameters
    ----------
    path : path
    channels : "mean", "first" or "all"
    target_rate : Hz, 0: as it is

    Returns
    -------
    samples : (n,) float32 in about [-1, 1]; of all channels (n, channels)
    rate : int, Hz
    facts : Facts

    Raises
    ------
    AudioError
        The file is unreadable, truncated, empty or silent, or holds NaN.
    OSError
        It is missing.
    """
    if Path(path).stat().st_size == 0:
        raise AudioError("the file is empty; expected a recording. Copy it again from the corpus.")
    sound = _Sound(path)
    samples, stream, before = bytearray(), None, ()
    for block in sound.blocks({"mean": lambda x: x.mean(axis=0), "first": lambda x: x[0],
                               "all": lambda x: x.T}[channels]):
        if before != () and before != block.shape[1:]:
            raise AudioError("the number of its channels changes; expected one. Convert it.")
        before = block.shape[1:]
        if target_rate not in (0, sound.rate):
            stream = stream or soxr.ResampleStream(sound.rate, target_rate,
                                                   before[0] if before else 1, "float32", "HQ")
            block = stream.resample_chunk(block)
        samples += block.tobytes()
    rate, length = sound.rate, sound.length
    if stream:
        last = stream.resample_chunk(np.zeros((0, *before), np.float32), last=True)
        samples += last.tobytes()
        rate, length = target_rate, -(-sound.length * target_rate // sound.rate)
    facts = sound.facts()
    samples = np.frombuffer(samples, np.float32).reshape(-1, *before)[:length]
    check_sound(samples)
    return samples, rate, facts


def check_sound(samples):
    """Refuse a silent recording.

    Parameters
    ----------
    samples : (n,) or (n, channels), in [-1, 1]

    Raises
    ------
    AudioError
        It never leaves 1e-4 of full scale.
    """
    mean = samples.mean(axis=0)
    if np.maximum(samples.max(axis=0) - mean, mean - samples.min(axis=0)).max() < SILENT:
        raise AudioError("the recording is silent; expected speech. "
                         "Check the microphone's channel, or leave it out.")


def check_readable(path):
    """Refuse a file in whose beginning there is no sound, one that breaks off, and two in one.

    Raises
    ------
    AudioError, OSError
    """
    sound = _Sound(path)
    next(sound.blocks(lambda x: x.T), None)
    header = sound.header
    if containers.joined(path) or (header and header.follows == "another file"):
        raise AudioError(f"a second file begins within it; {ONE}")
    if (containers.ends_early(path) or (header and header.share > 1 + LOSS)
            or os.path.getsize(path) < sound.first + (1 - LOSS) * sound.indexed):
        raise AudioError(TRUNCATED)


def header_remark(path):
    """A sentence on a file whose header does not count all of the sound that it holds; else ""."""
    header = _header(path)
    return (f"its header tells {header.share:.0%} of the sound that the file holds; all is used. "
            "Check that it is one recording." if header and header.share < 1 else "")


class _Sound:
    """The sound of one file while it is read; everything is known once `blocks` has ended."""

    def __init__(self, path):
        self.path, self.rate, self.length, self.filled = path, 0, 0, 0
        self.lost = self.packets = self.wrong = self.values = self.full = 0
        self.peak, self.tracks, self.codec, self.promised = 0.0, 1, "", np.nan
        self.form, self.first, self.sounding, self.indexed = "", 0, 0, 0        # the others: bytes

    def blocks(self, mix):
        """Blocks of about BLOCK samples; mix: (channels, n) -> what is wanted of them."""
        self.header = _header(self.path)
        more = self.header and self.header.follows == "sound"
        waiting, count = [], 0
        try:
            with av.open(f"file:{self.path}", metadata_errors="ignore", options={
                    "protocol_whitelist": "file"} | ({"ignore_length": "1"} if more else {})
                    ) as container:
                for frame in self.frames(container):
                    waiting.append(mix(frame))
                    count += frame.shape[1]
                    if count >= BLOCK:
                        yield np.concatenate(waiting)
                        waiting, count = [], 0
        except (av.error.FFmpegError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and not isinstance(error, EOFError):
                raise OSError(error.errno, error.strerror) from None
            raise AudioError("not a readable recording (truncated, or not audio at all); "
                             f"{EXPECTED}. Copy it again from the corpus, or convert it to WAV."
                             ) from None
        if waiting:
            yield np.concatenate(waiting)

    def frames(self, container):
        """Decoded frames (channels, n) float32, with silence where time stamps leave a gap."""
        if not container.streams.audio:
            raise AudioError(f"the file holds no sound; {EXPECTED}. "
                             "Leave it out, or record it with sound.")
        stream, form = container.streams.audio[0], container.format.name
        self.form = form
        if stream.codec_context is None:
            raise AudioError(f"its sound is coded in a way that is not known; {EXPECTED}. "
                             "Copy it again from the corpus, or convert it to WAV.")
        self.tracks, self.codec = len(container.streams.audio), stream.codec_context.name
        if self.codec == "flac":
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        alone = len(container.streams) == 1
        if form in TELLING:
            self.promised = (float(stream.duration * stream.time_base) if stream.duration else
                             container.duration / 1e6 if container.duration and alone else np.nan)
        begin = None                            # sound alone begins with its first sample
        if container.streams.video and container.start_time is not None:
            begin = container.start_time / 1e6
        for frame, first in self.decoded(container, stream):
            if not self.rate:
                self.rate = frame.sample_rate
                if not RATES[0] <= self.rate <= RATES[1]:
                    raise AudioError(f"its header tells a sampling rate of {self.rate} Hz; "
                                     f"expected {RATES[0]} to {RATES[1]}. Copy it again from the "
                                     "corpus.")
                self.first = max(first.pos or 0, 0)
                if form == "mp3" and (index := _xing(self.path, first)):
                    told, self.indexed = index
                    self.promised = min(told, float(stream.duration * stream.time_base))
            if frame.sample_rate != self.rate:
                raise AudioError(f"its sampling rate changes from {self.rate} to "
                                 f"{frame.sample_rate} Hz; expected one. Convert it to WAV.")
            samples = _floats(frame)
            if frame.time is not None:
                begin = frame.time if begin is None else begin
                gap = frame.time - begin - self.length / self.rate
                if gap > LONGEST_GAP:
                    raise AudioError(f"its time stamps jump by {gap:.0f} s. Convert it to WAV.")
                if gap > GAP:
                    silence = np.zeros((len(samples), round(gap * self.rate)), np.float32)
                    self.filled += silence.shape[1]
                    self.length += silence.shape[1]
                    yield silence
            levels = np.abs(samples)
            self.wrong += samples.size - np.count_nonzero(np.isfinite(samples))
            self.full += np.count_nonzero(levels >= FULL_SCALE)
            self.peak = max(self.peak, levels.max(initial=0))
            self.values += samples.size
            self.length += samples.shape[1]
            yield samples

    def decoded(self, container, stream):
        """Frames as libav gives them, each with the first packet; what it cannot decode counts."""
        first = None
        try:
            for packet in container.demux(stream):
                first = first or packet
                self.packets += packet.size > 0
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    self.lost += 1
                    tag = self.form in UNTIMED and b"ID3" in bytes(packet)  # of a joined file
                    self.sounding += packet.size * tag
                    continue
                self.sounding += packet.size
                for frame in frames:
                    yield frame, first
        except av.error.FFmpegError:            # the file ends within a packet
            self.lost += 1

    def facts(self):
        """Facts of what was read to the end. Raises AudioError."""
        if not self.length:
            raise AudioError("the recording holds no samples. Copy it again from the corpus.")
        recorded, promised, exact = self.length / self.rate, self.promised, False
        if self.header:
            if self.header.follows == "another file":
                raise AudioError(f"a second file begins within it, after {recorded:.1f} s; {ONE}")
            exact, promised = True, self.header.share * recorded
        if containers.joined(self.path):
            raise AudioError(f"a second file begins within it; {ONE}")
        if containers.ends_early(self.path):
            raise AudioError(f"truncated: {recorded:.1f} s are there, and the file breaks off. "
                             "Copy it again from the corpus.")
        if recorded < (1 - LOSS) * promised - (0 if exact else SLACK):
            raise AudioError(f"truncated: {recorded:.1f} of {promised:.1f} s are "
                             "there. Copy it again from the corpus.")
        missing = 0.0
        if self.form in UNTIMED and self.sounding:
            silent = _before_tags(self.path) - self.first - self.sounding
            missing = silent / self.sounding * recorded
            missing *= missing > GAP
        if missing > LOSS * (recorded + missing) + SLACK:
            raise AudioError(f"damaged: about {missing:.1f} of {recorded + missing:.1f} s cannot "
                             "be decoded. Copy it again from the corpus.")
        if self.lost > LOSS * self.packets + 1:
            raise AudioError(f"damaged: {self.lost} of its {self.packets} packets cannot be "
                             "decoded. Copy it again from the corpus.")
        if self.wrong:
            raise AudioError(f"{self.wrong} of {self.values} samples are not numbers (NaN or "
                             "infinite). Export the recording again, or leave it out.")
        beyond = self.codec.startswith("pcm_f") and self.peak > 1     # floats do not clip
        return Facts(promised, recorded, self.filled / self.rate, self.lost, self.tracks,
                     _unfinished(self.path), 0.0 if beyond else self.full / self.values, exact,
                     missing)


def _floats(frame):
    """Samples of a decoded frame: (channels, n) float32 in about [-1, 1]."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind == "u":
        return (samples.astype(np.float32) - 128) / 128
    scale = np.iinfo(samples.dtype).max + 1 if samples.dtype.kind == "i" else 1
    return samples.astype(np.float32) / np.float32(scale)


class _Header(NamedTuple):
    """share: sound that a header promises over sound that is there; nan where it tells none.
    follows: "sound" that it does not count, "another file", or "".
    """

    share: float
    follows: str


def _header(path):
    """What the header of a WAV or AIFF file tells of its length -> _Header; None for another."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        begins = file.read(12)
        order = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">", b"FORM": ">"}.get(begins[:4])
        if not order or begins[8:] not in (b"WAVE", b"AIFF", b"AIFC"):
            return None
        large = 0
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack(f"{order}4sI", head)
            if name == b"ds64":                             # of RF64: sizes in 64 bits
                large = int.from_bytes(file.read(16)[8:], "little")
                length -= 16
            if name in (b"data", b"SSND"):
                break
            file.seek(length + length % 2, os.SEEK_CUR)
        else:
            return None
        present, length = size - file.tell(), large or length
        if length == 0 or (length >= 2**31 - 2**16 and not large):      # written without knowing it
            return _Header(np.nan, "sound" if length == 0 and present else "")
        if length >= present:
            return _Header(length / max(present, 1), "")
        end = file.tell() + length
        for at in (end, end + 1):                           # an odd length may be made even
            file.seek(at)
            after = file.read(12)
            if after[:4] == begins[:4] and after[8:] == begins[8:]:
                return _Header(1.0, "another file")
            if _chunks_from(file, at, size, order):
                return _Header(1.0, "")
    return _Header(1.0, "") if present - length <= LOSS * length else \
        _Header(length / present, "sound")


def _chunks_from(file, at, size, order):
    """Whether chunks lie one behind the other in an open file, from `at` to its end, of `size`.

    Any four letters could be samples of 8 bits; their lengths do not lead to the end then.
    """
    while at < size - 1:                                    # an even length is not always made even
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or not (head[:4].isascii() and head[:4].decode().isprintable()):
            return False
        if head[:4] in CUT_CHUNKS:
            return True
        length, = struct.unpack(f"{order}I", head[4:])
        at += 8 + length + length % 2
    return at <= size + 1


def _before_tags(path):
    """Bytes of a file before the tags behind its sound (APE, ID3v1)."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        file.seek(-min(1 << 22, size), os.SEEK_END)
        end = file.read()
    begin = end.find(b"APETAGEX")
    if begin >= 0:
        return size - len(end) + begin
    return size - 128 * (end[-128:-125] == b"TAG")


def _xing(path, first):
    """Seconds and bytes by the index that MP3s of variable rate begin with; None without one.

    first : packet behind it. Of the bytes, 0 where it does not tell them.
    """
    with open(path, "rb") as file:
        file.seek(max(0, first.pos - 2000))
        before = file.read(first.pos - file.tell())
    for name, at in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        begin = before.rfind(name)
        # behind the head of a frame and its side information, and not in a text of the file's tag
        in_frame = any(before[max(begin - head, 0):][:1] == b"\xff" for head in FRAME_HEADS)
        if begin < 0 or not in_frame or begin + at + 4 > len(before):
            continue
        if name == b"VBRI" or before[begin + 7] & 1:
            frames, = struct.unpack_from(">I", before, begin + at)
            at_bytes = begin + (10 if name == b"VBRI" else 12)
            told = name == b"VBRI" or before[begin + 7] & 2
            length = int.from_bytes(before[at_bytes:at_bytes + 4], "big") if told else 0
            return frames * float(first.duration * first.time_base), length
    return None


def _unfinished(path):
    """Whether a file is an Ogg file whose last page is not marked as the last."""
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(-min(1 << 17, os.path.getsize(path)), os.SEEK_END)
        end = file.read()
    page = end.rfind(b"OggS")
    return page < 0 or page + 5 >= len(end) or not end[page + 5] & 4
