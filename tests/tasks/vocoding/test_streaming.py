"""Vocoding in chunks: together they are the whole, however they are cut."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech import export
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.vocoding.streaming import Past

LENGTHS = (90, 61)


@pytest.fixture(scope="module")
def task(small_vocoder):
    return load_task(small_vocoder)[1]


@pytest.fixture(scope="module")
def frames(task):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 90, task.features.frame_dim)).astype("f4") * 0.3
    values[:, :, -2] += np.log(150.0)
    return values


@pytest.fixture(scope="module")
def wanted(task, frames):
    waveforms, lengths = task.vocoder(frames, np.array(LENGTHS, np.int32))
    return [waveforms[row, : lengths[row]].numpy() for row in range(2)]


def chunks_of(frames, sizes):
    """Chunks of both utterances, the shorter of which has none at the end."""
    done = np.zeros(2, int)
    for size in sizes:
        ends = np.minimum(done + size, LENGTHS)
        counts = (ends - done).astype(np.int32)
        chunk = np.full((2, size, frames.shape[2]), np.nan, np.float32)
        for row, (start, end) in enumerate(zip(done, ends, strict=True)):
            chunk[row, : end - start] = frames[row, start:end]
        yield chunk, counts, (ends == LENGTHS) & (counts > 0)
        done = ends


def streamed(stream, start, frames, sizes):
    """The waveform of all chunks together, and the number of samples of each."""
    heard, counts, past = ([], []), [], start
    for chunk in chunks_of(frames, sizes):
        waveform, lengths, past = stream(*map(tf.constant, chunk), past)
        assert not np.any(waveform[0, lengths[0] :])
        for row in range(2):
            heard[row].append(waveform[row, : lengths[row]].numpy())
        counts.append(int(lengths[0]))
    return [np.concatenate(each) for each in heard], counts


@pytest.mark.parametrize(
    "sizes", [[1] * 90, [7] * 13, [40, 50], [90], [3, 80, 7], [88, 2]]
)
def test_chunks_together_are_the_whole(sizes, task, frames, wanted):
    streaming = task.streaming
    found, _ = streamed(streaming, streaming.start(2), frames, sizes)
    for row in range(2):
        assert len(found[row]) == len(wanted[row])
        np.testing.assert_allclose(found[row], wanted[row], atol=1e-4)


@pytest.mark.parametrize("sizes", [[20] * 5, [3, 80, 7]])
def test_chunks_are_corrected_like_the_whole(sizes, small_gan, frames):
    task = load_task(small_gan)[1]
    streaming = task.streaming
    (whole,) = task.waveforms([frames[0]])
    (found, _), counts = streamed(streaming, streaming.start(2), frames, sizes)
    np.testing.assert_allclose(found, whole, atol=1e-4 * np.abs(whole).max())
    # Half a frame is less than two hops: a correction waits for three hops more.
    assert counts[0] == max(sizes[0] - 1 - 2 - 3 * 3, 0) * task.features.hop_length


def test_the_first_samples_come_as_soon_as_nothing_is_ahead_of_them(task, frames):
    streaming = task.streaming
    _, counts = streamed(streaming, streaming.start(2), frames, [1] * 90)
    hop, ahead = task.features.hop_length, task.model.look_ahead
    assert ahead == 2
    assert counts == [0] * (1 + ahead) + [hop] * (88 - ahead) + [hop * (1 + ahead)]
    assert sum(counts) == 89 * hop


def test_after_hours_noise_and_pulses_are_still_in_time(task, frames):
    streaming, hours = task.streaming, 3 * 3600 * 80
    tail = frames[:1, : streaming.memory]
    short, long = (
        Past(
            tail, tf.constant([streaming.memory]), tf.constant([n]), tf.constant([0.3])
        )
        for n in (0, hours)
    )
    chunk = tf.constant(frames[:1, 20:40]), tf.constant([20]), tf.constant([False])
    one, two = (streaming(*chunk, past) for past in (short, long))
    # Three hours are a whole number of seconds, in which the noise starts again.
    np.testing.assert_array_equal(one[0], two[0])
    assert two[2].number[0] - one[2].number[0] == hours


@pytest.mark.slow
@pytest.mark.headline
def test_the_served_signature_hands_the_past_on(
    small_vocoder, task, frames, wanted, tmp_path
):
    version = export.run(small_vocoder, tmp_path)
    served = tf.saved_model.load(str(version)).signatures["stream"]
    past = {f"past_{k}": v for k, v in task.streaming.start(2)._asdict().items()}
    heard = ([], [])
    for chunk, counts, is_last in chunks_of(frames, [20] * 5):
        request = {"frames": chunk, "frame_length": counts, "is_last": is_last}
        answer = served(**{k: tf.constant(v) for k, v in request.items()}, **past)
        past = {name: answer[name] for name in past}
        for row in range(2):
            count = answer["waveform_length"][row]
            heard[row].append(answer["waveform"][row, :count].numpy())
    for row in range(2):
        found = np.concatenate(heard[row])
        np.testing.assert_allclose(found, wanted[row].clip(-1, 1), atol=1e-4)
    bad = {**request, **past}
    for change, reason in (
        ({"frame_length": [-1, 0]}, "frame_length must not be negative"),
        ({"past_length": [0, 99]}, "past_length must not be more"),
        ({"past_turns": [0.0, np.nan]}, "past_turns must be finite"),
    ):
        given = {key: np.array(value) for key, value in bad.items()}
        given |= {k: np.array(v, given[k].dtype) for k, v in change.items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            served(**{k: tf.constant(v) for k, v in given.items()})
