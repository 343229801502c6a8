"""Hidden units that say nothing of the input: found, and left out of the weights.

Pruning leaves kernels with zeros, which cost as much as other numbers. What is left
out here is whole units, so that matrices become smaller and outputs stay the same but
for rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple, Self

import keras
import numpy as np

from models.layers.recurrent import Recurrent

_GATES = {
    keras.layers.SimpleRNN: (1, 0),
    keras.layers.LSTM: (4, 2),
    keras.layers.GRU: (3, 2),
}
"""Cell -> how many gates its kernels have, and which of them enters the state."""


def drop_constant_units(layers: Sequence[keras.layers.Dense]) -> dict[str, np.ndarray]:
    """Leaves constant hidden units out of dense layers that follow one another.

    A unit that nothing leads into has the value f(b) for every input, which the biases
    of the next layer take over. A layer keeps one unit at least.

    Args:
        layers: The last one keeps all units.

    Returns:
        Path of a weight -> what is left of its values.
    """
    found = {weight.path: weight.numpy() for each in layers for weight in each.weights}
    for layer, following in itertools.pairwise(layers):
        kernel, bias = found[layer.kernel.path], found[layer.bias.path]
        live = np.any(kernel != 0.0, axis=0)
        live[0] |= not np.any(live)
        values = keras.ops.convert_to_numpy(layer.activation(bias[~live]))
        next_kernel = found[following.kernel.path]
        found[layer.kernel.path], found[layer.bias.path] = kernel[:, live], bias[live]
        found[following.kernel.path] = next_kernel[live]
        next_bias = found[following.bias.path]
        found[following.bias.path] = next_bias + values @ next_kernel[~live]
    return found


class _Cell(NamedTuple):
    """Weights of one direction of a recurrent layer.

    Attributes:
        kernel: float32 [values in, gates, units].
        recurrent: float32 [units, gates, units].
        bias: float32 [1 or 2, gates, units].
        candidate: The place, among the gates, of what is to enter the state.
    """

    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    candidate: int

    @classmethod
    def of(cls, direction: keras.layers.RNN) -> Self:
        """Reads the weights of a layer of one direction."""
        gates, candidate = _GATES[type(direction)]
        weights = (weight.numpy() for weight in direction.cell.weights)
        shaped = (each.reshape(-1, gates, direction.units) for each in weights)
        return cls(*shaped, candidate)

    def live(self) -> np.ndarray:
        """Whether the state of a unit is ever other than 0, bool [units]."""
        place = self.candidate
        return (
            np.any(self.kernel[:, place] != 0.0, axis=0)
            | np.any(self.recurrent[:, place] != 0.0, axis=0)
            | np.any(self.bias[:, place] != 0.0, axis=0)
        )


def _directions(recurrent: Recurrent) -> list[keras.layers.RNN]:
    layer = recurrent.layer
    if isinstance(layer, keras.layers.Bidirectional):
        return [layer.forward_layer, layer.backward_layer]
    return [layer]


def live_units(layers: Sequence[Recurrent]) -> list[list[np.ndarray]]:
    """Finds units of recurrent layers whose state is not always 0.

    The state of any cell begins at 0 and stays there where no weight leads into what is
    to enter it, the bias included. To be of one size, all directions of all layers keep
    as many units as the one with most.

    Args:
        layers: Of the same size.

    Returns:
        By layer and direction the places of units that stay, ascending.
    """
    lives = [[_Cell.of(each).live() for each in _directions(layer)] for layer in layers]
    count = max(1, *(int(live.sum()) for each in lives for live in each))
    # Stable: those that are live come first, then the first of the others.
    return [
        [np.sort(np.argsort(~live, kind="stable")[:count]) for live in each]
        for each in lives
    ]


def drop_zero_units(
    layers: Sequence[Recurrent], kept: Sequence[Sequence[np.ndarray]]
) -> dict[str, np.ndarray]:
    """Leaves units out of recurrent layers that follow one another.

    Args:
        layers: The layers.
        kept: Of `live_units`.

    Returns:
        Path of a weight -> what is left of its values.
    """
    found: dict[str, np.ndarray] = {}
    rows: np.ndarray | slice = slice(None)
    for layer, places in zip(layers, kept, strict=True):
        for direction, keep in zip(_directions(layer), places, strict=True):
            cell = _Cell.of(direction)
            wholes = cell.kernel[rows], cell.recurrent[keep], cell.bias
            for weight, whole in zip(direction.cell.weights, wholes, strict=True):
                part = whole[:, :, keep].reshape(len(whole), -1)
                found[weight.path] = part if len(weight.shape) > 1 else part[0]
        rows = kept_outputs(layer, places)
    return found


def kept_outputs(layer: Recurrent, places: Sequence[np.ndarray]) -> np.ndarray:
    """Where units are in the outputs of a layer, which has a part per direction.

    Args:
        layer: The layer.
        places: Of the units, by direction.
    """
    size = _directions(layer)[0].units
    return np.concatenate([part * size + each for part, each in enumerate(places)])
