"""Whether the end of a video file is missing, how many frames it holds, and when the first begins.

Nothing is decoded.

The number of frames that a header promises tells neither: it counts frames that an edit list
leaves out, and in a stream that was written without knowing its length it is a guess.
"""

import os
import re
import struct

BOXES = {b"ftyp", b"styp", b"wide", b"pnot", b"moov", b"moof", b"mfra", b"mdat", b"free", b"skip",
         b"sidx", b"ssix", b"emsg", b"prft", b"meta", b"uuid", b"udta"}          # outermost of MP4
LATE = 0.1                      # s
EBML = b"\x1a\x45\xdf\xa3"


def ends_early(path):
    """Whether a part of the file that says how long it is runs past its own or the file's end.

    Read are the sizes of the parts, one after the other: boxes of MP4 and MOV (ISO/IEC 14496-12),
    elements of Matroska and WebM (RFC 8794), RIFF chunks of AVI. A fragment of MP4 that does not
    lie where the one before it ends tells that something is missing in between.

    Returns
    -------
    bool; None for another container
    """
    size, at = os.path.getsize(path), 0
    with open(path, "rb") as file:
        step = _kind(file.read(12))
        if not step:
            return None
        for at, _, length in _parts(file, step):
            if not length:              # to the end of the file, or something behind the last part
                file.seek(at)
                return step is _box and _displaced(file)
            at += length
    return at > size


def joined(path):
    """Whether a second file begins where a part of a first one ends, as after `cat`.

    Of MP4 and MOV a second `ftyp`, of Matroska and WebM a second head, of AVI a second list that is
    no continuation. Players read the first alone. Other containers: False.
    """
    with open(path, "rb") as file:
        step = _kind(file.read(12))
        heads = [head for _, head, _ in _parts(file, step)] if step else []
    return sum(head[4:8] == b"ftyp" if step is _box else head[:4] == EBML if step is _element
               else head[8:12] == b"AVI " for head in heads) > 1


def _kind(begins):
    """The function that measures the parts of a container, by its first 12 bytes; None: another."""
    if begins[4:8] in BOXES:
        return _box
    if begins[:4] == EBML:
        return _element
    return _chunk if begins[:4] == b"RIFF" and begins[8:] == b"AVI " else None


def _parts(file, step):
    """Outermost parts of an open file: begin, first 16 bytes, length; of the last one 0, if it is
    none or reaches to the end of the file.
    """
    at, length, size = 0, 1, os.fstat(file.fileno()).st_size
    while at < size and length:
        file.seek(at)
        head = file.read(16)
        length = step(head)
        yield at, head, length
        at += length


def _displaced(file):
    """Whether a fragment of MP4 begins where no box ends, somewhere in the rest of an open file.

    Of a box that reaches to the file's end the rest is its own.
    """
    rest = file.read(1 << 26)
    if rest[4:8] in BOXES:
        return False
    places = [match.start() - 4 for match in re.finditer(b"moof", rest)]
    # a fragment holds its header first
    return any(at >= 0 and rest[at + 12:at + 16] == b"mfhd" for at in places)


def _box(head):
    """Bytes of a box of MP4; 0 where it reaches to the file's end or is none."""
    if head[4:8] not in BOXES:
        return 0
    length = struct.unpack(">I", head[:4])[0]
    if length == 1:
        return struct.unpack(">Q", head[8:])[0] if len(head) == 16 else 16
    return length if length >= 8 else 0


def _element(head):
    """Bytes of an element of Matroska; of its head alone where its own length is unknown."""
    wide = [9 - byte.bit_length() for byte in head[:1]]             # of its name
    wide += [9 - byte.bit_length() for byte in head[wide[0]:wide[0] + 1]]           # of its length
    if len(wide) < 2 or wide[0] > 4 or wide[1] > 8:
        return 0
    told = int.from_bytes(head[wide[0]:sum(wide)], "big") & ((1 << 7 * wide[1]) - 1)
    return sum(wide) + (told if told != (1 << 7 * wide[1]) - 1 else 0)


def _chunk(head):
    """Bytes of a RIFF chunk, with the byte that makes them even; 0 where the length was not set."""
    if len(head) < 8:
        return 0
    length = struct.unpack("<I", head[4:8])[0]
    return 8 + length + length % 2 if head[:4] == b"RIFF" and 0 < length < 2**32 - 1 else 0


def frames_in(path):
    """How many frames of its video a file holds that a player would show.

    Raises
    ------
    OSError, ValueError
        It cannot be opened (PyAV's errors are such).
    """
    import av  # here, not at the top: tables and transcripts are read without it

    with av.open(f"file:{path}", metadata_errors="ignore") as container:
        packets = container.demux(container.streams.video[0])
        return sum(packet.size > 0 and not packet.is_discard for packet in packets)


def begins(path):
    """Seconds from the beginning of a file, which is that of its sound, to its first picture.

    Returns
    -------
    float; 0 where it is less than LATE, as by the delay of an encoder, or cannot be told
    """
    import av

    try:
        with av.open(f"file:{path}", metadata_errors="ignore") as container:
            video = container.streams.video[0]
            after = float(video.start_time * video.time_base) - container.start_time / 1e6
    except (OSError, ValueError, IndexError, TypeError):    # TypeError: one has no time
        return 0.0
    return after if after >= LATE else 0.0
