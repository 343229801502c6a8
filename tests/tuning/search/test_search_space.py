"""Spaces: what can be named, the ranges it has, and the configurations it makes."""

import dataclasses

import numpy as np
import pytest
from search_fakes import parse

from models.config import Range, decade_around, option, sizes
from tfspeech.errors import SpecError
from tfspeech.flags import with_settings
from tfspeech.strategies import CLIPPINGS, parse_clipping, parse_regularization
from tfspeech.tasks.registry import MODELS, default_config
from tuning.search import dimensions
from tuning.search.dimensions import Dimension, Norms, option_ranges, with_norms
from tuning.search.space import build_space, declare
from tuning.search.trial_config import configure

NORMS = Norms(low=1.0, high=4.0, tensors=25, parameters=10_000)


@pytest.fixture
def config():
    return default_config("rnn_recognizer")


def names(space):
    return [dimension.name for dimension in space]


@pytest.mark.parametrize("model", MODELS)
def test_every_declared_range_contains_the_default_and_can_be_trained(model):
    config = default_config(model)
    space = with_norms(build_space(config, [], []), NORMS)
    assert {"clip.kind", "clip.threshold", "regularize.kind"} <= set(names(space))
    declared = {
        field.name: getattr(section, field.name)
        for section in config.sections().values()
        for field in dataclasses.fields(section)
        if field.metadata["search"] is not None
    }
    assert "learning_rate" in declared
    found = {d.name: d for d in space if d.name in declared}
    assert found.keys() == declared.keys()
    for name, default in declared.items():
        values = found[name].values
        text = "+".join(map(str, default)) if isinstance(default, tuple) else default
        assert found[name].default == text
        if isinstance(values, Range):
            assert values.low <= default <= values.high
        else:
            assert text in values
            assert len(set(values)) == len(values) > 1
    for dimension in space:
        values = dimension.values
        ends = (values.low, values.high) if isinstance(values, Range) else values
        kind = {dimension.parent: dimension.kind} if dimension.parent else {}
        for value in ends:
            assert configure(config, kind | {dimension.name: value}) is not None
    keys = {dimension.key for dimension in space}
    assert {each.name for each in declare(space).space} == keys


def test_every_kind_of_clipping_and_regularization_takes_its_ends(config):
    clips, penalties = ",".join(dimensions.THRESHOLDS), ",".join(dimensions.LAMBDAS)
    wanted = [f"clip.kind=none,{clips}", "clip.threshold"]
    wanted += [f"regularize.kind={penalties}"]
    wanted += [f"{kind}.lambda" for kind in dimensions.LAMBDAS]
    space = with_norms(build_space(config, wanted, []), NORMS)
    for dimension in space[2:]:
        for value in (dimension.values.low, dimension.values.high):
            chosen = {dimension.parent: dimension.kind, dimension.name: value}
            training = configure(config, chosen).training
            chain = training.clip if dimension.name[0] == "c" else training.regularize
            assert chain == (f"{dimension.kind}({value:.4g})",)


def test_thresholds_come_from_the_norms_of_the_gradient(config):
    wanted = ["clip.kind=none,value,norm,global_norm,quantile", "clip.threshold"]
    space = build_space(config, wanted, [])
    assert [d.values for d in space if d.kind == "norm"] == [None]
    found = {d.kind: d.values for d in with_norms(space, NORMS)[1:]}
    assert found == {
        "value": Range(pytest.approx(0.001), pytest.approx(1.2)),
        "norm": Range(pytest.approx(0.02), pytest.approx(0.8)),
        "global_norm": Range(pytest.approx(0.1), pytest.approx(4.0)),
        "quantile": Range(0.1, 0.99),
    }
    assert found["global_norm"].log
    assert not found["quantile"].log


def test_narrowing_and_fixing(tmp_path):
    tune = ("--tune", "clip.threshold=0.1:10", "--tune", "l2.lambda")
    search = parse(tmp_path, *tune, "--fix", "learning-rate=0.5", "--fix", "units=9")
    assert search.baseline_config.training.learning_rate == 0.5
    assert search.baseline_config.architecture.units == 9
    space = build_space(search.baseline_config, search.tune, search.fix)
    assert space == (
        Dimension("clip.threshold", Range(0.1, 10.0), kind="global_norm"),
        Dimension("l2.lambda", Range(1e-6, 1e-2), kind="l2"),
    )
    found = configure(
        search.baseline_config, {"clip.threshold": 0.25, "l2.lambda": 0.001}
    )
    assert found.training.clip == ("global_norm(0.25)",)
    assert found.training.regularize == ("l2(0.001)",)


