"""Parts of a search: limits, norms, importance and pictures."""

import json
import math

import numpy as np
import pytest

from models.config import Range
from tfspeech.errors import RunError
from tfspeech.tasks.registry import default_config
from tfspeech.training.callbacks import Monitor
from tfspeech.training.loop import LoopState
from tuning.limits import NO_LIMITS, LimitRule, Limits
from tuning.search.dimensions import Dimension
from tuning.search.importance import find_importance
from tuning.search.oracles import build_oracle
from tuning.search.plan import measure_norms
from tuning.search.plots import plot_search
from tuning.search.space import declare
from tuning.search.trials import SeedResult, TrialRecord
from tuning.search.tuner import SearchTuner
from tuning.trials import write_json

ACCURACY = Monitor("accuracy", True)
LOSS = Monitor("loss", False)


def write_epochs(run_dir, *scores):
    records = [
        {"step": 10 * n, "epoch": n, "validation": {"accuracy": s, "loss": -s}}
        for n, s in enumerate(scores, 1)
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (run_dir / "metrics.jsonl").write_text(text)


def over(run_dir, limits, step):
    rule = LimitRule(default_config("rnn_recognizer"), run_dir, limits)
    assert rule(LoopState(10, 4, step)) == bool(rule.reason)
    return rule.reason


def test_a_budget_ends_a_run_after_its_last_epoch(tmp_path):
    limits = Limits(epochs=2)
    assert over(tmp_path, limits, 19) == ""
    assert over(tmp_path, limits, 20) == "its budget of 2 epochs is used up"
    # A run that is whole has not been ended by anybody.
    assert over(tmp_path, Limits(epochs=4), 40) == ""
    assert over(tmp_path, NO_LIMITS, 20) == ""


@pytest.mark.parametrize("monitor", [ACCURACY, LOSS])
def test_a_run_below_the_bar_is_hopeless_by_its_best_so_far(monitor, tmp_path):
    write_epochs(tmp_path, 0.3, 0.5, 0.2)
    bars = [monitor.sign * bar for bar in (0.9, 0.5, 0.6)]
    limits = Limits(0, monitor, (None, *bars[1:]))
    assert over(tmp_path, limits, 10) == ""
    assert over(tmp_path, limits, 25) == ""
    assert "stopped after epoch 3" in over(tmp_path, limits, 30)
    assert over(tmp_path, limits, 40) == ""
    assert Limits.from_json(limits.to_json()) == limits
    assert Limits.from_json(NO_LIMITS.to_json()) == NO_LIMITS


def test_norms_are_read_from_the_steps_that_were_finite(tmp_path):
    norms = [None, 0.0, *np.linspace(1.0, 2.0, 101)]
    lines = [json.dumps({"step": n, "gradient_norm": v}) for n, v in enumerate(norms)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    found = measure_norms(tmp_path, 7, 100)
    assert found == (pytest.approx(1.1), pytest.approx(1.99), 7, 100)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "gradient_norm": null}')
    with pytest.raises(RunError, match="no step with a finite gradient"):
        measure_norms(tmp_path, 7, 100)


SPACE = (
    Dimension("clip.kind", ("none", "norm")),
    Dimension("clip.threshold", Range(0.01, 10.0), kind="norm", parent="clip.kind"),
    Dimension("l2.lambda", Range(1e-6, 1e-2), kind="l2"),
    Dimension("units", (64, 128)),
)


def make_records(count, score):
    rng = np.random.default_rng(0)
    records = []
    for n in range(count):
        values = {"clip.kind": "norm", "clip.threshold": 10 ** rng.uniform(-2, 1)}
        if n % 4 == 0:
            values = {"clip.kind": "none"}
        values |= {"l2.lambda": 10 ** rng.uniform(-6, -2)}
        values |= {"units": int(rng.choice([64, 128]))}
        found = score(values)
        run = SeedResult(0, "", "finished", "", found, {"clipped": 0.5, "cosine": 0.9})
        records.append(
            TrialRecord(str(n), values, 0, "finished", "", found, found, 1.0, (run,))
        )
    return records


def test_importance_is_that_of_what_the_score_depends_on():
    records = make_records(40, lambda values: -np.log10(values["l2.lambda"]))
    found = find_importance(SPACE, records)
    assert list(found.drops) == ["clip.kind", "clip.threshold", "l2.lambda", "units"]
    mean, std = found.drops.pop("l2.lambda")
    assert mean > 0.5 > std > 0
    assert max(other for other, _ in found.drops.values()) < 0.1 * mean
    assert found.explained > 0.8


def test_importance_of_chance_explains_nothing():
    rng = np.random.default_rng(1)
    found = find_importance(SPACE, make_records(30, lambda values: rng.normal()))
    assert found.explained < 0.3


def test_importance_needs_scores_that_differ():
    assert find_importance(SPACE, make_records(9, lambda v: v["l2.lambda"])) is None
    assert find_importance(SPACE, make_records(20, lambda values: 1.0)) is None


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("count", [0, 1, 12])
def test_the_picture_takes_any_number_of_trials(count, tmp_path):
    records = make_records(count, lambda values: values["l2.lambda"])
    baseline = TrialRecord("baseline", {}, 0, "diverged", "", None, 0.0, 1.0, ())
    importance = find_importance(SPACE, records)
    target = tmp_path / "report.png"
    plot_search(SPACE, records, baseline, ACCURACY, importance, target)
    assert target.read_bytes().startswith(b"\x89PNG")


KIND = Dimension("clip.kind", ("none", "norm", "value"))
LAMBDA = Dimension("l2.lambda", Range(1e-6, 1e-2))


RECORD = {
    **{"name": "00", "values": {"units": 8}, "epochs": 0, "status": "finished"},
    **{"reason": "", "score": 0.5, "reported": 0.5, "seconds": 1.0},
}
SEED = {
    **{"seed": 1, "run_dir": "runs/00/seed_1", "status": "finished", "reason": ""},
    **{"score": 0.5, "figures": {"loss": 0.25, "cosine": None}},
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"score": "x"}, 'score must be a number. Received: "x"'),
        ({"score": math.inf}, "score must be a number. Received: Infinity"),
        ({"score": 10**400}, "score must be a number. Received: 1000"),
        ({"status": "done"}, 'one of finished, stopped, diverged, .*Received: "done"'),
        ({"values": {"units": []}}, "values.units must be true or false"),
        ({"values": [1]}, "values must be an object"),
        ({"runs": [SEED | {"seed": True}]}, r"runs\[0\].seed must be an integer"),
        ({"runs": [SEED | {"figures": {"loss": "x"}}]}, "figures.loss must be a num"),
        ({"runs": [{"seed": 1}]}, r"runs\[0\].run_dir is missing"),
        ({"more": 1}, "more is not known"),
        ({"name": "01"}, "it is of '01'"),
    ],
)
def test_values_of_a_record_that_make_no_sense_are_named(change, reason, tmp_path):
    path = tmp_path / "00" / "record.json"
    write_json(path, RECORD | {"runs": [SEED]})
    assert TrialRecord.load(path).runs[0].figures == {"loss": 0.25, "cosine": None}
    write_json(path, RECORD | {"runs": [SEED]} | change)
    with pytest.raises(RunError, match=rf"record\.json is damaged.*{reason}"):
        TrialRecord.load(path)


