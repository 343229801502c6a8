"""Base of the models of the zoo, by which Keras saves, loads and exports them."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from models.config import Options, restored


class SpeechModel(keras.Model):
    """A Keras model that is built from a configuration and from sizes.

    A subclass is registered with `keras.saving.register_keras_serializable`, annotates
    its constructor's `config` with the dataclass that it takes, creates all weights
    there, and adds its other arguments to `get_config`.

    Args of the constructor:
        config: The architecture.
        **kwargs: As of `keras.Model`.
    """

    def __init__(self, config: Options, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        # XLA cannot compile loops of any length with their gradients, and makes
        # recurrent layers slower; `fit` uses it wherever a model does not object.
        self.supports_jit = False

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call` in synthesis or recognition, without `seeds`."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Builds a model, untrained, from what `get_config` has returned."""
        hints = (typing.get_type_hints(base.__init__) for base in cls.__mro__)
        config_class = next(found["config"] for found in hints if "config" in found)
        return cls(**{**config, "config": restored(config_class, config["config"])})

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Does nothing when a model is loaded: its constructor has made all weights."""

    def without_dead_units(self) -> Self:
        """Returns the model without hidden units that say nothing of the input.

        Its outputs are the same but for rounding. It is the model itself where no unit
        can be left out.
        """
        return self

    def _smaller(self, config: Options, arrays: dict[str, np.ndarray]) -> Self:
        """Builds the model of another configuration, with weights of this one.

        Args:
            config: With sizes that are smaller.
            arrays: Path of a weight -> its values, where they are not those of here.
        """
        smaller = type(self).from_config(
            self.get_config() | {"config": dataclasses.asdict(config)}
        )
        for weight, own in zip(smaller.weights, self.weights, strict=True):
            weight.assign(arrays.get(own.path, own))
        return smaller

    def export(self, filepath: str, *args: Any, **kwargs: Any) -> None:
        """Exports `call` for inference, for batches and lengths of any size.

        Args:
            filepath: The folder of the SavedModel, or the file of another format.
            *args: As of `keras.Model.export`.
            **kwargs: The same.
        """
        kwargs.setdefault("input_signature", [self.signature])
        super().export(filepath, *args, **kwargs)


def features_signature(feature_dim: int) -> dict[str, tf.TensorSpec]:
    """The inputs of recognisers: padded features, and their lengths in frames."""
    shape = [None, None, feature_dim]
    return {
        "features": tf.TensorSpec(shape, tf.float32, "features"),
        "lengths": tf.TensorSpec([None], tf.int32, "lengths"),
    }
