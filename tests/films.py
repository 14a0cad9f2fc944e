"""Short videos with chosen time stamps, in the containers that people have."""

from fractions import Fraction

import av
import numpy as np
import soundfile

CODECS = {".webm": "libvpx", ".avi": "mjpeg"}


def film(path, stamps, rate=25, frames=None, options=None, sound=0):
    """A video whose frame i stands at `stamps[i]` milliseconds.

    frames : iterable of (H, W, 3) uint8 RGB; without, they are grey as their number.
    options : of the container
    sound : seconds of a tone, from 0 on
    """
    grey = (np.full((64, 64, 3), i % 256, np.uint8) for i in range(len(stamps)))
    with av.open(str(path), "w", options=options or {}) as container:
        stream, rate = None, Fraction(rate)
        voice = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        for stamp, picture in zip(stamps, grey if frames is None else frames, strict=True):
            if stream is None:
                stream = container.add_stream(CODECS.get(path.suffix, "mpeg4"), rate=rate)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuvj420p" if path.suffix == ".avi" else "yuv420p"
                # AVI counts in frames, the others in fine ticks
                stream.codec_context.time_base = (1 / rate if path.suffix == ".avi"
                                                  else Fraction(1, 30000))
                stream.codec_context.gop_size, stream.options = 12, {"sc_threshold": "1000000000"}
                stream.bit_rate = 2_000_000
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(Fraction(float(stamp)) / 1000 / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for i in range(int(sound * 16000) // 1024):
            tone = np.sin(np.arange(1024 * i, 1024 * (i + 1), dtype=np.float32) / 9)[None]
            block = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            block.sample_rate, block.pts = 16000, 1024 * i
            container.mux(voice.encode(block))
        if sound:
            container.mux(voice.encode())
    return path


def cut(path, target, seconds):
    """What follows after so many seconds, copied without encoding: with an edit list in MP4."""
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        video = source.streams.video[0]
        stream = container.add_stream_from_template(video)
        source.seek(int(seconds * 1e6))
        for packet in source.demux(video):
            if packet.dts is not None:
                shift = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                container.mux(packet)
    return target


def with_sound(path, sound, target):
    """A video with a sound file as its own sound, in AAC; the pictures are copied."""
    samples, rate = soundfile.read(sound, dtype="float32")
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        video = source.streams.video[0]
        stream = container.add_stream_from_template(video)
        track = container.add_stream("aac", rate=rate, layout="mono")
        track.bit_rate = 128000
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.sample_rate, frame.pts = rate, 0
        frame, = av.AudioResampler(track.codec_context.format, "mono", rate).resample(frame)
        container.mux([*track.encode(frame), *track.encode(None)])
    return target
