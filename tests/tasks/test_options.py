"""The range of every option of every model, declared beside its default."""

import dataclasses
import math
import re

import pytest

from tfspeech.strategies import CLIPPINGS, REGULARIZATIONS
from tfspeech.tasks.alignment.aligner import AlignmentConfig
from tfspeech.tasks.registry import MODELS, default_config

MAY_BE_NEGATIVE = {"snr_min_db", "snr_max_db", "lo", "hi"}
ZERO_WITHOUT_A_MEANING_OF_ITS_OWN = {
    *("seed", "warmup_steps", "time_masks", "frequency_masks", "delta_order"),
}
"""Counts of which there may be none; others say in their help what 0 is."""


def strategies():
    for table in (CLIPPINGS, REGULARIZATIONS):
        for name, strategy in table.items():
            # A budget alone has no default: any number would be as good.
            yield strategy(**({"parameters": 1000} if name == "budget" else {}))


def numeric_options():
    """Those of every class once, as a configuration and one of its fields."""
    sections = [AlignmentConfig(), *strategies()]
    for name in MODELS:
        sections += default_config(name).sections().values()
    for section in {type(section): section for section in sections}.values():
        for field in dataclasses.fields(section):
            if re.search("int|float", field.type):
                name = f"{type(section).__name__}.{field.name}"
                yield pytest.param(section, field, id=name)


@pytest.mark.parametrize(("section", "field"), list(numeric_options()))
def test_every_number_has_a_range_with_its_default_inside(section, field):
    within, default = field.metadata["within"], getattr(section, field.name)
    values = default if isinstance(default, tuple) else (default,)
    assert all(value is None or within.hold(value) for value in values)
    if "int" in field.type and "help" in field.metadata:
        says = "0" in field.metadata["help"]
        allowed = says or field.name in ZERO_WITHOUT_A_MEANING_OF_ITS_OWN
        assert within.hold(0) == allowed
    outside = [math.nan, math.inf, -math.inf, *([] if within.hold(0) else [0])]
    if field.name not in MAY_BE_NEGATIVE:
        outside.append(-1)
    for value in outside:
        wrong = (*default, value) if isinstance(default, tuple) else value
        message = f"{field.name} must be {within.wanted}. Received: {field.name}="
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            dataclasses.replace(section, **{field.name: wrong})
