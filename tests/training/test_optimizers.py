import math

import pytest

from tfspeech.errors import SpecError
from tfspeech.training.optimizers import OPTIMIZERS, Schedule, build_optimizer


@pytest.mark.parametrize(
    ("spec", "formula"),
    [
        ("constant()", lambda t: 1.0),
        ("cosine()", lambda t: 0.5 * (1 + math.cos(math.pi * t / 90))),
        ("cosine(0.2)", lambda t: 0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * t / 90))),
        ("exponential(0.5, 30)", lambda t: 0.5 ** (t / 30)),
        ("noam()", lambda t: math.sqrt(10 / (10 + t))),
    ],
)
def test_schedules_warm_up_and_then_follow_their_formula(spec, formula):
    schedule = Schedule(spec, peak=0.3, warmup_steps=10, total_steps=100)
    rising = [float(schedule(step)) for step in range(10)]
    assert rising == sorted(rising)
    assert rising[0] == pytest.approx(0.3 / 11)
    for step in (10, 11, 50, 99):
        assert float(schedule(step)) == pytest.approx(
            0.3 * formula(step - 10), abs=1e-6
        )


def test_without_warm_up_the_first_step_has_the_peak():
    for spec in ("constant()", "cosine()", "exponential()", "noam()"):
        assert float(Schedule(spec, 0.1, 0, 50)(0)) == pytest.approx(0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_documented_and_take_the_rate(name):
    assert OPTIMIZERS[name].__doc__
    optimizer = build_optimizer(f"{name}()", Schedule("constant()", 0.25, 0, 10))
    assert float(optimizer.learning_rate) == pytest.approx(0.25)


@pytest.mark.parametrize("spec", ["adam(beta=1)", "lion()", "adan", "eval('1')"])
def test_unknown_optimizers_are_refused(spec):
    with pytest.raises(SpecError, match="optimizer"):
        build_optimizer(spec, 0.1)


def test_unknown_schedules_are_refused():
    with pytest.raises(SpecError, match="ones are constant, cosine, exponential, noam"):
        Schedule("step()", 0.1, 0, 10)
