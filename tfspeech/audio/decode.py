"""Decodes wav, flac, ogg (Vorbis) and mp3 bytes to mono float32 samples.

`tfspeech.audio.codecs` decode flac, ogg and mp3. tensorflow-io's operations give no
sample rate and trust their input, so the rate, the bit depth and the completeness come
from the headers here, and only bytes with the right magic reach them: its Vorbis
decoder crashes the process on an empty string, its FLAC decoder never returns from some
truncated files.

Wav has one decoder for training and serving, written with TensorFlow's own
operations: exported graphs cannot use tensorflow-io, which, as of 0.37.1, also reads
32-bit integer samples as if they were floats and refuses 64-bit floats.
"""

from __future__ import annotations

import hashlib
import os
import re

import numpy as np
import tensorflow as tf

from tfspeech.audio.codecs import FLAC_BITS, Codecs, load_codecs
from tfspeech.audio.framing import (
    check_ogg_pages,
    count_mp3_frames,
    with_xing_frame,
)
from tfspeech.audio.samples import sample_problems
from tfspeech.errors import AudioError
from tfspeech.files import read_file

FORMATS = "wav, flac, ogg (Vorbis) or mp3"

LOWEST_HZ, HIGHEST_HZ = 4_000, 192_000
"""Sample rates of files. Other ones are no speech, or made up: conversion between odd
rates takes memory and time in proportion to the higher one."""

MOST_COMPRESSED_SAMPLES = 2**27
"""Samples of all channels of a compressed file, 2.3 hours of mono at 16 kHz: a file of
a few megabytes might hold billions of zeros."""

_MOST_MP3_SAMPLES = 2 * 1152  # Of a frame: two channels, see ISO/IEC 11172-3.
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Programs that write to a pipe cannot know the size: they announce nothing, or about
# as much as the field can hold (sox and eSpeak 0x7FFFF000, ffmpeg 0xFFFFFFFF).
_STREAMING_BYTES = 0x7FFFF000
# Bounds the work that a hostile file can cause; recordings have a handful.
_MAX_CHUNKS = 256
_CONTENTS = (tf.TensorSpec([], tf.string),)

Decoded = tuple[tf.Tensor, tf.Tensor]
Chunks = tuple[tf.Tensor, tf.Tensor]


@tf.function(input_signature=_CONTENTS, autograph=False)
def decode_wav(contents: tf.Tensor) -> Decoded:
    """Decodes a complete RIFF/WAVE file, with TensorFlow's own operations alone.

    Reads PCM of 8, 16, 24 and 32 bits and floats of 32 and 64 bits, plain or as
    WAVE_FORMAT_EXTENSIBLE, with any other chunks around, and headers of programs that
    did not know the length (a data size of 0 or of 2 GiB and more).

    Args:
        contents: The file, a scalar string.

    Returns:
        The samples, float32 [samples], the mean of the channels, where full scale is
        1 (float files may exceed it); and the sample rate in Hz, an int32 scalar.

    Raises:
        tf.errors.InvalidArgumentError: If it is no such file or if it is truncated;
            the message says what was expected.
    """
    is_riff = (_text(contents, 0, 4) == b"RIFF") & (_text(contents, 8, 4) == b"WAVE")
    checks = [_require(is_riff, "its ", _size(contents), " bytes do not start as one")]
    with tf.control_dependencies(checks):
        format_start, data_header = _find_wav_chunks(contents)
    found = (format_start > 0) & (_text(contents, data_header, 4) == b"data")
    found &= data_header + 8 <= _size(contents)
    checks = [_require(found, "no format and data chunks are in it")]
    with tf.control_dependencies(checks):
        layout = _bytes(contents, format_start, 40)
    tag, channels, rate_hz = (_uint(layout, *at) for at in ((0, 2), (2, 2), (4, 4)))
    tag = tf.where(tag == _EXTENSIBLE, _uint(layout, 24, 2), tag)
    frame_bytes = _uint(layout, 12, 2)
    with tf.control_dependencies([_require_rate(rate_hz, "RIFF/WAVE")]):
        data_header = tf.identity(data_header)
    samples = _wav_samples(contents, data_header, tag, channels, frame_bytes)
    return _mono(samples), tf.cast(rate_hz, tf.int32)


@tf.function(input_signature=_CONTENTS, autograph=False)
def decode_audio(contents: tf.Tensor) -> Decoded:
    """Decodes wav, flac, ogg (Vorbis) or mp3, told apart by their first bytes.

    It belongs into `tf.data` pipelines; a graph for export can only hold `decode_wav`.

    Args:
        contents: The file, a scalar string.

    Returns:
        As `decode_wav`; lossy formats may exceed full scale a little.

    Raises:
        tf.errors.OpError: If the bytes are of another format, damaged or truncated.
    """
    return decode_by(load_codecs(), contents)


