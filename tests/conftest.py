import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from small_flags import SMALL, SMALL_TRANSCRIBER, TONES_HZ

from tfspeech import console
from tfspeech.audio.numba_cache import import_librosa

# Two devices, so that replicas can be tested; they must be there before the first op.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


@pytest.fixture(scope="session")
def speech_data() -> Path:
    """The folder of real recordings, where there is one."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TFSPEECH_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}; set $TFSPEECH_DATA")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory):
    """Keeps what tests decode out of the user's cache, and what is compiled in it."""
    for module in ("core", "sequence"):
        import_librosa(module)
    os.environ["TFSPEECH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Path:
    """A corpus of three "words", tones of different pitch, in the folder layout."""
    root = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for label, hz in TONES_HZ.items():
        (root / label).mkdir()
        for speaker in range(12):
            for take in range(2):
                time = np.arange(int(8000 * rng.uniform(0.2, 0.4))) / 8000
                wave = 0.3 * np.sin(2 * np.pi * hz * rng.uniform(0.95, 1.05) * time)
                wave += rng.normal(size=time.size) * 0.003
                name = f"s{speaker:02}_nohash_{take}.wav"
                soundfile.write(root / label / name, wave, 8000)
    return root


@pytest.fixture(scope="session")
def small_run(tones, tmp_path_factory) -> Path:
    """A finished run of a small model on the tones."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small"
    config, *_ = train.parse(["--data", f"folder:{tones}", *SMALL])
    results = train.run(config, run_dir)
    assert results["accuracy"] > 0.9
    return run_dir


@pytest.fixture(scope="session")
def transcriber_flags(tones) -> list[str]:
    """How a small recogniser of strings of tones is trained."""
    return [*SMALL_TRANSCRIBER, "--data", f"strings:folder:{tones}"]


@pytest.fixture(scope="session")
def small_transcriber(transcriber_flags, tmp_path_factory) -> Path:
    """A finished run of a small recogniser, which hears some of the tones."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small_transcriber"
    config, *_ = train.parse(transcriber_flags)
    results = train.run(config, run_dir)
    assert results["wer"] < 0.9
    return run_dir


@pytest.fixture(scope="session")
def sentences(tmp_path_factory) -> Path:
    """A manifest of 24 short sentences in one synthetic voice."""
    from tfspeech.data.espeak import SpokenText

    folder = tmp_path_factory.mktemp("sentences")
    rows = ["path\ttext\tsplit"]
    for first, colour in enumerate(("red", "green", "blue", "white", "black", "old")):
        for second, thing in enumerate(("box", "bird", "door", "hat")):
            text = f"the {colour} {thing}."
            waveform, rate_hz = SpokenText(text, rate_wpm=240).render()
            name = text.replace(" ", "_") + "wav"
            soundfile.write(folder / name, waveform, rate_hz)
            split = {0: "test", 1: "validation"}.get((first + second) % 6, "train")
            rows.append(f"{name}\t{text}\t{split}")
    (folder / "list.tsv").write_text("\n".join(rows))
    return folder / "list.tsv"


SMALL_VOICE = [
    *("attention_tts", "--sample-rate-hz=8000", "--num-mels=16", "--hop-length-ms=15"),
    *("--encoder-units=16", "--encoder-layers=1", "--attention-units=16"),
    *("--prenet-units=16", "--decoder-units=24", "--reduction-factor=4"),
    *("--epochs=2", "--batch-size=8", "--warmup-steps=0", "--validation-sentences=2"),
    *("--vocoder=griffin_lim(4)", "--frames-per-symbol=5"),
]


@pytest.fixture(scope="session")
def voice_flags(sentences) -> list[str]:
    """How a small synthesiser is trained on the sentences."""
    return [*SMALL_VOICE, "--data", f"manifest:{sentences}"]


@pytest.fixture(scope="session")
def small_voice(voice_flags, tmp_path_factory) -> Path:
    """A finished run of a small synthesiser, which speaks but says nothing yet."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small_voice"
    config, *_ = train.parse(voice_flags)
    results = train.run(config, run_dir)
    assert results["sentences"] == 4
    return run_dir


@pytest.fixture(scope="session")
def phoneme_times(sentences, tmp_path_factory) -> Path:
    """A folder with a TextGrid for each of the sentences."""
    from tfspeech.data.espeak import SpokenText
    from tfspeech.data.textgrid import Interval, write_textgrid
    from tfspeech.text.phonemes import PAUSE, text_to_phonemes

    folder = tmp_path_factory.mktemp("phoneme_times")
    for row in sentences.read_text().splitlines()[1:]:
        name, text, _ = row.split("\t")
        _, _, times = SpokenText(text, rate_wpm=240).render_with_phonemes()
        phones = [Interval(t.start_s, t.end_s, t.phoneme) for t in times]
        spoken = iter([phone for phone in phones if phone.label != PAUSE])
        words = []
        for word, sounds in zip(text[:-1].split(), text_to_phonemes(text), strict=True):
            own = [next(spoken) for _ in sounds]
            words.append(Interval(own[0].start_s, own[-1].end_s, word))
        tiers = {"words": words, "phones": phones}
        path = folder / Path(name).with_suffix(".TextGrid")
        write_textgrid(path, tiers, times[-1].end_s)
    return folder


SMALL_DENSE = [
    *("dense_synthesis", "--sample-rate-hz=8000", "--num-mels=16", "--lpc-order=8"),
    *("--hidden-units=24", "--hidden-units=16", "--duration-units=8"),
    *("--linguistic-dim=90", "--epochs=2", "--batch-size=4", "--warmup-steps=0"),
    "--validation-sentences=2",
]


@pytest.fixture(scope="session")
def dense_flags(sentences, phoneme_times) -> list[str]:
    """How a small dense synthesiser is trained on the sentences."""
    data = f"--data=manifest:{sentences}"
    return [*SMALL_DENSE, data, f"--alignments={phoneme_times}"]


@pytest.fixture(scope="session")
def small_dense(dense_flags, tmp_path_factory) -> Path:
    """A finished run of a small dense synthesiser."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small_dense"
    config, *_ = train.parse(dense_flags)
    results = train.run(config, run_dir)
    assert results["sentences"] == 4
    return run_dir


SMALL_VOCODER = [
    *("source_filter", "--sample-rate-hz=8000", "--num-mels=16", "--lpc-order=8"),
    *("--channels=16", "--layers=2", "--pulse-cepstra=12", "--noise-cepstra=6"),
    *("--segment-frames=12", "--epochs=2", "--batch-size=4", "--warmup-steps=0"),
    *("--learning-rate=0.01", "--validation-sentences=2"),
]


@pytest.fixture(scope="session")
def vocoder_flags(sentences) -> list[str]:
    """How a small vocoder is trained on the sentences."""
    return [*SMALL_VOCODER, f"--data=manifest:{sentences}"]


@pytest.fixture(scope="session")
def small_vocoder(vocoder_flags, tmp_path_factory) -> Path:
    """A finished run of a small vocoder of the dense synthesiser's frames."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small_vocoder"
    config, *_ = train.parse([*vocoder_flags, "--conditioning=lpc"])
    results = train.run(config, run_dir)
    assert results["sentences"] == 4
    return run_dir


SMALL_ADVERSARY = ["--periods=2", "--period-channels=4", "--spectrum-channels=4"]


@pytest.fixture(scope="session")
def gan_flags(vocoder_flags) -> list[str]:
    """How a small vocoder is trained on the sentences with small discriminators."""
    return ["gan_vocoder", *vocoder_flags[1:], *SMALL_ADVERSARY]


@pytest.fixture(scope="session")
def small_gan(gan_flags, tmp_path_factory) -> Path:
    """A finished run of a small vocoder with discriminators."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small_gan"
    config, *_ = train.parse(gan_flags)
    results = train.run(config, run_dir)
    assert results["sentences"] == 4
    return run_dir


SMALL_WAVENET = [
    *("--channels=8", "--skip-channels=8", "--dilations=4", "--frame-channels=8"),
    *("--segment-frames=8", "--epochs=1"),
]


@pytest.fixture(scope="session")
def wavenet_flags(vocoder_flags) -> list[str]:
    """How a small WaveNet is trained on the sentences."""
    known = [flag for flag in vocoder_flags[1:] if "cepstra" not in flag]
    known = [flag for flag in known if "layers" not in flag]
    return ["wavenet", *known, *SMALL_WAVENET]


@pytest.fixture(scope="session")
def small_wavenet(wavenet_flags, tmp_path_factory) -> Path:
    """A finished run of a small WaveNet, which makes noise."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small_wavenet"
    config, *_ = train.parse(wavenet_flags)
    results = train.run(config, run_dir)
    assert results["sentences"] == 4
    return run_dir


SMALL_PARALLEL = [
    *("parallel_tts", "--sample-rate-hz=8000", "--num-mels=16", "--lpc-order=8"),
    *("--units=16", "--encoder-layers=2", "--attention-layers=1", "--body-layers=2"),
    *("--kernel-size=3", "--heads=2", "--linguistic-dim=90", "--epochs=2"),
    *("--batch-size=4", "--warmup-steps=0", "--validation-sentences=2"),
]


@pytest.fixture(scope="session")
def parallel_flags(sentences, phoneme_times) -> list[str]:
    """How a small parallel synthesiser is trained on the sentences."""
    data = f"--data=manifest:{sentences}"
    return [*SMALL_PARALLEL, data, f"--alignments={phoneme_times}"]


@pytest.fixture(scope="session")
def small_parallel(parallel_flags, tmp_path_factory) -> Path:
    """A finished run of a small parallel synthesiser."""
    from tfspeech import train

    run_dir = tmp_path_factory.mktemp("runs") / "small_parallel"
    config, *_ = train.parse(parallel_flags)
    results = train.run(config, run_dir)
    assert results["sentences"] == 4
    return run_dir


@pytest.fixture
def command(capsys):
    """Runs a command's main function; returns exit code, output and error lines."""

    def run(main, *arguments):
        with pytest.raises(SystemExit) as stop:
            console.run_command(main, [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err.splitlines()

    return run
