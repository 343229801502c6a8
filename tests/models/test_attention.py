import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers.attention import (
    AdditiveAttention,
    DotAttention,
    LocalAttention,
    LocationSensitiveAttention,
    masked_softmax,
)

KINDS = {
    "additive": lambda **kw: AdditiveAttention(8, **kw),
    "dot": lambda **kw: DotAttention(8, **kw),
    "multi_head": lambda **kw: DotAttention(8, heads=2, **kw),
    "location_sensitive": lambda **kw: LocationSensitiveAttention(
        8, filters=3, kernel_size=5, **kw
    ),
    "local": lambda **kw: LocalAttention(8, width=2, **kw),
}
LENGTHS = np.array([9, 4], np.int32)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def build(kind, **arguments):
    keras.utils.set_random_seed(0)
    attention = KINDS[kind](**arguments)
    attention.build((None, 6), (None, None, 5))
    return attention


def inputs(seed=0, steps=4):
    rng = np.random.default_rng(seed)
    encoded = rng.normal(size=(2, 9, 5)).astype(np.float32)
    return encoded, rng.normal(size=(steps, 2, 6)).astype(np.float32)


def run(attention, encoded, lengths, queries, window=0):
    memory = attention.prepare(encoded, tf.constant(lengths))
    state = attention.initial_state(memory)
    contexts, alignments = [], []
    for query in queries:
        context, state = attention.step(tf.constant(query), memory, state, window)
        contexts.append(context.numpy())
        alignments.append(state[0].numpy())
    return np.array(contexts), np.array(alignments)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_weights_sum_to_one_over_the_symbols_alone(kind):
    encoded, queries = inputs()
    contexts, alignments = run(build(kind), encoded, LENGTHS, queries)
    np.testing.assert_allclose(alignments.sum(-1), 1, atol=1e-6)
    assert np.all(alignments[:, 1, 4:] == 0)
    wanted = np.einsum("tbn,bnc->tbc", alignments, encoded)
    np.testing.assert_allclose(contexts, wanted, atol=1e-5)


def test_padding_changes_nothing(kind):
    encoded, queries = inputs()
    together = run(build(kind), encoded, LENGTHS, queries)[0]
    garbage = encoded.copy()
    garbage[1, 4:] = np.nan
    np.testing.assert_array_equal(
        run(build(kind), garbage, LENGTHS, queries)[0], together
    )
    alone = run(build(kind), encoded[1:, :4], LENGTHS[1:], queries[:, 1:])[0]
    np.testing.assert_allclose(alone[:, 0], together[:, 1], atol=1e-5)


def test_top_k_keeps_the_largest_weights_and_their_proportions(kind):
    encoded, queries = inputs(steps=1)
    full = run(build(kind), encoded, LENGTHS, queries)[1][0]
    pruned = run(build(kind, top_k=2), encoded, LENGTHS, queries)[1][0]
    assert np.all((pruned > 0).sum(-1) == 2) or kind == "multi_head"
    np.testing.assert_allclose(pruned.sum(-1), 1, atol=1e-6)
    if kind != "multi_head":
        kept = np.where(pruned > 0, full, 0)
        assert np.all(kept.sum(-1) == np.sort(full, axis=-1)[:, -2:].sum(-1))
        np.testing.assert_allclose(
            pruned, kept / kept.sum(-1, keepdims=True), atol=1e-5
        )


def test_more_weights_than_symbols_are_all_of_them(kind):
    encoded, queries = inputs()
    full = run(build(kind), encoded, LENGTHS, queries)[1]
    np.testing.assert_allclose(
        run(build(kind, top_k=50), encoded, LENGTHS, queries)[1], full, atol=1e-6
    )


def test_a_window_keeps_the_attention_close_to_where_it_was():
    encoded, queries = inputs(steps=6)
    _, alignments = run(build("dot"), encoded, LENGTHS, 9 * queries, window=2)
    position = np.zeros(2, int)
    for alignment in alignments:
        places = np.arange(9) - position[:, np.newaxis]
        assert np.all(alignment[(places < -1) | (places > 2)] == 0)
        position = alignment.argmax(-1)
    assert position[0] > 2
    free = run(build("dot"), encoded, LENGTHS, 9 * queries)[1]
    assert not np.allclose(free, alignments)


