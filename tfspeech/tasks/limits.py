"""Limits of requests, for exported graphs, commands and clients alike.

They bound what a request can cost a server. A limit is checked before the memory that
it bounds is taken.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from models.config import Bounds, Options, between, option
from tfspeech.audio.decode import HIGHEST_HZ, LOWEST_HZ
from tfspeech.errors import SpecError, TfspeechError

MAX_BATCH_SIZE = 16
"""The largest batch that a server makes of several requests."""

_LARGEST = 2**31 - 1  # Of an int32, which tensors are counted with.
_COUNTS = between(1, _LARGEST)
_SECONDS = Bounds("above 0 and at most 3600", lambda x: 0 < x <= 3600)
_RATES = between(LOWEST_HZ, HIGHEST_HZ)


@dataclasses.dataclass(frozen=True)
class Limits(Options):
    """Limits of a request."""

    error = SpecError
    max_rows: int = option(
        MAX_BATCH_SIZE,
        "most rows of a request",
        between(MAX_BATCH_SIZE, _LARGEST),
        unit="rows",
    )

    def check(self, name: str, value: float, error: type[TfspeechError]) -> None:
        """Raises an error, which names both, where a value is beyond a limit.

        Args:
            name: Of the limit, a field.
            value: What a request has.
            error: The class of the error.
        """
        if self._exceeded(name, value):
            raise error(f"{self._text(name)}{value}")

    def check_in_graph(
        self, name: str, count: tf.Tensor, per_unit: tf.Tensor | int = 1
    ) -> tf.Operation:
        """Returns an assertion that a value, a scalar, is within a limit.

        What takes the memory that the limit bounds must wait for it.

        Args:
            name: Of the limit, a field.
            count: What a request has, an integer.
            per_unit: How many of them make one of the limit's unit, such as the samples
                of a second. Quotients would be rounded.
        """
        if isinstance(per_unit, int) and per_unit == 1:
            text = tf.strings.as_string(count)
        else:
            text = tf.strings.as_string(count / per_unit, precision=6)
        exceeded = self._exceeded(
            name, tf.cast(count, tf.float64), tf.cast(per_unit, tf.float64)
        )
        return tf.debugging.Assert(
            ~exceeded, [tf.strings.join([self._text(name), text])]
        )

    def _exceeded(
        self, name: str, value: tf.Tensor | float, per_unit: tf.Tensor | float = 1.0
    ) -> tf.Tensor | bool:
        limit = getattr(self, name) * per_unit
        return value < limit if name.startswith("min_") else value > limit

    def _text(self, name: str) -> str:
        return f"{name} of this model is {getattr(self, name)}. Received: "

    def signature(self) -> tf.types.experimental.ConcreteFunction:
        """Returns the signature by which a client learns the limits.

        Its input is `row` int32 [batch], of any value; it has an output per limit,
        int32 or float32 [batch], the same in every row.
        """
        values = dataclasses.asdict(self)

        def limits(row: tf.Tensor) -> dict[str, tf.Tensor]:
            return {n: tf.fill(tf.shape(row), value) for n, value in values.items()}

        row = tf.TensorSpec([None], tf.int32, name="row")
        return tf.function(limits).get_concrete_function(row=row)


@dataclasses.dataclass(frozen=True)
class RecognitionLimits(Limits):
    """Limits of a request to a recogniser."""

    max_audio_bytes: int = option(
        20_000_000, "longest wav file of a request", _COUNTS, unit="bytes"
    )
    max_seconds: float = option(
        30.0, "longest audio of a row, with its padding", _SECONDS, unit="s"
    )
    min_rate_hz: int = option(
        LOWEST_HZ, "lowest sample rate of a wav file", _RATES, unit="Hz"
    )
    max_rate_hz: int = option(
        HIGHEST_HZ, "highest sample rate of a wav file", _RATES, unit="Hz"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        low = self.min_rate_hz
        self.require(self.max_rate_hz >= low, "max_rate_hz", f"at least {low}")


@dataclasses.dataclass(frozen=True)
class WaveformLimits(Limits):
    """Limits of a request to a vocoder."""

    max_spoken_seconds: float = option(
        30.0, "longest speech of a row", _SECONDS, unit="s"
    )


@dataclasses.dataclass(frozen=True)
class SpeechLimits(WaveformLimits):
    """Limits of a request to a synthesiser."""

    max_text_bytes: int = option(
        300, "longest text of a row, in UTF-8", _COUNTS, unit="bytes"
    )
    max_symbols: int = option(
        400, "most symbols of a row, with its padding", _COUNTS, unit="symbols"
    )
