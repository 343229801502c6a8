"""Evaluation between references: a model that speaks the recordings' own frames."""

import numpy as np
import pytest

from models import AttentionTts, AttentionTtsConfig
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.tasks.attention_tts.hard_sentences import HARD_SENTENCES
from tfspeech.tasks.attention_tts.task import (
    AttentionSynthesis,
    AttentionSynthesisConfig,
    describe_scores,
)
from tfspeech.tasks.speech.data import SentenceData, SentenceDataConfig
from tfspeech.tasks.speech.task import Speech
from tfspeech.text.front_end import TextConfig, TextFrontEnd

FEATURES = AcousticConfig(sample_rate_hz=8000, num_mels=64)


class Parrot(AttentionSynthesis):
    """Speaks what it was given, and one frame alone where it was given nothing."""

    frames: dict = {}  # noqa: RUF012

    def speak(self, texts):
        spoken = []
        for text in texts:
            count = len(self.front_end.encode(text))
            frames = self.frames.get(text, np.full((1, 64), -6.9, np.float32))
            spoken.append(Speech(frames, np.eye(count), text in self.frames))
        return spoken


@pytest.fixture(scope="module")
def scores(sentences):
    front_end = TextFrontEnd()
    data = SentenceData(
        SentenceDataConfig(data=f"manifest:{sentences}"), front_end, FEATURES
    )
    architecture = AttentionTtsConfig(
        encoder_units=4, encoder_layers=1, attention_units=4, decoder_units=4
    )
    model = AttentionTts(architecture, len(front_end.symbols), FEATURES.frame_dim)
    parrot = Parrot(model, AttentionSynthesisConfig(), FEATURES, front_end)
    indices = data.corpus.indices("test")
    recorded = [data.frames(index) for index in indices]
    parrot.frames = dict(zip(data.texts(indices), recorded, strict=True))
    perfect = parrot.evaluate_split(data, "test")
    parrot.frames = {}
    return perfect, parrot.evaluate_split(data, "test")


def test_the_recordings_own_frames_are_as_good_as_the_vocoder(scores):
    perfect, _ = scores
    assert perfect["sentences"] == 4
    assert perfect["mcd_db"] == pytest.approx(perfect["vocoder_mcd_db"])
    assert 0 < perfect["vocoder_mcd_db"] < 0.5 * perfect["other_voice_mcd_db"]
    assert perfect["f0_rmse_hz"] == pytest.approx(perfect["vocoder_f0_rmse_hz"])
    assert perfect["f0_rmse_hz"] < 20
    assert perfect["voicing_error_percent"] < 30
    assert perfect["duration_ratio"] == pytest.approx(1)
    assert perfect["stopped"] == perfect["monotonic_coverage"] == 1
    assert perfect["hard_sentences"]["stopped"] == 0


def test_a_model_that_says_nothing_is_measured_too(scores):
    perfect, silent = scores
    assert silent["mcd_db"] > silent["other_voice_mcd_db"]
    assert silent["vocoder_mcd_db"] == perfect["vocoder_mcd_db"]
    assert silent["f0_rmse_hz"] is None
    assert silent["duration_ratio"] < 0.1
    assert silent["stopped"] == 0


def test_the_scores_are_printed_beside_their_references(scores):
    text = describe_scores(scores[0])
    row = next(r for r in text.splitlines() if r.startswith("mel-cepstral"))
    figures = [scores[0][f"{name}mcd_db"] for name in ("", "vocoder_", "other_voice_")]
    assert row.split()[-4:] == [*(f"{figure:.2f}" for figure in figures), "dB"]
    silent = describe_scores(scores[1])
    pitch = next(r for r in silent.splitlines() if r.startswith("F0 RMSE"))
    assert pitch.split()[2] == "-"
    assert f"{len(HARD_SENTENCES)} sentences made to break attention: 0%" in text


@pytest.mark.parametrize("symbols", ["characters", "phonemes"])
def test_there_are_sixty_hard_sentences_that_every_model_can_read(symbols):
    front_end = TextFrontEnd(TextConfig(symbols))
    lengths = [len(front_end.encode(text)) for text in HARD_SENTENCES]
    assert len(set(HARD_SENTENCES)) == 60
    assert min(lengths) <= 4
    assert max(lengths) > 150
