"""Exports of models of phonemes whose symbol table is another than the client's."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from tfspeech import export
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.tasks.attention_tts.server import AttentionTtsServer
from tfspeech.tasks.limits import SpeechLimits
from tfspeech.text.front_end import TextConfig, TextFrontEnd

SCALE = 256
LACKING = "f"


class WithoutTable(AttentionTtsServer):
    @property
    def signatures(self):
        found = super().signatures
        return {name: found[name] for name in found if name != "symbol_table"}


def phoneme_model(symbols, server=AttentionTtsServer):
    """A task whose speech is the numbers of its symbols, as shares of `SCALE`."""
    front_end = TextFrontEnd(TextConfig("phonemes"))
    front_end.symbols = symbols
    front_end._index = {symbol: number for number, symbol in enumerate(symbols)}

    def synthesize(symbols, lengths):
        frames = tf.cast(symbols, tf.float32)[:, :, tf.newaxis] / SCALE
        return {
            "frames": frames,
            "frame_lengths": lengths,
            "alignment": frames,
            "stopped": lengths > 0,
        }

    task = SimpleNamespace(
        model=SimpleNamespace(variables=[]),
        features=AcousticConfig(sample_rate_hz=8000),
        front_end=front_end,
        vocoder=lambda frames, lengths: (frames[:, :, 0], lengths),
        vocoder_variables=(),
        conditions=(),
        limits=SpeechLimits(),
    )
    task.server = lambda: server(task, synthesize)
    return task


def export_phoneme_models(folder):
    symbols = TextFrontEnd(TextConfig("phonemes")).symbols
    with pytest.MonkeyPatch.context() as patch:
        for name, task in {
            "permuted": phoneme_model((symbols[0], *reversed(symbols[1:]))),
            "lacking": phoneme_model(tuple(s for s in symbols if s != LACKING)),
            "tableless": phoneme_model(symbols, WithoutTable),
        }.items():
            config = SimpleNamespace(name=name)
            patch.setattr(
                export, "load_task", lambda *_, c=config, t=task, **__: (c, t)
            )
            export.run(folder, folder)
