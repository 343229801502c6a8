"""The errors a user can cause, each with one line that names the thing and the cure.

Commands print them as that line and exit with 2.
"""


class TfspeechError(Exception):
    """Base of all errors that are about the input, not about the program."""


class SpecError(TfspeechError, ValueError):
    """A strategy, optimizer or corpus that does not parse, or a value out of range."""


class AudioError(TfspeechError, ValueError):
    """Audio that is missing, empty, truncated or of an unknown format."""


class TextError(TfspeechError, ValueError):
    """Text that is empty or that has symbols no model knows."""


class CorpusError(TfspeechError, ValueError):
    """A corpus that cannot be read or that cannot be trained on."""


class RunError(TfspeechError, ValueError):
    """A run directory that is missing, incomplete or that belongs to another run."""


class ServerError(TfspeechError, RuntimeError):
    """A model server that does not answer, or that refuses a request."""


class DivergenceError(TfspeechError, ArithmeticError):
    """A training run whose loss or gradients stopped being finite."""
