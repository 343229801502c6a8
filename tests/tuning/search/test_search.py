"""Whole searches, with fakes in the place of training."""

import dataclasses
import json
import random

import pytest
from search_fakes import BEST_THRESHOLD, Fakes, Killed, parse
from small_flags import SMALL

from tfspeech import train
from tfspeech.errors import RunError, SpecError
from tfspeech.tasks.runs import read_config
from tfspeech.training.callbacks import Monitor
from tuning.search import command as search
from tuning.search import report as search_report
from tuning.search.oracles import ORACLES, STATE_FILE, build_oracle
from tuning.search.plan import load_plan, open_space
from tuning.search.space import declare
from tuning.search.trials import TrialRecord

pytestmark = pytest.mark.filterwarnings(
    # Keras Tuner's locks.
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"
)
THRESHOLD = ("--tune", "clip.threshold", "--tune", "l2.lambda")


@pytest.fixture
def fakes(monkeypatch):
    return Fakes(monkeypatch)


@pytest.fixture
def unplotted(fakes, monkeypatch):
    """Fakes for a test that looks at no picture."""
    monkeypatch.setattr(search_report, "plot_search", lambda *_: None)
    return fakes


def outcome(report):
    """The findings of a search, without the time it took."""
    return [dataclasses.replace(record, seconds=0.0) for record in report.records]


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("engine", ORACLES)
def test_a_search_killed_ten_times_finds_what_an_undisturbed_one_finds(
    engine, unplotted, tmp_path
):
    given = ("--engine", engine, "--max-trials", 7, *THRESHOLD)
    whole = search.run(parse(tmp_path / "whole", *given))
    assert len(whole.records) == 7
    trained = sorted(unplotted.trained)
    assert len(set(trained)) == len(trained)
    total, unplotted.trained = unplotted.events, []
    rng = random.Random(1)
    for _ in range(10):
        unplotted.events, unplotted.kill_at = 0, rng.randrange(1, total // 8)
        with pytest.raises(Killed):
            search.run(parse(tmp_path / "killed", *given))
    unplotted.kill_at = None
    killed = search.run(parse(tmp_path / "killed", *given))
    assert outcome(killed) == outcome(whole)
    # No epoch was trained twice, of no trial.
    assert sorted(unplotted.trained) == trained


@pytest.mark.parametrize("engine", ORACLES)
def test_a_state_that_was_removed_is_made_again_from_the_trials(
    engine, unplotted, tmp_path
):
    search_of = parse(tmp_path, "--engine", engine, "--max-trials", 5, *THRESHOLD)
    whole = search.run(search_of)
    (tmp_path / STATE_FILE).write_text("{")
    with pytest.raises(RunError, match="remove it to have it made again"):
        search.run(search_of)
    (tmp_path / STATE_FILE).unlink()
    unplotted.trained = []
    assert outcome(search.run(search_of)) == outcome(whole)
    assert not unplotted.trained


def test_damage_in_a_search_is_one_line_that_names_the_file(
    unplotted, tmp_path, command
):
    given = [*SMALL, "--sample-rate-hz=8000", f"--run-dir={tmp_path}", *THRESHOLD]
    given += ["--max-trials=1"]
    assert command(search.main, *given)[0] == 0
    for name in ("plan.json", "search.json", "runs/0/record.json"):
        path = tmp_path / name
        whole = path.read_bytes()
        for contents in (b"", b"\xff", b"[]", b"[" * 5000, b"9" * 5000, b"{}", b'"x"'):
            path.write_bytes(contents)
            code, out, errors = command(search.main, *given)
            assert (code, out) == (2, ""), (name, contents)
            assert errors[-1].startswith("error: ")
            assert str(path) in errors[-1]
        path.write_bytes(whole)
    assert command(search.main, *given)[0] == 0


@pytest.mark.parametrize("engine", ["bayesian", "random"])
def test_what_a_search_finds_is_better_than_the_default(engine, unplotted, tmp_path):
    given = ("--engine", engine, "--max-trials", 8, "--seed", 3, *THRESHOLD)
    report = search.run(parse(tmp_path, *given))
    best = report.ranked[0]
    assert best.score > report.baseline.score + 0.1
    assert 0.1 < best.values["clip.threshold"] / BEST_THRESHOLD < 10
    assert len({tuple(record.values.items()) for record in report.records}) == 8


def test_the_best_trains_as_it_is_from_its_file(fakes, tmp_path):
    report = search.run(parse(tmp_path, "--max-trials", 3, *THRESHOLD))
    config, *_ = train.parse(["--config", str(tmp_path / "best.json")])
    assert config == report.best_config
    assert config.training.clip[0].startswith("global_norm(")
    assert config.training.regularize[0].startswith("l2(")
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["best"]["score"] == report.ranked[0].score
    assert saved["objective"] == {"name": "accuracy", "higher_is_better": True}
    text = (tmp_path / "report.md").read_text()
    assert "against the default's" in text
    assert "--tune clip.threshold --tune l2.lambda" in text
    assert (tmp_path / "report.png").stat().st_size > 10_000


def test_four_failures_in_a_row_are_told_as_the_worst_and_the_search_goes_on(
    unplotted, tmp_path
):
    given = ("--tune", "l2.lambda=1e3,1e4,1e5,1e6,1e-5", "--engine", "grid")
    report = search.run(parse(tmp_path, *given))
    statuses = [record.status for record in report.records]
    assert statuses == ["diverged"] * 4 + ["finished"]
    curve = [r.reported for r in report.records[:4]]
    assert max(curve) < report.baseline.score
    assert report.ranked == [report.records[4]]
    text = (tmp_path / "report.md").read_text()
    assert "trial 00 (l2.lambda=1000): diverged, not finite" in text


def test_a_crash_is_a_failure_too_and_the_default_may_be_the_best(fakes, tmp_path):
    given = ("--fix", "clip.kind=value", "--tune", "clip.threshold=0.5,0.7")
    report = search.run(parse(tmp_path, *given, "--engine", "grid"))
    assert [record.status for record in report.records] == ["crashed", "finished"]
    assert "out of memory" in report.records[0].reason
    other = parse(tmp_path / "b", "--tune", "l2.lambda=1e3,1e4", "--engine", "grid")
    report = search.run(other)
    assert report.ranked == []
    assert report.best is report.baseline
    assert "No trial beats the default" in search.summarize(report)[-1]
    assert read_config(tmp_path / "b" / "best.json") == report.trials.config
    worst = dataclasses.replace(report.baseline, score=None)
    failed = dataclasses.replace(report, baseline=worst)
    assert search.summarize(failed)[-1] == "No trial has a score."
    with pytest.raises(RunError, match="nothing to be exported"):
        search.export_best(failed, tmp_path)


def test_hopeless_trials_end_early_unless_that_is_not_wanted(unplotted, tmp_path):
    values = ",".join(["0.3", "0.25", "0.2", "0.35", "0.4", "1e5", "1e-5"])
    given = ("--tune", f"clip.threshold={values}", "--engine", "grid", "--epochs", 9)
    report = search.run(parse(tmp_path / "a", *given))
    *good, high, low = report.records
    assert {record.status for record in good} == {"finished"}
    assert high.status == low.status == "stopped"
    assert "stopped after epoch 3: the best accuracy is" in high.reason
    trained = [epoch for place, _, epoch in unplotted.trained if place == high.name]
    assert max(trained) == 3
    report = search.run(parse(tmp_path / "b", *given, "--no-early-stopping"))
    assert {record.status for record in report.records} == {"finished"}


def test_hyperband_goes_on_with_the_runs_it_has_begun(unplotted, tmp_path):
    given = ("--engine", "hyperband", "--epochs", 9, "--max-trials", 20, *THRESHOLD)
    report = search.run(parse(tmp_path, *given))
    budgets = {record.epochs for record in report.records}
    assert budgets == {1, 3, 9}
    later = [r for r in report.records if r.runs[0].run_dir.split("/")[1] != r.name]
    assert len(later) >= 3
    for record in later:
        first = report.records[int(record.runs[0].run_dir.split("/")[1])]
        assert first.values == record.values
        assert first.epochs < record.epochs
        assert first.score < record.score
    assert len(set(unplotted.trained)) == len(unplotted.trained)


def test_several_seeds_are_scored_by_their_mean(unplotted, tmp_path):
    given = ("--seeds", 3, "--seed", 5, "--max-trials", 2, *THRESHOLD)
    report = search.run(parse(tmp_path, *given))
    for record in [report.baseline, *report.records]:
        assert [run.seed for run in record.runs] == [5, 6, 7]
        scores = [run.score for run in record.runs]
        assert record.score == pytest.approx(sum(scores) / 3)
        assert scores[2] > scores[0]


def test_another_objective_is_that_of_the_model_that_is_kept(unplotted, tmp_path):
    given = ("--objective", "loss", "--max-trials", 2, *THRESHOLD)
    report = search.run(parse(tmp_path, *given))
    assert report.trials.objective == ("loss", False)
    first, second = report.ranked
    assert first.score < second.score
    with pytest.raises(SpecError, match=r"one of accuracy, loss\. Received: labels"):
        search.run(parse(tmp_path / "b", "--objective", "labels:max", *THRESHOLD))


def test_a_directory_holds_one_search_which_may_be_made_longer(unplotted, tmp_path):
    search.run(parse(tmp_path, "--max-trials", 2, *THRESHOLD))
    with pytest.raises(RunError, match=r"holds a search with another engine, seeds"):
        search.run(parse(tmp_path, *THRESHOLD, "--engine", "grid", "--seeds", 2))
    report = search.run(parse(tmp_path, "--max-trials", 4, *THRESHOLD))
    assert [record.name for record in report.records] == ["0", "1", "2", "3"]
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(RunError, match=r"search.json is damaged"):
        search.run(parse(tmp_path, "--max-trials", 4, *THRESHOLD))


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(
    ("address", "tuner_id"), [("", "tuner0"), ("127.0.0.1", "worker0")]
)
def test_a_trial_that_was_begun_alone_goes_on_alone_or_with_any_worker(
    address, tuner_id, unplotted, tmp_path, monkeypatch
):
    unplotted.kill_at = 40
    wanted = parse(tmp_path, "--max-trials", 9, "--engine", "random", *THRESHOLD)
    with pytest.raises(Killed):
        search.run(wanted)
    state = json.loads((tmp_path / "search.json").read_text())
    last = state["trials"][-1]
    assert last["status"] == "RUNNING"
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", address)
    oracle = build_oracle(
        "random",
        declare(load_plan(wanted, open_space(wanted)).space),
        Monitor("accuracy", True),
        max_trials=9,
        epochs=5,
        seed=0,
        path=tmp_path / "search.json",
    )
    trial = oracle.create_trial(tuner_id)
    assert trial.trial_id == last["trial_id"]
    assert trial.hyperparameters.values == last["hyperparameters"]["values"]
    assert oracle.create_trial(tuner_id).trial_id == trial.trial_id
    oracle._set_project_dir(tmp_path, "tuner")
    assert oracle.create_trial("another").trial_id != trial.trial_id


def test_a_damaged_record_is_one_clear_error(tmp_path):
    (tmp_path / "record.json").write_text('{"name": "0"}')
    with pytest.raises(RunError, match=r"record.json is damaged, remove it"):
        TrialRecord.load(tmp_path / "record.json")


def test_a_baseline_that_crashes_is_one_line(unplotted, tmp_path, command):
    given = ["--run-dir", tmp_path, "--clip", "value(0.5)", "--tune", "l2.lambda"]
    code, _, errors = command(search.main, *given)
    assert code == 2
    assert errors[-1].startswith("error: the search cannot start: its baseline killed")


BAD = {
    "engine": (["--engine", "tpe"], "--engine must be one of random, bayesian"),
    "trials": (["--max-trials", "0"], "--max-trials and --seeds must be at least 1"),
    "objective": (["--objective", "loss:down"], "NAME, NAME:min or NAME:max"),
    "tune": (["--tune", "threshold"], "threshold cannot be searched or fixed"),
    "range": (["--tune", "clip.threshold=3:1"], "takes LOW:HIGH for numbers"),
    "out of range": (["--tune", "dropout=0:2"], "dropout must be in [0, 1)"),
    "fix": (["--fix", "units"], "--fix is written as NAME=VALUE"),
    "flag": (["--tunes", "units"], "unrecognized arguments: --tunes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, tmp_path, command):
    arguments, reason = BAD[case]
    code, out, errors = command(search.main, "--run-dir", tmp_path / "a", *arguments)
    assert code == 2
    assert out == ""
    assert len(errors) == 1
    assert reason in errors[0]
    assert not (tmp_path / "a").exists()


def test_the_role_of_a_process_is_in_keras_tuners_variables(monkeypatch):
    for name in search.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert search.find_role() == search.SINGLE
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    with pytest.raises(SpecError, match=r"^set KERASTUNER_ORACLE_IP, "):
        search.find_role()
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    assert search.find_role() == search.CHIEF
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker0")
    assert search.find_role() == search.WORKER
