"""The parallel synthesiser: bodies, length regulation, pitch and energy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import ParallelTts, ParallelTtsConfig
from models.parallel_tts_blocks import BODIES

SYMBOLS, FEATURES, VALUES = 7, 5, 4
SMALL = {"units": 8, "encoder_layers": 2, "attention_layers": 1, "body_layers": 2}
SMALL |= {"kernel_size": 3, "heads": 2}


def build(**options):
    keras.utils.set_random_seed(0)
    config = ParallelTtsConfig(**SMALL | options)
    return ParallelTts(config, SYMBOLS, FEATURES, VALUES)


def inputs(durations, lengths=None):
    """A batch of random segments with the given durations."""
    rng = np.random.default_rng(0)
    durations = np.array(durations, np.int32)
    counts = durations.sum(1).astype(np.int32)
    frames = np.arange(counts.max())
    places = (durations.cumsum(1)[:, None, :] <= frames[:, None]).sum(2)
    lengths = [durations.shape[1]] * len(durations) if lengths is None else lengths
    return {
        "segments": rng.integers(1, SYMBOLS, durations.shape).astype(np.int32),
        "segment_features": rng.normal(size=(*durations.shape, FEATURES)).astype("f4"),
        "segment_lengths": np.array(lengths, np.int32),
        "durations": durations,
        "prosody": rng.normal(size=(*durations.shape, 2)).astype("f4"),
        "frame_segments": places.clip(max=durations.shape[1] - 1).astype(np.int32),
        "frame_lengths": counts,
    }


@pytest.mark.parametrize("body", BODIES)
def test_every_body_leaves_padding_and_neighbours_without_influence(body):
    model = build(body=body)
    batch = inputs([[3, 0, 2, 1], [1, 1, 4, 0]], lengths=[4, 3])
    outputs = model(batch)
    assert outputs["frames"].shape == (2, 6, VALUES)
    more = [(0, 0), (0, 5)]
    padded = {
        name: np.pad(value, more[: value.ndim] + [(0, 0)] * (value.ndim - 2))
        if value.ndim > 1
        else value
        for name, value in batch.items()
    }
    for name, found in model(padded).items():
        np.testing.assert_allclose(found[:, :4], outputs[name][:, :4], atol=1e-5)
    alone = model({name: value[1:] for name, value in batch.items()})
    for name, found in alone.items():
        np.testing.assert_allclose(found, outputs[name][1:], atol=1e-5)


@pytest.mark.parametrize("body", BODIES)
def test_every_weight_of_every_body_learns(body):
    model = build(body=body, dropout=0.5)
    batch = inputs([[3, 0, 2, 1]]) | {"seeds": np.array([3])}
    with tf.GradientTape() as tape:
        outputs = model(batch, training=True)
        loss = tf.add_n([tf.reduce_sum(tf.square(x)) for x in outputs.values()])
    variables = [v.value for v in model.trainable_variables]
    gradients = tape.gradient(loss, variables)
    assert all(np.any(gradient) for gradient in map(tf.convert_to_tensor, gradients))


def test_dropout_of_the_predictors_is_theirs_alone():
    batch = inputs([[3, 0, 2, 1]]) | {"seeds": np.array([3])}
    model = build(dropout=0.0, variance_dropout=0.9)
    still, moving = model(batch), model(batch, training=True)
    np.testing.assert_array_equal(still["frames"], moving["frames"])
    for name in ("log_durations", "prosody"):
        assert np.abs(still[name] - moving[name]).max() > 1e-3


def test_a_dense_body_sees_no_neighbours_and_a_transformer_all():
    batch = inputs([[2, 2, 2, 2]])
    changed = {**batch, "prosody": batch["prosody"].copy()}
    changed["prosody"][0, 3] += 1.0
    reach = {}
    for body in BODIES:
        model = build(body=body)
        moved = model(changed)["frames"] - model(batch)["frames"]
        reach[body] = np.flatnonzero(np.abs(moved[0]).max(1) > 1e-6).tolist()
    assert reach["dense"] == [6, 7]
    # Two convolutions of three frames reach two frames further.
    assert reach["cnn"] == reach["untied_cnn"] == [4, 5, 6, 7]
    assert reach["transformer"] == reach["rnn"] == list(range(8))


def test_a_free_convolution_with_the_identity_between_channels_is_a_tied_one():
    tied, free = build(), build(body="untied_cnn")
    for ours, theirs in zip(tied.body, free.body, strict=True):
        kernel = ours.convolution.kernel.numpy()[:, :, 0]
        ours.convolution.bias.assign(np.arange(8) / 10)
        theirs.convolution.kernel.assign(np.apply_along_axis(np.diag, 1, kernel))
        theirs.convolution.bias.assign(ours.convolution.bias)
        # K C + C against K C^2 + C
        assert ours.convolution.count_params() == 3 * 8 + 8
        assert theirs.convolution.count_params() == 3 * 8 * 8 + 8
    values = {v.path.partition("/")[2]: v for v in tied.weights}
    for variable in free.weights:
        if "conv" not in variable.path or "body" not in variable.path:
            variable.assign(values[variable.path.partition("/")[2]])
    batch = inputs([[3, 0, 2, 1]])
    for name, frames in tied(batch).items():
        np.testing.assert_allclose(free(batch)[name], frames, atol=1e-5)


def test_frames_are_as_many_as_the_durations_say_and_know_their_place():
    model = build(body="dense")
    frames = model(inputs([[2, 0, 5]]))["frames"][0].numpy()
    assert frames.shape == (7, VALUES)
    # Within a segment, only the place is another.
    assert np.abs(np.diff(frames[2:], axis=0)).max(1).min() > 1e-4
    model.position_layer.kernel.assign(tf.zeros_like(model.position_layer.kernel))
    frames = model(inputs([[2, 0, 5]]))["frames"][0].numpy()
    np.testing.assert_allclose(frames[2:], frames[2:3].repeat(5, 0), atol=1e-6)
    assert np.abs(frames[1] - frames[2]).max() > 1e-3


def test_synthesis_takes_its_own_pitch_and_energy_and_raises_the_energy():
    model, batch = build(), inputs([[3, 1, 2]])
    model.prosody_normalization.set_statistics(np.array([5.0, -3]), np.array([0.3, 2]))
    own = model(batch)["prosody"]
    for energy in (0.0, 0.7):
        prosody = own + tf.constant([0.0, energy])
        raised = model(batch | {"prosody": prosody})["frames"]
        found = model.predict_frames(batch | {"energy": tf.constant([[energy]])})
        np.testing.assert_allclose(found, raised, atol=1e-5)
    np.testing.assert_allclose(
        model.predict_log_durations(batch), model(batch)["log_durations"], atol=1e-6
    )


def test_self_attention_is_evenly_among_the_convolutions():
    model = build(encoder_layers=4, attention_layers=2)
    names = [block.name.removeprefix("encoder_") for block in model.encoder]
    wanted = ["conv_0", "conv_1", "attention_0", "conv_2", "conv_3", "attention_1"]
    assert names == wanted
    assert build(encoder_layers=0, attention_layers=0).encoder == []


def test_statistics_bring_nearly_all_into_the_range():
    model = build()
    rng = np.random.default_rng(0)
    frames = rng.normal(3.0, 2.0, (10_000, VALUES))
    prosody = rng.normal([5.0, -2.0], [0.2, 1.0], (10_000, 2))
    model.set_statistics(frames, rng.uniform(0, 3, 10_000), prosody)
    for layer, values in (
        (model.normalization, frames),
        (model.prosody_normalization, prosody),
    ):
        inside = np.abs(layer(tf.constant(values, tf.float32))) <= 0.9
        assert np.mean(inside) == pytest.approx(0.99, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (
            {"body": "lstm"},
            "body must be one of cnn, untied_cnn, rnn, tra.*, dense",
        ),
        ({"units": 9, "heads": 1}, "units must be even"),
        ({"units": 8, "heads": 3}, "heads must be a divisor of units, 8"),
        ({"body_layers": 0}, "body_layers must be at least 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        ParallelTtsConfig(**wrong)