@pytest.mark.parametrize("window", [0, 1, 3])
def test_dot_attention_is_its_formula(window):
    attention = build("dot")
    encoded, queries = inputs(steps=6)
    w, v = (
        kernel.numpy().astype(np.float64)
        for kernel in (attention.query_kernel, attention.key_kernel)
    )
    position, wanted = np.zeros(2, int), []
    for query in queries:
        energies = np.einsum("bu,bnu->bn", query @ w, encoded @ v) / np.sqrt(8)
        for row, length in enumerate(LENGTHS):
            energies[row, length:] = -np.inf
            if window:
                energies[row, : max(position[row] - 1, 0)] = -np.inf
                energies[row, position[row] + window + 1 :] = -np.inf
        wanted.append(softmax(energies))
        position = wanted[-1].argmax(-1)
    alignments = run(attention, encoded, LENGTHS, queries, window)[1]
    np.testing.assert_allclose(alignments, wanted, atol=1e-5)
    assert len(set(np.argmax(wanted, -1)[:, 0])) > 1  # It moved, back as well.


def test_heads_look_on_their_own_and_are_averaged():
    attention = build("multi_head")
    encoded, queries = inputs(steps=1)
    q = (queries[0] @ attention.query_kernel.numpy()).reshape(2, 2, 4)
    k = (encoded @ attention.key_kernel.numpy()).reshape(2, 9, 2, 4)
    weights = softmax(np.einsum("bhu,bnhu->bhn", q, k) / 2)
    alignments = run(attention, encoded, np.array([9, 9], np.int32), queries)[1]
    np.testing.assert_allclose(alignments[0], weights.mean(1), atol=1e-5)


def location_features(attention, alignment, total):
    kernel = attention.location_filters.numpy()
    padded = np.pad(np.stack([alignment, total], -1), ((0, 0), (2, 2), (0, 0)))
    features = [
        np.einsum("bki,kif->bf", padded[:, n : n + 5], kernel) for n in range(9)
    ]
    return np.stack(features, 1) @ attention.location_kernel.numpy()


@pytest.mark.parametrize("kind", ["additive", "location_sensitive", "local"])
def test_additive_attention_is_its_formula(kind):
    attention = build(kind)
    attention.bias.assign(np.linspace(-1, 1, 8))
    encoded, queries = inputs(steps=3)
    w, v = attention.query_kernel.numpy(), attention.key_kernel.numpy()
    alignment, total, center = np.eye(9)[[0, 0]], np.zeros((2, 9)), np.zeros((2, 1))
    wanted = []
    for query in queries:
        sums = (query @ w)[:, np.newaxis] + encoded @ v + attention.bias.numpy()
        total = total + alignment
        if kind == "location_sensitive":
            sums = sums + location_features(attention, alignment, total)
        energies = (np.tanh(sums) @ attention.score_kernel.numpy())[..., 0]
        if kind == "local":
            move = query @ w @ attention.move_kernel.numpy()
            center = np.minimum(center + np.log1p(np.exp(move)), 8)
            distance = np.arange(9) - center
            energies -= distance**2 / (2 * (2 / 2) ** 2)
            energies[abs(distance) > 2] = -np.inf
        alignment = softmax(energies)
        wanted.append(alignment)
    alignments = run(attention, encoded, np.array([9, 9], np.int32), queries)[1]
    np.testing.assert_allclose(alignments, wanted, atol=1e-5)


def test_the_window_of_local_attention_moves_ahead_to_the_last_symbol_and_no_further():
    attention = build("local")
    attention.move_bias.assign([2.0])
    encoded, queries = inputs(steps=12)
    _, alignments = run(attention, encoded, LENGTHS, queries)
    center = (alignments * np.arange(9)).sum(-1)
    assert np.all((alignments > 0).sum(-1) <= 5)
    assert np.all(alignments[-1].argmax(-1) >= LENGTHS - 3)
    assert np.all(center[-1] > center[0] + 0.5)


def test_masked_softmax_of_nothing_is_zero():
    weights = masked_softmax(tf.ones([2, 3]), tf.zeros([2, 3], tf.bool), top_k=1)
    np.testing.assert_array_equal(weights, np.zeros((2, 3)))
