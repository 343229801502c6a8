"""Specs made by chance: what is no strategy is one error."""

import hypothesis
import hypothesis.strategies as st
from fuzzing import bounded, outcome

from tfspeech.errors import SpecError
from tfspeech.strategies import (
    CLIPPINGS,
    REGULARIZATIONS,
    parse_clipping,
    parse_regularization,
)
from tfspeech.text.normalize import normalize
from tfspeech.training.optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    Schedule,
    parse_optimizer,
)

LITERALS = [
    "0",
    "-1",
    "1",
    "0.5",
    "1e400",
    "9" * 400,
    "True",
    "None",
    "'x'",
    "'('",
    "b'a'",
]
LITERALS += [
    "[]",
    "{[]:1}",
    "()",
    "nan",
    "'norm(1)'",
    "'(a+)+$'",
    "...",
    "-" * 99 + "1",
]
NAMES = [
    "match",
    "c",
    "limit",
    "rate",
    "steps",
    "final",
    "inner",
    "beta_1",
    "decay",
    "x",
]


@st.composite
def specs(draw, table):
    name = draw(st.sampled_from([*table, "eval", "", "a.b"]))
    values = draw(st.lists(st.sampled_from(LITERALS), max_size=3))
    names = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    named = [f"{key}={draw(st.sampled_from(LITERALS))}" for key in names]
    text = f"{name}({', '.join([*values, *named])})"
    place = draw(st.integers(0, len(text)))
    return (
        text[:place]
        + draw(st.sampled_from(["", "", "", "(", ")", "'", "\x00"]))
        + text[place:]
    )


def check_refused_or_built(build, *arguments):
    built, refusal = outcome(SpecError, build, *arguments)
    assert built or refusal
    assert "\n" not in refusal


@hypothesis.given(spec=specs(CLIPPINGS))
@bounded
def test_clipping(spec):
    check_refused_or_built(parse_clipping, [spec])


@hypothesis.given(spec=specs(REGULARIZATIONS))
@bounded
def test_regularization(spec):
    check_refused_or_built(parse_regularization, [spec])


@hypothesis.given(spec=specs(OPTIMIZERS))
@bounded
def test_optimizers(spec):
    check_refused_or_built(lambda text: parse_optimizer(text)(0.1), spec)


@hypothesis.given(spec=specs(SCHEDULES))
@bounded
def test_schedules(spec):
    check_refused_or_built(lambda text: Schedule(text, 1.0, 0, 10)(3) is not None, spec)


@hypothesis.given(text=st.text(max_size=6))
@bounded
def test_any_long_text_is_normalized(text):
    """A time that grows with the square would not end here."""
    assert isinstance(normalize(text * 2000), str)
