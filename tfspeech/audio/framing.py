"""The frames of mp3 and the pages of Ogg, whose headers tell whether a file is whole.

Sources: ISO/IEC 11172-3 and 13818-3 for MPEG layer III, of which MPEG 2.5 is an
extension to low rates; RFC 3533 for Ogg.
"""

from __future__ import annotations

import zlib

# kbit/s by the index in the header; index 0 leaves the bit rate open.
_MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG1_HZ = (44100, 48000, 32000)
_MPEG1 = 3
_RATE_DIVISORS = {_MPEG1: 1, 2: 2, 0: 4}  # by version, the last two MPEG 2 and 2.5
_TAGS = (b"TAG", b"APETAGEX")  # what may follow the last frame: ID3v1 or APE

_OGG_HEADER_BYTES = 27
_LAST_PAGE = 4
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def count_mp3_frames(contents: bytes) -> int:
    """Counts the frames of a stream.

    Args:
        contents: The stream, starting with a frame; a tag may follow the last one.

    Raises:
        ValueError: If a frame is not complete or something else is between them.
    """
    frames = start = 0
    while start < len(contents) and not contents.startswith(_TAGS, start):
        size = _frame_bytes(contents[start : start + 4])
        if not size or start + size > len(contents):
            raise ValueError(f"No complete frame is after the first {frames}.")
        start += size
        frames += 1
    return frames


def with_xing_frame(contents: bytes, frames: int) -> bytes:
    """Puts a Xing frame, which says how many follow, before a stream that has none.

    Decoders without it guess the length, and differ in whether they drop the delay of
    a decoder, 529 samples: they all do if the tag goes on with a delay of the encoder.

    Args:
        contents: A stream of frames.
        frames: How many they are.
    """
    is_mpeg1, is_mono = _version(contents) == _MPEG1, contents[3] >> 6 == 3
    side_bytes = (32, 17)[is_mono] if is_mpeg1 else (17, 9)[is_mono]
    tag = 4 + side_bytes
    if contents[tag : tag + 4] in (b"Xing", b"Info"):
        return contents
    # At the highest bit rate, which leaves enough room, and without a check sum.
    header = bytes([0xFF, contents[1] | 1, 0xE0 | contents[2] & 0x0C, contents[3]])
    counted = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    frame = header + bytes(side_bytes) + counted + b"none"  # as name of the encoder
    return frame.ljust(_frame_bytes(header), b"\0") + contents


def check_ogg_pages(contents: bytes) -> tuple[int, int]:
    """Checks all pages of an Ogg file up to the one that is marked as the last.

    Returns:
        Where that ends, in bytes; and its granule position: of Vorbis, the samples of a
        channel.

    Raises:
        ValueError: If a page is missing, incomplete or does not have its check sum.
    """
    start, is_last = 0, False
    while not is_last:
        header = contents[start : start + _OGG_HEADER_BYTES]
        if len(header) < _OGG_HEADER_BYTES or not header.startswith(b"OggS"):
            raise ValueError(f"No page of Ogg is at byte {start}.")
        segments = start + _OGG_HEADER_BYTES
        body = segments + header[26]
        end = body + sum(contents[segments:body])
        if end > len(contents) or _ogg_crc(contents[start:end]) != header[22:26]:
            raise ValueError(f"The page of Ogg at byte {start} is damaged.")
        start, is_last = end, bool(header[5] & _LAST_PAGE)
    return start, int.from_bytes(header[6:14], "little", signed=True)


def _ogg_crc(page: bytes) -> bytes:
    """Returns the check sum of a page, whose own field counts as zero.

    It has the polynomial of zlib, but goes through the bits of a byte the other way.
    """
    cleared = page[:22] + bytes(4) + page[26:]
    # The argument makes zlib start from zero; it inverts what it returns.
    crc = zlib.crc32(cleared.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_REVERSED_BITS)


def _version(header: bytes) -> int:
    return header[1] >> 3 & 3


def _frame_bytes(header: bytes) -> int:
    """Returns the size of the frame that four bytes start, 0 if they start none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return 0
    version, layer = _version(header), header[1] >> 1 & 3
    bit_rate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != 1 or bit_rate in (0, 15) or rate == 3:
        return 0
    is_mpeg1 = version == _MPEG1
    kbps = (_MPEG1_KBPS if is_mpeg1 else _MPEG2_KBPS)[bit_rate]
    rate_hz = _MPEG1_HZ[rate] // _RATE_DIVISORS[version]
    padding = header[2] >> 1 & 1
    return (144 if is_mpeg1 else 72) * kbps * 1000 // rate_hz + padding
