"""Interface of the part of a model that TFLite runs."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Runner = Callable[..., Mapping[str, np.ndarray]]
"""A TFLite model: inputs by name -> outputs by name, each of one row."""


class LiteModel(tf.Module, abc.ABC):
    """A function of one utterance of any length, whose shape is its length.

    Args of the constructor:
        model: Whose weights go with it.
        function: From tensors of one row to outputs by name.
        specs: Its inputs, by the names of its arguments.

    Attributes:
        function: The same, as a `tf.function`.
    """

    def __init__(
        self,
        model: keras.Model,
        function: Callable[..., dict[str, tf.Tensor]],
        specs: Sequence[tf.TensorSpec],
    ) -> None:
        super().__init__(name="lite_model")
        self.function = tf.function(function, input_signature=specs)
        self._weights = [v.value for v in model.variables]

    @abc.abstractmethod
    def measure(self, data: Any, runner: Runner) -> dict[str, Any]:
        """Compares a TFLite model with the float model on the test split of a corpus.

        Args:
            data: What `RunConfig.read_data` returns for the test split.
            runner: The TFLite model.

        Returns:
            Figures by name, and a `summary` of them.
        """