def bayesian(space, tmp_path):
    """An oracle that goes on with its saved state, if it has any."""
    options = {"max_trials": 12, "epochs": 5, "seed": 0}
    path = tmp_path / "search.json"
    oracle = build_oracle("bayesian", declare(space), ACCURACY, **options, path=path)
    SearchTuner(oracle, None, tmp_path)
    return oracle


def propose(oracle):
    """Has a trial of an oracle scored; best is an `l2.lambda` of 1e-4 under `norm`."""
    trial = oracle.create_trial("tuner0")
    values = trial.hyperparameters.values
    score = -abs(np.log10(values["l2.lambda"]) / 4 + 1)
    score += 0.1 * (values.get("clip.kind") == "norm")
    oracle.update_trial(trial.trial_id, {"accuracy": float(score)})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return values


keras_tuners_locks = pytest.mark.filterwarnings(
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"
)


@keras_tuners_locks
def test_the_bayesian_oracle_proposes_nothing_that_was_nearly_tried(tmp_path):
    """Left to itself it would, once its best is known well."""
    oracle, found = bayesian((KIND, LAMBDA), tmp_path), []
    for _ in range(12):
        values = propose(oracle)
        place = np.log10(values["l2.lambda"]) / 4
        assert all(
            kind != values["clip.kind"] or abs(place - other) > 0.029
            for kind, other in found
        )
        found.append((values["clip.kind"], place))
    assert min(abs(place + 1) for _, place in found) < 0.1


@keras_tuners_locks
def test_the_bayesian_oracle_proposes_the_same_when_it_was_stopped_before(tmp_path):
    """To the last digit: the search for the best point begins at random ones."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    oracle = bayesian((LAMBDA,), tmp_path / "whole")
    for _ in range(8):
        again = bayesian((LAMBDA,), tmp_path / "stopped")
        assert propose(again) == propose(oracle)
