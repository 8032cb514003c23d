"""What a certificate is made of, piece by piece: the size of a gap, derivatives, units, equality, warnings."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from maxmin_core.alignment import (
    ChiSquare,
    CVaR,
    Egalitarian,
    Nash,
    Regret,
    SoftMin,
    Utilitarian,
    best_value_estimates,
    best_values,
    calibrate,
    gap_limits,
    gibbs_policy,
    group_values,
    max_min,
    per_prompt_minimum,
    solve,
)
from maxmin_core.alignment import _barrier as barrier
from maxmin_core.alignment._dual import Dual

seeds = st.integers(0, 2**32 - 1)


def problem(seed, n_groups=3):
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(n_groups, 2, 4))
    return rng, rewards, log_softmax(rng.normal(size=(2, 4)), axis=-1), 10 ** rng.uniform(-1, 0.5)


def test_the_size_by_hand():
    # Under (1/4, 3/4) the means are 1 and 2.5; the first reward has the wider range, 4.
    rewards = np.array([[[4.0, 0.0]], [[1.0, 3.0]]])
    dual = Dual(rewards, np.log([[0.25, 0.75]]), 1.0, np.ones(1))
    assert dual.size == 4.0
    np.testing.assert_allclose(dual.rewards, [[[3.0, -1.0]], [[-1.5, 0.5]]])
    np.testing.assert_allclose(dual.offsets, [1.0, 2.5])
    assert dual.scale == 4.0 and Dual(rewards, np.log([[0.25, 0.75]]), 32.0, np.ones(1)).scale == 0.5
    # An idle prompt and a masked response have no part in it.
    wide = np.array([[[4.0, 0.0, 99.0], [0.0, 50.0, 0.0]]])
    reference = np.array([[np.log(0.25), np.log(0.75), -np.inf], [np.log(1 / 3)] * 3])
    assert Dual(wide, reference, 1.0, np.array([1.0, 0.0])).size == 4.0


@given(seeds, st.integers(2, 4))
def test_the_gap_off_the_optimum_is_the_distance_between_public_functions(seed, n_groups):
    rng, rewards, reference, beta = problem(seed, n_groups)
    dual, w = Dual(rewards, reference, beta, np.full(2, 0.5)), rng.dirichlet(np.ones(n_groups))
    value, expected, policy = dual.at(w)
    weighted = np.tensordot(w, rewards, 1)
    np.testing.assert_allclose(policy, gibbs_policy(weighted, reference, beta), rtol=1e-9)
    values = group_values(policy, rewards, reference, beta)
    np.testing.assert_allclose(dual.values(w), values, atol=1e-9)
    np.testing.assert_allclose(value, best_values(weighted[None], reference, beta)[0], atol=1e-9)
    for welfare in (Egalitarian(), SoftMin(0.5), CVaR(0.6), ChiSquare(0.5)):
        above = welfare.ceiling(w, value) - welfare.value(values)
        np.testing.assert_allclose(barrier._gap(welfare, w, expected), above, atol=1e-9)
        assert above > -1e-9 or (welfare.room(w)[0] < 0).any()


def test_what_a_bargain_is_short_of():
    # x - 1 - log x, against log1p, on both sides of where its series takes over.
    for t in (1e-8, 1e-5, 9e-4, 1.1e-3, 0.1, -1e-5, -9e-4, -0.5):
        np.testing.assert_allclose(barrier._short(np.array([1 + t]))[0], t - np.log1p(t), rtol=2e-7, atol=1e-17)
    # Away from the optimum the gap of a bargain is what the dual says beyond the welfare.
    rewards, reference = np.array([[[1.0, 0.0, 0.35]], [[0.0, 0.8, 0.35]]]), np.full((1, 3), -np.log(3))
    values = max_min(rewards, reference, 0.1).values - 0.2
    dual = Dual(rewards, reference, 0.1, np.ones(1))
    some = dual.among(np.ones(2, dtype=bool), dual.offsets - values)
    start = np.array([0.45, 0.55])
    weights, gap = barrier.bargain(some, np.full(2, 0.5), 1e-30, start, max_iter=1)
    welfare = Nash(values)
    above = welfare.ceiling(weights, dual.at(weights)[0]) - welfare.value(dual.values(weights))
    assert 1e-4 < above <= gap + 1e-12


@pytest.mark.parametrize(
    "welfare", [SoftMin(0.3, [0.5, 0.3, 0.2]), CVaR(0.4, [0.5, 0.3, 0.2]), ChiSquare(0.5, [0.5, 0.3, 0.2]), Nash()]
)
def test_derivatives_by_finite_differences(welfare):
    w, h = np.array([0.4, 0.35, 0.25]), 1e-5
    for part in (lambda x: welfare.conjugate(x), lambda x: welfare.room(x)):
        _, gradient, bend = part(w)
        for u in range(3):
            up, down = w + h * np.eye(3)[u], w - h * np.eye(3)[u]
            slope = (np.asarray(part(up)[0]) - part(down)[0]) / (2 * h)
            np.testing.assert_allclose(np.asarray(gradient)[..., u], slope, rtol=1e-6, atol=1e-8)
            curve = (np.asarray(part(up)[1]) - part(down)[1])[..., u] / (2 * h)
            np.testing.assert_allclose(np.asarray(bend)[..., u], curve, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_another_unit_of_reward_changes_nothing_else(unit):
    _, rewards, reference, beta = problem(4)
    np.testing.assert_allclose(calibrate(unit * rewards, reference), calibrate(rewards, reference), rtol=1e-9)
    centred = calibrate(unit * rewards, reference, method="center")
    np.testing.assert_allclose(
        centred, unit * calibrate(rewards, reference, method="center"), rtol=1e-9, atol=1e-12 * unit
    )
    plain, other = (max_min(s * rewards, reference, s * beta) for s in (1.0, unit))
    np.testing.assert_allclose(other.policy, plain.policy, atol=1e-6)
    np.testing.assert_allclose(other.values, unit * plain.values, rtol=1e-6)


def test_a_reduced_problem_gives_its_policy():
    _, rewards, reference, beta = problem(5)
    dual = Dual(rewards, reference, beta, np.full(2, 0.5))
    kept = np.array([True, False, True])
    some, w = dual.among(kept, dual.offsets[kept]), np.array([0.3, 0.7])
    np.testing.assert_allclose(some.policy(w), dual.policy(np.array([0.3, 0.0, 0.7])))
    np.testing.assert_allclose(some.values(w), dual.values(np.array([0.3, 0.0, 0.7]))[kept])


def test_solutions_compare_and_hash():
    _, rewards, reference, beta = problem(6)
    one, other = max_min(rewards, reference, beta), max_min(rewards, reference, beta)
    assert one == one and one != other and len({one, other}) == 2
    assert isinstance(one.primal, float) and isinstance(one.dual, float)


def test_warnings_point_at_the_caller():
    rewards, reference = np.random.default_rng(0).normal(size=(4, 3, 5)), np.full((3, 5), -np.log(5))
    calls = [
        lambda: solve(CVaR(0.4), rewards, reference, 0.1, tol=1e-30),
        lambda: max_min(rewards, reference, 0.1, tol=1e-30),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
        assert told and told[0].filename == __file__


def test_two_prompts_are_enough_for_limits():
    # By hand: differences (1, 3) and (2, 6): mean 4, standard error 2, t(0.95, 1) = 6.3138.
    lower, upper = gap_limits([[1.0, 1.0], [0.0, -2.0]], [2.0, 4.0], [2.0, 4.0])
    np.testing.assert_allclose(upper, 4 + 6.313751515 * 2)
    np.testing.assert_allclose(lower, 2 - 12.70620474 * 1)
    with pytest.raises(ValueError, match="^values: expected at least two prompts"):
        gap_limits([[1.0]], [2.0], [2.0])
    with pytest.raises(ValueError, match="^reward: expected at least two texts"):
        best_value_estimates([[1.0]], [[0.0]], 1.0)


def test_every_welfare_says_what_it_is():
    assert repr(SoftMin(0.5, [0.5, 0.5])) == "SoftMin(temperature=0.5, eta=array([0.5, 0.5]))"
    assert repr(Egalitarian()) == "Egalitarian()" and repr(Regret()) == "Regret()"
    assert repr(CVaR(0.5)) == "CVaR(level=0.5)" and repr(Utilitarian()) == "Utilitarian()"


def test_no_prompts_are_refused():
    for call in (lambda: per_prompt_minimum(np.zeros((2, 0, 2)), np.zeros((0, 2)), 1.0),):
        with pytest.raises(ValueError, match="expected weights of at least one thing"):
            call()
