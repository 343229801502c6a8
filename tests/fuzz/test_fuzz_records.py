"""Mutated records of runs and searches: they are read, or refused by their name."""

import dataclasses
import json
from functools import partial

import hypothesis
import hypothesis.strategies as st
import keras_tuner
import pytest
from fuzzing import bounded, mutated_bytes, mutated_json, outcome

from tfspeech.config import record_from_json
from tfspeech.errors import RunError
from tfspeech.files import read_json
from tfspeech.tasks.runs import read_results
from tfspeech.training.callbacks import Monitor, read_metrics
from tuning.search.dimensions import Norms
from tuning.search.oracles import build_oracle
from tuning.search.plan import Plan
from tuning.search.trials import SeedResult, TrialRecord
from tuning.trials import FINISHED, Outcome, load_outcome, write_json

SEED = SeedResult(
    1, "runs/00/seed_1", FINISHED, "", 0.5, {"loss": 0.25, "cosine": None}
)
RECORDS = {
    "record.json": dataclasses.asdict(
        TrialRecord("00", {"units": 8}, 0, FINISHED, "", 0.5, 0.5, 1.0, (SEED,))
    ),
    "outcome.json": dataclasses.asdict(Outcome(FINISHED)),
    "results.json": {"split": "test", "accuracy": 0.5, "weights": {"zeros": 0.0}},
    "plan.json": {
        "monitor": Monitor("accuracy", True)._asdict(),
        "objective": Monitor("loss", False)._asdict(),
        "norms": Norms(0.1, 0.5, 4, 100)._asdict(),
        "settings": {"seeds": 1, "tune": ["units"]},
    },
}
READERS = {
    "record.json": TrialRecord.load,
    "outcome.json": lambda path: load_outcome(path.parent),
    "results.json": lambda path: read_results(path.parent),
    "plan.json": lambda path: read_json(path, partial(record_from_json, Plan)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "00"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", RECORDS)
def test_what_was_written_is_read(name, folder):
    (folder / name).write_text(json.dumps(RECORDS[name]))
    assert READERS[name](folder / name)


def as_text(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize("name", RECORDS)
@hypothesis.given(data=st.data())
@bounded
def test_records(name, data, folder):
    values = mutated_json([RECORDS[name]]).map(as_text)
    path = folder / name
    path.write_bytes(data.draw(values | mutated_bytes([as_text(RECORDS[name])])))
    found, refusal = outcome(RunError, READERS[name], path)
    assert bool(found) != bool(refusal)
    assert not refusal or str(path) in refusal


LINES = [
    {"step": 1, "group": "model", "loss": 1.0, "update_ratio": {"a": 0.1}},
    {"step": 2, "epoch": 1, "weights": {"model": {}}, "validation": {"loss": 1.0}},
]


@hypothesis.given(line=mutated_json(LINES))
@bounded
def test_lines_of_metrics(line, folder):
    path = folder / "metrics.jsonl"
    path.write_text("\n".join(map(json.dumps, [*LINES, line, *LINES])))
    records, refusal = outcome(RunError, read_metrics, path)
    if records is None:
        assert f"line 3 of {path}" in refusal
    else:
        assert all(isinstance(each["step"], int) for each in records)


def new_oracle(path):
    space = keras_tuner.HyperParameters()
    space.Float("rate", 1e-4, 1e-2, sampling="log")
    space.Choice("kind", ["a", "b"])
    monitor = Monitor("loss", False)
    oracle = build_oracle(
        "bayesian", space, monitor, max_trials=9, epochs=1, seed=0, path=path
    )
    oracle._set_project_dir(path.parent, "tuner")
    return oracle


@pytest.mark.filterwarnings(
    # Keras Tuner's locks.
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"
)
@hypothesis.given(data=st.data())
@bounded
def test_states_of_searches(state, data, folder):
    path = folder / "search.json"
    write_json(path, data.draw(mutated_json([state])))
    found, refusal = outcome(RunError, new_oracle, path)
    assert found or str(path) in refusal
    if found:
        found.create_trial("tuner1")


@pytest.fixture(scope="module")
def state(folder):
    """The state of a search after two trials."""
    path = folder / "search.json"
    oracle = new_oracle(path)
    for number in range(2):
        trial = oracle.create_trial("tuner0")
        oracle.update_trial(trial.trial_id, {"loss": 0.5 - 0.1 * number})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(new_oracle(path).trials) == 2
    return json.loads(path.read_text())
