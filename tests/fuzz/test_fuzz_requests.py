"""Mutated requests: graphs answer them with numbers, or refuse them with a reason.

In the default run, the soak of a few seconds does the same over a server.
"""

import hypothesis
import hypothesis.strategies as st
import pytest
import tensorflow as tf
from fuzzing import bounded, outcome
from tiny_servers import attention, dense, recognition, served

from benchmarks.soak import Request, judge, spoil
from tfspeech.serving.client.transport import Signature

TASKS = {
    "recognition": recognition,
    "attention": lambda: attention(stop_bias=5.0),
    "dense": lambda: dense(frames_per_phoneme=5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_requests(name):
    task = TASKS[name]()
    signatures, examples = served(task), task.server().examples

    def answer(request):
        function = signatures[request.signature.name]
        wanted = function.structured_input_signature[1]
        inputs = {k: tf.constant(v, wanted[k].dtype) for k, v in request.inputs.items()}
        if not all(wanted[k].shape.is_compatible_with(inputs[k].shape) for k in inputs):
            return {}  # Servers refuse them by the signature.
        return {k: v.numpy() for k, v in function(**inputs).items()}

    good = [
        Request("good", name, Signature(key, {}, {}), inputs, None)
        for key, inputs in examples.items()
    ]
    for request in good:
        assert judge(request, answer(request)) == ""

    @hypothesis.given(request=st.sampled_from(good), rng=st.randoms())
    @bounded
    def check(request, rng):
        spoiled = spoil(request, rng)
        found, _ = outcome(tf.errors.InvalidArgumentError, answer, spoiled)
        assert judge(spoiled, found or {}) == ""

    check()
