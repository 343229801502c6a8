"""Keras Tuner's oracles and tuner, made to outlive `kill -9` and to train by our loop.

What Keras Tuner 1.4.8 does otherwise, and what is done about it here:

- It spreads its state over several files and rewrites them in place. Here all of it is
  one file, which is replaced as a whole whenever a trial begins or ends.
- What it loads again is not all that decides what comes next: the Bayesian oracle
  forgets its random numbers, the grid its place.
- Its Bayesian oracle proposes what it has tried already, where the values that it
  means by a choice or a condition are the same. Here it then takes a random one.
- A trial that was running is given to whoever asks first after a restart, while the
  worker that runs it may still be there. Here it stays with that worker.
- Values go to workers and back as 32-bit floats, among which the grid does not find
  its own values any more.
- Failed trials end the search after three in a row. Here none fails: see `SearchTuner`.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from tfspeech.console import say
from tfspeech.errors import RunError, TfspeechError
from tuning.figures import Monitor
from tuning.search.config import to_text
from tuning.search.spaces import Space, Value
from tuning.search.trials import TrialRecord, Trials, write_json

STATE_FILE = "search.json"
LONE_TUNER = "tuner0"
"""What Keras Tuner calls a process that searches alone."""
_SECONDS_BETWEEN_QUESTIONS = 0.2
_NEAR = 0.03
"""Values are nearly the same within this share of what they are chosen from."""


class Durable(keras_tuner.Oracle):
    """An oracle that keeps all its state in one file, whole or not at all.

    Attributes:
        path: The file; to be set before anything else is done.
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
        write_json(self.path, state)

    def reload(self) -> None:
        """Takes up what was saved; trials that were running stay with their tuners.

        Raises:
            RunError: The file is damaged.
        """
        try:
            state = json.loads(self.path.read_text())
            self.trials = {t["trial_id"]: Trial.from_state(t) for t in state["trials"]}
            self.set_state(state["oracle"])
            self._seconds_before = state["seconds"]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{self.path} is damaged or of another version: {error!r}"
            ) from error
        # At the end of a trial Keras Tuner saves before it takes it from the list.
        ongoing = {
            tuner_id: trial
            for tuner_id, trial in self.ongoing_trials.items()
            if trial.trial_id not in self.end_order
        }
        shared = bool(os.environ.get("KERASTUNER_ORACLE_IP"))
        kept = {i: trial for i, trial in ongoing.items() if (i == LONE_TUNER) != shared}
        self.ongoing_trials = kept
        # Whoever ran the others will not come back: the search was alone, or is now.
        left = [trial.trial_id for i, trial in ongoing.items() if i not in kept]
        self._retry_queue += left

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Takes a result; what was tried is known here in full precision."""
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        super().end_trial(trial)


class RandomOracle(Durable, keras_tuner.oracles.RandomSearchOracle):
    """Random search."""


class HyperbandOracle(Durable, keras_tuner.oracles.HyperbandOracle):
    """Hyperband: many short trials, of which the best go on."""


class BayesianOracle(Durable, keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimization by a Gaussian process."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Chooses values by seed and number of the trial alone."""
        self._random_state = np.random.RandomState(self.seed + len(self.trials))
        # On matrices this small threads are in each other's way: a tenth of the time.
        with warnings.catch_warnings(), threadpool_limits(1):
            # Kernel scales at their bounds are no news with a dozen of points.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = super().populate_space(trial_id)
        if found["values"] and self._is_known(found["values"]):
            return self._random_populate_space()
        return found

    def _is_known(self, values: dict[str, Any]) -> bool:
        """Whether a trial had nearly these values: again would tell nothing new."""
        space = {hp.name: hp for hp in self.hyperparameters.space}

        def distance(known: dict[str, Any]) -> float:
            return max(
                abs(
                    space[name].value_to_prob(v)
                    - space[name].value_to_prob(known[name])
                )
                for name, v in values.items()
            )

        tried = (trial.hyperparameters.values for trial in self.trials.values())
        return any(k.keys() == values.keys() and distance(k) < _NEAR for k in tried)


class GridOracle(Durable, keras_tuner.oracles.GridSearchOracle):
    """All combinations, ten values of every range."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up its state, and finds its place on the grid from the trials."""
        super().set_state(state)
        values = {i: trial.hyperparameters.values for i, trial in self.trials.items()}
        order = cmp_to_key(lambda a, b: self._compare(values[a], values[b]))
        for trial_id in sorted(values, key=order):
            self._ordered_ids.insert(trial_id)
        # Those whose successor was tried are passed over.
        self._populate_next = list(self.start_order)


