"""Duration-based TTS with pitch and energy of every phoneme, after FastSpeech 2."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from models.layers import (
    FeatureNormalization,
    Posterior,
    RecurrentBlock,
    mask_frames,
)
from models.layers.convolution_block import ConvolutionBlock
from models.layers.dead_units import drop_constant_units
from models.layers.length_regulation import POSITIONS, frame_positions
from models.layers.posterior import Gaussian
from models.layers.self_attention import add_positions
from models.model import SpeechModel
from models.parallel_tts_blocks import ParallelTtsConfig, build_body, build_encoder

_VARIANCES = 3  # Of a segment: log duration, ln F0 and energy.


@keras.saving.register_keras_serializable(package="tfspeech")
class ParallelTts(SpeechModel):
    """Predicts durations, pitch and energy of segments, and acoustic frames from them.

    Segments are phonemes and pauses. Their encoding, with pitch and energy added, is
    repeated for every frame that they last, and blocks over frames follow. Sources: Ren
    et al. 2021, "FastSpeech 2" (arXiv 2006.04558); pitch and energy per phoneme are
    those of Lancucki 2021, "FastPitch" (arXiv 2006.06873).

    With a latent variable it is a variational autoencoder of frames, conditioned on the
    text: what a posterior finds in the recording of a word, or what is drawn from the
    prior N(0, 1), is added to the encoding of its segments.

    Args of the constructor:
        config: The architecture.
        num_symbols: Number of symbols, with 0 for padding.
        feature_dim: Linguistic features of a segment.
        target_dim: Values of a frame that are predicted.

    Attributes:
        normalization: Of the frames, to [-1, 1].
        duration_normalization: Of log durations, to [-1, 1].
        prosody_normalization: Of ln F0 and energy, to [-1, 1].
        duration_std: Standard deviation of predicted log durations of phonemes around
            recorded ones (root mean square error); set by whoever measures it.
        variance_ratio: Standard deviation of recorded frames around the mean of their
            utterance, over that of predicted ones, float32 [target_dim]; likewise.
    """

    def __init__(
        self,
        config: ParallelTtsConfig,
        num_symbols: int,
        feature_dim: int,
        target_dim: int,
        name: str = "parallel_tts",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.num_symbols = num_symbols
        self.feature_dim = feature_dim
        self.target_dim = target_dim
        units, policy = config.units, self.dtype_policy
        dense = functools.partial(keras.layers.Dense, dtype=policy)
        self.embedding = keras.layers.Embedding(
            num_symbols, units, dtype=policy, name="embedding"
        )
        self.feature_layer = dense(units, name="features")
        self.encoder = build_encoder(config, policy)
        self.variance_blocks = [
            ConvolutionBlock(
                *(units, 3, tf.nn.relu, config.variance_dropout),
                dtype=policy,
                name=f"variance_conv_{index}",
            )
            for index in range(2)
        ]
        self.variance_layer = dense(_VARIANCES, name="variances")
        self.prosody_layer = dense(units, name="prosody")
        self.position_layer = dense(units, name="positions")
        if config.latent_size:
            self.latent_layer = dense(units, name="latent")
            # A way past the dropout of the predictors.
            self.latent_variances = dense(
                *(_VARIANCES, None, False, "zeros"), name="latent_variances"
            )
            self.posterior = Posterior(
                *(config.latent_size, units // 2, config.kernel_size, config.dropout),
                dtype=policy,
                name="posterior",
            )
        self.body = build_body(config, policy)
        self.norm = keras.layers.LayerNormalization(dtype=policy, name="norm")
        self.frame_layer = dense(target_dim, name="frames")
        # Statistics lose too much in half precision.
        normalization = functools.partial(FeatureNormalization, dtype="float32")
        self.normalization = normalization(name="frame_range")
        self.duration_normalization = normalization(name="log_duration_range")
        self.prosody_normalization = normalization(name="prosody_range")
        self.output_layers = [self.frame_layer, self.variance_layer]
        self.build()

    def build(self, input_shape: object = None) -> None:
        """Creates all weights; they do not depend on the shape of a batch."""
        shape = (None, None, self.config.units)
        self.embedding.build((None, None))
        self.feature_layer.build((None, None, self.feature_dim))
        blocks = (*self.encoder, *self.variance_blocks, *self.body)
        for layer in (*blocks, self.variance_layer, self.norm, self.frame_layer):
            layer.build(shape)
        self.prosody_layer.build((None, None, 2))
        self.position_layer.build((None, None, POSITIONS))
        if self.config.latent_size:
            for layer in (self.latent_layer, self.latent_variances):
                layer.build((None, None, self.config.latent_size))
            self.posterior.build((None, None, self.target_dim), shape)
        self.normalization.build((None, None, self.target_dim))
        self.duration_normalization.build((None, None, 1))
        self.prosody_normalization.build((None, None, 2))
        self.duration_std = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            name="duration_std",
        )
        self.variance_ratio = self.add_weight(
            shape=(self.target_dim,),
            initializer="ones",
            trainable=False,
            dtype="float32",
            name="variance_ratio",
        )

    def set_statistics(
        self, frames: np.ndarray, log_durations: np.ndarray, prosody: np.ndarray
    ) -> None:
        """Sets the normalisation by the training set; see `set_range`.

        Args:
            frames: Of the training set, [frames, target_dim].
            log_durations: Of the training set, [segments].
            prosody: ln F0 and energy of the segments that last, [segments, 2].
        """
        self.normalization.set_range(frames)
        self.duration_normalization.set_range(log_durations[:, np.newaxis])
        self.prosody_normalization.set_range(prosody)

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`: segments as they were recorded, and their frames."""
        features = [None, None, self.feature_dim]
        size = self.config.latent_size
        latent = tf.TensorSpec([None, None, size], tf.float32, "latent")
        return ({"latent": latent} if size else {}) | {
            "segments": tf.TensorSpec([None, None], tf.int32, "segments"),
            "segment_features": tf.TensorSpec(features, name="segment_features"),
            "segment_lengths": tf.TensorSpec([None], tf.int32, "segment_lengths"),
            "durations": tf.TensorSpec([None, None], tf.int32, "durations"),
            "prosody": tf.TensorSpec([None, None, 2], tf.float32, "prosody"),
            "frame_segments": tf.TensorSpec([None, None], tf.int32, "frame_segments"),
            "frame_lengths": tf.TensorSpec([None], tf.int32, "frame_lengths"),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        names = "num_symbols", "feature_dim", "target_dim"
        return super().get_config() | {name: getattr(self, name) for name in names}

    def without_dead_units(self) -> Self:
        """Returns the model without hidden units of blocks that are constant."""
        arrays: dict[str, np.ndarray] = {}
        units = []
        for block in (*self.encoder, *self.body):
            if not isinstance(block, RecurrentBlock):
                arrays |= drop_constant_units([block.hidden, block.output_layer])
                units.append(arrays[block.hidden.bias.path].size)
        if tuple(units) == self.config.hidden_sizes:
            return self
        config = dataclasses.replace(self.config, hidden_units=tuple(units))
        return self._smaller(config, arrays)

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Predicts frames from recorded durations, pitch and energy, and these, too.

        Args:
            inputs: `segments` int32 [batch, segments], `segment_features` float32
                [batch, segments, feature_dim], `durations` in frames int32 [batch,
                segments] and `prosody` float32 [batch, segments, 2], ln F0 and energy,
                all with `segment_lengths` int32 [batch]; `frame_segments`, the segment
                of every frame, int32 [batch, frames], with `frame_lengths` int32
                [batch]; with a latent variable its values `latent`, float32 [batch,
                segments or 1, latent_size], or the recorded `frames` float32 [batch,
                frames, target_dim] that they are found in, with `segment_words`, the
                word of every segment, int32 [batch, segments]; and `seeds` int64
                [batch] of dropout and samples, drawn where they are not given.
            training: Whether dropout is on, and the latent variable a sample of its
                posterior instead of its mean.

        Returns:
            `frames` float32 [batch, frames, target_dim], `log_durations` float32
            [batch, segments] and `prosody` float32 [batch, segments, 2], 0 beyond the
            lengths; and, where the latent variable was found in frames, its posterior:
            `latent_mean` and `latent_log_variance` float32 [batch, words, latent_size],
            of any value beyond the words of an utterance.
        """
        seeds = inputs.get("seeds")
        encoded = self._encode(inputs, seeds, training)
        posterior = {}
        if self.config.latent_size and "latent" not in inputs:
            found = self._posterior(encoded, inputs, seeds, training)
            latent = self.posterior.sample(found, seeds) if training else found.mean
            latent = tf.gather(latent, inputs["segment_words"], batch_dims=1)
            inputs = {**inputs, "latent": latent}
            posterior = {f"latent_{k}": value for k, value in found._asdict().items()}
        encoded = self._with_latent(encoded, inputs)
        log_durations, prosody = self._variances(encoded, inputs, seeds, training)
        return {
            "frames": self._decode(encoded, inputs["prosody"], inputs, seeds, training),
            "log_durations": log_durations,
            "prosody": prosody,
            **posterior,
        }

    def predict_log_durations(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Predicts log durations, float32 [batch, segments]; see `call`.

        Args:
            inputs: Those of `call` that are of segments, without durations and prosody,
                and `latent`.
        """
        encoded = self._with_latent(self._encode(inputs), inputs)
        return self._variances(encoded, inputs)[0]

    def predict_frames(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Predicts frames with predicted pitch and energy; see `call`.

        Args:
            inputs: Those of `call` with `latent`, without prosody; and `energy` float32
                [batch, segments or 1], by how much that of segments is to be raised.
        """
        encoded = self._with_latent(self._encode(inputs), inputs)
        prosody = self._variances(encoded, inputs)[1]
        raised = tf.expand_dims(inputs["energy"], 2)
        prosody += tf.pad(raised, [[0, 0], [0, 0], [1, 0]])
        return self._decode(encoded, prosody, inputs)

    def _encode(
        self,
        inputs: dict[str, tf.Tensor],
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Encodes segments, [batch, segments, units]."""
        features = tf.cast(inputs["segment_features"], self.compute_dtype)
        encoded = self.embedding(inputs["segments"]) + self.feature_layer(features)
        for block in self.encoder:
            encoded = block(
                encoded, inputs["segment_lengths"], seeds, training=training
            )
        return encoded

    def _posterior(
        self,
        encoded: tf.Tensor,
        inputs: dict[str, tf.Tensor],
        seeds: tf.Tensor | None,
        training: bool,
    ) -> Gaussian:
        """Finds the latent variable in the frames of a recording and in their text."""
        places = inputs["frame_segments"]
        positions = frame_positions(inputs["durations"], places)
        text = tf.gather(encoded, places, batch_dims=1)
        text += self.position_layer(tf.cast(positions, self.compute_dtype))
        frames = self.normalization(inputs["frames"])
        words = inputs["segment_words"]
        return self.posterior(
            *(tf.cast(frames, self.compute_dtype), text, inputs["frame_lengths"]),
            words=tf.gather(words, places, batch_dims=1),
            count=tf.reduce_max(words) + 1,
            seeds=seeds,
            training=training,
        )

    def _with_latent(
        self, encoded: tf.Tensor, inputs: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """Adds the latent variable, if there is one, to encoded segments."""
        if not self.config.latent_size:
            return encoded
        return encoded + self.latent_layer(
            tf.cast(inputs["latent"], self.compute_dtype)
        )

    def _variances(
        self,
        encoded: tf.Tensor,
        inputs: dict[str, tf.Tensor],
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Log durations [batch, segments] and prosody [batch, segments, 2]."""
        lengths = inputs["segment_lengths"]
        for block in self.variance_blocks:
            encoded = block(encoded, lengths, seeds, training=training)
        found = self.variance_layer(encoded)
        if self.config.latent_size:
            latent = tf.cast(inputs["latent"], self.compute_dtype)
            found += self.latent_variances(latent)
        found = tf.cast(found, tf.float32)
        durations = self.duration_normalization(found[:, :, :1], invert=True)
        prosody = self.prosody_normalization(found[:, :, 1:], invert=True)
        return mask_frames(durations, lengths)[:, :, 0], mask_frames(prosody, lengths)

    def _decode(
        self,
        encoded: tf.Tensor,
        prosody: tf.Tensor,
        inputs: dict[str, tf.Tensor],
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Frames, float32 [batch, frames, target_dim]."""
        places, lengths = inputs["frame_segments"], inputs["frame_lengths"]
        prosody = tf.cast(self.prosody_normalization(prosody), self.compute_dtype)
        encoded += self.prosody_layer(prosody)
        frames = tf.gather(encoded, places, batch_dims=1)
        positions = frame_positions(inputs["durations"], places)
        frames += self.position_layer(tf.cast(positions, self.compute_dtype))
        if self.config.body == "transformer":
            frames = add_positions(frames)
        for block in self.body:
            frames = block(frames, lengths, seeds, training=training)
        frames = tf.cast(self.frame_layer(self.norm(frames)), tf.float32)
        return mask_frames(self.normalization(frames, invert=True), lengths)
