import keras
import numpy as np

from models import FrameDiscriminator, FrameDiscriminatorConfig


def build():
    keras.utils.set_random_seed(0)
    config = FrameDiscriminatorConfig(units=8, layers=2, kernel_size=3)
    return FrameDiscriminator(config, num_symbols=6, frame_dim=4)


def batch(frames):
    rng = np.random.default_rng(0)
    return {
        "frames": rng.normal(size=(2, frames, 4)).astype("f4"),
        "frame_symbols": rng.integers(1, 6, (2, frames)).astype("i4"),
        "frame_lengths": np.array([frames, frames - 3], "i4"),
    }


def test_scores_depend_on_frames_symbols_and_neighbours_but_not_on_padding():
    model, inputs = build(), batch(9)
    scores = model(inputs)["scores"].numpy()
    assert scores.shape == (2, 9)
    for name, changed in (("frames", 1.0), ("frame_symbols", 1)):
        other = inputs[name].copy()
        other[0, 4] = (other[0, 4] + changed) % 6
        moved = np.abs(model(inputs | {name: other})["scores"] - scores)[0] > 1e-6
        # Two convolutions of three frames reach two frames further.
        assert np.flatnonzero(moved).tolist() == [2, 3, 4, 5, 6]
    garbage = inputs["frames"].copy()
    garbage[1, 6:] = 7.0
    found = model(inputs | {"frames": garbage})["scores"].numpy()
    np.testing.assert_allclose(found[0], scores[0], atol=1e-6)
    np.testing.assert_allclose(found[1, :6], scores[1, :6], atol=1e-6)


def test_it_is_saved_and_loaded(tmp_path):
    model, inputs = build(), batch(9)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    np.testing.assert_array_equal(loaded(inputs)["scores"], model(inputs)["scores"])
