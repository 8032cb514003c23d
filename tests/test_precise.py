from fractions import Fraction

import numpy as np
import pytest

from maxmin_core._precise import exp_remainder, probability_change, probability_difference


@pytest.mark.parametrize("t", [0.0, 1e-300, -1e-9, 1e-5, 0.0099, -0.0099, 0.0101, 0.019, -0.019, 0.3, -2.0, 5.0])
def test_exp_remainder_by_the_series_in_rational_numbers(t):
    exact, term = Fraction(0), Fraction(1)
    for k in range(1, 80):
        term *= Fraction(t) / k
        exact += term if k > 1 else 0
    np.testing.assert_allclose(exp_remainder(np.array([t])), float(exact), rtol=1e-13, atol=0)


def test_exp_remainder_of_many_leaves_its_argument_alone():
    t = np.array([[-1.0, 1e-3], [0.0, 2.0]])
    found = exp_remainder(t)
    assert found.shape == t.shape and t.tolist() == [[-1.0, 1e-3], [0.0, 2.0]]
    np.testing.assert_allclose(found[0, 0], np.exp(-1.0), rtol=1e-15)


@pytest.mark.parametrize(
    ("a", "b"), [(0.0, 3.0), (2.0, 2.0), (40.0, 41.0), (-700.0, -690.0), (-5.0, 5.0), (1.0, 1 + 1e-9)]
)
def test_probability_difference_by_ball_arithmetic(a, b):
    from flint import arb, ctx

    with ctx.workprec(2000):
        p, q = (1 / (1 + (-arb(v)).exp()) for v in (a, b))
        exact = float(p - q)
    np.testing.assert_allclose(probability_difference(np.array(a), np.array(b)), exact, rtol=1e-13, atol=0)
    np.testing.assert_allclose(probability_difference(np.array(b), np.array(a)), -exact, rtol=1e-13, atol=0)


@pytest.mark.parametrize("margin", [0.0, 3.0, -40.0, 690.0])
@pytest.mark.parametrize("change", [0.0, 1e-300, -1e-18, 1e-9, -0.5, 7.0, -60.0])
def test_probability_change_by_ball_arithmetic(margin, change):
    from flint import arb, ctx

    with ctx.workprec(4000):
        after, before = (1 / (1 + (-v).exp()) for v in (arb(margin) + arb(change), arb(margin)))
        exact = float(after - before)
    found = probability_change(np.array(margin), np.array(change))
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=0)
