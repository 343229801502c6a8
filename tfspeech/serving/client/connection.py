"""A model on a server: its signatures, called again while nobody answers."""

from __future__ import annotations

import functools
import itertools
import random
import re
import time
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import numpy as np

from models.config import Bounds, between, is_number
from tfspeech.errors import ServerError, SpecError
from tfspeech.serving.client.grpc_transport import GrpcTransport
from tfspeech.serving.client.rest_transport import RestTransport
from tfspeech.serving.client.transport import (
    DEADLINE_EXCEEDED,
    NOT_FOUND,
    UNAVAILABLE,
    Inputs,
    Signature,
    StatusError,
    Transport,
)

Answer = TypeVar("Answer")

TIMEOUT_S = between(0.001, 86400)
RETRIES = Bounds("a whole number up to 100", lambda x: 0 <= x <= 100 and x == int(x))
VERSION = Bounds("a whole number below 2^63", lambda x: 0 <= x < 2**63 and x == int(x))
MAX_ANSWER_BYTES = 2**27

_FIRST_WAIT_S = 0.1
_SHORTEST_S = 0.001  # A wait may last longer than it was told to.
# How the operation Assert reports: a reason, and from `tf.debugging` a condition.
_FAILED = "assertion failed: ["
_CONDITION = re.compile("Condition .* did not hold")


