"""Strategies, models and corpora from outside the package."""

import json

import pytest
from small_flags import SMALL

from tfspeech import evaluate, export, train
from tfspeech.data.corpora import absolute_spec, load_corpus
from tfspeech.errors import RunError, SpecError
from tfspeech.spec import build_chain
from tfspeech.strategies import Clipping, parse_clipping, parse_regularization
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import load_config

MODULE = '''
import dataclasses
from pathlib import Path

import keras
import tensorflow as tf

from models import RnnRecognizer
from models.config import Options, argument, option
from models.layers import FeatureNormalization, MeanPooling
from tfspeech.data.corpora import folder
from tfspeech.strategies import Clipping, Regularization
from tfspeech.strategies.strategy import POSITIVE

number = 5


@dataclasses.dataclass(frozen=True)
class SignNoise(Clipping):
    """Sign with noise."""

    scale: float = argument(0.1, POSITIVE)

    def clip(self, gradients, state):
        return gradients.replaced([self.scale * tf.sign(g) for g in gradients.values])


@dataclasses.dataclass(frozen=True)
class Shrink(Regularization):
    """Shrinks."""

    def updated(self, weight, info, update, state):
        return 0.999 * weight


def load(path="x"):
    return folder.load(Path(path))


@dataclasses.dataclass(frozen=True)
class TinyConfig(Options):
    """Tiny."""

    width: int = option(6, "units")


class Tiny(keras.Model):
    trained_as = "rnn_recognizer"

    def __init__(self, config: TinyConfig, feature_dim, num_classes, **kwargs):
        super().__init__(name="tiny", **kwargs)
        self.normalization = FeatureNormalization(name="features")
        self.hidden = keras.layers.Dense(config.width, activation="relu", name="hidden")
        self.pooling = MeanPooling(name="pooling")
        self.words = keras.layers.Dense(num_classes, name="words")
        self.output_layers = (self.words,)
        self.activation_names = ()
        shape = [1, 2, feature_dim]
        self({"features": tf.zeros(shape), "lengths": tf.ones([1], tf.int32)})

    def call(self, inputs, training=False):
        frames = self.hidden(self.normalization(inputs["features"]))
        return {"logits": self.words(self.pooling(frames, inputs["lengths"]))}


class Derived(RnnRecognizer):
    pass


class Lost(keras.Model):
    pass


class Stray(keras.Model):
    trained_as = "tacotron9"
'''


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """The working directory of a user with a module of their own."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "my_speech.py").write_text(MODULE)
    (folder / "my_broken.py").write_text("import no_such_thing")
    (folder / "my_typo.py").write_text("def")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend("/nowhere")  # Restores the path in the end.
        yield folder


def test_a_chain_may_join_what_is_outside():
    chain = "my_speech:SignNoise(0.2) + value(0.3, match='a + b')+my_speech:SignNoise"
    noise, value, other = build_chain(chain, parse_clipping, Clipping)
    assert (noise.scale, value.c, value.match, other.scale) == (0.2, 0.3, "a + b", 0.1)


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_of_nothing_but_what_is_outside(tones, tmp_path, command):
    data = f"my_speech:load('{tones}')"
    flags = ["my_speech:Tiny", "--data", data, "--width=5", "--run-dir", tmp_path]
    flags += ["--clip=my_speech:SignNoise(0.2)", "--clip=value", "--epochs=1"]
    flags += ["--regularize=my_speech:Shrink", "--synthetic-per-label=0"]
    code, _, errors = command(train.main, *flags)
    assert code == 0, errors
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["model"] == "my_speech:Tiny"
    assert saved["data"]["data"] == data
    assert saved["architecture"] == {"width": 5}
    assert saved["training"]["clip"] == ["my_speech:SignNoise(0.2)", "value"]
    assert saved["training"]["regularize"] == ["my_speech:Shrink"]
    assert load_config(tmp_path).to_json() == (tmp_path / "config.json").read_text()
    code, _, errors = command(train.main, "--run-dir", tmp_path, "--resume")
    assert code == 0, errors
    code, out, errors = command(evaluate.main, tmp_path, "--json")
    assert code == 0, errors
    results = json.loads((tmp_path / "results.json").read_text())
    assert json.loads(out)["loss"] == results["loss"]
    code, out, errors = command(export.main, tmp_path, "--output", tmp_path, "--json")
    assert code == 0, errors
    assert json.loads(out.splitlines()[-1]) == {"model": "Tiny", "version": 1}
    assert (tmp_path / "Tiny" / "1" / "saved_model.pb").is_file()


def test_what_derives_from_a_model_of_the_zoo_is_trained_as_that():
    config = default_config("my_speech:Derived")
    zoo = default_config("rnn_recognizer")
    assert (config.architecture, config.training) == (zoo.architecture, zoo.training)
    assert (config.model, config.name) == ("my_speech:Derived", "Derived")
    _, run_dir, *_ = train.parse(["my_speech:Derived", "--units=7", *SMALL])
    assert run_dir.name == "Derived"


def test_a_corpus_outside_means_the_same_from_everywhere(tones):
    spec = f"my_speech:load('{tones}')"
    assert absolute_spec(spec) == spec
    assert load_corpus(spec).speakers()[0] == "s00"
    assert absolute_spec("folder:relative").startswith("folder:/")


@pytest.mark.parametrize(
    ("parse", "spec", "reason"),
    [
        (parse_clipping, "my_speech:SignNoise(-1)", "scale must be a number above 0"),
        (parse_clipping, "my_speech:SignNoise(skale=1)", r"\(did you mean scale\?\)"),
        (parse_clipping, "my_speech:SignNois", r"no SignNois \(did you mean SignNoise"),
        (parse_clipping, "my_speech:Shrink", "it makes a Shrink, not a Clipping"),
        (parse_regularization, "my_speech:SignNoise", "not a Regularization"),
        (parse_clipping, "my_speech:number", "no class and no function"),
        (parse_clipping, "my_speach:SignNoise", "No module named 'my_speach'"),
        (parse_clipping, "my_broken:A", "No module named 'no_such_thing'"),
        (parse_clipping, "my_typo:A(1)", "my_typo cannot be imported .SyntaxError"),
        (parse_clipping, "my_speech:SignNoise(open('x'))", r"name\(arguments\)"),
        (parse_clipping, "my_speech:SignNoise.x", r"name\(arguments\)"),
        (load_corpus, "my_speech:number", "no class and no function"),
        (load_corpus, "my_speech:Tiny", "is no corpus Tiny"),
        (load_corpus, "fssd:recordings", r"did you mean fsdd\?"),
        (load_corpus, "fssd:/x", r"unknown corpus 'fssd' \(did you mean fsdd\?\)"),
        (default_config, "my_speech:Lost", "needs an attribute trained_as"),
        (default_config, "my_speech:Stray", "Received: 'tacotron9'"),
        (default_config, "my_speech:load", "must derive from keras.Model"),
        (
            default_config,
            "rnn_recogniser",
            r"did you mean rnn_recognizer or hmm_recognizer or ctc_recognizer\?",
        ),
        (default_config, "my_speech:Tiny(3)", "unknown model"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(parse, spec, reason):
    with pytest.raises(SpecError, match=reason) as error:
        parse([spec] if "parse_" in parse.__name__ else spec)
    assert "\n" not in str(error.value)


def test_a_run_whose_module_is_gone_says_which(small_run, tmp_path):
    saved = json.loads((small_run / "config.json").read_text())
    saved["training"]["clip"] = ["no_such_module:Clip"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(RunError, match=r"config.json: .*no_such_module cannot be impo"):
        load_config(tmp_path)
