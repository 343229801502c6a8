import numpy as np
import pytest

from tfspeech.data.pico import PicoText
from tfspeech.data.spoken_words import company
from tfspeech.errors import SpecError
from tfspeech.text.pico import VOICES


def test_render_trims_and_adds_noise():
    clean, rate_hz = PicoText("seven", "en-GB").render()
    assert clean.dtype == np.float32
    assert 0.3 < len(clean) / rate_hz < 0.8
    noisy, _ = PicoText("seven", "en-GB", snr_db=20, seed=1).render()
    snr_db = 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2))
    assert snr_db == pytest.approx(20, abs=0.1)


def test_formants_move_with_the_rate():
    plain, rate_hz = PicoText("seven").render()
    longer, lower_hz = PicoText("seven", formants=0.875).render()
    assert (rate_hz, lower_hz) == (16000, 14000)
    assert len(longer) == pytest.approx(len(plain), abs=100)


@pytest.mark.parametrize("field", ["speed", "pitch", "formants"])
def test_values_out_of_range_are_refused(field):
    with pytest.raises(SpecError, match=f"Received: {field}=3"):
        PicoText("one", **{field: 3.0})


def test_an_eighth_of_the_company_is_by_pico():
    spoken = company(["7", "left", "weiß"], 48, seed=0)
    by_pico = [each for each in spoken if isinstance(each.audio, PicoText)]
    assert [each.text for each in by_pico] == ["7"] * 6 + ["left"] * 6
    assert {each.speaker for each in by_pico} == {f"pico-{name}" for name in VOICES}
    texts = [each.text for each in spoken]
    assert [texts.count(label) for label in ("7", "left", "weiß")] == [48] * 3
    assert {each.split for each in spoken} == {"train"}
