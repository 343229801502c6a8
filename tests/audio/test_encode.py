import io
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tfspeech.audio.encode import encode_wav, write_pieces, write_wav


def test_a_wav_file_holds_the_waveform_in_16_bits(tmp_path):
    waveform = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)
    write_wav(tmp_path / "x.wav", waveform, 11025)
    found, rate_hz = soundfile.read(tmp_path / "x.wav", dtype="float32")
    info = soundfile.info(tmp_path / "x.wav")
    assert (rate_hz, info.subtype, info.channels) == (11025, "PCM_16", 1)
    np.testing.assert_allclose(found, waveform, atol=1e-4)


def test_what_is_too_loud_is_cut_off_and_does_not_wrap_around():
    found, _ = soundfile.read(io.BytesIO(encode_wav(np.array([3.0, -3.0]), 8000)))
    np.testing.assert_allclose(found, [1, -1], atol=1e-4)


def test_no_samples_make_a_wav_file(tmp_path):
    found, rate_hz = soundfile.read(io.BytesIO(encode_wav(np.zeros(0), 8000)))
    assert (found.size, rate_hz) == (0, 8000)


def test_a_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(OSError, match="no_folder"):
        write_wav(tmp_path / "no_folder" / "x.wav", np.zeros(3), 8000)


def test_one_piece_is_the_same_file(tmp_path):
    waveform = np.random.default_rng(0).uniform(-1.1, 1.1, 501).astype(np.float32)
    piece = SimpleNamespace(waveform=waveform, sample_rate_hz=8000)
    assert write_pieces(tmp_path / "x.wav", iter([piece])) == 501 / 8000
    assert (tmp_path / "x.wav").read_bytes() == encode_wav(waveform, 8000)


def test_each_piece_is_written_before_the_next_is_made():
    file = io.BytesIO()
    written = []

    def pieces():
        for value in (0.25, 0.5, 0.75):
            written.append(file.tell())
            waveform = np.full(1000, value)
            yield SimpleNamespace(waveform=waveform, sample_rate_hz=1000)

    assert write_pieces(file, pieces()) == 3 + 2 * 0.3
    assert written == [0, 44 + 2000, 44 + 2000 + 2600]
    file.seek(0)
    samples, _ = soundfile.read(file)
    for start, end, value in ((0, 1000, 0.25), (1000, 1300, 0.0), (2600, 3600, 0.75)):
        np.testing.assert_allclose(samples[start:end], value, atol=1e-4)


def test_what_was_written_before_an_error_can_be_read(tmp_path):
    def pieces():
        yield SimpleNamespace(waveform=np.zeros(1000), sample_rate_hz=1000)
        raise ConnectionError("the server is gone")

    with pytest.raises(ConnectionError, match="gone"):
        write_pieces(tmp_path / "x.wav", pieces())
    assert soundfile.info(tmp_path / "x.wav").frames == 1000
