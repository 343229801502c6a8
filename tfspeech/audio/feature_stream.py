"""Features of audio that comes bit by bit; together they are those of the whole."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfspeech.audio.features import (
    FeatureConfig,
    energies_to_features,
    mel_filters,
    power_spectrum,
)
from tfspeech.audio.running_mean import running_mean


class FeatureStream:
    """`extract_features` of utterances whose samples come in chunks of any size.

    A frame is there as soon as its last sample is: half a frame behind its centre.

    Args of the constructor:
        config: The features, `causal` ones.
        multiple: Frames come in multiples of this, but at the end of an utterance.

    Attributes:
        past_shapes: Shapes of the tensors of a row that are needed from one call to the
            next. All are float32, and 0 at the start of an utterance.
    """

    def __init__(self, config: FeatureConfig, multiple: int) -> None:
        self._config = config
        self._multiple = multiple
        self._room = config.frame_length + multiple * config.hop_length
        self.past_shapes = {
            "samples": (self._room,),
            # How many samples are kept, less those that a frame has before its
            # centre; and the last one, before the pre-emphasis.
            "kept": (),
            "last_sample": (),
            "mean": (config.feature_dim,),
            "count": (),
        }

    def __call__(
        self,
        waveforms: tf.Tensor,
        lengths: tf.Tensor,
        is_last: tf.Tensor,
        past: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Extracts the features that a chunk of each of several utterances adds.

        Args:
            waveforms: float32 [batch, samples] at the rate of the features.
            lengths: How many of them are valid, int32 [batch], 0 or more.
            is_last: Whether the utterance ends with them, bool [batch].
            past: What this has returned for the chunk before.

        Returns:
            The features, float32 [batch, frames, feature_dim], at least `multiple`
            frames, 0 beyond their lengths, int32 [batch]; and the past of the next
            chunk.
        """
        config = self._config
        hop_length = config.hop_length
        samples, kept, last_sample = self._joined(waveforms, lengths, past)
        whole = (kept - config.frame_length) // hop_length + 1
        whole -= whole % self._multiple
        rest = 1 + (kept - config.samples_before) // hop_length
        frames = tf.maximum(tf.where(is_last, rest, whole), 0)
        most = tf.maximum(tf.reduce_max(frames), self._multiple)
        size = (most - 1) * hop_length + config.frame_length
        samples = tf.pad(samples, [[0, 0], [0, size]])
        energies = power_spectrum(samples[:, :size], config)
        if config.features != "spectrogram":
            energies = tf.matmul(energies, mel_filters(config))
        plain = dataclasses.replace(config, utterance_normalization="none")
        features, _ = energies_to_features(energies, frames, plain)
        mean, count = past["mean"], past["count"]
        if config.utterance_normalization == "running_mean":
            valid = tf.sequence_mask(frames, most)[:, :, tf.newaxis]
            means, (mean, count) = running_mean(features, valid, mean, count)
            normal = features - means * config.utterance_mean_share
            features = tf.where(valid, normal, 0.0)
        used = frames * hop_length
        places = used[:, tf.newaxis] + tf.range(self._room)
        places = tf.minimum(places, tf.shape(samples)[1] - 1)
        kept = kept - used - config.samples_before
        return (
            features,
            frames,
            {
                "samples": tf.gather(samples, places, batch_dims=1),
                "kept": tf.cast(kept, tf.float32),
                "last_sample": last_sample,
                "mean": mean,
                "count": count,
            },
        )

    def _joined(
        self, waveforms: tf.Tensor, lengths: tf.Tensor, past: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Puts samples, with pre-emphasis, behind those that are kept.

        Returns:
            float32 [batch, samples], 0 beyond the lengths; the lengths, int32 [batch];
            and the last sample of each row before the pre-emphasis.
        """
        raw = tf.concat([past["last_sample"][:, tf.newaxis], waveforms], axis=1)
        last_sample = tf.gather(raw, lengths, batch_dims=1)
        new = raw[:, 1:] - self._config.preemphasis * raw[:, :-1]
        kept = tf.cast(past["kept"], tf.int32) + self._config.samples_before
        both = tf.concat([past["samples"], new], axis=1)
        count = tf.shape(both)[1]
        places = tf.range(count)[tf.newaxis]
        behind = places - kept[:, tf.newaxis]
        places = tf.where(
            behind < 0, places, tf.minimum(behind + self._room, count - 1)
        )
        samples = tf.gather(both, places, batch_dims=1)
        total = kept + lengths
        return (
            tf.where(tf.sequence_mask(total, count), samples, 0.0),
            total,
            last_sample,
        )
