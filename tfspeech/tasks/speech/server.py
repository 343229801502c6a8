"""Exported graphs of synthesisers: signatures, checks and vocoder."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.tasks.speech.task import SpeechTask

EXAMPLE_TEXT = "the old man closed the door."

TEXT = tf.TensorSpec([None], tf.string, name="text")
ROW = tf.TensorSpec([None], tf.int32, name="row")
SYMBOLS = (
    tf.TensorSpec([None, None], tf.int32, name="symbols"),
    tf.TensorSpec([None], tf.int32, name="symbols_length"),
)


class SpeechServer(tf.Module, abc.ABC):
    """Text front end, model and vocoder as one module of TensorFlow's own operations.

    A subclass says how its model predicts frames, what it reads, and how.

    Args of the constructor:
        task: Its model, vocoder and front end are exported; its `conditions` are inputs
            of every signature but `synthesize` and `symbol_table`, of
            `synthesize_segments` by symbol, and its `limits` hold for all.
        reads_text: Whether `encode` turns texts into symbols in the graph.
        reads_phonemes: Whether the symbols of the front end are phonemes, which are
            spoken as they are.
    """

    def __init__(
        self, task: SpeechTask, name: str, reads_text: bool, reads_phonemes: bool
    ) -> None:
        super().__init__(name=name)
        self._features = task.features
        self._front_end = task.front_end
        self._vocoder = task.vocoder
        self._conditions = task.conditions
        self._limits = task.limits
        self._reads_text = reads_text
        self._reads_phonemes = reads_phonemes
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        variables = *task.model.variables, *task.vocoder_variables
        self._weights = [v.value for v in variables]

    # An export looks at all attributes; functions are to be traced once.
    @functools.cached_property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        conditions = [condition.spec for condition in self._conditions]
        found = {}
        if self._reads_text:
            found["synthesize"] = _traced(self.synthesize, TEXT)
        if self._reads_text and conditions:
            found["synthesize_prosody"] = _traced(self.synthesize, TEXT, *conditions)
        if self._reads_phonemes:
            found["synthesize_phonemes"] = _traced(
                self.synthesize_phonemes, *SYMBOLS, *conditions
            )
        if self._reads_phonemes and conditions:
            found["synthesize_segments"] = _traced(
                self.synthesize_segments,
                *SYMBOLS,
                *(condition.symbol_spec for condition in self._conditions),
            )
        return {
            "serving_default": next(iter(found.values())),
            **found,
            "acoustic": _traced(self.acoustic, *SYMBOLS, *conditions),
            "symbol_table": _traced(self.symbol_table, ROW),
        }

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        text = {"text": np.array([EXAMPLE_TEXT.encode()], object)}
        conditions = {
            condition.name: np.full(1, condition.default, np.float32)
            for condition in self._conditions
        }
        symbols = self._front_end.encode(EXAMPLE_TEXT)[np.newaxis]
        lengths = np.array([symbols.size], np.int32)
        segments, segment_lengths = self.segments(symbols, lengths)
        acoustic = {
            "symbols": np.array(segments),
            "symbols_length": np.array(segment_lengths),
        }
        by_symbol = {
            condition.symbol_spec.name: np.full(
                acoustic["symbols"].shape, condition.default, np.float32
            )
            for condition in self._conditions
        }
        known = {
            "synthesize": text,
            "synthesize_prosody": text | conditions,
            "synthesize_phonemes": {"symbols": symbols, "symbols_length": lengths}
            | conditions,
            "synthesize_segments": acoustic | by_symbol,
            "acoustic": acoustic | conditions,
            "symbol_table": {"row": np.zeros(1, np.int32)},
        }
        default = "synthesize" if self._reads_text else "synthesize_phonemes"
        known["serving_default"] = known[default]
        return {name: known[name] for name in self.signatures}

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        return {
            "sample_rate_hz": self._features.sample_rate_hz,
            "hop_length": self._features.hop_length,
            "symbols": list(self._front_end.symbols),
        }

    @abc.abstractmethod
    def encode(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes texts as what `acoustic` takes, where the graph reads texts.

        Args:
            text: UTF-8, string [batch].

        Returns:
            Symbols, int32 [batch, symbols], and their numbers, int32 [batch].

        Raises:
            tf.errors.InvalidArgumentError: A text has nothing to say.
        """

    @abc.abstractmethod
    def predict(
        self, symbols: tf.Tensor, lengths: tf.Tensor, **conditions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Predicts acoustic frames of symbols in range; see `acoustic`.

        Args:
            symbols: int32 [batch, symbols].
            lengths: int32 [batch].
            **conditions: Of the model, each float32 [batch, symbols or 1].
        """

    def segments(
        self, symbols: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Turns symbols as `TextFrontEnd.encode` returns them into `acoustic`'s."""
        return symbols, lengths

    def synthesize(
        self, text: tf.Tensor, **conditions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Speaks texts.

        Args:
            text: UTF-8, string [batch]: words, with numbers and abbreviations written
                out. Case does not matter.
            **conditions: All of the model, or none for the defaults, each float32
                [batch].

        Returns:
            `waveform` float32 [batch, samples] in [-1, 1], 0 beyond `waveform_length`
            int32 [batch] in samples; `sample_rate_hz` int32 [batch]; and the outputs
            of `acoustic`.

        Raises:
            tf.errors.InvalidArgumentError: See `encode`; or a condition is out of
                range, or a text or its speech too long.
        """
        longest = tf.reduce_max(tf.strings.length(text))
        check = self._limits.check_in_graph("max_text_bytes", longest)
        with tf.control_dependencies([check]):
            text = tf.identity(text)
        neutral = {c.name: tf.fill(tf.shape(text), c.default) for c in self._conditions}
        return self._spoken(
            self.acoustic(*self.encode(text), **(conditions or neutral))
        )

    def synthesize_phonemes(
        self, symbols: tf.Tensor, symbols_length: tf.Tensor, **conditions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Speaks phonemes, which clients with eSpeak NG have of any text.

        Args:
            symbols: int32 [batch, symbols], as `TextFrontEnd.encode` returns them.
            symbols_length: int32 [batch]; what is beyond, whatever it is, has no
                influence.
            **conditions: Of the model, each float32 [batch].

        Returns:
            As `synthesize`.
        """
        return self._spoken(
            self.acoustic(*self.segments(symbols, symbols_length), **conditions)
        )

    def synthesize_segments(
        self, symbols: tf.Tensor, symbols_length: tf.Tensor, **conditions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Speaks symbols, each under conditions of its own.

        Args:
            symbols: int32 [batch, symbols], as those of `acoustic`.
            symbols_length: int32 [batch]; what is beyond, whatever it is, has no
                influence.
            **conditions: Of the model, by the names of their `symbol_spec`, each
                float32 [batch, symbols].

        Returns:
            As `synthesize`.

        Raises:
            tf.errors.InvalidArgumentError: See `acoustic`; or there are more or fewer
                values of a condition than symbols.
        """
        size = tf.shape(symbols)[1]
        values = {}
        for condition in self._conditions:
            name = condition.symbol_spec.name
            fits = tf.debugging.assert_equal(
                tf.shape(conditions[name])[1],
                size,
                f"{name} must have as many values as there are symbols",
            )
            with tf.control_dependencies([fits]):
                valid = tf.sequence_mask(symbols_length, size)
                value = tf.where(valid, conditions[name], condition.default)
            values[condition.name] = value
        return self._spoken(self._predicted(symbols, symbols_length, values))

    def acoustic(
        self, symbols: tf.Tensor, symbols_length: tf.Tensor, **conditions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Predicts acoustic frames.

        Args:
            symbols: int32 [batch, symbols], positions in the `symbol_table`.
            symbols_length: int32 [batch]; what is beyond, whatever it is, has no
                influence.
            **conditions: Of the model, each float32 [batch].

        Returns:
            `frames` float32 [batch, frames, frame_dim], what the vocoder takes;
            `frame_length` int32 [batch]; and what else the model predicts.

        Raises:
            tf.errors.InvalidArgumentError: A length, a symbol or a condition is out of
                range, or there are too many symbols.
        """
        values = {name: value[:, tf.newaxis] for name, value in conditions.items()}
        return self._predicted(symbols, symbols_length, values)

    def _predicted(
        self,
        symbols: tf.Tensor,
        lengths: tf.Tensor,
        conditions: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Returns `predict` of what is checked, conditions [batch, symbols or 1]."""
        size = tf.shape(symbols)[1]
        check = self._limits.check_in_graph("max_symbols", size)
        with tf.control_dependencies([check]):
            symbols = tf.identity(symbols)
        in_range = [c.check_in_graph(conditions[c.name]) for c in self._conditions]
        with tf.control_dependencies(in_range):
            symbols = self._checked(symbols, lengths)
        return self.predict(symbols, lengths, **conditions)

    def symbol_table(self, row: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the names of the symbols, for clients that encode texts themselves.

        Args:
            row: int32 [batch], of any value; servers want an input and split outputs
                by rows.

        Returns:
            `symbol_names` string [batch, table], the same in every row.
        """
        names = tf.constant(self._front_end.symbols)
        return {"symbol_names": tf.tile(names[tf.newaxis], [tf.size(row), 1])}

    def _spoken(self, acoustic: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the waveforms of `frames`, and all that comes with these."""
        waveform, waveform_length = self._vocoder(
            acoustic["frames"], acoustic["frame_length"]
        )
        rate_hz = tf.fill(tf.shape(waveform_length), self._features.sample_rate_hz)
        return {
            "waveform": tf.clip_by_value(waveform, -1.0, 1.0),
            "waveform_length": waveform_length,
            "sample_rate_hz": rate_hz,
            **acoustic,
        }

    def _checked(self, symbols: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Returns the symbols, 0 beyond the lengths, when all are in range.

        Args:
            symbols: int32 [batch, symbols].
            lengths: int32 [batch].
        """
        size = tf.shape(symbols)[1]
        fit = [
            tf.debugging.assert_positive(lengths, "symbols_length must be above 0"),
            tf.debugging.assert_less_equal(
                lengths, size, "symbols_length must not be more than the symbols"
            ),
        ]
        with tf.control_dependencies(fit):
            symbols = tf.where(tf.sequence_mask(lengths, size), symbols, 0)
        count = len(self._front_end.symbols)
        known = [
            tf.debugging.assert_non_negative(symbols, "symbols must not be negative"),
            tf.debugging.assert_less(symbols, count, f"there are {count} symbols"),
        ]
        with tf.control_dependencies(known):
            return tf.identity(symbols)


def _traced(
    function: Callable[..., dict[str, tf.Tensor]], *specs: tf.TensorSpec
) -> tf.types.experimental.ConcreteFunction:
    """Traces a function whose arguments have the names of their specifications."""
    by_name = {spec.name: spec for spec in specs}
    return tf.function(function).get_concrete_function(**by_name)
