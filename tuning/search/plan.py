"""What is settled before the first trial: the search, its baseline and its space."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfspeech.console import say
from tfspeech.data.corpora import absolute_spec
from tfspeech.errors import RunError, SpecError
from tfspeech.tasks.runs import has_run, load_config
from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.paths import METRICS_FILE
from tuning.figures import Monitor, read_run
from tuning.search.config import configure, parse_fixed
from tuning.search.engines import ENGINES, tell
from tuning.search.space import build_space
from tuning.search.spaces import Norms, Space, with_norms
from tuning.search.trials import BASELINE, RECORD_FILE, RUNS, Trials, write_json
from tuning.trials import CRASHED, run_trial

PLAN_FILE = "plan.json"
SECONDS_TO_WAIT = 3600.0
_QUANTILES = (0.1, 0.99)


@dataclasses.dataclass(frozen=True)
class Search:
    """What is to be searched.

    Attributes:
        config: What the search starts from; its seed is the first of every trial.
        directory: Where everything about the search is kept.
        engine: One of `ENGINES`.
        max_trials: The most trials.
        objective: A validation score, with `:min` or `:max` behind it unless it is a
            loss or the one by which runs choose their best model; empty for that.
        tune: See `build_space`.
        fix: The same.
        seeds: Runs per trial, with the seeds that follow the first.
        stop_hopeless: Whether to end runs early that are worse than most were.
    """

    config: RunConfig
    directory: Path
    engine: str = "bayesian"
    max_trials: int = 20
    objective: str = ""
    tune: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    seeds: int = 1
    stop_hopeless: bool = True

    def __post_init__(self) -> None:
        if min(self.max_trials, self.seeds) < 1:
            raise SpecError(
                "--max-trials and --seeds must be at least 1. Received: "
                f"{self.max_trials}, {self.seeds}"
            )
        if self.engine not in ENGINES:
            raise SpecError(
                f"--engine must be one of {', '.join(ENGINES)}. Received: {self.engine}"
            )
        name, colon, direction = self.objective.partition(":")
        if colon and (not name or direction not in ("min", "max")):
            raise SpecError(
                "--objective is written as NAME, NAME:min or NAME:max. Received: "
                f"{self.objective!r}"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What must not change when it goes on, as JSON gives it back."""
        settings = dataclasses.asdict(dataclasses.replace(self, config=self.start))
        del settings["directory"], settings["max_trials"]
        return json.loads(json.dumps(settings))

    @property
    def start(self) -> RunConfig:
        """The baseline: the configuration with what is fixed, found from everywhere."""
        data = dataclasses.replace(
            self.config.data, data=absolute_spec(self.config.data.data)
        )
        config = dataclasses.replace(self.config, data=data)
        return configure(config, parse_fixed(self.fix))


class Plan(NamedTuple):
    """What all processes of a search agree on.

    Attributes:
        trials: Runs the trials.
        space: What they choose from.
    """

    trials: Trials
    space: Space


def open_space(search: Search) -> Space:
    """Sees that a search makes sense, and that its directory holds no other one.

    Returns:
        The space, in which some thresholds may have no range yet.

    Raises:
        SpecError: There is nothing to be searched, or a value is out of range.
        RunError: The directory holds another search.
    """
    space = build_space(search.start, search.tune, search.fix)
    if (search.directory / PLAN_FILE).is_file():
        load_plan(search, space)
    return space


