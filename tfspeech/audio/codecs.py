"""Decoders of flac, ogg (Vorbis) and mp3: tensorflow-io's, or else libsndfile's.

tensorflow-io's operations load only with the TensorFlow that they were compiled for,
2.16 for tensorflow-io 0.37.1. They are taken where they load, and libsndfile anywhere
else. Both get bytes whose headers `tfspeech.audio.decode` has checked, return the same
samples and refuse the same files.
"""

from __future__ import annotations

import functools
import io
import warnings
from typing import Protocol

import numpy as np
import soundfile
import tensorflow as tf

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns of each library it cannot load.
        import tensorflow_io as tfio
except ImportError:  # It has no wheel for every Python.
    tfio = None

FLAC_BITS = (8, 16, 24)
"""The depths of FLAC that are decoded."""

_FLAC_GUARD_SAMPLES = 192
_FLAC_GUARD_BYTES = 2**16


class Codecs(Protocol):
    """Decoders of compressed audio.

    Each is given a file as a scalar string and what its header says as int64 scalars.
    A damaged file raises `tf.errors.InvalidArgumentError`.
    """

    name: str

    def flac(
        self,
        contents: tf.Tensor,
        channels: tf.Tensor,
        bits: tf.Tensor,
        samples: tf.Tensor,
    ) -> tf.Tensor:
        """Decodes FLAC to int32 [samples, channels], with full scale at 2**31."""

    def vorbis(self, contents: tf.Tensor) -> tf.Tensor:
        """Decodes Vorbis in Ogg to float32 [samples, channels]."""

    def mp3(self, contents: tf.Tensor) -> tf.Tensor:
        """Decodes MPEG layer III with a Xing frame to float32 [samples, channels]."""


class TensorFlowIO:
    """The operations of tensorflow-io; see `Codecs`."""

    name = "tensorflow-io"

    @staticmethod
    def loads() -> bool:
        """Returns whether this TensorFlow can load the operations."""
        if tfio is None:
            return False
        try:
            with tf.Graph().as_default():
                tfio.audio.decode_mp3(tf.constant(b""))
        except NotImplementedError:
            return False
        return True

    def flac(
        self,
        contents: tf.Tensor,
        channels: tf.Tensor,
        bits: tf.Tensor,
        samples: tf.Tensor,
    ) -> tf.Tensor:
        """Decodes FLAC; see `Codecs`."""
        guarded = tf.numpy_function(
            _guard_flac, [contents, channels, bits, samples], tf.string, stateful=False
        )

        def decode(dtype: tf.DType) -> tf.Tensor:
            integers = tf.cast(tfio.audio.decode_flac(guarded, dtype=dtype), tf.int32)
            zero = 128 if dtype == tf.uint8 else 0
            return (integers - zero) * 2 ** (32 - 8 * dtype.size)

        # The types that the operation has for 8, 16 and 24 bits.
        types = (tf.uint8, tf.int16, tf.int32)
        branch = tf.cast(bits // 8 - 1, tf.int32)
        return tf.switch_case(branch, [lambda t=t: decode(t) for t in types])[:samples]

    def vorbis(self, contents: tf.Tensor) -> tf.Tensor:
        """Decodes Vorbis; see `Codecs`."""
        return tfio.audio.decode_vorbis(contents)

    def mp3(self, contents: tf.Tensor) -> tf.Tensor:
        """Decodes MPEG layer III; see `Codecs`."""
        return tfio.audio.decode_mp3(contents)


class Libsndfile:
    """libsndfile, by the package soundfile; see `Codecs`."""

    name = "libsndfile"

    def flac(
        self,
        contents: tf.Tensor,
        channels: tf.Tensor,
        bits: tf.Tensor,
        samples: tf.Tensor,
    ) -> tf.Tensor:
        """Decodes FLAC; see `Codecs`."""
        del channels, bits, samples
        return _by_libsndfile(contents, tf.int32)

    def vorbis(self, contents: tf.Tensor) -> tf.Tensor:
        """Decodes Vorbis; see `Codecs`."""
        return _by_libsndfile(contents, tf.float32)

    def mp3(self, contents: tf.Tensor) -> tf.Tensor:
        """Decodes MPEG layer III; see `Codecs`."""
        return _by_libsndfile(contents, tf.float32)


@functools.cache
def load_codecs() -> Codecs:
    """Returns tensorflow-io's decoders if they load, or else libsndfile's."""
    return TensorFlowIO() if TensorFlowIO.loads() else Libsndfile()


def _by_libsndfile(contents: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    def read(contents: bytes) -> np.ndarray:
        try:
            with soundfile.SoundFile(io.BytesIO(contents)) as file:
                samples = file.read(dtype=dtype.name, always_2d=True)
                announced = file.frames
        except soundfile.LibsndfileError as error:
            raise ValueError("The audio is damaged.") from error
        if len(samples) != announced:
            raise ValueError(f"{len(samples)} of {announced} samples are there.")
        return samples

    samples = tf.numpy_function(read, [contents], dtype, stateful=False)
    return tf.ensure_shape(samples, [None, None])


def _guard_flac(contents: bytes, channels: int, bits: int, samples: int) -> bytes:
    """Appends frames to a FLAC stream so that decoding always comes to an end.

    tensorflow-io asks for frames until it has all samples, for ever if the stream stops
    between two frames. Here one frame more is announced and appended, which it reads
    only after all of the others, and then frames of a wrong position, which it refuses.
    There are so many of these that no broken frame before them swallows them all.
    """
    channels, bits, samples = int(channels), int(bits), int(samples)
    announced = (samples + _FLAC_GUARD_SAMPLES).to_bytes(5, "big")
    depth_and_length = bytes([contents[21] & 0xF0 | announced[0]]) + announced[1:]
    last = _silent_flac_frame(channels, bits, samples)
    refused = _silent_flac_frame(channels, bits, 2**36 - 1)
    guard = last + refused * (_FLAC_GUARD_BYTES // len(refused))
    return contents[:21] + depth_and_length + contents[26:] + guard


def _silent_flac_frame(channels: int, bits: int, position: int) -> bytes:
    """Returns a frame of 192 zeros (RFC 9639, section 9) at a position in samples."""
    digits = [0x80 | position >> shift & 0x3F for shift in range(30, -1, -6)]
    header = bytes([0xFF, 0xF9, 0x10, channels - 1 << 4, 0xFE, *digits])
    header += _crc(header, 0x07, 8)
    frame = header + bytes(channels * (1 + bits // 8))
    return frame + _crc(frame, 0x8005, 16)


def _crc(data: bytes, polynomial: int, bits: int) -> bytes:
    """Returns the remainder of `data`, the highest bit first, starting from 0."""
    remainder = 0
    for byte in data:
        remainder ^= byte << bits - 8
        for _ in range(8):
            carry = remainder >> bits - 1
            remainder = (remainder << 1 ^ carry * polynomial) & (1 << bits) - 1
    return remainder.to_bytes(bits // 8, "big")