def test_what_is_fixed_is_left_out_of_the_whole_space(tmp_path):
    fix = ["clip.kind=norm", "regularize.kind=none", "layers=2", "dropout=0.1"]
    search = parse(tmp_path, *(f"--fix={text}" for text in fix))
    space = build_space(search.baseline_config, search.tune, search.fix)
    assert names(space) == ["clip.threshold", "learning_rate", "units", "conv_filters"]
    assert space[0].kind == "norm"
    assert search.baseline_config.training.clip == ("norm()",)
    assert search.baseline_config.training.regularize == ()


def test_a_threshold_keeps_the_rest_of_its_chain_and_its_other_arguments(config):
    chains = {
        "clip": ("centralize()", "adaptive(0.1, eps=0.5, match='conv')"),
        "regularize": ("l1(1e-5)", "l2(1e-3, match='conv')"),
    }
    settings = [(name, spec) for name, specs in chains.items() for spec in specs]
    start = with_settings(config, settings)
    found = configure(start, {"clip.threshold": 0.02, "l2.lambda": 0.5}).training
    ours, theirs = parse_clipping(found.clip), parse_clipping(chains["clip"])
    assert ours[0] == theirs[0]
    assert (ours[1].ratio, ours[1].eps, ours[1].match) == (0.02, 0.5, "conv")
    l1, l2 = parse_regularization(found.regularize)
    assert (l1.s, l2.s, l2.match) == (1e-5, 0.5, "conv")
    # A kind takes the place of all.
    found = configure(start, {"clip.kind": "none", "regularize.kind": "none"}).training
    assert (found.clip, found.regularize) == (("none()",), ())


def test_thresholds_of_all_kinds_are_one_number_for_the_oracle(config):
    wanted = ["clip.kind=none,value,quantile", "clip.threshold"]
    space = with_norms(build_space(config, wanted, []), NORMS)
    found = declare(space)
    assert [each.name for each in found.space] == ["clip.kind", "clip.kind/strength"]
    for kind, active in (("none", 1), ("value", 2), ("quantile", 2)):
        found.values = {"clip.kind": kind}
        found.ensure_active_values()
        assert len(found.values) == active
    _, value, quantile = space
    assert value.is_active({"clip.kind": "value"})
    assert not value.is_active({"clip.kind": "none"})
    for place, low, high in ((0.0, 0.001, 0.1), (0.5, 0.0346, 0.545), (1.0, 1.2, 0.99)):
        assert value.decode(place) == pytest.approx(low, rel=1e-2)
        assert quantile.decode(place) == pytest.approx(high)


def test_values_given_for_all_kinds_are_read_by_their_place(config):
    wanted = ["clip.kind=norm,value", "clip.threshold=1,2,3"]
    _, threshold, _ = build_space(config, wanted, [])
    found = [threshold.decode(place) for place in (0.0, 0.3, 0.34, 0.99, 1.0)]
    assert found == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_values_that_were_sent_as_32_bit_floats_are_known_again(config):
    tune = ["clip.threshold=0.1:0.7", "l2.lambda=1e-6,1e38", "units=8,16", "cell"]
    tune[-1] += "=lstm,gru"
    threshold, penalty, units, cell = build_space(config, tune, [])
    for value in (0.1, 0.3, 0.7):
        sent = float(np.float32(value))
        assert threshold.decode(sent) == pytest.approx(value)
        assert 0.1 <= threshold.decode(sent) <= 0.7
    for value in penalty.values:
        assert penalty.decode(float(np.float32(value))) == value
    assert (units.decode(16), cell.decode("gru")) == (16, "gru")


def test_any_flag_of_training_can_be_searched(config):
    wanted = ["units=16:256", "cell=lstm,gru", "bidirectional=true,false", "dropout"]
    space = build_space(config, wanted, [])
    assert space[0].values == Range(16, 256, whole=True)
    assert space[2].values == (True, False)
    kinds = [type(each).__name__ for each in declare(space).space]
    assert kinds == ["Int", "Choice", "Choice", "Float"]
    defaults = [dimension.default for dimension in space]
    assert defaults == [128, "gru", True, 0.2]
    chosen = {"units": 20, "cell": "lstm", "bidirectional": False, "dropout": 0.123456}
    found = configure(config, chosen).architecture
    assert (found.units, found.cell, found.bidirectional) == (20, "lstm", False)
    assert found.dropout == 0.1235


