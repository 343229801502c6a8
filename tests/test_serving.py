"""The exported model, called in a process that imports nothing of ours."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech import export
from tfspeech.audio.decode import read_audio
from tfspeech.audio.resample import resample
from tfspeech.tasks.runs import load_task

CLIENT = """
    import sys
    import numpy as np
    import tensorflow as tf

    folder, request, response = sys.argv[1:]
    model = tf.saved_model.load(folder)
    answers = {}
    with np.load(request, allow_pickle=True) as asked:
        for name in asked:
            if name.startswith("waveform_"):
                size = name.removeprefix("waveform_")
                answer = model.signatures["serving_default"](
                    waveform=tf.constant(asked[name]),
                    waveform_length=tf.constant(asked["lengths_" + size]),
                )
            elif name.startswith("bytes_"):
                answer = model.signatures["transcribe_bytes"](
                    audio_bytes=tf.constant(asked[name].tolist())
                )
            else:
                continue
            for key, value in answer.items():
                answers[f"{name}/{key}"] = value.numpy().astype(
                    "U20" if value.dtype == tf.string else "f4"
                )
    ours = {"tfspeech", "models", "tensorflow_io"} & set(sys.modules)
    assert not ours, ours
    np.savez(response, **answers)
"""


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    return export.run(small_run, tmp_path_factory.mktemp("models"))


def batches(seed=0):
    """Waveforms of mixed lengths; what is beyond the lengths is garbage."""
    rng = np.random.default_rng(seed)
    for size, samples in ((1, 3000), (3, 2000), (16, 4321)):
        waveforms = rng.normal(size=(size, samples)).astype(np.float32) * 0.2
        lengths = rng.integers(1, samples + 1, size).astype(np.int32)
        lengths[0] = samples
        for row, length in enumerate(lengths):
            waveforms[row, length:] = np.nan
        yield waveforms, lengths


def test_another_process_gets_the_scores_of_the_python_model(
    exported, small_run, tones, tmp_path
):
    files = sorted(tones.rglob("*.wav"))[::9]
    other = tmp_path / "other.wav"
    samples, rate_hz = read_audio(files[0])
    upsampled = resample(tf.constant(samples), rate_hz, 44100).numpy()
    soundfile.write(other, upsampled, 44100, subtype="PCM_24")
    files.append(other)
    request = {}
    for waveforms, lengths in batches():
        request[f"waveform_{len(lengths)}"] = waveforms
        request[f"lengths_{len(lengths)}"] = lengths
    contents = [file.read_bytes() for file in files]
    request["bytes_all"] = np.array(contents, dtype=object)
    request["bytes_one"] = np.array(contents[:1], dtype=object)
    np.savez(tmp_path / "request.npz", **request)
    client = [sys.executable, "-c", textwrap.dedent(CLIENT), str(exported)]
    done = subprocess.run(
        [*client, str(tmp_path / "request.npz"), str(tmp_path / "response.npz")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    answers = np.load(tmp_path / "response.npz")
    _, recognition = load_task(small_run)
    for waveforms, lengths in batches():
        name = f"waveform_{len(lengths)}"
        scores = recognition.recognize(waveforms, lengths).numpy()
        np.testing.assert_allclose(answers[f"{name}/scores"], scores, atol=1e-5)
        assert answers[f"{name}/labels"].tolist() == [
            ["high", "low", "middle"] for _ in lengths
        ]
        best = answers[f"{name}/labels"][0][scores.argmax(axis=1)]
        assert answers[f"{name}/label"].tolist() == best.tolist()
    for row, file in enumerate(files):
        samples, rate_hz = read_audio(file)
        waveform = resample(tf.constant(samples), rate_hz, 8000)[tf.newaxis]
        length = tf.constant([waveform.shape[1]])
        scores = recognition.recognize(waveform, length)[0]
        np.testing.assert_allclose(answers["bytes_all/scores"][row], scores, atol=1e-5)
    labels = [file.parent.name for file in files[:-1]]
    found = answers["bytes_all/label"][:-1].tolist()
    assert np.mean([a == b for a, b in zip(labels, found, strict=True)]) > 0.8
    np.testing.assert_allclose(
        answers["bytes_one/scores"][0], answers["bytes_all/scores"][0], atol=1e-5
    )


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(str(exported)).signatures


def test_padding_and_neighbours_change_no_score(served):
    for waveforms, lengths in batches():
        together = served["serving_default"](
            waveform=tf.constant(waveforms), waveform_length=tf.constant(lengths)
        )["scores"]
        for row, length in enumerate(lengths):
            alone = served["serving_default"](
                waveform=tf.constant(waveforms[row : row + 1, :length]),
                waveform_length=tf.constant([length]),
            )["scores"]
            np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_silence_and_nothing_have_finite_scores(served):
    answer = served["serving_default"](
        waveform=tf.zeros([2, 800]), waveform_length=tf.constant([800, 0])
    )
    np.testing.assert_allclose(tf.reduce_sum(answer["scores"], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("lengths", [[900], [-1], [100, 100]])
def test_lengths_that_do_not_fit_are_refused_with_the_reason(served, lengths):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"waveform_length must|rows"
    ):
        served["serving_default"](
            waveform=tf.zeros([1, 800]), waveform_length=tf.constant(lengths)
        )


def test_bytes_that_are_no_wav_are_refused_with_the_reason(served):
    with pytest.raises(tf.errors.InvalidArgumentError, match="complete RIFF/WAVE file"):
        served["transcribe_bytes"](audio_bytes=tf.constant([b"RIFF"]))


def test_signatures_are_named_and_free_in_batch_and_length(served):
    inputs = served["serving_default"].structured_input_signature[1]
    assert inputs["waveform"].shape.as_list() == [None, None]
    assert inputs["waveform_length"].shape.as_list() == [None]
    outputs = served["serving_default"].structured_outputs
    assert {name: spec.dtype for name, spec in outputs.items()} == {
        "scores": tf.float32,
        "labels": tf.string,
        "label": tf.string,
        "error": tf.string,
    }
    assert all(spec.shape[0] is None for spec in outputs.values())
