"""Attention of a decoder over encoder outputs, one decoder step at a time."""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf

from models.layers.masking import Shape, mask_frames, sequence_mask

State = tuple[tf.Tensor, ...]


class Memory(NamedTuple):
    """Encoder outputs prepared for attention, once for all decoder steps.

    Attributes:
        values: [batch, symbols, channels], summed to contexts; 0 in padding.
        keys: Compared with queries; the shape is up to the attention.
        mask: bool [batch, symbols], true where there is a symbol.
        filters: Of location-sensitive attention, [2 symbols, symbols * filters].
    """

    values: tf.Tensor
    keys: tf.Tensor
    mask: tf.Tensor
    filters: tf.Tensor | None = None


def masked_softmax(energies: tf.Tensor, mask: tf.Tensor, top_k: int = 0) -> tf.Tensor:
    """Softmax over the last axis, exactly 0 where the mask is false.

    Args:
        energies: float32 [..., symbols].
        mask: bool, of a shape that broadcasts to that of the energies.
        top_k: Only so many of the largest weights stay, and sum to 1; 0 for all.

    Returns:
        float32 [..., symbols]; all 0 where nothing is open.
    """
    if top_k:
        size = tf.shape(energies)[-1]
        energies = tf.where(mask, energies, energies.dtype.min)
        largest = tf.math.top_k(energies, tf.minimum(top_k, size)).values
        mask &= energies >= largest[..., -1:]
    energies = tf.where(mask, energies, energies.dtype.min)
    return tf.where(mask, tf.nn.softmax(energies), 0.0)


