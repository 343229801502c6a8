import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from filelock import FileLock
from small_flags import SMALL, SMALL_HMM, SMALL_HYBRID, SMALL_TRANSCRIBER, TONES_HZ

from tfspeech import console
from tfspeech.audio.numba_cache import import_librosa

# Two devices, so that replicas can be tested; they must be there before the first op.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


EXPENSIVE = {"exports", "small_gan", "small_generator", "small_hybrid", "small_wavenet"}
"""Fixtures that take too long for the default run; CI has them made."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        dear = not EXPENSIVE.isdisjoint(getattr(item, "fixturenames", ()))
        if dear and not item.get_closest_marker("slow"):
            item.add_marker("slow")
            item.add_marker("headline")


@pytest.fixture(scope="session")
def speech_data() -> Path:
    """The folder of real recordings, where there is one."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TFSPEECH_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}; set $TFSPEECH_DATA")
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id) -> Path:
    """A folder of all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(autouse=True, scope="session")
def _private_cache(shared_folder):
    """Keeps what tests decode out of the user's cache, and what is compiled in it."""
    for module in ("core", "sequence"):
        import_librosa(module)
    os.environ["TFSPEECH_CACHE"] = str(shared_folder / "cache")


@pytest.fixture(scope="session")
def build_once(shared_folder):
    """Fills a folder in the first of the processes of a test run that wants it."""
    place = shared_folder / "built"
    place.mkdir(exist_ok=True)

    def build(name, fill):
        folder, partial = place / name, place / f"{name}.partial"
        with FileLock(place / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                fill(partial)
                partial.rename(folder)
        return folder

    return build


@pytest.fixture(scope="session")
def tones(build_once) -> Path:
    """A corpus of three "words", tones of different pitch, in the folder layout."""

    def fill(root):
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

    return build_once("tones", fill)


@pytest.fixture(scope="session")
def sentences(build_once) -> Path:
    """A manifest of 24 short sentences in one synthetic voice."""
    from tfspeech.data.espeak import SpokenText

    def fill(folder):
        rows = ["path\ttext\tsplit"]
        for first, colour in enumerate(
            ("red", "green", "blue", "white", "black", "old")
        ):
            for second, thing in enumerate(("box", "bird", "door", "hat")):
                text = f"the {colour} {thing}."
                waveform, rate_hz = SpokenText(text, rate_wpm=240).render()
                name = text.replace(" ", "_") + "wav"
                soundfile.write(folder / name, waveform, rate_hz)
                split = {0: "test", 1: "validation"}.get((first + second) % 6, "train")
                rows.append(f"{name}\t{text}\t{split}")
        (folder / "list.tsv").write_text("\n".join(rows))

    return build_once("sentences", fill) / "list.tsv"


@pytest.fixture(scope="session")
def phoneme_times(sentences, build_once) -> Path:
    """A folder with a TextGrid for each of the sentences."""
    from tfspeech.data.espeak import SpokenText
    from tfspeech.data.textgrid import Interval, write_textgrid
    from tfspeech.text.phonemes import PAUSE, text_to_phonemes

    def fill(folder):
        for row in sentences.read_text().splitlines()[1:]:
            name, text, _ = row.split("\t")
            _, _, times = SpokenText(text, rate_wpm=240).render_with_phonemes()
            phones = [Interval(t.start_s, t.end_s, t.phoneme) for t in times]
            spoken = iter([phone for phone in phones if phone.label != PAUSE])
            words = []
            for word, sounds in zip(
                text[:-1].split(), text_to_phonemes(text), strict=True
            ):
                own = [next(spoken) for _ in sounds]
                words.append(Interval(own[0].start_s, own[-1].end_s, word))
            tiers = {"words": words, "phones": phones}
            path = folder / Path(name).with_suffix(".TextGrid")
            write_textgrid(path, tiers, times[-1].end_s)

    return build_once("phoneme_times", fill)


@pytest.fixture(scope="session")
def tones_flags(tones) -> list[str]:
    """How a small recogniser of tones is trained."""
    return ["--data", f"folder:{tones}", *SMALL]


@pytest.fixture(scope="session")
def transcriber_flags(tones) -> list[str]:
    """How a small recogniser of strings of tones is trained."""
    return [*SMALL_TRANSCRIBER, "--data", f"strings:folder:{tones}"]


@pytest.fixture(scope="session")
def hybrid_flags(sentences) -> list[str]:
    """How a small hybrid recogniser is trained on the sentences."""
    return [*SMALL_HYBRID, "--data", f"manifest:{sentences}"]


@pytest.fixture(scope="session")
def hmm_flags(sentences) -> list[str]:
    """How a small recogniser with Gaussian mixtures is trained on the sentences."""
    return [*SMALL_HMM, "--data", f"manifest:{sentences}"]


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


SMALL_FRAMES = ["--sample-rate-hz=8000", "--num-mels=16", "--lpc-order=8"]

SMALL_DENSE = [
    *("dense_synthesis", *SMALL_FRAMES),
    *("--hidden-units=24", "--hidden-units=16", "--duration-units=8"),
    *("--linguistic-dim=90", "--epochs=2", "--batch-size=4", "--warmup-steps=0"),
    "--validation-sentences=2",
]

SMALL_PARALLEL = [
    *("parallel_tts", *SMALL_FRAMES),
    *("--units=16", "--encoder-layers=2", "--attention-layers=1", "--body-layers=2"),
    *("--kernel-size=3", "--heads=2", "--linguistic-dim=90", "--epochs=2"),
    *("--batch-size=4", "--warmup-steps=0", "--validation-sentences=2"),
]


@pytest.fixture(scope="session")
def dense_flags(sentences, phoneme_times) -> list[str]:
    """How a small dense synthesiser is trained on the sentences."""
    data = f"--data=manifest:{sentences}"
    return [*SMALL_DENSE, data, f"--alignments={phoneme_times}"]


@pytest.fixture(scope="session")
def parallel_flags(sentences, phoneme_times) -> list[str]:
    """How a small parallel synthesiser is trained on the sentences."""
    data = f"--data=manifest:{sentences}"
    return [*SMALL_PARALLEL, data, f"--alignments={phoneme_times}"]


@pytest.fixture(scope="session")
def latent_flags(parallel_flags) -> list[str]:
    """How a small parallel synthesiser with a latent variable is trained."""
    return [*parallel_flags, "--latent-size=3"]


SMALL_SEGMENTS = [
    *(*SMALL_FRAMES, "--segment-frames=12", "--epochs=2", "--batch-size=4"),
    *("--warmup-steps=0", "--learning-rate=0.01", "--validation-sentences=2"),
]
SMALL_FILTERS = [
    *("--channels=16", "--layers=2", "--pulse-cepstra=12", "--noise-cepstra=6"),
]
SMALL_ADVERSARY = ["--periods=2", "--period-channels=4", "--spectrum-channels=4"]
SMALL_WAVENET = [
    *("--channels=8", "--skip-channels=8", "--dilations=4", "--frame-channels=8"),
    *("--segment-frames=8", "--epochs=1"),
]


@pytest.fixture(scope="session")
def vocoder_flags(sentences) -> list[str]:
    """How a small vocoder is trained on the sentences."""
    data = f"--data=manifest:{sentences}"
    return ["source_filter", *SMALL_SEGMENTS, *SMALL_FILTERS, data]


@pytest.fixture(scope="session")
def gan_flags(vocoder_flags) -> list[str]:
    """How a small vocoder is trained on the sentences with small discriminators."""
    return ["gan_vocoder", *vocoder_flags[1:], *SMALL_ADVERSARY]


@pytest.fixture(scope="session")
def wavenet_flags(sentences) -> list[str]:
    """How a small WaveNet is trained on the sentences."""
    data = f"--data=manifest:{sentences}"
    return ["wavenet", *SMALL_SEGMENTS, *SMALL_WAVENET, data]


SMALL_GENERATOR = [
    *("frame_gan", *SMALL_FRAMES, "--clips=12", "--latent-dim=4", "--first-frames=8"),
    *("--channels=8", "--channels=8", "--discriminator-channels=8"),
    *("--discriminator-channels=8", "--epochs=2", "--batch-size=8"),
    *("--warmup-steps=0", "--gradient-penalty=0.5"),
]


@pytest.fixture(scope="session")
def generator_flags(tones) -> list[str]:
    """How a small generator of tones is trained."""
    return [*SMALL_GENERATOR, "--data", f"folder:{tones}"]


def trained(flags, *more, check):
    """Makes a fixture: a finished run by the flags, with results that pass a check.

    Each process has a copy of its own, for commands write into runs.
    """

    @pytest.fixture(scope="session")
    def small(request, build_once, tmp_path_factory) -> Path:
        from tfspeech import train

        def fill(run_dir):
            config, *_ = train.parse([*request.getfixturevalue(flags), *more])
            assert check(train.run(config, run_dir))

        built = build_once(request.fixturename, fill)
        own = tmp_path_factory.mktemp("runs") / request.fixturename
        return shutil.copytree(built, own)

    return small


def has_four_sentences(results):
    """Whether all sentences of the test split were synthesised and scored."""
    return results["sentences"] == 4


small_run = trained("tones_flags", check=lambda results: results["accuracy"] > 0.9)
small_transcriber = trained(
    "transcriber_flags", check=lambda results: results["wer"] < 0.9
)
small_hybrid = trained("hybrid_flags", check=lambda results: results["wer"] <= 0.5)
small_hmm = trained("hmm_flags", check=lambda results: results["wer"] <= 0.5)
small_voice = trained("voice_flags", check=has_four_sentences)
small_dense = trained("dense_flags", check=has_four_sentences)
small_parallel = trained("parallel_flags", check=has_four_sentences)
small_latent = trained("latent_flags", check=has_four_sentences)
small_vocoder = trained("vocoder_flags", "--conditioning=lpc", check=has_four_sentences)
small_gan = trained("gan_flags", check=has_four_sentences)
small_generator = trained(
    "generator_flags", check=lambda results: results["clips"] == 12
)
small_wavenet = trained("wavenet_flags", check=has_four_sentences)


@pytest.fixture
def command(capsys):
    """Runs a command's main function; returns exit code, output and error lines."""

    def run(main, *arguments):
        with pytest.raises(SystemExit) as stop:
            console.run_command(main, [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err.splitlines()

    return run