ENGINES = ("random", "bayesian", "hyperband", "grid")


def build_oracle(
    engine: str,
    space: keras_tuner.HyperParameters,
    objective: Monitor,
    *,
    max_trials: int,
    epochs: int,
    seed: int,
    path: Path,
) -> Durable:
    """Builds an oracle, and takes up its state where it has one.

    Args:
        engine: One of `ENGINES`.
        space: What it chooses from.
        objective: What it optimises.
        max_trials: The most trials it may begin.
        epochs: The budget of a whole trial, of which Hyperband gives parts.
        seed: Of its choices.
        path: Where it keeps its state.
    """
    direction = "max" if objective.higher_is_better else "min"
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(objective.name, direction),
        "hyperparameters": space,
        "seed": seed + 1,  # Keras Tuner takes 0 for none.
    }
    if engine == "hyperband":
        oracle: Durable = HyperbandOracle(max_epochs=epochs, **options)
        oracle.max_trials = max_trials
    elif engine == "bayesian":
        # The usual three per dimension would leave a short search random.
        points = max(3, min(3 * len(space.space), max_trials // 3))
        oracle = BayesianOracle(
            max_trials=max_trials, num_initial_points=points, **options
        )
    else:
        kind = GridOracle if engine == "grid" else RandomOracle
        oracle = kind(max_trials=max_trials, **options)
    oracle.path = path
    if path.is_file():
        oracle.reload()
    return oracle


class SearchTuner(keras_tuner.Tuner):
    """Has every trial of an oracle trained by our loop, in processes of their own.

    No trial fails: one that diverges, crashes or runs out of memory has the worst score
    known, so that the search goes on and keeps away from there.

    Args of the constructor:
        oracle: Its state is taken up already.
        trials: Runs them.
        space: What they choose from.
        directory: For the files that Keras Tuner writes besides.
    """

    def __init__(
        self, oracle: Durable, trials: Trials, space: Space, directory: Path
    ) -> None:
        super().__init__(
            oracle, directory=str(directory), project_name="tuner", overwrite=False
        )
        self._trials = trials
        self._space = space

    def save(self) -> None:
        """Does nothing: the oracle has saved itself, and there is nothing else."""

    def pre_create_trial(self) -> None:
        """Waits, so that a worker without work does not ask all the time."""
        time.sleep(_SECONDS_BETWEEN_QUESTIONS)

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """Trains a trial, and returns its score.

        Raises:
            FatalError: The search cannot go on; the cause is that of the error.
        """
        objective = self._trials.objective
        chosen = trial.hyperparameters.values
        values = {
            dimension.name: dimension.read(chosen[dimension.key])
            for dimension in self._space
            if dimension.key in chosen and dimension.exists(chosen)
        }
        say(f"trial {trial.trial_id}: {describe(values)}")
        try:
            budget = chosen.get("tuner/epochs", 0)
            root = self._root(trial)
            record = self._trials.run(trial.trial_id, values, budget, root)
        except (TfspeechError, OSError) as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        say(f"trial {trial.trial_id}: {tell(record, objective)}")
        return {objective.name: record.told}

    def on_trial_end(self, trial: Trial) -> None:
        """Ends a trial.

        Raises:
            RunError: Its result did not reach the oracle.
        """
        if trial.status != TrialStatus.COMPLETED:
            lines = (trial.message or "").strip().splitlines() or ["unknown"]
            raise RunError(f"trial {trial.trial_id} could not be ended: {lines[-1]}")
        super().on_trial_end(trial)

    def _root(self, trial: Trial) -> str:
        """The trial that began the runs which this one continues."""
        while previous := trial.hyperparameters.values.get("tuner/trial_id"):
            trial = self.oracle.get_trial(previous)
        return trial.trial_id


def describe(values: dict[str, Value]) -> str:
    """What a trial has chosen, as text."""
    return ", ".join(f"{name}={to_text(value)}" for name, value in values.items())


def tell(record: TrialRecord, objective: Monitor) -> str:
    """What came of a trial, as text."""
    if record.score is None:
        return f"{record.status}: {record.reason}"
    note = f" ({record.reason})" if record.reason else ""
    return f"{objective.name} {record.score:.4f}{note}"
