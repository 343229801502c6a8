"""Settings of a search, and what follows from its baseline before the first trial."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.config import option
from tfspeech.config import record_from_json
from tfspeech.console import say
from tfspeech.errors import RunError, SpecError
from tfspeech.files import read_json
from tfspeech.tasks.registry import build_task
from tfspeech.tasks.runs import has_run, load_config
from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import Monitor, read_metrics
from tfspeech.training.paths import METRICS_FILE
from tuning.figures import read_run
from tuning.search.dimensions import Norms, Space, with_norms
from tuning.search.oracles import ORACLES
from tuning.search.space import build_space
from tuning.search.trial_config import configure, parse_fixed
from tuning.search.trials import BASELINE, RECORD_FILE, Trials
from tuning.settings import with_absolute_data
from tuning.trials import CRASHED, RUNS, run_trial, write_json

PLAN_FILE = "plan.json"
SECONDS_TO_WAIT = 3600.0
_QUANTILES = (0.1, 0.99)
_MOST = 10_000


@dataclasses.dataclass(frozen=True)
class Search:
    """Search.

    Attributes:
        config: The configuration as given; its seed is the first of every trial.
        directory: The directory of the report and all runs.
    """

    config: RunConfig
    directory: Path
    engine: str = option(
        "bayesian", "search algorithm, an oracle of Keras Tuner", choices=tuple(ORACLES)
    )
    max_trials: int = option(20, "maximum number of trials", metavar="N")
    objective: str = option(
        "",
        "validation score to optimise; more is better with :max, which a loss and the "
        "score by which a run chooses its best model do without; empty for that score",
        metavar="NAME[:min|max]",
    )
    tune: tuple[str, ...] = option(
        (),
        "hyperparameter to search: clip.kind, clip.threshold, regularize.kind, "
        "KIND.lambda such as l2.lambda, or a flag of training without its dashes; "
        "VALUES are LOW:HIGH or VALUE,VALUE; repeat it for more; without any, "
        "strategies, learning rate and sizes of the model are searched",
        metavar="NAME[=VALUES]",
    )
    fix: tuple[str, ...] = option(
        (),
        "hyperparameter not to search, with its value; repeat it for more",
        metavar="NAME=VALUE",
    )
    seeds: int = option(1, "runs per trial, each with its own seed", metavar="N")
    early_stopping: bool = option(
        True, "stop runs that are worse than most were before their last epoch"
    )

    def __post_init__(self) -> None:
        if min(self.max_trials, self.seeds) < 1:
            raise SpecError(
                "--max-trials and --seeds must be at least 1. Received: "
                f"{self.max_trials}, {self.seeds}"
            )
        if max(self.max_trials, self.seeds) > _MOST:
            raise SpecError(
                f"--max-trials and --seeds must be at most {_MOST}. Received: "
                f"{self.max_trials}, {self.seeds}"
            )
        if self.engine not in ORACLES:
            raise SpecError(
                f"--engine must be one of {', '.join(ORACLES)}. Received: {self.engine}"
            )
        name, colon, direction = self.objective.partition(":")
        if colon and (not name or direction not in ("min", "max")):
            raise SpecError(
                "--objective is written as NAME, NAME:min or NAME:max. Received: "
                f"{self.objective!r}"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that a resumed search must share, as JSON returns them."""
        baseline = dataclasses.replace(self, config=self.baseline_config)
        settings = dataclasses.asdict(baseline)
        del settings["directory"], settings["max_trials"]
        return json.loads(json.dumps(settings))

    @property
    def baseline_config(self) -> RunConfig:
        """The configuration as given, with the fixed values."""
        return configure(with_absolute_data(self.config), parse_fixed(self.fix))


@dataclasses.dataclass(frozen=True)
class Plan:
    """Settings and baseline of a search, as they are kept.

    Attributes:
        monitor: The score by which a run chooses its best model.
        objective: The score of that model which the search optimises.
        norms: Of the baseline's gradients, None where no range needs them.
        settings: Those of the search; see `Search.settings`.
    """

    monitor: Monitor
    objective: Monitor
    norms: Norms | None
    settings: dict[str, Any]


def open_space(search: Search) -> Space:
    """Checks a search, and that its directory holds no other one.

    Returns:
        The space, in which some thresholds may have no range yet.

    Raises:
        SpecError: There is nothing to be searched, or a value is out of range.
        RunError: The directory holds another search.
    """
    space = build_space(search.baseline_config, search.tune, search.fix)
    if (search.directory / PLAN_FILE).is_file():
        load_plan(search, space)
    return space


def make_plan(search: Search, space: Space) -> Trials:
    """Trains the baseline, whose gradients give thresholds their range.

    Args:
        search: The settings.
        space: The space, in which some thresholds may have no range yet.

    Raises:
        RunError: The baseline crashed, or had no finite gradient where one is needed.
        SpecError: There is no such objective.
    """
    path = search.directory / PLAN_FILE
    if not path.is_file():
        say("baseline: the configuration as given, without a search")
        run_dir = _train_baseline(search)
        task = build_task(load_config(run_dir))
        norms = None
        if any(dimension.values is None for dimension in space):
            weights = task.model.trainable_variables
            sizes = [int(np.prod(weight.shape)) for weight in weights]
            norms = measure_norms(run_dir, len(sizes), sum(sizes))
        objective = _objective(search, task.monitor, run_dir)
        plan = {
            "monitor": task.monitor._asdict(),
            "objective": objective._asdict(),
            "norms": norms and norms._asdict(),
            "settings": search.settings,
        }
        write_json(path, plan)
    trials = load_plan(search, space)
    baseline = trials.run(BASELINE, {})
    say(f"baseline: {trials.describe(baseline)}")
    return trials


def load_plan(search: Search, space: Space) -> Trials:
    """Reads the plan that `make_plan` has written, perhaps in another process.

    Raises:
        RunError: It is damaged, or that of another search.
    """
    path = search.directory / PLAN_FILE
    saved = read_json(path, functools.partial(record_from_json, Plan))
    settings = search.settings
    differing = [n for n in settings if settings[n] != saved.settings.get(n)]
    if differing:
        raise RunError(
            f"{search.directory} holds a search with another {', '.join(differing)}: "
            "repeat its flags, or choose another --run-dir"
        )
    if saved.norms is not None:
        space = with_norms(space, saved.norms)
    return Trials(
        search.baseline_config,
        space,
        search.directory,
        search.seeds,
        saved.monitor,
        saved.objective,
        search.early_stopping and search.engine != "hyperband",
    )


def wait_for_plan(search: Search, space: Space) -> Trials:
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
    """Reads the norms of a run's gradients.

    Raises:
        RunError: None was finite.
    """
    records = read_metrics(run_dir / METRICS_FILE)
    norms = [record.get("gradient_norm") for record in records]
    known = [norm for norm in norms if norm]
    if not known:
        raise RunError(
            "the baseline has no step with a finite gradient: start from another "
            "configuration, or give ranges (--tune clip.threshold=LOW:HIGH)"
        )
    low, high = np.quantile(known, _QUANTILES)
    return Norms(float(low), float(high), tensors, parameters)


def _train_baseline(search: Search) -> Path:
    config = search.baseline_config
    run_dir = search.directory / RUNS / BASELINE / f"seed_{config.training.seed}"
    outcome = run_trial(config, run_dir)
    if outcome.status == CRASHED or not has_run(run_dir):
        raise RunError(f"the search cannot start: its baseline {outcome.reason}")
    return run_dir


def _objective(search: Search, monitor: Monitor, run_dir: Path) -> Monitor:
    """The score that is optimised, which the baseline must have measured."""
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
