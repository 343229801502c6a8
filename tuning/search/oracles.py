"""Keras Tuner's oracles, made to survive `kill -9` at any moment.

Shortcomings of Keras Tuner 1.4.8, and the remedies here:

- It spreads its state over several files and rewrites them in place. Here all of it is
  one file, which is replaced as a whole whenever a trial begins or ends.
- The state that it saves is not complete: the Bayesian oracle loses the state of its
  random number generator, the grid its position. Here the generator is seeded anew for
  every trial, and the position follows from the trials.
- Its Bayesian oracle proposes values that it has tried already, since different points
  of its unit cube may stand for the same choice. Here a random trial replaces them.
- After a restart it gives a trial that was running to the first worker that asks, while
  the worker that runs it may still be there. Here the trial stays with that worker.
- It sends values to workers and back as 32-bit floats, which the grid then does not
  find among its own values. Here the values at the oracle count.
- Three failed trials in a row end its search. Here none fails: see `SearchTuner`.
"""

from __future__ import annotations

import json
import os
import time
import warnings
import zlib
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from tfspeech.files import read_json
from tfspeech.training.callbacks import Monitor
from tuning.trials import write_json

STATE_FILE = "search.json"
SINGLE_TUNER_ID = "tuner0"
"""Keras Tuner's ID of the tuner in a search with one process."""
_TOLERANCE = 0.03
"""Values that differ by less than this share of their range count as the same."""


def _checksum(state: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(state, sort_keys=True).encode())


def _as_written(values: Any) -> dict[str, Any]:
    """A state whose checksum is right: Keras Tuner would take any other, too."""
    checksum = values.pop("checksum", None) if isinstance(values, dict) else None
    if checksum is None or checksum != _checksum(values):
        raise ValueError("its checksum is wrong")
    return values


class PersistentOracle(keras_tuner.Oracle):
    """An oracle that keeps all its state in one file, written whole or not at all.

    Attributes:
        path: The file; it must be set before the oracle is used.
    """

    path: Path

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbose = 0
        self._seconds_before = 0.0
        self._started = time.monotonic()

    def save(self) -> None:
        """Writes the file."""
        seconds = self._seconds_before + time.monotonic() - self._started
        trials = [trial.get_state() for trial in self.trials.values()]
        state = {"seconds": seconds, "oracle": self.get_state(), "trials": trials}
        write_json(self.path, state | {"checksum": _checksum(state)})

    def reload(self) -> None:
        """Restores the state; trials that were running stay with their tuners.

        Raises:
            RunError: The file is damaged.
        """
        state = read_json(self.path, _as_written)
        self.trials = {t["trial_id"]: Trial.from_state(t) for t in state["trials"]}
        self.set_state(state["oracle"])
        self._seconds_before = state["seconds"]
        ongoing, self.ongoing_trials = self.ongoing_trials, {}
        shared = bool(os.environ.get("KERASTUNER_ORACLE_IP"))
        for tuner_id, trial in ongoing.items():
            if trial.trial_id in self.end_order:
                continue  # Keras Tuner saves before it takes it from the list.
            if (tuner_id == SINGLE_TUNER_ID) != shared:
                self.ongoing_trials[tuner_id] = trial
            else:  # Its tuner is gone: the search had one process, or has now.
                self._retry_queue.append(trial.trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Takes the result of a trial, whose values stay in full precision."""
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        super().end_trial(trial)


class RandomOracle(PersistentOracle, keras_tuner.oracles.RandomSearchOracle):
    """Random search."""


class HyperbandOracle(PersistentOracle, keras_tuner.oracles.HyperbandOracle):
    """Hyperband: many short trials, of which the best are continued."""


class BayesianOracle(PersistentOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimization by a Gaussian process."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes values, with random numbers of the seed and the trial's number.

        A search that is resumed therefore proposes what it would have proposed without
        the interruption.
        """
        self._random_state = np.random.RandomState(self.seed + len(self.trials))
        # Threads slow down matrices this small by a factor of ten.
        with warnings.catch_warnings(), threadpool_limits(1):
            # A dozen of points often leaves kernel scales at their bounds.
            warnings.simplefilter("ignore", ConvergenceWarning)
            proposal = super().populate_space(trial_id)
        if proposal["values"] and self._is_known(proposal["values"]):
            return self._random_populate_space()
        return proposal

    def _is_known(self, values: dict[str, Any]) -> bool:
        """Whether a trial had nearly these values, so that another adds little."""
        point = self._unit_point(values)
        for trial in self.trials.values():
            other = self._unit_point(trial.hyperparameters.values)
            if other.keys() == point.keys() and all(
                abs(point[name] - other[name]) < _TOLERANCE for name in point
            ):
                return True
        return False

    def _unit_point(self, values: dict[str, Any]) -> dict[str, float]:
        """Values as fractions of their ranges, from 0 to 1."""
        space = {hp.name: hp for hp in self.hyperparameters.space}
        return {name: space[name].value_to_prob(v) for name, v in values.items()}


class GridOracle(PersistentOracle, keras_tuner.oracles.GridSearchOracle):
    """All combinations, ten values of every range."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state, and finds the position on the grid from the trials."""
        super().set_state(state)
        values = {i: trial.hyperparameters.values for i, trial in self.trials.items()}
        order = cmp_to_key(lambda a, b: self._compare(values[a], values[b]))
        for trial_id in sorted(values, key=order):
            self._ordered_ids.insert(trial_id)
        # Keras Tuner passes over those whose successor was tried.
        self._populate_next = list(self.start_order)


ORACLES: dict[str, type[PersistentOracle]] = {
    "random": RandomOracle,
    "bayesian": BayesianOracle,
    "hyperband": HyperbandOracle,
    "grid": GridOracle,
}


def build_oracle(
    name: str,
    space: keras_tuner.HyperParameters,
    objective: Monitor,
    *,
    max_trials: int,
    epochs: int,
    seed: int,
    path: Path,
) -> PersistentOracle:
    """Builds an oracle, and restores its state where it has one.

    Args:
        name: One of `ORACLES`.
        space: The hyperparameters it chooses.
        objective: The score it optimises.
        max_trials: The most trials it may begin.
        epochs: The budget of a whole trial, of which Hyperband gives parts.
        seed: Seed of its random choices.
        path: The file of its state.
    """
    direction = "max" if objective.higher_is_better else "min"
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(objective.name, direction),
        "hyperparameters": space,
        "seed": seed + 1,  # Keras Tuner takes 0 for none.
    }
    if name == "hyperband":
        options["max_epochs"] = epochs
    if name == "bayesian":
        # Keras Tuner's three per dimension would leave a short search random.
        points = max(3, min(3 * len(space.space), max_trials // 3))
        options["num_initial_points"] = points
    oracle = ORACLES[name](**options)
    oracle.max_trials = max_trials  # Hyperband's constructor does not take it.
    oracle.path = path
    if path.is_file():
        oracle.reload()
    return oracle
