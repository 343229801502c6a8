"""The self-attention encoder against its equations in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import TextEncoder

SYMBOLS, UNITS, HEADS, LAYERS = 9, 8, 2, 2
LENGTHS = np.array([7, 4, 1], np.int32)


def build(top_k):
    keras.utils.set_random_seed(0)
    encoder = TextEncoder(
        SYMBOLS,
        kind="self_attention",
        units=UNITS,
        layers=LAYERS,
        kernel_size=5,
        heads=HEADS,
        top_k=top_k,
        tied=False,
        dropout=0.1,
        name="encoder",
    )
    encoder.build((None, None))
    rng = np.random.default_rng(0)
    encoder.set_weights([rng.normal(size=w.shape) for w in encoder.get_weights()])
    return encoder


def positions(length):
    """Sines, then cosines, of place / 10000^(i / half) for channel i of each half."""
    half = UNITS // 2
    wanted = np.zeros((length, UNITS))
    for place in range(length):
        for channel in range(half):
            phase = place / 10000 ** (channel / half)
            wanted[place, channel] = np.sin(phase)
            wanted[place, half + channel] = np.cos(phase)
    return wanted


def numpy_block(block, x, top_k):
    """One utterance without padding, [length, UNITS]."""

    def weights(layer):
        return [w.astype(np.float64) for w in layer.get_weights()]

    def dense(layer, x):
        kernel, bias = weights(layer)
        return x @ kernel + bias

    def norm(layer, x):
        gamma, beta = weights(layer)
        variance = x.var(-1, keepdims=True)
        normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(variance + layer.epsilon)
        return normal * gamma + beta

    size = UNITS // HEADS
    projected = dense(block.projection, norm(block.norms[0], x))
    mixed = []
    for head in range(HEADS):
        q, k, v = (
            projected[:, part * UNITS + head * size :][:, :size] for part in range(3)
        )
        energies = q @ k.T / np.sqrt(size)
        if top_k:
            least = np.sort(energies, axis=-1)[:, -min(top_k, len(x))]
            energies[energies < least[:, np.newaxis]] = -np.inf
        alignment = np.exp(energies - energies.max(-1, keepdims=True))
        mixed.append(alignment / alignment.sum(-1, keepdims=True) @ v)
    x = x + dense(block.mixer, np.concatenate(mixed, -1))
    hidden = np.maximum(dense(block.hidden, norm(block.norms[1], x)), 0)
    return x + dense(block.output_layer, hidden)


@pytest.mark.parametrize("top_k", [0, 3])
def test_self_attention_is_its_equations(top_k):
    encoder = build(top_k)
    symbols = np.random.default_rng(1).integers(1, SYMBOLS, (3, 7)).astype(np.int32)
    encoded = encoder(symbols, tf.constant(LENGTHS)).numpy()
    embeddings = encoder.embedding.get_weights()[0].astype(np.float64)
    for row, length in enumerate(LENGTHS):
        wanted = embeddings[symbols[row, :length]] + positions(length)
        for block in encoder.blocks:
            wanted = numpy_block(block, wanted, top_k)
        np.testing.assert_allclose(encoded[row, :length], wanted, rtol=2e-4, atol=2e-4)