class Attention(keras.layers.Layer):
    """Base of all kinds of attention; a kind defines the energies of a step.

    A step is alpha = softmax(energies) over the symbols that are open, and the context
    is c = sum_i alpha_i memory_i.

    Args of the constructor:
        units: The size of queries and keys when they are compared.
        top_k: Only so many of the largest weights of a step are kept; 0 for all.
    """

    def __init__(self, units: int, top_k: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.top_k = top_k

    def build(self, query_shape: Shape, memory_shape: Shape) -> None:
        """Creates the kernels of queries [query, units] and keys [memory, units]."""
        self.query_kernel = self.add_weight(
            shape=(query_shape[-1], self.units), name="query_kernel"
        )
        self.key_kernel = self.add_weight(
            shape=(memory_shape[-1], self.units), name="key_kernel"
        )

    def prepare(self, encoded: tf.Tensor, lengths: tf.Tensor) -> Memory:
        """Computes what is constant over all steps.

        Args:
            encoded: [batch, symbols, channels].
            lengths: int32 [batch], in symbols.
        """
        encoded = mask_frames(encoded, lengths)
        keys = tf.matmul(encoded, self.key_kernel)
        return Memory(encoded, self.keys(keys), sequence_mask(lengths, encoded))

    def keys(self, keys: tf.Tensor) -> tf.Tensor:
        """Reshapes keys [batch, symbols, units] for `energies`."""
        return keys

    def initial_state(self, memory: Memory) -> State:
        """Returns the state before the first step, whose first member is an alignment.

        Returns:
            The alignment, float32 [batch, symbols], all on the first symbol, and the
            rest of what the kind of attention carries from step to step.
        """
        batch, symbols = tf.unstack(tf.shape(memory.mask))
        return (tf.one_hot(tf.zeros([batch], tf.int32), symbols),)

    def step(
        self, query: tf.Tensor, memory: Memory, state: State, window: int = 0
    ) -> tuple[tf.Tensor, State]:
        """Attends once.

        Args:
            query: float32 [batch, query].
            memory: From `prepare`.
            state: From `initial_state` or from the step before.
            window: The attention may go back by one symbol, and ahead by so many,
                from where it was strongest in the step before; 0 for anywhere.

        Returns:
            The context, float32 [batch, channels], and the new state, whose first
            member is the alignment, float32 [batch, symbols].
        """
        mask = memory.mask
        if window:
            position = tf.argmax(state[0], axis=1, output_type=tf.int32)[:, tf.newaxis]
            ahead = tf.range(tf.shape(mask)[1]) - position
            mask &= (ahead >= -1) & (ahead <= window)
        query = tf.matmul(query, self.query_kernel)
        energies, rest = self.energies(query, memory, state)
        if energies.shape.rank == 3:
            mask = mask[:, tf.newaxis]
        weights = masked_softmax(energies, mask, self.top_k)
        if energies.shape.rank == 3:
            weights = tf.reduce_mean(weights, axis=1)
        context = tf.matmul(weights[:, tf.newaxis], memory.values)[:, 0]
        return context, (weights, *rest)

    def energies(
        self, query: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State]:
        """Scores each symbol for a query.

        Args:
            query: float32 [batch, units].
            memory: From `prepare`.
            state: That of the step before.

        Returns:
            Energies, float32 [batch, symbols] or [batch, heads, symbols]; and the new
            state but for its first member.
        """
        raise NotImplementedError


class DotAttention(Attention):
    """energy_i = q . k_i / sqrt(units / heads), in one or several heads.

    The alignment is the mean of the heads' weights, and so is the context a mean over
    heads. Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2, but for the
    values, which all heads share, so that the weights are the alignment.

    Args of the constructor:
        heads: Parts of queries and keys that are compared on their own.
    """

    def __init__(
        self, units: int, top_k: int = 0, heads: int = 1, **kwargs: object
    ) -> None:
        super().__init__(units, top_k, **kwargs)
        self.heads = heads

    def keys(self, keys: tf.Tensor) -> tf.Tensor:
        """[batch, symbols, units] -> [batch, heads, units / heads, symbols]."""
        batch, symbols, _ = tf.unstack(tf.shape(keys))
        size = self.units // self.heads
        keys = tf.reshape(keys * size**-0.5, [batch, symbols, self.heads, size])
        return tf.transpose(keys, [0, 2, 3, 1])

    def energies(
        self, query: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State]:
        """As in `Attention.energies`, one row for each head."""
        query = tf.reshape(query, [-1, self.heads, 1, self.units // self.heads])
        return tf.matmul(query, memory.keys)[:, :, 0], ()


class AdditiveAttention(Attention):
    """energy_i = v . tanh(W q + V k_i + b).

    Source: Bahdanau et al. 2015 (arXiv 1409.0473), appendix A.1.2.
    """

    def build(self, query_shape: Shape, memory_shape: Shape) -> None:
        """Creates W, V, b [units] and v [units, 1]."""
        super().build(query_shape, memory_shape)
        self.bias = self.add_weight(
            shape=(self.units,), initializer="zeros", name="bias"
        )
        self.score_kernel = self.add_weight(shape=(self.units, 1), name="score_kernel")

    def keys(self, keys: tf.Tensor) -> tf.Tensor:
        """[batch, symbols, units], with the bias."""
        return keys + self.bias

    def energies(
        self, query: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State]:
        """As in `Attention.energies`."""
        return self.score(query[:, tf.newaxis] + memory.keys), ()

    def score(self, sums: tf.Tensor) -> tf.Tensor:
        """V . tanh(sums): [batch, symbols, units] -> [batch, symbols]."""
        hidden = tf.reshape(tf.tanh(sums), [-1, self.units])
        return tf.reshape(tf.matmul(hidden, self.score_kernel), tf.shape(sums)[:2])


class LocationSensitiveAttention(AdditiveAttention):
    """energy_i = v . tanh(W q + V k_i + U f_i + b), f = F * (alpha, sum of alphas).

    The convolution F over the last alignment and over the sum of all alignments so far
    shows which symbols were attended to already. Source: Chorowski et al. 2015 (arXiv
    1506.07503), equations 8 and 9; the sum is that of Tacotron 2 (arXiv 1712.05884).

    Args of the constructor:
        filters: Channels of f.
        kernel_size: Width of F, in symbols.
    """

    def __init__(
        self,
        units: int,
        top_k: int = 0,
        filters: int = 8,
        kernel_size: int = 15,
        **kwargs: object,
    ) -> None:
        super().__init__(units, top_k, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size

    def build(self, query_shape: Shape, memory_shape: Shape) -> None:
        """Creates F [kernel_size, 2, filters] and U [filters, units] besides."""
        super().build(query_shape, memory_shape)
        self.location_filters = self.add_weight(
            shape=(self.kernel_size, 2, self.filters), name="location_filters"
        )
        self.location_kernel = self.add_weight(
            shape=(self.filters, self.units), name="location_kernel"
        )

    def prepare(self, encoded: tf.Tensor, lengths: tf.Tensor) -> Memory:
        """As in `Attention.prepare`, with F as one matrix.

        A product with that is about five times faster in a loop than a convolution of
        two channels.
        """
        memory = super().prepare(encoded, lengths)
        symbols = tf.shape(encoded)[1]
        positions = tf.range(symbols)
        offsets = positions[:, tf.newaxis] - positions + self.kernel_size // 2
        near = tf.one_hot(offsets, self.kernel_size)
        filters = tf.einsum("mnk,kif->imnf", near, self.location_filters)
        shape = [2 * symbols, symbols * self.filters]
        return memory._replace(filters=tf.reshape(filters, shape))

    def initial_state(self, memory: Memory) -> State:
        """The alignment and the sum of those before it, both [batch, symbols]."""
        (alignment,) = super().initial_state(memory)
        return alignment, tf.zeros_like(alignment)

    def energies(
        self, query: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State]:
        """As in `Attention.energies`."""
        total = tf.add_n(state)
        features = tf.matmul(tf.concat([state[0], total], 1), memory.filters)
        features = tf.reshape(features, [-1, self.filters])
        located = tf.matmul(features, self.location_kernel)
        keys = memory.keys + tf.reshape(located, tf.shape(memory.keys))
        return self.score(query[:, tf.newaxis] + keys), (total,)


class LocalAttention(AdditiveAttention):
    """Additive attention within a window that only moves ahead.

    The centre of the window is p_t = p_(t-1) + softplus(u . q_t + b), and energies have
    the Gaussian -(i - p_t)^2 / (2 (width / 2)^2) added; outside of p_t +- width the
    weights are 0. Source: Luong et al. 2015 (arXiv 1508.04025), section 3.2, with the
    steps of Graves 2013 (arXiv 1308.0850), equation 51, in place of predicted
    positions.

    Args of the constructor:
        width: Half the width of the window, in symbols.
    """

    def __init__(
        self, units: int, top_k: int = 0, width: int = 6, **kwargs: object
    ) -> None:
        super().__init__(units, top_k, **kwargs)
        self.width = width

    def build(self, query_shape: Shape, memory_shape: Shape) -> None:
        """Creates u [units, 1] and b [1] besides."""
        super().build(query_shape, memory_shape)
        self.move_kernel = self.add_weight(shape=(self.units, 1), name="move_kernel")
        self.move_bias = self.add_weight(
            shape=(1,), initializer="zeros", name="move_bias"
        )

    def initial_state(self, memory: Memory) -> State:
        """The alignment [batch, symbols] and the centre of the window [batch, 1]."""
        (alignment,) = super().initial_state(memory)
        return alignment, tf.zeros_like(alignment[:, :1])

    def energies(
        self, query: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State]:
        """As in `Attention.energies`."""
        move = tf.nn.softplus(tf.matmul(query, self.move_kernel) + self.move_bias)
        symbols = tf.reduce_sum(tf.cast(memory.mask, move.dtype), axis=1, keepdims=True)
        center = tf.minimum(state[1] + move, tf.maximum(symbols - 1, 0))
        distance = tf.range(tf.shape(memory.mask)[1], dtype=move.dtype) - center
        energies, _ = super().energies(query, memory, state)
        energies -= 2 * tf.square(distance / self.width)
        outside = tf.abs(distance) > self.width
        return tf.where(outside, energies.dtype.min, energies), (center,)

    def step(
        self, query: tf.Tensor, memory: Memory, state: State, window: int = 0
    ) -> tuple[tf.Tensor, State]:
        """As in `Attention.step`, but that its own window is the only one."""
        return super().step(query, memory, state)
