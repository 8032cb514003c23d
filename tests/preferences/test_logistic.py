import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from maxmin_core.preferences._logistic import fit_logistic, rank

seeds = st.integers(0, 2**32 - 1)


def data(seed, n=60, d=3, spread=1.0):
    rng = np.random.default_rng(seed)
    difference = spread * rng.normal(size=(n, d))
    return rng, difference, rng.uniform(0.1, 2, size=n), rng.uniform(0.1, 2, size=n)


def objective(phi, difference, wins, losses, l2=0.0):
    margin = difference @ phi
    return wins @ np.logaddexp(0, -margin) + losses @ np.logaddexp(0, margin) + l2 / 2 * phi @ phi


@given(seeds, st.integers(1, 5), st.floats(0, 5))
def test_against_a_general_optimiser(seed, d, l2):
    _, difference, wins, losses = data(seed, d=d)
    found = minimize(objective, np.zeros(d), (difference, wins, losses, l2), jac="3-point", options={"gtol": 1e-9})
    np.testing.assert_allclose(fit_logistic(difference, wins, losses, l2), found.x, atol=1e-6)


def test_more_rows_than_one_block():
    _, difference, wins, losses = data(0, n=9001, d=2)
    found = minimize(objective, np.zeros(2), (difference, wins, losses), jac="3-point", options={"gtol": 1e-8})
    np.testing.assert_allclose(fit_logistic(difference, wins, losses), found.x, atol=1e-6)


@given(seeds, st.floats(-100, 100))
def test_the_scale_of_a_column_does_not_matter(seed, exponent):
    _, difference, wins, losses = data(seed)
    stretch = np.array([1.0, 10.0**exponent, 1.0])
    phi = fit_logistic(difference, wins, losses)
    np.testing.assert_allclose(fit_logistic(difference * stretch, wins, losses) * stretch, phi, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6, 1e9])
def test_minimum_norm_with_a_repeated_column(scale):
    _, difference, wins, losses = data(1, d=2)
    x, y = difference.T
    alone = fit_logistic(difference, wins, losses)
    phi = fit_logistic(np.column_stack([scale * x, scale * x, y / scale]), wins, losses)
    np.testing.assert_allclose(phi * [2 * scale, 2 * scale, 1 / scale], alone[[0, 0, 1]], rtol=1e-7)


def test_almost_dependent_columns_are_told_apart():
    _, difference, wins, losses = data(2, d=2)
    near = np.column_stack([difference[:, 0], difference[:, 0] + 1e-7 * difference[:, 1]])
    assert rank(near) == 2
    margins = [d @ fit_logistic(d, wins, losses) for d in (near, difference)]
    np.testing.assert_allclose(*margins, atol=1e-6)


def test_rank():
    rng = np.random.default_rng(0)
    tall = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 7))
    assert rank(tall) == rank(tall * 10.0 ** np.arange(-9, 12, 3)) == 3
    assert rank(np.zeros((4, 2))) == 0
    assert rank(rng.normal(size=(2, 5))) == 2


def test_rows_without_weight_do_not_count():
    difference = np.array([[1.0, 0.3], [1.0, -1.0]])
    phi = fit_logistic(difference, np.array([3.0, 0.0]), np.array([1.0, 0.0]))
    np.testing.assert_allclose(phi, np.log(3) * difference[0] / (difference[0] @ difference[0]), rtol=1e-10)


@pytest.mark.parametrize("odds", [1e3, 1e20, 1e200])
def test_far_out_by_hand(odds):
    np.testing.assert_allclose(fit_logistic(np.ones((1, 1)), np.array([1.0]), np.array([1 / odds])), np.log(odds))


SEPARABLE = [
    # difference, wins, losses
    (np.array([[1.0], [2.0]]), [1, 1], None),
    (np.array([[1.0], [-2.0]]), [1, 0], [0, 1]),
    # The first direction overlaps, the second is separable, though ten thousand times smaller.
    (np.array([[1.0, 0.0], [0.3, 1e-4], [-0.5, 2e-4]]), [1, 1, 1], [1, 0, 0]),
]


@pytest.mark.parametrize(("difference", "wins", "losses"), SEPARABLE)
def test_separable_data_are_refused_unless_penalised(difference, wins, losses):
    wins, losses = np.array(wins, float), None if losses is None else np.array(losses, float)
    with pytest.raises(ValueError, match="separable"):
        fit_logistic(difference, wins, losses)
    for l2 in (1e-3, 1e-20):
        assert np.isfinite(fit_logistic(difference, wins, losses, l2=l2)).all()


def one_strict_row(among):
    """Overlapping choices along the first direction, and a single one that has anything of the second."""
    difference = np.zeros((among + 1, 2))
    difference[:, 0] = np.where(np.arange(among + 1) % 2, 1.0, -1.0)
    difference[-1] = 0.2, 1.0
    return difference


@pytest.mark.parametrize("among", [2, 3000, 30_000])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_one_strict_row_among_many_makes_data_separable(among, scale):
    difference = one_strict_row(among) * [1.0, scale]
    with pytest.raises(ValueError, match="separable"):
        fit_logistic(difference, np.ones(among + 1))
    # With one choice against it, it does not: the margin of that row is log 2, whatever its unit.
    difference = np.vstack([difference, -difference[-1:]])
    wins = np.ones(among + 2)
    wins[-2] = 2.0
    margin = difference[-2] @ fit_logistic(difference, wins)
    np.testing.assert_allclose(margin, np.log(2), rtol=1e-7)


@pytest.mark.parametrize("losses", [None, [0.0, 0.0, 0.0]])
def test_separable_data_with_a_pair_of_equal_items(losses):
    # Whoever chose between equal items says nothing, for or against.
    difference, wins = np.array([[1.0], [2.0], [0.0]]), np.ones(3)
    losses = None if losses is None else np.array(losses)
    with pytest.raises(ValueError, match="separable"):
        fit_logistic(difference, wins, losses)
    overlapping = np.vstack([difference, -difference])
    np.testing.assert_allclose(fit_logistic(overlapping, np.ones(6)), 0.0, atol=1e-12)


def test_two_sided_rows_keep_data_from_being_separable():
    # Every one-sided choice agrees with phi > 0, and one pair is split 10^14 to 1: far out, and finite.
    phi = fit_logistic(np.array([[1.0], [1.0]]), np.array([1.0, 1e14]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(phi, np.log(1e14 + 1), rtol=1e-9)


def test_what_does_not_settle_warns():
    _, difference, wins, losses = data(3)
    with pytest.warns(RuntimeWarning, match="did not converge in 1 steps"):
        fit_logistic(difference, wins, losses, max_iter=1)


def test_a_hard_start_needs_smaller_steps():
    # From zero, a full Newton step overshoots: nine tiny rows and one huge one that pull against each other.
    difference = np.array([[100.0]] + [[0.1]] * 9)
    wins, losses = np.array([1.0] + [0.0] * 9), np.array([0.9] + [50.0] * 9)
    found = minimize(
        lambda p: objective(p, difference, wins, losses), [0.0], method="Nelder-Mead", options={"xatol": 1e-12}
    )
    np.testing.assert_allclose(fit_logistic(difference, wins, losses), found.x, atol=1e-6)
