"""Alignment by the attention of a synthesiser."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from models.trellis import best_path
from tfspeech import align
from tfspeech.data.corpora import load_corpus
from tfspeech.data.phoneme_times import read_segments
from tfspeech.data.textgrid import read_textgrid
from tfspeech.errors import RunError
from tfspeech.tasks import attention_alignment
from tfspeech.tasks.alignment import grids
from tfspeech.tasks.attention_alignment import (
    align_by_attention,
    chain_of_pauses,
    spread_steps,
)
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.phonemes import PAUSE, PHONEMES

FRONT_END = TextFrontEnd(TextConfig(symbols="phonemes"))
STEP_S = 0.025


class Walker:
    """A model that attends to all symbols for about as long, one after the other."""

    def __init__(self, config):
        self.config = config

    def __call__(self, batch, training=False):
        steps = tf.shape(batch["frames"])[1] // self.config.reduction_factor
        step = tf.range(steps, dtype=tf.float32)
        middle = (step + 0.5) * self.config.reduction_factor
        lengths, counts = (
            tf.cast(batch[name], tf.float32)[:, tf.newaxis]
            for name in ("frame_lengths", "symbol_lengths")
        )
        place = tf.minimum(tf.floor(middle * counts / lengths), counts - 1)
        size = tf.shape(batch["symbols"])[1]
        return {"alignment": tf.one_hot(tf.cast(place, tf.int32), size)}


def run_of(sentences, symbols="phonemes"):
    config = default_config("attention_tts")
    return dataclasses.replace(
        config,
        architecture=dataclasses.replace(config.architecture, reduction_factor=2),
        data=dataclasses.replace(config.data, data=f"manifest:{sentences}"),
        text=TextConfig(symbols=symbols),
        features=dataclasses.replace(config.features, sample_rate_hz=8000),
    )


@pytest.fixture
def walks(sentences, monkeypatch):
    """The spec of a corpus; every run is one of a walker."""
    config = run_of(sentences)
    task = build_task(config)
    task.model = Walker(config.architecture)
    monkeypatch.setattr(attention_alignment, "load_task", lambda _: (config, task))
    monkeypatch.setattr(attention_alignment, "pin_run", lambda name, role: name)
    monkeypatch.setattr(grids, "plot_alignment", lambda *_: None)
    return config.data.data


def test_phonemes_are_where_they_are_attended_to(walks, tmp_path, command):
    output = tmp_path / "grids"
    flags = [walks, "--output", output, "--attention"]
    code, _, lines = command(align.main, *flags, "run")
    assert (code, lines[-1]) == (
        *(0, f"look at {output}/plots; train with --alignments {output}"),
    )
    utterances = load_corpus(walks).utterances
    assert len(list(output.glob("*.TextGrid"))) == len(utterances) == 24
    for each in utterances:
        tiers = read_textgrid(output / f"{each.audio.stem}.TextGrid")
        said = [word.label for word in tiers["words"] if word.label]
        assert " ".join(said) == each.text.rstrip(".")
        segments, _ = read_segments(each, FRONT_END, output)
        names = [FRONT_END.symbols[symbol] for symbol in segments[1:]]
        # A mark and the end are one pause.
        starts = np.arange(len(names))[[n in PHONEMES or n in " ." for n in names]]
        phones = tiers["phones"]
        found_s = [phone.start_s for phone in phones]
        # Attention is taken to be a frame ahead.
        wanted_s = starts / len(names) * phones[-1].end_s + (starts > 0) * STEP_S / 2
        np.testing.assert_allclose(found_s, wanted_s, atol=STEP_S)
    code, _, lines = command(align.main, *flags, "other")
    assert code == 2
    assert "by another model; choose another --output" in lines[-1]
    code, _, lines = command(align.main, *flags, "run", "--gaussians", 2)
    assert code == 2
    assert "--attention has no hidden Markov models: leave out" in lines[-1]
    (output / "attention.json").unlink()
    with pytest.raises(RunError, match="is not of this command"):
        align_by_attention(walks, output, tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("small_voice", "reads characters, whose times are none of phonemes: train it"),
        ("small_dense", "dense_synthesis, which has no attention to align by"),
    ],
)
def test_runs_that_cannot_align_are_named(name, reason, request, tmp_path, command):
    run_dir = request.getfixturevalue(name)
    flags = ["--output", tmp_path / "grids", "--attention", run_dir]
    code, _, lines = command(align.main, "reader", *flags)
    assert (code, len(lines)) == (2, 1)
    assert reason in lines[0]


def test_weights_of_steps_are_interpolated_between_their_middles():
    weights = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = spread_steps(weights, 2, 5)[:, 1]
    np.testing.assert_allclose(found, [0.0, 0.25, 0.75, 1.0, 1.0])
    later = spread_steps(weights, 2, 5, lead=1)[:, 1]
    np.testing.assert_allclose(later, [0.0, *found[:-1]])


def test_a_pause_is_left_out_where_nothing_attends_to_it():
    names = [["a", PAUSE, "b", PAUSE], ["a", "b", PAUSE]]
    weights = np.full([6, 2, 4], 0.01, "f4")
    for frame, place in enumerate([0, 0, 2, 2, 2, 2]):
        weights[frame, 0, place] = 0.9
    for frame, place in enumerate([0, 1, 1, 2]):
        weights[frame, 1, place] = 0.9
    lengths = tf.constant([6, 4])
    paths, _ = best_path(tf.math.log(weights), lengths, chain_of_pauses(names))
    assert paths.numpy().tolist() == [[0, 0, 2, 2, 2, 2], [0, 1, 1, 2, 2, 2]]
