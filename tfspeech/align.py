"""`python -m tfspeech.align`: finds the times of the phonemes of a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfspeech.config import add_flags, take_flags
from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.data.corpora import LAYOUTS
from tfspeech.data.store import MAX_SECONDS
from tfspeech.errors import SpecError
from tfspeech.tasks.alignment.aligner import AlignmentConfig, default_features
from tfspeech.tasks.alignment.grids import PLOTS
from tfspeech.tasks.alignment.run import align_corpus
from tfspeech.tasks.alignment.scores import CLOSE_MS, NEAR_MS
from tfspeech.tasks.attention_alignment import align_by_attention

_MAX_NAMES = 5


def describe(results: Mapping[str, Any], output: Path) -> str:
    """Describes the results of `align_corpus` in a few lines."""
    minutes = results["audio_seconds"] / 60
    lines = [
        f"{results['aligned']} of {results['utterances']} utterances are aligned, "
        f"{minutes:.1f} minutes"
    ]
    if "times_real_time" in results:
        lines.append(
            f"{results['times_real_time']:g} times real time: "
            f"{results['training_seconds']:g} s of training, "
            f"{results['alignment_seconds']:g} s of alignment"
        )
    if left_out := results["left_out"]:
        named = ", ".join(left_out[:_MAX_NAMES])
        more = f" and {len(left_out) - _MAX_NAMES} more" * (len(left_out) > _MAX_NAMES)
        lines.append(
            f"left out, as longer than {MAX_SECONDS:g} s or too short for the text: "
            f"{named}{more}"
        )
    if "boundaries" in results:
        scores = results["boundaries"]
        lines.append(
            f"{scores[f'within_{CLOSE_MS}_ms']:.1%} of {scores['count']} boundaries "
            f"are within {CLOSE_MS} ms of the true ones, "
            f"{scores[f'within_{NEAR_MS}_ms']:.1%} within {NEAR_MS} ms; median error "
            f"{scores['median_ms']:.1f} ms, signed {scores['bias_ms']:+.1f} ms"
        )
    lines.append(f"look at {output / PLOTS}; train with --alignments {output}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Aligns a corpus, and prints how well."""
    parser = Parser(
        "align",
        "Finds the times of the phonemes of a corpus by forced alignment, with hidden "
        "Markov models that are trained on the corpus itself, or by the attention of a "
        "synthesiser.",
    )
    parser.add_argument(
        "corpus", metavar="CORPUS[:PATH]", help="one of " + ", ".join(LAYOUTS)
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the TextGrids; those that exist are not aligned again",
    )
    parser.add_argument(
        "--attention",
        type=Path,
        metavar="RUN_DIR",
        help="run of attention_tts --symbols phonemes whose attention finds the times, "
        "instead of hidden Markov models",
    )
    parser.add_json()
    add_flags(parser, AlignmentConfig())
    add_flags(parser, default_features())
    given = parser.parse_args(arguments)
    config = take_flags(AlignmentConfig(), given)
    features = take_flags(default_features(), given)
    try:
        if "attention" not in given:
            results = align_corpus(given.corpus, given.output, config, features)
        elif (config, features) == (AlignmentConfig(), default_features()):
            results = align_by_attention(given.corpus, given.output, given.attention)
        else:
            raise SpecError(
                "--attention has no hidden Markov models: leave out their settings"
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; the same command goes on where it was"
        ) from None
    say(describe(results, given.output))
    if "json" in given:
        print_json(results)


if __name__ == "__main__":
    run_command(main)
