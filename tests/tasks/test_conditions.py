import argparse

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.console import Parser
from tfspeech.errors import SpecError
from tfspeech.tasks.conditions import (
    CONDITIONS,
    PITCH,
    RATE,
    add_conditions,
    complete_conditions,
    given_conditions,
)


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.name)
def test_ranges_include_their_ends_and_are_the_same_in_the_graph(condition):
    @tf.function(input_signature=[condition.spec])
    def check(values):
        with tf.control_dependencies([condition.check_in_graph(values)]):
            return tf.identity(values)

    for value in (condition.low, condition.default, condition.high):
        condition.check(value)
        check(tf.constant([condition.default, value]))
    low = np.float32(condition.low)
    # Graphs take numbers below the smallest normal one for 0.
    beyond = min(np.nextafter(low, -np.float32(np.inf)), low - np.finfo("f4").tiny)
    above = np.nextafter(np.float32(condition.high), np.inf, dtype=np.float32)
    for value in (beyond, above, float("nan")):
        with pytest.raises(SpecError, match=f"{condition.name} must be between"):
            condition.check(value)
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=f"{condition.name} must be between"
        ):
            check(tf.constant([condition.default, value]))


def test_names_flags_and_defaults_are_distinct_and_in_range():
    for attribute in ("name", "flag"):
        assert len({getattr(c, attribute) for c in CONDITIONS}) == len(CONDITIONS)
    neutral = {"rate": 1, "semitones": 0, "pitch_range": 1, "energy": 0}
    neutral |= {"temperature": 0, "seed": 0}
    assert {c.name: c.default for c in CONDITIONS} == neutral


def test_conditions_that_are_not_given_have_their_defaults():
    known = (RATE, PITCH)
    assert complete_conditions("voice", known, {}) == {"rate": 1, "semitones": 0}
    found = complete_conditions("voice", known, {"semitones": 3.0})
    assert found == {"rate": 1, "semitones": 3}
    assert complete_conditions("voice", (), {}) == {}


def test_a_condition_that_a_model_lacks_is_named_with_its_flag():
    with pytest.raises(SpecError, match=r"voice has no semitones .*leave out --pitch"):
        complete_conditions("voice", (RATE,), {"rate": 2.0, "semitones": 0.0})


def test_flags_that_are_not_given_leave_no_trace():
    parser = Parser("speak", "Speaks.")
    add_conditions(parser)
    assert given_conditions(parser.parse_args([])) == {}
    given = parser.parse_args(["--pitch=-2.5", "--rate", "1"])
    assert given_conditions(given) == {"semitones": -2.5, "rate": 1.0}
    assert given_conditions(argparse.Namespace(rate=2.0)) == {"rate": 2.0}
    assert "2 is twice as fast; where the model can (default: 1)" in " ".join(
        parser.format_help().split()
    )
