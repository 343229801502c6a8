"""The client encodes phonemes by the table of the model that is served."""

import numpy as np
import pytest
from phoneme_models import SCALE

from tfspeech.errors import ServerError, SpecError
from tfspeech.serving.client import RemoteModel
from tfspeech.text.front_end import TextConfig, TextFrontEnd

TEXTS = ("the red box.", "a", "five old birds, too!")
FRONT_END = TextFrontEnd(TextConfig("phonemes"))


def names(text):
    return [FRONT_END.symbols[number] for number in FRONT_END.encode(text)]


@pytest.fixture
def asked(monkeypatch):
    """The signatures that were called."""
    found = []
    predict = RemoteModel.predict

    def noting(self, signature, *arguments):
        found.append(signature)
        return predict(self, signature, *arguments)

    monkeypatch.setattr(RemoteModel, "predict", noting)
    return found


def test_texts_are_encoded_by_a_table_of_another_order(url, asked):
    table = [FRONT_END.symbols[0], *reversed(FRONT_END.symbols[1:])]
    with RemoteModel(url, "permuted") as model:
        assert list(model.symbols) == table
        for texts in (TEXTS, TEXTS[:1]):
            for text, speech in zip(texts, model.synthesize(texts), strict=True):
                numbers = np.round(speech.waveform * SCALE).astype(int)
                assert [table[number] for number in numbers] == names(text)
    # Once for all requests.
    assert asked == ["symbol_table", "synthesize_phonemes", "synthesize_phonemes"]


def test_a_phoneme_that_the_model_lacks_is_named_before_anything_is_sent(url, asked):
    with RemoteModel(url, "lacking") as model:
        (speech,) = model.synthesize(["the red box."])
        assert len(speech.waveform) == len(names("the red box."))
        sent = list(asked)
        with pytest.raises(ServerError, match=r"lacking at .*symbol 'f'.*'five boxes'"):
            model.synthesize(["the red box.", "five boxes"])
    assert asked == sent


def test_a_model_that_does_not_tell_its_table_is_not_guessed_at(url):
    with (
        RemoteModel(url, "tableless") as model,
        pytest.raises(ServerError, match="has no signature symbol_table"),
    ):
        model.synthesize(["the red box."])


def test_models_that_read_text_are_not_asked_for_their_table(url, asked):
    with RemoteModel(url, "attention_tts") as model:
        model.synthesize(["the red box."])
    assert asked == ["synthesize"]


@pytest.mark.parametrize("name", ["attention_tts", "dense_synthesis", "parallel_tts"])
def test_every_synthesiser_tells_the_symbols_that_its_frames_are_made_of(
    name, url, voice, dense, parallel
):
    task = {
        "attention_tts": voice,
        "dense_synthesis": dense,
        "parallel_tts": parallel,
    }[name]
    with RemoteModel(url, name) as model:
        assert tuple(model.symbols) == task.front_end.symbols
        several = model.predict("symbol_table", {"row": np.arange(3, dtype=np.int32)})
    for row in several["symbol_names"]:
        assert tuple(row) == task.front_end.symbols


@pytest.mark.parametrize("given", [{"rate": 1.0}, {"semitones": 2.0}])
def test_a_condition_that_the_model_lacks_is_one_clear_line(given, url, asked):
    with (
        RemoteModel(url, "permuted") as model,
        pytest.raises(SpecError, match=r"permuted at .* has no (rate|semitones) that"),
    ):
        model.synthesize(["the red box."], **given)
    assert asked == []