def make_plan(search: Search, space: Space) -> Plan:
    """Trains the baseline, from which scores and thresholds get their scale.

    Args:
        search: The search.
        space: In which thresholds may have no range yet; they get it from the norms of
            the baseline's gradients.

    Raises:
        RunError: The baseline crashed, or had no finite gradient where one is needed.
        SpecError: There is no such objective.
    """
    path = search.directory / PLAN_FILE
    if not path.is_file():
        say("baseline: the configuration that the search starts from")
        run_dir = _train_baseline(search)
        task = load_config(run_dir).build()
        monitor = Monitor(task.monitor, task.higher_is_better)
        norms = None
        if any(dimension.values is None for dimension in space):
            weights = task.model.trainable_variables
            sizes = [int(np.prod(weight.shape)) for weight in weights]
            norms = measure_norms(run_dir, len(sizes), sum(sizes))
        objective = _objective(search, monitor, run_dir)
        settled = {"monitor": monitor, "objective": objective, "norms": norms}
        write_json(path, settled | {"settings": search.settings})
    plan = load_plan(search, space)
    baseline = plan.trials.run(BASELINE, {})
    say(f"baseline: {tell(baseline, plan.trials.objective)}")
    return plan


def load_plan(search: Search, space: Space) -> Plan:
    """Reads what `make_plan` has written, perhaps in another process.

    Raises:
        RunError: It is damaged, or that of another search.
    """
    path = search.directory / PLAN_FILE
    try:
        saved = json.loads(path.read_text())
    except ValueError as error:
        raise RunError(f"{path} is damaged: choose another --run-dir") from error
    settings, others = search.settings, saved["settings"]
    differing = [name for name in settings if settings[name] != others.get(name)]
    if differing:
        raise RunError(
            f"{search.directory} holds a search with another {', '.join(differing)}: "
            "repeat its flags, or choose another --run-dir"
        )
    trials = Trials(
        search.start,
        search.directory,
        search.seeds,
        Monitor(*saved["monitor"]),
        Monitor(*saved["objective"]),
        search.stop_hopeless and search.engine != "hyperband",
    )
    if saved["norms"]:
        space = with_norms(space, Norms(*saved["norms"]))
    return Plan(trials, space)


def wait_for_plan(search: Search, space: Space) -> Plan:
    """Waits until the chief has trained the baseline.

    Raises:
        RunError: It has not within an hour.
    """
    record = search.directory / RUNS / BASELINE / RECORD_FILE
    say("waiting for the chief to train the baseline")
    until = time.monotonic() + SECONDS_TO_WAIT
    while not record.is_file():
        if time.monotonic() > until:
            raise RunError(
                f"no chief has written {record}: start one, with the same --run-dir"
            )
        time.sleep(1.0)
    return load_plan(search, space)


def measure_norms(run_dir: Path, tensors: int, parameters: int) -> Norms:
    """Reads from a run how large its gradients were.

    Raises:
        RunError: None was finite.
    """
    records = read_metrics(run_dir / METRICS_FILE)
    norms = [record.get("gradient_norm") for record in records]
    known = [norm for norm in norms if norm]
    if not known:
        raise RunError(
            "the configuration that the search starts from has no step with a finite "
            "gradient: give another one, or ranges (--tune clip.threshold=LOW:HIGH)"
        )
    low, high = np.quantile(known, _QUANTILES)
    return Norms(float(low), float(high), tensors, parameters)


def _train_baseline(search: Search) -> Path:
    config = search.start
    run_dir = search.directory / RUNS / BASELINE / f"seed_{config.training.seed}"
    outcome = run_trial(config, run_dir)
    if outcome.status == CRASHED or not has_run(run_dir):
        raise RunError(f"the search cannot start: its baseline {outcome.reason}")
    return run_dir


def _objective(search: Search, monitor: Monitor, run_dir: Path) -> Monitor:
    """What is searched for, where the baseline has measured that."""
    name, _, direction = search.objective.partition(":")
    if not name:
        return monitor
    epochs = read_run(load_config(run_dir), run_dir).epochs
    scores = epochs[0]["validation"] if epochs else {name: 0.0}
    known = [n for n, value in scores.items() if isinstance(value, (int, float))]
    if name not in known:
        raise SpecError(
            f"--objective must be one of {', '.join(known)}. Received: {name}"
        )
    if direction:
        return Monitor(name, direction == "max")
    if name == monitor.name:
        return monitor
    if "loss" in name:
        return Monitor(name, False)
    raise SpecError(
        f"say whether more is better: --objective {name}:max, or {name}:min"
    )
