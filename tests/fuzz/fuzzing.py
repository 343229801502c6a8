"""Settings and mutations of the tests with hostile input that is made by chance."""

import os

import hypothesis
import hypothesis.strategies as st

_EXAMPLES = "FUZZ_EXAMPLES"

bounded = hypothesis.settings(
    max_examples=int(os.environ.get(_EXAMPLES, "40")),
    derandomize=_EXAMPLES not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
"""Few examples and always the same, unless `make fuzz` asks for others."""

SNIPPETS = [
    b"\x00",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"data",
    b"RIFF",
]
SNIPPETS += [b'"', b"<exists>", b"1e400", b"-1", b"9" * 30, b"\n", b"\t", b"{", b"["]

HOSTILE = [
    None,
    True,
    -1,
    0,
    2**31,
    10**400,
    0.5,
    1e999,
    float("nan"),
    "",
    "x",
    "\ud800",
]
HOSTILE += ["a\x00b", "9" * 5000, [], {}, [[[]]], {"a": {"b": []}}, [None] * 100]


def outcome(error, function, *arguments):
    """The result of a function, or None and the text of the error that it may raise."""
    try:
        return function(*arguments), ""
    except error as refusal:
        return None, str(refusal)


@st.composite
def mutated_bytes(draw, seeds):
    """One of some contents with bytes that are changed, put in, cut out or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["change", "insert", "delete", "cut"]))
        if kind == "change" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "insert":
            data[place:place] = draw(st.sampled_from(SNIPPETS))
        elif kind == "delete":
            del data[place : place + draw(st.integers(1, 8))]
        elif kind == "cut":
            del data[place:]
    return bytes(data)


@st.composite
def mutated_json(draw, seeds):
    """One of some JSON values in which one or two places hold something else."""
    value = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 2))):
        value = _replaced(draw, value)
    return value


def _replaced(draw, value):
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(HOSTILE))
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], _replaced(draw, value[place]), *value[place + 1 :]]
    key = draw(st.sampled_from(sorted(value)))
    if draw(st.integers(0, 5)) == 0:
        return {k: v for k, v in value.items() if k != key}
    return {**value, key: _replaced(draw, value[key])}
