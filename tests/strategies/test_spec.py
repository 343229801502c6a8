import pytest

from tfspeech.errors import SpecError
from tfspeech.spec import usage
from tfspeech.strategies import (
    CLIPPINGS,
    REGULARIZATIONS,
    build_spec,
    parse_clipping,
    parse_regularization,
)


@pytest.mark.parametrize("name", CLIPPINGS)
def test_every_clipping_has_defaults_and_is_documented(name):
    (strategy,) = parse_clipping([f"{name}()"])
    assert type(strategy) is CLIPPINGS[name]
    assert type(strategy).__doc__.strip()


@pytest.mark.parametrize("name", REGULARIZATIONS)
def test_every_regularization_has_defaults_and_is_documented(name):
    # A budget alone has no default: any number would be as good.
    arguments = "parameters=1000" if name == "budget" else ""
    (strategy,) = parse_regularization([f"{name}({arguments})"])
    assert type(strategy) is REGULARIZATIONS[name]
    assert type(strategy).__doc__.strip()


def test_what_has_no_arguments_needs_no_brackets():
    assert parse_clipping(["value", " none "]) == parse_clipping(["value()", "none()"])
    assert parse_regularization(["l2"]) == parse_regularization(["l2()"])


def test_arguments_are_literals_by_place_or_by_name():
    table = {"pair": lambda a, b=2: (a, b)}
    assert build_spec("pair(1)", table, "pair") == (1, 2)
    assert build_spec(" pair( [1, 'x'], b=-3.5 ) ", table, "pair") == ([1, "x"], -3.5)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("global_norm(-1)", "above 0"),
        ("global_norm(0)", "above 0"),
        ("global_norm('5')", "above 0"),
        ("global_norm(True)", "above 0"),
        ("global_norm(1e400)", "above 0"),
        ("global_norm(nan)", "name\\(arguments\\)"),
        ("globl_norm(1)", "'globl_norm' \\(did you mean global_norm\\?\\);"),
        ("error_feedback(dekay=1)", "'dekay' \\(did you mean decay\\?\\)"),
        ("value norm", "name\\(arguments\\)"),
        ("value.c", "name\\(arguments\\)"),
        ("eval(1)", "unknown clipping strategy 'eval'; the known ones are none, v"),
        ("__import__('os')", "unknown clipping strategy"),
        ("global_norm(5", "name\\(arguments\\)"),
        ("os.system('x')", "name\\(arguments\\)"),
        ("global_norm(open('x'))", "name\\(arguments\\)"),
        ("global_norm(*[1])", "name\\(arguments\\)"),
        ("global_norm(5, 6, 7)", "too many positional"),
        ("global_norm(limit=5)", "unexpected keyword"),
        ("inverse_sqrt_dim('output')", "of must be one of fan_in, input"),
        ("value(1, match='(')", "no regular expression"),
        ("", "name\\(arguments\\)"),
    ],
)
def test_what_does_not_parse_is_one_clear_error(spec, reason):
    with pytest.raises(SpecError, match=reason) as error:
        parse_clipping([spec])
    assert repr(spec) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spec", ["box(1, -1)", "l2(0)", "max_norm(-1)", "l3(1)"])
def test_bad_regularization_is_refused(spec):
    with pytest.raises(SpecError):
        parse_regularization([spec])


def test_usage_has_the_defaults_that_there_are():
    assert usage(lambda a, b=2, *, c="x": None) == "a, b=2, c='x'"
    assert usage(CLIPPINGS["global_norm"]) == "c=5.0, match=''"