class Connection:
    """A model of a TF Serving whose signatures are called; a context manager.

    A request is sent again while the server is UNAVAILABLE, that is not yet or no more
    there, or with too many requests in its queue; never after another error. The waits
    between double, from 0.1 s on, and differ by chance, so that clients do not come
    back all at once.

    Args of the constructor:
        url: `http://host:8501` for REST (or `https`, or with a path before `/v1`),
            `grpc://host:8500` for gRPC.
        name: The model's on the server.
        version: None for the one that the server prefers, the latest by default.
        timeout_s: How long a call may take with all that is sent again.
        retries: How often a request is sent again at most.
        max_answer_bytes: The longest answer that is read. Over REST an utterance of a
            second has about 1 MB, over gRPC a tenth.

    Raises:
        SpecError: The URL is none of these, or a number is out of its range.
    """

    def __init__(
        self,
        url: str,
        name: str,
        version: int | None = None,
        timeout_s: float = 60.0,
        retries: int = 4,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        for what, value, within in (
            ("timeout in seconds", timeout_s, TIMEOUT_S),
            ("number of retries", retries, RETRIES),
            ("version", 0 if version is None else version, VERSION),
        ):
            if not (is_number(value) and within.hold(value)):
                raise SpecError(
                    f"the {what} must be {within.wanted}. Received: {value}"
                )
        if not name or not name.isprintable():
            raise SpecError(f"a model's name must be printable. Received: {name!r}")
        self.url = url
        self.name = name
        self._transport = _connect(url)(url, name, version, max_answer_bytes)
        self._timeout_s = timeout_s
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    @functools.cached_property
    def signatures(self) -> dict[str, Signature]:
        """The functions that the model serves, by name; asked for once.

        Raises:
            ServerError: There is no answer, or no such model.
        """
        return self._call(self._transport.signatures)

    def predict(
        self,
        signature_name: str,
        inputs: Inputs,
        outputs: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature_name: One of `signatures`.
            inputs: Name -> batch. What is padded comes with its lengths.
            outputs: Those wanted; none means all.

        Returns:
            Name -> array; strings are `str`, in arrays of objects.

        Raises:
            SpecError: The inputs are not those of the signature, or differ in rows.
            ServerError: There is no such signature or output, no answer, or none that
                can be read, or the model refuses the inputs.
        """
        signature = self.signature(signature_name)
        rows = _count_rows(signature, inputs)
        wanted = tuple(outputs) or tuple(signature.outputs)
        missing = [name for name in wanted if name not in signature.outputs]
        if missing:
            raise ServerError(
                f"{self.full_name}: {signature_name} has no output {missing[0]}"
            )
        predict = functools.partial(self._transport.predict, signature, inputs, wanted)
        answer = self._call(predict)
        for name, array in answer.items():
            self.require(array.shape[:1] == (rows,), f"{name} for each of {rows} rows")
        return answer

    @property
    def full_name(self) -> str:
        """Name and address, for errors."""
        return f"{self.name} at {self.url}"

    def require(self, valid: bool, wanted: str) -> None:
        """Raises a `ServerError` where an answer is not valid.

        Args:
            valid: Whether it is.
            wanted: What it should have.
        """
        if not valid:
            raise ServerError(
                f"{self.full_name} sent an answer that makes no sense: it should have "
                f"{wanted}; check what is served there"
            )

    def signature(self, name: str) -> Signature:
        """Returns the signature of a name.

        Raises:
            ServerError: There is none, or no answer.
        """
        if name not in self.signatures:
            raise ServerError(
                f"{self.full_name} has no signature {name}; it has "
                f"{', '.join(sorted(self.signatures))}"
            )
        return self.signatures[name]

    def _call(self, send: Callable[[float], Answer]) -> Answer:
        """Sends a request, again while the server is unavailable."""
        deadline = time.monotonic() + self._timeout_s
        left, wait_s = self._retries, _FIRST_WAIT_S
        while True:
            try:
                return send(max(deadline - time.monotonic(), _SHORTEST_S))
            except StatusError as error:
                pause_s = wait_s * random.uniform(0.8, 1.2)  # noqa: S311 -- No secret.
                too_late = time.monotonic() + pause_s >= deadline
                if error.code != UNAVAILABLE or too_late or not left:
                    raise self._explained(error) from error
            time.sleep(pause_s)
            left, wait_s = left - 1, wait_s * 2

    def _explained(self, error: StatusError) -> ServerError:
        """Adds to an error what was asked for and what helps."""
        reason = _reason(error.message)
        if error.code == UNAVAILABLE:
            return ServerError(
                f"no server is available at {self.url} ({reason}): start it or check "
                "the URL; by default REST is at port 8501 and gRPC at 8500"
            )
        if error.code == DEADLINE_EXCEEDED:
            return ServerError(
                f"{self.url} did not answer within {self._timeout_s:g} s: allow it "
                "more time, or send less at once"
            )
        if error.code == NOT_FOUND:
            return ServerError(
                f"{self.url} does not serve {self.name} ({reason}): check the name and "
                "the version, and what the server was given to load"
            )
        return ServerError(f"{self.full_name}: {reason} ({error.code})")


def _count_rows(signature: Signature, inputs: Inputs) -> int:
    """Returns the rows of a batch, which is as the signature wants it."""
    wanted, given = ", ".join(sorted(signature.inputs)), ", ".join(sorted(inputs))
    if wanted != given:
        raise SpecError(f"{signature.name} takes {wanted}. Received: {given}")
    rows = {key: len(value) for key, value in inputs.items()}
    if len(set(rows.values())) > 1:
        raise SpecError(f"all inputs must have as many rows. Received: {rows}")
    return next(iter(rows.values()), 0)


def _connect(url: str) -> Callable[[str, str, int | None, int], Transport]:
    """Returns the transport of a URL's protocol."""
    try:
        parts = urllib.parse.urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        if plain and parts.hostname and not set(url) & set("?#@\\"):
            parts.hostname.encode("idna")
            if parts.scheme in ("http", "https") and parts.port != 0:
                return RestTransport
            if parts.scheme == "grpc" and parts.port and parts.path in ("", "/"):
                return GrpcTransport
    except ValueError:
        pass  # The port is no number, or the host no name.
    raise SpecError(
        f"the URL must be like http://host:8501 or grpc://host:8500. Received: {url!r}"
    )


def _reason(message: str) -> str:
    """The reason in a server's message, without its position in the graph."""
    line, _, _ = message.partition("\n")
    failed = line.removeprefix(_FAILED)
    if failed == line:
        return line
    parts = failed.removesuffix("]").split("] [")
    return " ".join(itertools.takewhile(lambda part: not _CONDITION.match(part), parts))
