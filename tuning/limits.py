"""Rules that end a training run before its last epoch."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Self

from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import Monitor
from tfspeech.training.loop import LoopState
from tuning.figures import RunRecord, read_run


@dataclasses.dataclass(frozen=True)
class Limits:
    """The budget of a run, and the scores that it must have reached.

    Attributes:
        epochs: The last epoch to be trained, 0 for that of the configuration.
        monitor: The validation score that is `required`; None where none is.
        required: For every epoch from the first, the score that the best so far must
            not be worse than; None where any will do. Empty for none at all.
    """

    epochs: int = 0
    monitor: Monitor | None = None
    required: tuple[float | None, ...] = ()

    def to_json(self) -> str:
        """Everything as a line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` has written."""
        values = json.loads(text)
        monitor = values["monitor"] and Monitor(*values["monitor"])
        return cls(values["epochs"], monitor, tuple(values["required"]))


NO_LIMITS = Limits()


def best_so_far(record: RunRecord, monitor: Monitor) -> dict[int, float]:
    """The best value of a validation score up to every epoch evaluated."""
    curve: dict[int, float] = {}
    best = None
    for epoch in record.epochs:
        value = epoch["validation"][monitor.name]
        if best is None or monitor.sign * value > monitor.sign * best:
            best = value
        curve[epoch["epoch"]] = best
    return curve


@dataclasses.dataclass
class LimitRule:
    """The rule that ends a run at its limits; see `tfspeech.train.StopRule`.

    Attributes:
        config: Of the run.
        run_dir: Its directory.
        limits: Of the run.
        reason: Why it is over, in a few words; empty while it is not.
    """

    config: RunConfig
    run_dir: Path
    limits: Limits
    reason: str = ""

    def __call__(self, state: LoopState) -> bool:
        """Whether the run is over, by the whole epochs that it has done."""
        epoch = state.step // state.steps_per_epoch
        limits = self.limits
        if 0 < limits.epochs <= epoch < state.epochs:
            self.reason = f"its budget of {limits.epochs} epochs is used up"
        elif 0 < epoch <= len(limits.required) and epoch < state.epochs:
            monitor, required = limits.monitor, limits.required[epoch - 1]
            record = read_run(self.config, self.run_dir)
            best = best_so_far(record, monitor).get(epoch)
            known = required is not None and best is not None
            if known and monitor.sign * best < monitor.sign * required:
                self.reason = (
                    f"stopped after epoch {epoch}: the best {monitor.name} is "
                    f"{best:.4g}, three quarters of the trials had reached "
                    f"{required:.4g}"
                )
        return bool(self.reason)
