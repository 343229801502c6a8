"""Conditions under which models speak, for commands, clients and servers alike."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterable, Mapping

import tensorflow as tf

from tfspeech.errors import SpecError


@dataclasses.dataclass(frozen=True)
class Condition:
    """A number that can be chosen for every utterance when a model speaks.

    Attributes:
        name: Of the argument in Python, and of a served signature's input, float32
            [batch].
        flag: On the command line, without the hyphens.
        help: What it changes.
        default: The value that changes nothing.
        low: The lowest value.
        high: The highest value.
        unit: Of the values.
        whole: Whether values are whole numbers.
    """

    name: str
    flag: str
    help: str
    default: float
    low: float
    high: float
    unit: str
    whole: bool = False

    @property
    def spec(self) -> tf.TensorSpec:
        """The input of a served signature, float32 [batch]."""
        return tf.TensorSpec([None], tf.float32, name=self.name)

    @property
    def symbol_spec(self) -> tf.TensorSpec:
        """The input of a signature by symbol, float32 [batch, symbols]."""
        name = f"symbol_{self.name}"
        return tf.TensorSpec([None, None], tf.float32, name=name)

    def check(self, value: float) -> None:
        """Raises a `SpecError` where a value, which may be NaN, is out of range."""
        valid = self.low <= value <= self.high
        if not valid or (self.whole and value != math.floor(value)):
            raise SpecError(f"{self._range()}. Received: {value}")

    def check_in_graph(self, values: tf.Tensor) -> tf.Operation:
        """Returns an assertion that values, float32 of any shape, are in range."""
        valid = (values >= self.low) & (values <= self.high)
        if self.whole:
            valid &= values == tf.floor(values)
        return tf.debugging.Assert(tf.reduce_all(valid), [f"{self._range()}:", values])

    def _range(self) -> str:
        kind = ", a whole number" * self.whole
        return f"{self.name} must be between {self.low:g} and {self.high:g}{kind}"


RATE = Condition(
    *("rate", "rate"),
    help="speech rate relative to the speaker's own, 2 is twice as fast",
    default=1.0,
    low=0.25,
    high=4.0,
    unit="factor",
)
PITCH = Condition(
    *("semitones", "pitch"),
    help="pitch relative to the speaker's own",
    default=0.0,
    low=-24.0,
    high=24.0,
    unit="semitones",
)
PITCH_RANGE = Condition(
    *("pitch_range", "pitch-range"),
    help="range of the melody relative to the speaker's own, 0.1 is nearly monotone",
    default=1.0,
    low=0.1,
    high=3.0,
    unit="factor",
)
ENERGY = Condition(
    *("energy", "energy"),
    help="energy of every phoneme relative to the speaker's own, softer or louder",
    default=0.0,
    low=-12.0,
    high=12.0,
    unit="dB",
)
TEMPERATURE = Condition(
    *("temperature", "temperature"),
    help="how far a rendition is from the mean of all, 0 for the mean itself, 1 as far "
    "as recordings are, which --count has by default",
    default=0.0,
    low=0.0,
    high=2.0,
    unit="factor",
)
SEED = Condition(
    *("seed", "seed"),
    help="which rendition is drawn, where the temperature is above 0",
    default=0.0,
    low=0.0,
    high=999_999.0,
    unit="number",
    whole=True,
)
CONDITIONS = (RATE, PITCH, PITCH_RANGE, ENERGY, TEMPERATURE, SEED)
"""All conditions that a model of the zoo may have."""


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for every condition to a parser that suppresses defaults."""
    for condition in CONDITIONS:
        parser.add_argument(
            f"--{condition.flag}",
            dest=condition.name,
            type=float,
            metavar=condition.unit.upper(),
            help=f"{condition.help}; where the model can "
            f"(default: {condition.default:g})",
        )


def given_conditions(given: argparse.Namespace) -> dict[str, float]:
    """The conditions that a command line names, by name.

    Raises:
        SpecError: One is out of range.
    """
    chosen = [condition for condition in CONDITIONS if condition.name in given]
    for condition in chosen:
        condition.check(getattr(given, condition.name))
    return {condition.name: getattr(given, condition.name) for condition in chosen}


def complete_conditions(
    model: str, known: Iterable[Condition], given: Mapping[str, float]
) -> dict[str, float]:
    """Returns a value for every condition of a model: its default where none is given.

    Args:
        model: Its name, for the error.
        known: The conditions that it has.
        given: Values by the name of their condition; they may be out of range.

    Raises:
        SpecError: The model lacks a condition that is given.
    """
    defaults = {condition.name: condition.default for condition in known}
    flags = {condition.name: f"--{condition.flag}" for condition in CONDITIONS}
    for name in given:
        if name not in defaults:
            raise SpecError(
                f"{model} has no {name} that could be changed; leave out "
                f"{flags.get(name, name)}"
            )
    return defaults | dict(given)
