"""An independent judge of speech: networks that predict what listeners would say."""

from __future__ import annotations

import importlib

import numpy as np
import tensorflow as tf

from tfspeech.audio.resample import resample
from tfspeech.errors import SpecError

_RATE_HZ = 16_000  # Of what the networks were trained on.
SCORES = {"p808_mos": "P.808", "plcmos": "PLCMOS"}
"""Name of a score of the judge -> its title."""


class SpeechJudge:
    """Predicts mean opinion scores, from 1 to 5, by the networks of `speechmos`.

    Sources: Reddy et al. 2021, "DNSMOS" (arXiv 2010.15258), whose P.808 score is of
    overall quality, and Diener et al. 2023, "PLCMOS" (arXiv 2305.15127), which hears
    artefacts of a signal that was put together. Neither takes part in any training.

    Raises:
        SpecError: The package is not installed.
    """

    def __init__(self) -> None:
        try:
            self._dnsmos, self._plcmos = (
                importlib.import_module(f"speechmos.{name}")
                for name in ("dnsmos", "plcmos")
            )
        except ImportError as error:
            raise SpecError(
                f"the judge needs packages that are not installed ({error}): pip "
                'install "tfspeech[judge]"'
            ) from error

    def scores(self, waveform: np.ndarray, sample_rate_hz: int) -> dict[str, float]:
        """Judges one utterance.

        Args:
            waveform: float32 [samples].
            sample_rate_hz: Its rate.

        Returns:
            `SCORES` by name.
        """
        heard = resample(tf.constant(waveform), sample_rate_hz, _RATE_HZ).numpy()
        heard = heard.clip(-1.0, 1.0)
        state = np.random.get_state()  # PLCMOS draws its raters from it.
        try:
            np.random.seed(0)
            plcmos = self._plcmos.run(heard, _RATE_HZ)["plcmos"]
        finally:
            np.random.set_state(state)
        p808_mos = self._dnsmos.run(heard, _RATE_HZ)["p808_mos"]
        return {"p808_mos": float(p808_mos), "plcmos": float(plcmos)}
