"""Samples that a validation leaves to be heard and seen."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from matplotlib import image
from tensorflow.core.util import event_pb2

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.tasks.speech.samples import SpeechSamples
from tfspeech.tasks.speech.task import Speech
from tfspeech.training.loop import LoopState

RATE_HZ = 8000


@pytest.fixture
def watched(tmp_path):
    """Three sentences; the vocoder makes 100 samples of a frame, all the first mel."""
    rng = np.random.default_rng(0)
    task = SimpleNamespace(
        features=AcousticConfig(sample_rate_hz=RATE_HZ, num_mels=4),
        waveform=lambda frames: np.repeat(frames[:, 0], 100).astype(np.float32),
    )
    training = SimpleNamespace(
        spoken_texts=["one.", "$two", "three"],
        spoken_frames=[np.full((8, 5), 0.5) for _ in range(3)],
        speech=[
            Speech(np.full((6, 5), 0.25), rng.dirichlet(np.ones(5), 3), True)
            for _ in range(3)
        ],
        recording=lambda number: np.full(790, 0.75, np.float32),
    )
    return SpeechSamples(tmp_path, task, training), training


def test_samples_are_beside_the_recording_and_the_vocoder(watched, tmp_path):
    samples, training = watched
    for epoch in (1, 2):
        samples.on_epoch(LoopState(7, 2, step=7 * epoch), {})
        training.recording = None  # They are written once.
    folder = tmp_path / "samples"
    assert sorted(p.name for p in folder.iterdir()) == [
        *("recording_0.wav", "recording_1.wav", "step_000007", "step_000014"),
        *("vocoder_0.wav", "vocoder_1.wav"),
    ]
    for path, size, value in (
        ("recording_1.wav", 790, 0.75),
        ("vocoder_1.wav", 800, 0.5),
        ("step_000014/sentence_1.wav", 600, 0.25),
    ):
        waveform, rate_hz = soundfile.read(folder / path)
        assert (rate_hz, waveform.size) == (RATE_HZ, size)
        np.testing.assert_allclose(waveform, value, atol=1e-3)
    for epoch in ("step_000007", "step_000014"):
        names = sorted(p.name for p in (folder / epoch).iterdir())
        assert names == [
            f"sentence_{n}.{kind}" for n in (0, 1) for kind in ("png", "wav")
        ]
        assert image.imread(folder / epoch / "sentence_1.png").std() > 0.01


def test_tensorboard_gets_audio_and_alignments(watched, tmp_path):
    samples, _ = watched
    samples.on_epoch(LoopState(7, 2, step=7), {})
    found = {}
    for file in (tmp_path / "tensorboard").iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                found[value.tag] = (event.step, value.tensor.string_val)
    assert set(found) == {
        *("sentence_0", "sentence_1", "alignment_0", "alignment_1"),
    }
    assert {step for step, _ in found.values()} == {7}
    audio, rate_hz = tf.audio.decode_wav(found["sentence_0"][1][0])
    assert (int(rate_hz), audio.shape) == (RATE_HZ, (600, 1))
    width, height, _ = found["alignment_0"][1]
    assert (int(width), int(height)) == (3, 5)


def test_a_first_epoch_after_a_resume_does_not_need_the_folder_anew(watched, tmp_path):
    samples, _ = watched
    (tmp_path / "samples").mkdir()
    samples.on_epoch(LoopState(7, 2, step=14), {})
    assert (tmp_path / "samples" / "step_000014" / "sentence_0.wav").is_file()
