import re

import pytest

from tfspeech.errors import SpecError
from tfspeech.tasks.registry import default_config
from tuning.compare.grid import (
    Candidate,
    build_candidates,
    build_combinations,
    find_families,
    split_chain,
)


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("none()", ("none()",)),
        (" global_norm( 5 ) ", ("global_norm(5)",)),
        ("value(0.1)+norm(1) + none()", ("value(0.1)", "norm(1)", "none()")),
        ("norm(1, match='a+b') + none()", ("norm(1, match='a+b')", "none()")),
        ("norm(1,", ("norm(1,",)),
        ("norm(1) - none()", ("norm(1) - none()",)),
    ],
)
def test_a_chain_is_split_at_its_plus_signs_alone(text, chain):
    assert split_chain(text) == chain


def test_every_clipping_meets_every_regularization():
    found = build_candidates(["none()", "norm(1)"], ["none()", "l2(0.1) + l1(0.2)"])
    assert [c.label for c in found] == [
        "none()",
        "none() with l2(0.1) + l1(0.2)",
        "norm(1)",
        "norm(1) with l2(0.1) + l1(0.2)",
    ]


@pytest.mark.parametrize(
    ("clips", "regularizations", "message"),
    [
        (["norm(1)", "norm(1.0)"], ["none()"], "--clip 'norm(1.0)' and 'norm(1)' are"),
        (["none()"], ["none()", "none()"], "--regularize 'none()' and 'none()' are"),
        (["norm(-1)"], ["none()"], "must be a number above 0"),
        (["norm(1) - norm(2)"], ["none()"], "is written as name(arguments)"),
        (["none()"], ["l9(1)"], "unknown regularization strategy 'l9'"),
    ],
)
def test_candidates_that_make_no_sense_are_refused(clips, regularizations, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        build_candidates(clips, regularizations)


def test_every_candidate_has_a_folder_of_its_own():
    labels = ["norm(1)", "norm(1.5)", "norm(1, match='a b')", "norm(1, match='a/b')"]
    slugs = [Candidate((label,)).slug for label in labels]
    slugs.append(Candidate(("none()",), tuple(f"l2({i}.5)" for i in range(50))).slug)
    assert len({slug.lower() for slug in slugs}) == 5
    assert all(re.fullmatch(r"[\w.=-]{1,80}", slug) for slug in slugs)


def test_all_candidates_come_with_the_first_seed_before_the_next(tmp_path):
    config = default_config("rnn_recognizer")
    candidates = build_candidates(["none()", "norm(1)"], ["l2(0.1)"])
    found = build_combinations(config, candidates, 2, tmp_path)
    assert [(c.config.training.seed, c.config.training.clip) for c in found] == [
        (0, ("none()",)),
        (0, ("norm(1)",)),
        (1, ("none()",)),
        (1, ("norm(1)",)),
    ]
    assert {c.config.training.regularize for c in found} == {("l2(0.1)",)}
    assert len({c.run_dir for c in found}) == 4
    assert found[-1].run_dir == tmp_path / "runs" / candidates[1].slug / "seed_1"
    with pytest.raises(SpecError, match="--seeds must be at least 1"):
        build_combinations(config, candidates, 0, tmp_path)


def test_candidates_that_differ_in_one_number_are_a_family():
    candidates = build_candidates(
        ["none()", "norm(5)", "norm(0.5)", "norm(1, match='k')", "value(1) + norm(2)"],
        ["none()", "l2(0.1)", "l2(0.2)"],
    )
    families = {family.label: family for family in find_families(candidates)}
    assert set(families) == {
        "norm(c)",
        "norm(c) with l2(0.1)",
        "norm(c) with l2(0.2)",
        "none() with l2(s)",
        "norm(5) with l2(s)",
        "norm(0.5) with l2(s)",
        "norm(1, match='k') with l2(s)",
        "value(1) + norm(2) with l2(s)",
    }
    family = families["norm(c) with l2(0.1)"]
    assert (family.kind, family.axis) == ("clip", "norm(c)")
    assert [(value, c.label) for value, c in family.members] == [
        (0.5, "norm(0.5) with l2(0.1)"),
        (5.0, "norm(5) with l2(0.1)"),
    ]
    family = families["none() with l2(s)"]
    assert (family.kind, family.axis) == ("regularize", "l2(s)")


def test_a_family_shows_what_else_its_members_were_given():
    candidates = build_candidates(
        ["norm(1, match='k')", "norm(2, match='k')", "norm(3)"], ["none()"]
    )
    (family,) = find_families(candidates)
    assert family.label == "norm(c, match='k')"
    assert [value for value, _ in family.members] == [1.0, 2.0]


def test_other_settings_are_varied_and_reach_the_configuration(tmp_path):
    candidates = build_candidates(
        ["none()"], ["none()"], ["units=8,16", "tied-convolutions=false,true"]
    )
    assert [c.label for c in candidates] == [
        "units=8, tied_convolutions=false, none()",
        "units=8, tied_convolutions=true, none()",
        "units=16, tied_convolutions=false, none()",
        "units=16, tied_convolutions=true, none()",
    ]
    config = default_config("rnn_recognizer")
    runs = build_combinations(config, candidates, 1, tmp_path)
    built = [run.config.architecture for run in runs]
    assert [(a.units, a.tied_convolutions) for a in built] == [
        *((8, False), (8, True), (16, False), (16, True))
    ]
    assert len({run.run_dir for run in runs}) == 4
    assert find_families(candidates) == []


def test_settings_that_go_together_are_not_combined(tmp_path):
    candidates = build_candidates(
        ["none()"], ["none()"], ["units=8,16,8 + layers=3,1,2", "learning_rate=1e+0"]
    )
    assert [c.label for c in candidates] == [
        "units=8, layers=3, learning_rate=1e+0, none()",
        "units=16, layers=1, learning_rate=1e+0, none()",
        "units=8, layers=2, learning_rate=1e+0, none()",
    ]
    runs = build_combinations(default_config("rnn_recognizer"), candidates, 1, tmp_path)
    built = [run.config.architecture for run in runs]
    assert [(a.units, a.layers) for a in built] == [(8, 3), (16, 1), (8, 2)]


@pytest.mark.parametrize(
    "text",
    [
        *("units", "units=", "=3", "units=8,8", "units=8,16 + layers=1"),
        *("units=8 + ", "units=8 + =1", "units=8,8 + layers=1,1"),
    ],
)
def test_a_setting_that_does_not_parse_is_refused(text):
    with pytest.raises(SpecError, match="name=value,value"):
        build_candidates(["none()"], ["none()"], [text])


@pytest.mark.parametrize("text", ["colour=red", "units=x", "units=-1"])
def test_a_setting_that_the_model_does_not_know_is_refused(text, tmp_path):
    candidates = build_candidates(["none()"], ["none()"], [text])
    with pytest.raises(SpecError):
        build_combinations(default_config("rnn_recognizer"), candidates, 1, tmp_path)