def decode_by(codecs: Codecs, contents: tf.Tensor) -> Decoded:
    """Decodes as `decode_audio`, with given decoders of what is compressed."""
    contents = _skip_id3(contents)
    magic = _text(contents, 0, 4)
    kinds = tf.stack(
        [
            magic == b"RIFF",
            magic == b"fLaC",
            magic == b"OggS",
            _is_mp3(_bytes(contents, 0, 4)),
        ]
    )
    known = tf.debugging.Assert(
        tf.reduce_any(kinds), [f"Expected {FORMATS}: the bytes are none of these."]
    )
    with tf.control_dependencies([known]):
        kind = tf.argmax(kinds, output_type=tf.int32)
    compressed = (_decode_flac, _decode_ogg, _decode_mp3)
    branches = [lambda d=d: d(codecs, contents) for d in compressed]
    waveform, rate_hz = tf.switch_case(kind, [lambda: decode_wav(contents), *branches])
    with tf.control_dependencies([_require_rate(rate_hz)]):
        return tf.identity(waveform), tf.identity(rate_hz)


def read_audio(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Reads an audio file.

    Args:
        path: A wav, flac, ogg (Vorbis) or mp3 file, whatever its name ends in.

    Returns:
        The samples, float32 [samples], mixed to mono; and the sample rate in Hz.

    Raises:
        AudioError: If the file is missing, empty, not audio, truncated or damaged, or
            if its rate is out of range, or if it holds no samples, or samples that
            are not finite.
    """
    try:
        contents = read_file(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}.") from error
    if not contents:
        raise AudioError(f"{path}: the file is empty (0 bytes). Remove or replace it.")
    try:
        waveform, rate_hz = decode_audio(contents)
    except tf.errors.OpError as error:
        assertion = re.search(r"assertion failed: \[(.*)\]", error.message)
        reason = assertion[1] if assertion else "the audio is truncated or damaged."
        raise AudioError(f"{path}: {reason} Replace or convert the file.") from error
    waveform = waveform.numpy()
    if not waveform.size:
        raise AudioError(f"{path}: the file has no samples. Remove or replace it.")
    (problem,) = sample_problems(waveform[np.newaxis], [waveform.size]).numpy()
    if problem:
        raise AudioError(f"{path}: {problem.decode()}. Convert it to PCM.")
    return waveform, int(rate_hz)


def _find_wav_chunks(contents: tf.Tensor) -> Chunks:
    """Returns where the format's fields start (0: nowhere) and the data's header."""

    def searching(format_start: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
        more = header + 8 <= _size(contents)
        return more & (_text(contents, header, 4) != b"data")

    def advance(format_start: tf.Tensor, header: tf.Tensor) -> Chunks:
        is_format = _text(contents, header, 4) == b"fmt "
        chunk_bytes = _uint(_bytes(contents, header + 4, 4), 0, 4)
        next_header = header + 8 + chunk_bytes + chunk_bytes % 2  # chunks are padded
        return tf.where(is_format, header + 8, format_start), next_header

    start = (tf.constant(0, tf.int64), tf.constant(12, tf.int64))
    return tf.while_loop(
        searching, advance, start, parallel_iterations=1, maximum_iterations=_MAX_CHUNKS
    )


def _wav_samples(
    contents: tf.Tensor,
    data_header: tf.Tensor,
    tag: tf.Tensor,
    channels: tf.Tensor,
    frame_bytes: tf.Tensor,
) -> tf.Tensor:
    """Returns the samples of the data chunk, float32 [samples, channels]."""
    start = data_header + 8
    announced = _uint(_bytes(contents, data_header, 8), 4, 4)
    present = _size(contents) - start
    # A file that really has no samples announces 0 as well, but knows its own size.
    riff_bytes = _uint(_bytes(contents, 0, 8), 4, 4) + 8
    unknown = (announced == 0) & (riff_bytes != _size(contents))
    unknown |= announced >= _STREAMING_BYTES
    data_bytes = tf.where(unknown, present, announced)

    sample_bytes = frame_bytes // tf.maximum(channels, 1)
    kinds = tf.constant(list(_WAV_SAMPLES), tf.int64)
    is_kind = tf.reduce_all(kinds == [tag, sample_bytes], axis=1)
    supported = tf.reduce_any(is_kind) & (sample_bytes * channels == frame_bytes)
    checks = [
        _require(
            supported,
            *("its samples are neither PCM of 8 to 32 bits nor floats (tag ", tag),
            *(", ", channels, " channels in ", frame_bytes, " bytes)"),
        ),
        _require(
            data_bytes <= present,
            *("it is truncated, with ", present, " of ", data_bytes, " bytes of audio"),
        ),
    ]
    with tf.control_dependencies(checks):
        frames = data_bytes // tf.maximum(frame_bytes, 1)
        data = _text(contents, start, frames * frame_bytes)
    convert = [lambda c=c: c(data) for c in _WAV_SAMPLES.values()]
    samples = tf.switch_case(tf.argmax(is_kind, output_type=tf.int32), convert)
    return tf.reshape(samples, [-1, channels])


def _int24_samples(data: tf.Tensor) -> tf.Tensor:
    triples = tf.reshape(tf.io.decode_raw(data, tf.uint8), [-1, 3])
    integers = tf.bitcast(tf.pad(triples, [[0, 0], [1, 0]]), tf.int32)
    return _full_scale(integers)


# (format tag, bytes of a sample) -> bytes to float32 [samples x channels]
_WAV_SAMPLES = {
    (_PCM, 1): lambda data: _full_scale(tf.io.decode_raw(data, tf.uint8)),
    (_PCM, 2): lambda data: _full_scale(tf.io.decode_raw(data, tf.int16)),
    (_PCM, 3): _int24_samples,
    (_PCM, 4): lambda data: _full_scale(tf.io.decode_raw(data, tf.int32)),
    (_FLOAT, 4): lambda data: tf.io.decode_raw(data, tf.float32),
    (_FLOAT, 8): lambda data: tf.cast(tf.io.decode_raw(data, tf.float64), tf.float32),
}


def _decode_flac(codecs: Codecs, contents: tf.Tensor) -> Decoded:
    info = _bytes(contents, 18, 8)  # in STREAMINFO, which every stream starts with
    # 20 bits of rate, 3 of channels, 5 of depth, 36 of length; the highest bit first
    rate_hz = info[0] * 2**12 + info[1] * 2**4 + info[2] // 2**4
    bits = info[2] % 2 * 2**4 + info[3] // 2**4 + 1
    samples = info[3] % 2**4 * 2**32 + _uint(info[::-1], 0, 4)
    is_depth = tf.constant(FLAC_BITS, tf.int64) == bits
    complete = tf.reduce_any(is_depth) & (samples > 0) & (rate_hz > 0)
    message = tf.strings.join(
        [
            "Expected FLAC of 8, 16 or 24 bits whose header states rate and length. ",
            *("Received: ", tf.strings.as_string(bits), " bits, "),
            *(tf.strings.as_string(rate_hz), " Hz, "),
            *(tf.strings.as_string(samples), " samples."),
        ]
    )
    channels = info[2] // 2 % 8 + 1
    checks = [tf.debugging.Assert(complete, [message])]
    checks.append(_require_length(samples * channels))
    with tf.control_dependencies(checks):
        integers = codecs.flac(contents, channels, bits, samples)
        digest = tf.strings.substr(contents, 26, 16)
    tested = tf.numpy_function(
        _check_md5, [integers, bits, digest], tf.int32, stateful=False
    )
    waveform = _full_scale(tf.ensure_shape(tested, [None, None]))
    return _mono(waveform), tf.cast(rate_hz, tf.int32)


def _check_md5(integers: np.ndarray, bits: int, digest: bytes) -> np.ndarray:
    """Returns the samples if they have the digest that the header states, if any."""
    sample_bytes = int(bits) // 8
    little_endian = np.ascontiguousarray(integers, "<i4").view(np.uint8)
    held = little_endian.reshape(-1, 4)[:, 4 - sample_bytes :]
    found = hashlib.md5(held.tobytes(), usedforsecurity=False).digest()
    if any(digest) and found != digest:
        raise ValueError("The samples are not those that were encoded.")
    return integers


def _decode_ogg(codecs: Codecs, contents: tf.Tensor) -> Decoded:
    is_vorbis = _text(contents, 28, 7) == b"\x01vorbis"
    check = tf.debugging.Assert(is_vorbis, ["Expected Vorbis in the Ogg file."])
    with tf.control_dependencies([check]):
        whole, samples = tf.numpy_function(
            _check_ogg, [contents], [tf.string, tf.int64], stateful=False
        )
    rate_hz = tf.cast(_uint(_bytes(contents, 40, 4), 0, 4), tf.int32)
    channels = _bytes(contents, 39, 1)[0]
    with tf.control_dependencies([_require_length(samples * channels)]):
        return _mono(codecs.vorbis(whole)), rate_hz


def _check_ogg(contents: bytes) -> tuple[bytes, int]:
    """Returns the pages of a file, which are whole, and the samples of a channel.

    Decoders leave out damaged pages, or stop there, without a word. Some go on with
    another stream that may follow.
    """
    end, samples = check_ogg_pages(contents)
    return contents[:end], samples


def _is_mp3(header: tf.Tensor) -> tf.Tensor:
    """Returns whether the four bytes are the header of an MPEG layer III frame."""
    sync = (header[0] == 0xFF) & (header[1] >= 0xE0)
    version, layer = header[1] // 8 % 4, header[1] // 2 % 4
    bit_rate, rate = header[2] // 16, header[2] // 4 % 4
    return sync & (version != 1) & (layer == 1) & (bit_rate != 15) & (rate != 3)


def _decode_mp3(codecs: Codecs, contents: tf.Tensor) -> Decoded:
    header = _bytes(contents, 0, 4)
    mpeg1_hz = tf.gather([44100, 48000, 32000], header[2] // 4 % 4)
    # Version bits: 3 is MPEG 1, 2 is MPEG 2 (half its rates), 0 is MPEG 2.5 (a quarter)
    rate_hz = mpeg1_hz // tf.gather([4, 1, 2, 1], header[1] // 8 % 4)
    complete, frames = tf.numpy_function(
        _check_mp3, [contents], [tf.string, tf.int64], stateful=False
    )
    with tf.control_dependencies([_require_length(frames * _MOST_MP3_SAMPLES)]):
        return _mono(codecs.mp3(complete)), rate_hz


def _check_mp3(contents: bytes) -> tuple[bytes, int]:
    """Returns a stream of complete frames that is headed by their number, and it."""
    frames = count_mp3_frames(contents)
    return with_xing_frame(contents, frames), frames


def _skip_id3(contents: tf.Tensor) -> tf.Tensor:
    """Drops an ID3v2 tag, whose size has 7 bits in each of 4 bytes."""
    header = _bytes(contents, 0, 10)
    tag_bytes = 10 + tf.reduce_sum(header[6:10] * [2**21, 2**14, 2**7, 1])
    tag_bytes = tf.where(_text(contents, 0, 3) == b"ID3", tag_bytes, 0)
    return _text(contents, tag_bytes, _size(contents))


def _mono(samples: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(samples, axis=1)


def _full_scale(integers: tf.Tensor) -> tf.Tensor:
    """Returns integer samples as float32 in [-1, 1); uint8 has its zero at 128."""
    zero = 128.0 if integers.dtype == tf.uint8 else 0.0
    scale = 2.0 ** (8 * integers.dtype.size - 1)
    return (tf.cast(integers, tf.float32) - zero) / scale


def _require(condition: tf.Tensor, *problem: str | tf.Tensor) -> tf.Operation:
    """Returns an assertion for `tf.control_dependencies`."""
    parts = [p if isinstance(p, str) else tf.strings.as_string(p) for p in problem]
    message = ["Expected a complete RIFF/WAVE file: ", *parts, "."]
    return tf.debugging.Assert(condition, [tf.strings.join(message)])


def _require_rate(rate_hz: tf.Tensor, expected: str = "audio") -> tf.Operation:
    """Returns an assertion that a sample rate can be that of speech."""
    wanted = f"Expected {expected} of {LOWEST_HZ} to {HIGHEST_HZ} Hz: its rate is "
    message = tf.strings.join([wanted, tf.strings.as_string(rate_hz), " Hz."])
    in_range = (rate_hz >= LOWEST_HZ) & (rate_hz <= HIGHEST_HZ)
    return tf.debugging.Assert(in_range, [message])


def _require_length(samples: tf.Tensor) -> tf.Operation:
    """Returns an assertion that compressed audio does not take all of the memory."""
    most = MOST_COMPRESSED_SAMPLES
    wanted = f"Expected up to {most} samples in compressed audio. Received: "
    message = tf.strings.join([wanted, tf.strings.as_string(samples), "."])
    return tf.debugging.Assert((samples >= 0) & (samples <= most), [message])


def _size(contents: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(contents), tf.int64)


def _text(contents: tf.Tensor, start: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns up to `count` bytes from `start`, fewer or none where the string ends."""
    start = tf.minimum(tf.cast(start, tf.int64), _size(contents))
    return tf.strings.substr(contents, start, tf.cast(count, tf.int64))


def _bytes(contents: tf.Tensor, start: tf.Tensor, count: int) -> tf.Tensor:
    """Returns int64 [count] bytes from `start`, with zeros where the string ends."""
    data = tf.io.decode_raw(_text(contents, start, count), tf.uint8)
    data = tf.pad(data, [[0, count - tf.size(data)]])
    return tf.cast(tf.ensure_shape(data, [count]), tf.int64)


def _uint(data: tf.Tensor, start: int, count: int) -> tf.Tensor:
    """Returns the little-endian unsigned integer at `start` of a vector of bytes."""
    place_values = tf.constant([256**i for i in range(count)], tf.int64)
    return tf.reduce_sum(data[start : start + count] * place_values)
