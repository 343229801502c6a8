"""Keras Tuner's tuner, which has trials trained by our loop."""

from __future__ import annotations

import time
from pathlib import Path

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfspeech.console import say
from tfspeech.errors import RunError, TfspeechError
from tuning.search.oracles import PersistentOracle
from tuning.search.trial_config import format_values
from tuning.search.trials import Trials

_POLL_SECONDS = 0.2


class SearchTuner(keras_tuner.Tuner):
    """Trains every trial of an oracle by our loop, in processes of their own.

    To the oracle no trial fails: one that diverges, crashes or runs out of memory gets
    the worst score known, so that the search continues and avoids its vicinity.

    Args of the constructor:
        oracle: The oracle, with its state restored.
        trials: The trials, which it has run.
        directory: For the files that Keras Tuner writes besides.
    """

    def __init__(
        self, oracle: PersistentOracle, trials: Trials, directory: Path
    ) -> None:
        super().__init__(
            oracle, directory=str(directory), project_name="tuner", overwrite=False
        )
        self._trials = trials

    def save(self) -> None:
        """Does nothing: the oracle has saved itself, and the tuner has no state."""

    def pre_create_trial(self) -> None:
        """Waits, so that an idle worker polls the chief a few times a second."""
        time.sleep(_POLL_SECONDS)

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """Trains a trial, and returns its score.

        Raises:
            FatalError: The search cannot continue; its cause is the original error.
        """
        chosen = trial.hyperparameters.values
        values = {
            dimension.name: dimension.decode(chosen[dimension.key])
            for dimension in self._trials.space
            if dimension.key in chosen and dimension.is_active(chosen)
        }
        say(f"trial {trial.trial_id}: {format_values(values)}")
        try:
            budget = chosen.get("tuner/epochs", 0)
            first = self._first_trial(trial)
            record = self._trials.run(trial.trial_id, values, budget, first)
        except (TfspeechError, OSError) as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        say(f"trial {trial.trial_id}: {self._trials.describe(record)}")
        return {self._trials.objective.name: record.reported}

    def on_trial_end(self, trial: Trial) -> None:
        """Ends a trial.

        Raises:
            RunError: Its result did not reach the oracle.
        """
        if trial.status != TrialStatus.COMPLETED:
            lines = (trial.message or "").strip().splitlines() or ["unknown"]
            raise RunError(f"trial {trial.trial_id} could not be ended: {lines[-1]}")
        super().on_trial_end(trial)

    def _first_trial(self, trial: Trial) -> str:
        """The trial that began the runs which this one continues."""
        while previous := trial.hyperparameters.values.get("tuner/trial_id"):
            trial = self.oracle.get_trial(previous)
        return trial.trial_id
