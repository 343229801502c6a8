"""The range of every option of every model, declared beside its default."""

import dataclasses
import math
import re

import pytest

from tfspeech.strategies import CLIPPINGS, REGULARIZATIONS
from tfspeech.tasks.alignment.aligner import AlignmentConfig
from tfspeech.tasks.limits import RecognitionLimits, SpeechLimits
from tfspeech.tasks.registry import MODELS, default_config

MAY_BE_NEGATIVE = {"snr_min_db", "snr_max_db", "lo", "hi"}
NONE_IS_NO_SPECIAL_CASE = {
    *("seed", "warmup_steps", "time_masks", "frequency_masks", "delta_order"),
}
"""Whole numbers that may be 0; of the others, the help says what 0 is."""
ABOVE_0 = {
    *("learning_rate", "max_seconds", "training_minutes", "frame_length_ms"),
    *("hop_length_ms", "power_floor", "magnitude_floor", "guide_width"),
    *("frames_per_symbol", "max_spoken_seconds", "discriminator_learning_rate"),
    *("teacher_temperature", "temperature"),
}
BELOW_2 = {
    *("dropout", "prenet_dropout", "zoneout", "ema_momentum", "label_smoothing"),
    *("synthetic_share", "speed", "tempo", "room_share", "noise_share", "preemphasis"),
    *("time_mask_share", "frequency_mask_share", "utterance_mean_share"),
    "teacher_weight",
    *("q", "decay", "rho", "drop_rate", "sparsity"),
}


def strategies():
    for table in (CLIPPINGS, REGULARIZATIONS):
        for name, strategy in table.items():
            # A budget alone has no default: any number would be as good.
            yield strategy(**({"parameters": 1000} if name == "budget" else {}))


def numeric_options():
    """Those of every class once, as a configuration and one of its fields."""
    sections = [AlignmentConfig(), *strategies(), RecognitionLimits(), SpeechLimits()]
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
    if "help" not in field.metadata:
        may_be_0 = within.hold(0)
    elif "float" in field.type:
        may_be_0 = field.name not in ABOVE_0
    else:
        says = "0" in field.metadata["help"]
        may_be_0 = says or field.name in NONE_IS_NO_SPECIAL_CASE
    assert within.hold(0) == may_be_0
    outside = [math.nan, math.inf, -math.inf, *([] if may_be_0 else [0])]
    if field.name not in MAY_BE_NEGATIVE:
        outside.append(-1)
    if field.name in BELOW_2:
        outside.append(2)
    for value in outside:
        wrong = (*default, value) if isinstance(default, tuple) else value
        message = f"{field.name} must be {within.wanted}. Received: {field.name}="
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            dataclasses.replace(section, **{field.name: wrong})
