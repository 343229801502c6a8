"""The command language_model, and what uses what it writes."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import tfspeech
from tfspeech import evaluate, export, language_model
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.speech_recognition.language_model import (
    BONUSES,
    WEIGHTS,
    SearchConfig,
    perplexity,
    read_language_model,
)
from tfspeech.text.ngram import NGram


@pytest.fixture(scope="module")
def fitted(small_transcriber, tmp_path_factory):
    """The report of the command, and its folder."""
    folder = tmp_path_factory.mktemp("language_model") / "bigram"
    report = language_model.run(
        *(small_transcriber, folder),
        ngram=language_model.NGramConfig(order=2),
        search=SearchConfig(beam_width=4),
    )
    return report, folder


def test_weight_and_bonus_are_the_best_on_the_validation_split(
    fitted, small_transcriber
):
    report, folder = fitted
    assert len(report["measured"]) == len(WEIGHTS) * len(BONUSES)
    assert report["best"]["wer"] == min(each["wer"] for each in report["measured"])
    assert report["best"]["wer"] <= report["greedy"]["wer"]
    config = read_language_model(folder).config
    assert config.beam_width == 4
    assert (config.weight, config.bonus) == (
        report["best"]["weight"],
        report["best"]["bonus"],
    )
    scores = evaluate.run(small_transcriber, split="validation", language_model=folder)
    assert scores["wer"] == report["best"]["wer"]
    greedy = evaluate.run(small_transcriber, split="validation")
    assert greedy["wer"] == report["greedy"]["wer"]


def test_the_texts_are_those_of_the_training_split_or_of_files(
    fitted, small_transcriber, tmp_path, command
):
    _, folder = fitted
    ngram = read_language_model(folder).ngram
    assert {gram[0] for gram in ngram.log_probs if len(gram) == 1} == {
        *("<s>", "</s>", "high", "low", "middle")
    }
    text = tmp_path / "text.txt"
    text.write_text("high high\nunheard of\n")
    arguments = (small_transcriber, "--text", text, "--output", tmp_path / "own")
    code, out, errors = command(
        language_model.main, *arguments, "--order", "2", "--beam-width", "2", "--json"
    )
    assert code == 0
    assert json.loads(out)["sentences"] == 1
    assert any("--language-model" in line for line in errors)
    own = read_language_model(tmp_path / "own").ngram
    assert own.log_prob(("high",), "high") > own.log_prob(("high",), "low")


@pytest.mark.slow
@pytest.mark.headline
def test_a_server_says_the_same_as_transcribe(fitted, small_transcriber, tmp_path):
    _, folder = fitted
    _, task = load_task(small_transcriber, language_model=folder)
    waveform = np.random.default_rng(0).normal(0, 0.1, 8000).astype("f4")
    here = task.transcribe(waveform, 8000)
    python = tfspeech.load_run(small_transcriber)
    assert python.transcribe((waveform, 8000), folder) == here
    version = export.run(small_transcriber, tmp_path, language_model=folder)
    served = tf.saved_model.load(version).signatures["serving_default"](
        waveform=waveform[np.newaxis], waveform_length=tf.constant([8000])
    )
    assert served["transcript"].numpy()[0].decode() == here.text
    assert float(served["confidence"][0]) == pytest.approx(here.confidence, rel=1e-3)


def test_it_is_the_search_that_reads(fitted, small_transcriber, tmp_path):
    """A bonus for every symbol makes the text longer."""
    model = read_language_model(fitted[1])
    lengths = []
    for bonus in (-20.0, 20.0):
        changed = dataclasses.replace(model.config, bonus=bonus)
        model._replace(config=changed).write(tmp_path)
        _, task = load_task(small_transcriber, language_model=tmp_path)
        noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype("f4")
        lengths.append(len(task.transcribe(noise, 8000).text.split()))
    assert lengths[0] == 0
    assert lengths[1] > 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--arpa", "x", "--order", "2"], "--arpa is a finished model"),
        (["--lexicon", "{text}"], "the recogniser writes whole words, no others"),
        (["--text", "{nothing}"], "a language model needs at least one sentence"),
        (["--text", "{others}"], "does not write, such as 'quiet'"),
        (["--text", "{noise}"], "noise is no text in UTF-8"),
        (["--text", "{missing}"], "No such file or directory"),
        (["--arpa", "{text}"], "text does not end in"),
        (["--output", "{text}"], "text needs a folder where there is a file"),
        (["--beam-width", "0"], "beam_width must be between 1 and 1024"),
        (["--order", "0"], "order must be between 1 and 9"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments, reason, small_transcriber, tmp_path, command
):
    (tmp_path / "text").write_text("high low\n")
    (tmp_path / "nothing").write_text("\n")
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "others").write_text("\nhigh quiet\nloud\n")
    names = ("text", "nothing", "others", "noise", "missing")
    paths = {name: tmp_path / name for name in names}
    arguments = [each.format(**paths) for each in arguments]
    output = ("--output", tmp_path / "out")
    code, out, errors = command(
        language_model.main, small_transcriber, *output, *arguments
    )
    assert (code, out) == (2, "")
    assert reason in errors[-1]
    assert not (tmp_path / "out").exists()


def test_other_models_and_damaged_folders_are_one_line(
    small_run, small_transcriber, fitted, tmp_path, command
):
    code, _, errors = command(language_model.main, small_run)
    assert code == 2
    assert errors[-1].endswith("of rnn_recognizer, which takes no language model")
    code, _, errors = command(evaluate.main, small_run, "--language-model", fitted[1])
    assert code == 2
    assert errors[-1].endswith("of rnn_recognizer, which takes no language model")
    for text, reason in (
        ('{"weight": -1}', "weight must be 0 or more"),
        ("{", "settings.json is damaged"),
        ('{"beam": 3}', "settings.json is damaged"),
    ):
        (tmp_path / "settings.json").write_text(text)
        asked = ("--split", "validation", "--language-model", tmp_path)
        code, _, errors = command(evaluate.main, small_transcriber, *asked)
        assert code == 2
        assert reason in errors[-1]
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "lexicon.txt").write_bytes(b"caf\xe9")
    code, _, errors = command(evaluate.main, small_transcriber, *asked)
    assert code == 2
    assert "lexicon.txt is no text in UTF-8" in errors[-1]


def test_perplexity_is_of_the_symbols_that_the_model_has():
    halves = {("a",): np.log(0.5), ("</s>",): np.log(0.125), ("<s>",): -9.0}
    assert perplexity(NGram(1, halves, {}), [["a"], ["a", "b"]]) == pytest.approx(4.0)
    all_of_them = NGram(1, halves | {("<unk>",): np.log(0.03125)}, {})
    assert perplexity(all_of_them, [["b"]]) == pytest.approx(16.0)


def test_a_lexicon_has_the_words_that_the_recogniser_can_write(tmp_path):
    from tfspeech.errors import SpecError, TextError
    from tfspeech.tasks.speech_recognition.language_model import read_lexicon
    from tfspeech.tasks.speech_recognition.transcripts import (
        Transcriber,
        TranscriptConfig,
    )

    path = tmp_path / "words.txt"
    path.write_text("Cab bad\nzoo abc's\n")
    spelled = Transcriber(TranscriptConfig("characters"), " abcd'")
    assert read_lexicon(path, spelled) == (("bad", "cab"), 2)
    with pytest.raises(SpecError, match="leave out --lexicon"):
        read_lexicon(path, Transcriber(TranscriptConfig("words"), ["cab"]))
    path.write_text("zoo")
    with pytest.raises(TextError, match="no word that the recogniser could write"):
        read_lexicon(path, spelled)