def test_units_of_several_layers_are_searched_together():
    config = default_config("dense_synthesis")
    (dimension,) = build_space(config, ["hidden_units"], [])
    assert dimension.values == ("64+32", "128+64", "256+128")
    found = configure(config, {"hidden_units": "256+128"}).architecture
    assert found.hidden_units == (256, 128)


def test_ranges_around_a_value():
    assert sizes(128) == (64, 128, 256)
    assert sizes(1) == (1, 2)
    assert sizes((128, 1)) == ((64, 1), (128, 1), (256, 2))
    assert sizes((1,)) == ((1,), (2,))
    assert decade_around(0.5) == Range(0.05, 5.0)
    log, linear = decade_around(0.5), Range(0.5, 4.9)
    assert (log.log, linear.log, Range(0.0, 1.0).log) == (True, False, False)
    assert Range(0.5, 5.0).log
    assert [log.at(f) for f in (0.0, 0.5, 1.0)] == pytest.approx([0.05, 0.5, 5.0])
    assert [linear.at(f) for f in (0.0, 0.5, 1.0)] == pytest.approx([0.5, 2.7, 4.9])


def test_ranges_are_those_around_what_the_flags_say(tmp_path):
    flags = ("--units=10", "--layers=3", "--learning-rate=1", "--dropout=0.6")
    space = build_space(parse(tmp_path, *flags).baseline_config, [], [])
    found = {d.name: (d.values, d.default) for d in space}
    assert found["units"] == ((5, 10, 20), 10)
    assert found["learning_rate"] == (Range(0.1, 10.0), 1.0)
    # Values in which the baseline's is not.
    assert found["layers"] == ((1, 2), None)
    assert found["dropout"] == (Range(0.0, 0.5), 0.5)


@dataclasses.dataclass(frozen=True)
class PlainConfig:
    """A model without a range."""

    depth: int = option(3, "layers")


def test_of_a_model_without_ranges_only_strategies_and_training_are_searched(config):
    config = dataclasses.replace(config, architecture=PlainConfig())
    assert option_ranges(config) == {"learning_rate": decade_around(3e-3)}
    found = names(build_space(config, [], ["learning_rate=0.1"]))
    assert {name.partition(".")[2] for name in found} == {"kind", "threshold", "lambda"}
    (dimension,) = build_space(config, ["depth=1:9"], [])
    assert dimension == Dimension("depth", Range(1, 9, whole=True), 3)


def test_a_lambda_is_the_strength_of_a_regularization_without_other_arguments():
    assert (
        *("l1", "l2", "kl_gaussian", "orthogonal"),
        *("weight_decay", "l1_prox", "group_lasso"),
    ) == dimensions.LAMBDAS


BAD = {
    "no such field": (["nonsense"], [], "nonsense cannot be searched or fixed"),
    "a chain": (["clip"], [], "clip cannot be searched or fixed"),
    "no range": (["epochs"], [], "epochs has no range of its own"),
    "twice": (["units", "units"], [], "--tune and --fix name units twice"),
    "tuned and fixed": (["units"], ["units=5"], "name units twice"),
    "kind": (["clip.kind=norm,nrom"], [], "takes different kinds of none, value"),
    "lambda": (["l3.lambda"], [], "a KIND.lambda must be of l1, l2"),
    "of another kind": (["regularize.kind=l1", "l2.lambda"], [], "must be of l1. R"),
    "empty": (["units="], [], "--tune is written as NAME"),
    "upside down": (["dropout=0.5:0.1"], [], "takes LOW:HIGH for numbers"),
    "no number": (["dropout=low:high"], [], "takes LOW:HIGH for numbers"),
    "not finite": (["l2.lambda=1:inf"], [], "takes LOW:HIGH for numbers"),
    "doubled": (["units=8,8"], [], "different values with commas"),
    "truth": (["bidirectional=yes,no"], [], "different values with commas"),
    "out of range": (["dropout=0:1"], [], "dropout must be in [0, 1)"),
    "choice": (["cell=gru,rnn"], [], "cell must be one of"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_searched_is_named(case, config):
    tune, fix, reason = BAD[case]
    with pytest.raises(SpecError) as error:
        build_space(config, tune, fix)
    assert reason in str(error.value)


def test_a_threshold_needs_one_strategy_that_has_one(tmp_path):
    for clip in (("none()",), ("norm(1)", "value(2)")):
        given = [f"--clip={spec}" for spec in clip]
        search = parse(tmp_path, *given, "--tune", "clip.threshold")
        with pytest.raises(SpecError, match="needs one clipping with a threshold"):
            build_space(search.baseline_config, search.tune, search.fix)
    assert set(dimensions.THRESHOLDS) < set(CLIPPINGS)
