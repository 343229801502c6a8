"""Budget: refuses models that are too large."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import keras

from models.config import argument
from tfspeech.errors import SpecError
from tfspeech.strategies.regularization.base import Regularization, Run
from tfspeech.strategies.strategy import COUNT_OR_0
from tfspeech.strategies.variables import VariableInfo


@dataclasses.dataclass(frozen=True)
class Budget(Regularization):
    """Check at build: at most so many layers and trainable parameters.

    It acts once, before the first step, and leaves loss and weights as they are. All
    models that are trained together count. A layer counts if it has trainable weights
    of its own; a weight that two layers share counts once. 0 is no limit. `match` has
    it count the weights that it selects alone.
    """

    layers: int = argument(0, COUNT_OR_0)
    parameters: int = argument(0, COUNT_OR_0)

    def __post_init__(self) -> None:
        super().__post_init__()
        limited = self.layers or self.parameters
        self.require(limited, "layers", "above 0 unless parameters is")

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects all variables."""
        return True

    def check(self, models: Sequence[keras.Model], run: Run) -> None:
        """Raises a `SpecError` that says by how much models are over the budget."""
        counted = [
            variable
            for model in models
            for variable in model.trainable_variables
            if self.is_found_in(variable.path)
        ]
        found = {
            "layers": len({v.path.rpartition("/")[0] for v in counted}),
            "parameters": sum(math.prod(v.shape) for v in counted),
        }
        over = [
            f"{count:,} {name}, {count - limit:,} over its budget of {limit:,}"
            for name, count in found.items()
            if (limit := getattr(self, name)) and count > limit
        ]
        if over:
            names = " + ".join(model.name for model in models)
            raise SpecError(f"{names} has {' and '.join(over)}")
