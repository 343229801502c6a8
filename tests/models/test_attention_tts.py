import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.attention_tts import ATTENTIONS, AttentionTts, AttentionTtsConfig
from models.layers.text_encoder import ENCODERS

SYMBOLS, DIM = 12, 10
SMALL = AttentionTtsConfig(
    encoder_units=16,
    attention_units=8,
    prenet_units=8,
    decoder_units=16,
    reduction_factor=3,
    postnet_filters=6,
)
VARIANTS = {
    "default": SMALL,
    "additive": dataclasses.replace(
        SMALL, attention="additive", encoder="lstm", context="residual"
    ),
    "dot": dataclasses.replace(
        SMALL, attention="dot", encoder="self_attention", encoder_top_k=2
    ),
    "multi_head": dataclasses.replace(
        SMALL, attention="multi_head", attention_top_k=2, decoder_layers=2
    ),
    "local": dataclasses.replace(
        SMALL,
        attention="local",
        postnet_layers=2,
        reduction_factor=1,
        tied_convolutions=True,
    ),
}


@pytest.fixture(autouse=True)
def eager():
    """Saves the time of tracing; that compiled loops do the same has its own test."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(params=VARIANTS)
def config(request):
    return VARIANTS[request.param]


def test_all_kinds_are_tested():
    assert {config.attention for config in VARIANTS.values()} == set(ATTENTIONS)
    assert {config.encoder for config in VARIANTS.values()} == set(ENCODERS)


def build(config=SMALL, seed=0, **arguments):
    keras.utils.set_random_seed(seed)
    model = AttentionTts(config, SYMBOLS, DIM, **arguments)
    rng = np.random.default_rng(1)
    model.normalization.set_statistics(
        rng.normal(size=DIM), rng.uniform(1, 2, size=DIM)
    )
    return model


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "symbols": rng.integers(1, SYMBOLS, (3, 7)).astype(np.int32),
        "symbol_lengths": np.array([7, 4, 1], np.int32),
        "frames": rng.normal(size=(3, 11, DIM)).astype(np.float32),
        "frame_lengths": np.array([11, 6, 1], np.int32),
    }


def row(inputs, index):
    symbols, frames = inputs["symbol_lengths"][index], inputs["frame_lengths"][index]
    one = {name: value[index : index + 1] for name, value in inputs.items()}
    return one | {
        "symbols": one["symbols"][:, :symbols],
        "frames": one["frames"][:, :frames],
    }


def test_padding_and_neighbours_change_nothing(config):
    model, inputs = build(config), batch()
    garbage = {name: value.copy() for name, value in inputs.items()}
    for index in range(3):
        garbage["symbols"][index, inputs["symbol_lengths"][index] :] = 5
        garbage["frames"][index, inputs["frame_lengths"][index] :] = np.nan
    together = model(garbage)
    assert together["frames"].shape == (3, 11, DIM)
    for index, frames in enumerate(inputs["frame_lengths"]):
        alone = model(row(inputs, index))
        steps = -(-frames // config.reduction_factor)
        for name, valid in (
            ("frames", frames),
            ("frames_refined", frames),
            ("stop_logits", steps),
            ("alignment", steps),
        ):
            wanted = alone[name][0].numpy()
            found = together[name][index, :valid].numpy()
            if name == "alignment":
                found = found[:, : wanted.shape[1]]
            np.testing.assert_allclose(found, wanted, atol=1e-4, err_msg=name)
        assert np.all(together["frames_refined"][index, frames:] == 0)


def test_every_trainable_variable_gets_a_gradient(config):
    model = build(config)
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = model(batch(), training=True)
        loss = sum(tf.reduce_sum(tf.square(x - 1.0)) for x in outputs.values())
    gradients = tape.gradient(loss, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.name
        if variable.name != "move_kernel":
            assert np.any(tf.convert_to_tensor(gradient).numpy()), variable.name


def test_synthesis_is_teacher_forcing_by_its_own_frames(config):
    # What the decoder hears is its own voice before the postnet, without a window.
    config = dataclasses.replace(config, postnet_layers=0, attention_window=0)
    model, inputs = build(config), batch()
    spoken = model.synthesize(
        inputs["symbols"], inputs["symbol_lengths"], tf.constant(15)
    )
    forced = model(
        inputs | {"frames": spoken["frames"], "frame_lengths": spoken["frame_lengths"]}
    )
    for name in ("frames", "alignment"):
        for index, frames in enumerate(spoken["frame_lengths"].numpy()):
            valid = frames if name == "frames" else frames // config.reduction_factor
            np.testing.assert_allclose(
                spoken[name][index, :valid], forced[name][index, :valid], atol=1e-4
            )


def test_neighbours_change_nothing_of_what_is_spoken(config):
    model, inputs = build(config), batch()
    bounds = tf.constant([9, 4, 100])
    together = model.synthesize(inputs["symbols"], inputs["symbol_lengths"], bounds)
    for index, symbols in enumerate(inputs["symbol_lengths"]):
        alone = model.synthesize(
            inputs["symbols"][index : index + 1, :symbols],
            inputs["symbol_lengths"][index : index + 1],
            bounds[index : index + 1],
        )
        frames = int(alone["frame_lengths"][0])
        assert together["frame_lengths"][index] == frames
        assert together["stopped"][index] == alone["stopped"][0]
        found = together["frames"][index].numpy()
        np.testing.assert_allclose(found[:frames], alone["frames"][0], atol=1e-4)
        assert np.all(found[frames:] == 0)


def test_the_window_holds_in_synthesis():
    model, inputs = build(dataclasses.replace(SMALL, attention_window=1)), batch()
    set_stop_bias(model, -100.0)
    spoken = model.synthesize(
        inputs["symbols"], inputs["symbol_lengths"], tf.constant(9)
    )
    assert np.all(spoken["alignment"][:, 0, 2:] == 0)
    assert np.all(spoken["alignment"][:2, 0, :2] > 0)


def set_stop_bias(model, value):
    bias = model.decoder.output_layer.bias.numpy()
    bias[-1] = value
    model.decoder.output_layer.bias.assign(bias)


def test_it_stops_at_its_own_word_or_at_the_bound():
    model, inputs = build(), batch()
    symbols = inputs["symbols"], inputs["symbol_lengths"]
    set_stop_bias(model, 100.0)
    spoken = model.synthesize(*symbols, tf.constant(30))
    np.testing.assert_array_equal(spoken["frame_lengths"], [3, 3, 3])
    assert np.all(spoken["stopped"])
    set_stop_bias(model, -100.0)
    spoken = model.synthesize(*symbols, tf.constant([30, 7, 0]))
    np.testing.assert_array_equal(spoken["frame_lengths"], [30, 9, 3])
    assert not np.any(spoken["stopped"])
    assert np.all(spoken["alignment"][1, 3:] == 0)


def test_the_recording_is_heard_only_after_its_step():
    model, inputs = build(), batch()
    before = model(inputs)["frames"].numpy()
    later = inputs | {"frames": inputs["frames"].copy()}
    later["frames"][0, 5] += 1.0
    after = model(later)["frames"].numpy()
    np.testing.assert_allclose(after[0, :6], before[0, :6], atol=1e-5)
    assert np.all(np.any(np.abs(after[0, 6:9] - before[0, 6:9]) > 1e-4, axis=-1))


def test_what_is_drawn_belongs_to_the_row(config):
    model, inputs = build(config), batch()
    inputs["seeds"] = np.array([4, 2**40, -1])
    together = model(inputs, training=True)
    for index, frames in enumerate(inputs["frame_lengths"]):
        alone = model(row(inputs, index), training=True)["frames_refined"][0]
        found = together["frames_refined"][index, :frames]
        np.testing.assert_allclose(found, alone, atol=1e-4)


def test_dropout_and_zoneout_are_seeded():
    def twice():
        model = build()
        return [model(batch(), training=True)["frames"].numpy() for _ in range(2)]

    first, second = twice()
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(twice(), [first, second])


def test_what_is_spoken_is_in_the_units_of_the_recordings():
    model = build(dataclasses.replace(SMALL, zoneout=0.0))
    kernel, bias = model.decoder.output_layer.get_weights()
    model.decoder.output_layer.set_weights([0 * kernel, 0 * bias])
    frames = model(batch())["frames"][0]
    np.testing.assert_allclose(frames, np.tile(model.normalization.mean, (11, 1)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_float32_weights_and_results(policy):
    config = dataclasses.replace(SMALL, postnet_layers=2)
    model, exact = build(config, dtype=policy), build(config)
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    outputs, wanted = model(batch()), exact(batch())
    for name, output in outputs.items():
        assert output.dtype == tf.float32
        np.testing.assert_allclose(output, wanted[name], atol=0.1)
    symbols = batch()["symbols"], batch()["symbol_lengths"]
    assert model.synthesize(*symbols, tf.constant(9))["frames"].dtype == tf.float32


@pytest.mark.slow
@pytest.mark.headline
def test_a_saved_model_speaks_the_same(tmp_path):
    model = build(dataclasses.replace(SMALL, postnet_layers=2))
    symbols = batch()["symbols"], batch()["symbol_lengths"]
    wanted = model.synthesize(*symbols, tf.constant(12))
    tf.config.run_functions_eagerly(False)
    module = tf.Module()
    module.weights = [v.value for v in model.variables]
    module.speak = tf.function(
        lambda symbols, lengths: model.synthesize(symbols, lengths, tf.constant(12)),
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.int32),
        ],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for size in (1, 3):
        spoken = loaded.speak(*(part[:size] for part in symbols))
        assert set(spoken) == set(wanted)
        frames = spoken["frames"].shape[1]
        np.testing.assert_allclose(
            spoken["frames"], wanted["frames"][:size, :frames], atol=1e-5
        )


def test_plain_lstms_with_dot_attention_are_one_configuration():
    config = AttentionTtsConfig(
        encoder="lstm",
        encoder_layers=1,
        attention="dot",
        context="residual",
        postnet_layers=0,
        zoneout=0.0,
    )
    model = AttentionTts(config, SYMBOLS, DIM)
    outputs = model.decoder.output_layer
    assert outputs.kernel.shape == (256, 4 * DIM + 1)
    assert np.all(np.isfinite(model(batch())["frames"]))


def test_the_summary_says_what_tied_convolutions_save():
    free = dataclasses.replace(SMALL, postnet_layers=3, postnet_filters=DIM)
    tied = dataclasses.replace(free, tied_convolutions=True)
    saved = build(free).count_params() - build(tied).count_params()
    # Two convolutions each in encoder and postnet, 5 frames wide.
    assert saved == 2 * (5 * (16**2 - 16) + 15) + 2 * (5 * (DIM**2 - DIM) + DIM - 1)
    lines = []
    build(tied).summary(print_fn=lambda line, **_: lines.append(line))
    assert lines[-1].endswith(f"tied convolutions: {saved:,}")
    assert build(free).parameters_saved == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention": "sharp"}, "attention must be one of additive"),
        ({"encoder": "gru"}, "encoder must be one of"),
        ({"context": "added"}, "context must be one of"),
        ({"reduction_factor": 0}, "reduction_factor must be at least 1"),
        ({"attention_top_k": -1}, "attention_top_k must be 0 or more"),
        ({"zoneout": 1.0}, r"zoneout must be in \[0, 1\)"),
        ({"encoder_units": 15}, "encoder_units must be even"),
        ({"encoder_heads": 3}, "encoder_heads must divide encoder_units"),
        ({"attention_heads": 3}, "attention_heads must divide attention_units"),
        ({"context": "residual", "decoder_units": 64}, "must equal decoder_units"),
    ],
)
def test_a_configuration_out_of_range_names_the_field(fields, message):
    with pytest.raises(ValueError, match=message):
        AttentionTtsConfig(**fields)


def test_weights_have_the_same_names_in_every_model(config):
    one, two = (AttentionTts(config, SYMBOLS, DIM) for _ in range(2))
    assert [w.path for w in one.weights] == [w.path for w in two.weights]
