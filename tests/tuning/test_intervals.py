import pytest

from tuning.intervals import estimate, student_t


@pytest.mark.parametrize(
    ("degrees", "t"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (29, 2.04523)]
)
def test_the_quantiles_are_those_of_printed_tables(degrees, t):
    assert student_t(degrees) == pytest.approx(t, rel=1e-5)


def test_the_interval_is_that_of_students_t():
    """Three values with mean 2 and standard deviation 1."""
    found = estimate([1.0, None, 2.0, 3.0])
    assert (found.mean, found.count) == (2.0, 3)
    assert found.half_width == pytest.approx(4.30265 / 3**0.5, rel=1e-5)
    assert found.low == pytest.approx(2.0 - 2.48414, rel=1e-5)
    assert found.high == pytest.approx(2.0 + 2.48414, rel=1e-5)


def test_one_run_has_no_interval_and_none_no_estimate():
    single = estimate([None, 0.5])
    assert (single.mean, single.half_width, single.low, single.high) == (
        0.5,
        None,
        None,
        None,
    )
    assert estimate([None, None]) is None


def test_only_intervals_that_do_not_overlap_are_apart():
    low, near, far = (estimate([c - 0.1, c, c + 0.1]) for c in (0.0, 0.45, 0.6))
    assert low.half_width == pytest.approx(0.2484, abs=1e-4)
    assert not low.apart_from(near)
    assert low.apart_from(far)
    assert far.apart_from(low)
    assert not low.apart_from(estimate([100.0]))
