"""Every welfare on random instances over many decades: the certificate closes, without a warning."""

import warnings

import numpy as np
import pytest
from scipy.special import log_softmax

from maxmin_core.alignment import (
    ChiSquare,
    CVaR,
    Egalitarian,
    Nash,
    Regret,
    SoftMin,
    Utilitarian,
    best_values,
    group_values,
    max_min,
    solve,
)

N_INSTANCES = 1500
EPS = np.finfo(float).eps

# A solver that gives up warns; here that is an error.
pytestmark = pytest.mark.filterwarnings("error")


def instance(i):
    """Return a generator, rewards (U, X, Y), log reference, beta and prompt weights of the instance with number i."""
    rng = np.random.default_rng([0, i])
    shape = n_groups, n_prompts, n_responses = rng.integers(1, 9), rng.integers(1, 6), rng.integers(2, 8)
    # Integers make ties within a group and between groups.
    rewards = rng.integers(-2, 3, size=shape).astype(float) if i % 2 else rng.normal(size=shape)
    other = rng.integers(n_groups)
    if rng.random() < 0.25:
        rewards[0] = rewards[other]
    if rng.random() < 0.25:
        rewards[-1] = -rewards[other]
    if rng.random() < 0.15:
        rewards[rng.integers(n_groups)] = 0.0
    if rng.random() < 0.25:
        rewards += 10 ** rng.uniform(-1, 2) * rng.normal(size=(n_groups, 1, 1))
    # The larger the logits, the more skewed the reference.
    logits = 10 ** rng.uniform(-1, 1) * rng.normal(size=shape[1:])
    if rng.random() < 0.3:
        logits[:, 1:][rng.random((n_prompts, n_responses - 1)) < 0.3] = -np.inf
    scale = 10 ** rng.uniform(-3, 3)
    beta = scale * 10 ** rng.uniform(-3, 3)
    prompts = rng.dirichlet(np.ones(n_prompts)) if rng.random() < 0.5 else np.full(n_prompts, 1 / n_prompts)
    if n_prompts > 1 and rng.random() < 0.2:
        prompts[0], prompts[1:] = 0.0, prompts[1:] / prompts[1:].sum()
    return rng, scale * rewards, log_softmax(logits, axis=-1), beta, prompts


def range_within(rewards, reference, prompts):
    """Return the range of the rewards within a prompt, over responses and prompts that can come up."""
    came = [rewards[:, x, reference[x] > -np.inf] for x in np.flatnonzero(prompts)]
    return max(np.ptp(r, axis=-1).max() for r in came)


def scale_of(rewards, reference, beta, prompts, best=0.0):
    """Return what `solve` says its tolerance is relative to, for all welfares but Nash."""
    size = range_within(rewards, reference, prompts)
    means = np.einsum("x,xy,uxy->u", prompts, np.exp(reference), rewards) - best
    # A mean less a best can be nothing but the rounding of both.
    mean = np.abs(means).max() + 8 * EPS * np.abs(rewards).max()
    return max(min(size, size**2 / beta), 1e-5 * mean) or 1.0


def drawn(name, rng, rewards, reference, beta, prompts):
    """Return a welfare of that name with random shares and parameters, some of them at their limits."""
    n_groups = len(rewards)
    size = range_within(rewards, reference, prompts)
    eta = rng.dirichlet(np.full(n_groups, 10 ** rng.uniform(-0.5, 1)))
    if rng.random() < 0.3:
        eta = np.full(n_groups, 1 / n_groups)
    if n_groups > 1 and name != "chisquare" and rng.random() < 0.1:
        eta[0], eta[1:] = 0.0, eta[1:] / eta[1:].sum()
    if name == "utilitarian":
        return Utilitarian(eta)
    if name == "egalitarian":
        return Egalitarian()
    if name == "softmin":
        return SoftMin((size or beta) * 10 ** rng.uniform(-6, 6), eta)
    if name == "cvar":
        return CVaR(rng.integers(1, n_groups + 1) / n_groups if rng.random() < 0.4 else rng.uniform(0.02, 1), eta)
    if name == "chisquare":
        return ChiSquare(10 ** rng.uniform(-3, 1.3), eta)
    best = best_values(rewards, reference, beta, prompt_weights=prompts)
    if name == "regret":
        return Regret(best + (size * rng.normal(size=n_groups) if rng.random() < 0.5 else 0.0))
    # Feasible: below what max-min gives every group, from hardly (but beyond rounding) to far.
    below = max(scale_of(rewards, reference, beta, prompts), 1e-10 * np.abs(rewards).max())
    below = below * 10 ** rng.uniform(-3, 1, size=n_groups)
    return Nash(max_min(rewards, reference, beta, prompt_weights=prompts).values - below, eta)


def recomputed(welfare, policy, weights, rewards, reference, beta, prompts):
    """Return the gap, from policy and weights alone, with the rounding of that: no policy exceeds what weights say."""
    values = group_values(policy, rewards, reference, beta, prompt_weights=prompts)
    dual = best_values(np.tensordot(weights, rewards, 1)[None], reference, beta, prompt_weights=prompts)[0]
    # Values are sums of some forty rewards at most, each rounded; and so are the logits of a policy, rewards / beta,
    # which moves the policy and, by a share of their range, the values.
    nats = range_within(rewards, reference, prompts) / beta
    rounding = 40 * EPS * np.abs(rewards).max() * (1 + nats)
    eta = welfare.shares(len(rewards))
    some = eta > 0
    if isinstance(welfare, Nash):
        # The best multiple of the weights, sum mu (A - d) - eta log(mu / eta) - 1 over mu = s w.
        gain = (values - welfare.disagreement)[some]
        above = np.log(dual - weights @ welfare.disagreement) - eta[some] @ np.log(weights[some] / eta[some])
        return above - welfare.value(values), 40 * EPS + rounding * (eta[some] / gain).sum()
    if isinstance(welfare, Regret):
        rounding += 40 * EPS * np.abs(welfare.best).max()
    elif isinstance(welfare, SoftMin):
        # A group without a share has no weight and no part in the divergence.
        welfare, weights, values = SoftMin(welfare.temperature, eta[some]), weights[some], values[some]
    assert (welfare.room(weights)[0] >= -8 * EPS).all()
    return dual + welfare.conjugate(weights)[0] - welfare.value(values), rounding


@pytest.mark.parametrize("name", ["utilitarian", "egalitarian", "softmin", "cvar", "chisquare", "nash", "regret"])
def test_the_gap_closes(name):
    for i in range(N_INSTANCES):
        rng, rewards, reference, beta, prompts = instance(i)
        welfare = drawn(name, rng, rewards, reference, beta, prompts)
        solution = solve(welfare, rewards, reference, beta, prompt_weights=prompts)
        policy, weights = solution.policy, solution.weights
        assert (weights >= 0).all() and abs(weights.sum() - 1) <= 8 * EPS, i
        allowed = 1e-9
        if name != "nash":
            allowed *= scale_of(rewards, reference, beta, prompts, welfare.best if name == "regret" else 0.0)
        # Two values are carried, and the gap is their difference, to their rounding.
        assert 0 <= solution.gap <= allowed + 2 * EPS * abs(solution.primal), i
        gap, rounding = recomputed(welfare, policy, weights, rewards, reference, beta, prompts)
        assert -rounding <= gap <= allowed + rounding, i


def deep_instance(i):
    """Return an instance whose reference goes down by 1 to 1e5 nats, with a beta at which rewards can lift that."""
    rng = np.random.default_rng([1, i])
    shape = _, n_prompts, n_responses = rng.integers(2, 6), rng.integers(1, 4), rng.integers(2, 8)
    depth = 10 ** rng.uniform(0, 5)
    logits = -depth * rng.random(shape[1:]) ** rng.integers(1, 4)
    logits[:, 0] = 0.0
    if rng.random() < 0.2:
        logits[:, 1:][rng.random((n_prompts, n_responses - 1)) < 0.3] = -np.inf
    rewards = rng.normal(size=shape) if i % 2 else rng.integers(-2, 3, size=shape).astype(float)
    rewards[0, 0, :2] = 0.0, 1.0
    prompts = np.full(n_prompts, 1 / n_prompts)
    return rng, rewards, log_softmax(logits, axis=-1), np.ptp(rewards) / depth * 10 ** rng.uniform(-1.5, 1.5), prompts


@pytest.mark.filterwarnings("default:the gap stayed")
def test_the_certificate_holds_however_deep_the_support():
    names = ["egalitarian", "softmin", "cvar", "chisquare", "regret", "nash"]
    below_exp, stayed = 0, 0
    for i in range(1000):
        rng, rewards, reference, beta, prompts = deep_instance(i)
        finite = reference[np.isfinite(reference)]
        below_exp += (finite < -745).any()
        name = names[i % len(names)]
        welfare = drawn(name, rng, rewards, reference, beta, prompts)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            solution = solve(welfare, rewards, reference, beta, prompt_weights=prompts)
        stayed += bool(told)
        gap, rounding = recomputed(welfare, solution.policy, solution.weights, rewards, reference, beta, prompts)
        # A logit is as large as the reference is deep, and so is its rounding.
        deep = rounding * (1 + np.abs(finite).max())
        allowed = (
            1e-9
            if name == "nash"
            else 1e-9 * scale_of(rewards, reference, beta, prompts, welfare.best if name == "regret" else 0.0)
        )
        assert -deep <= gap <= allowed + deep, (i, name)
    # The cases are what they should be, and few of them are beyond the solver.
    assert below_exp > 300 and stayed <= 10


def test_a_probability_that_exp_cannot_hold_is_in_the_support():
    # By hand: at w the three responses have log reference + w @ r / beta; only the last two can be level.
    reference = np.array([[0.0, -840.0, -845.0]])
    rewards = np.array([[[0.0, 10.0, 2.0]], [[0.0, 9.0, 12.0]]])
    solution = max_min(rewards, reference, 0.01)
    p = solution.policy[0, 1]
    # Values are level where 10 p + 2 (1 - p) = 9 p + 12 (1 - p): p = 10 / 11.
    np.testing.assert_allclose(p, 10 / 11, rtol=1e-6)
    penalty = 0.01 * (p * (np.log(p) + 840) + (1 - p) * (np.log(1 - p) + 845))
    np.testing.assert_allclose(solution.primal, 10 * p + 2 * (1 - p) - penalty, rtol=1e-6)
    np.testing.assert_allclose(group_values(solution.policy, rewards, reference, 0.01), solution.values, rtol=1e-9)
    assert 0.8712 < solution.primal <= solution.dual < 0.87125


def test_the_instances_are_as_wild_as_they_should_be():
    found = dict.fromkeys(["clones", "opposites", "a zero group", "ties", "masks", "idle prompts", "far shifts"], 0)
    scales, ratios, skews, groups = [], [], [], set()
    for i in range(N_INSTANCES):
        _, rewards, reference, beta, prompts = instance(i)
        size = range_within(rewards, reference, prompts)
        pairs = [(a, b) for u, a in enumerate(rewards) for b in rewards[:u]]
        found["clones"] += any((a == b).all() for a, b in pairs)
        found["opposites"] += any((a == -b).all() and a.any() for a, b in pairs)
        found["a zero group"] += (rewards == 0).all(axis=(1, 2)).any()
        found["ties"] += (np.sort(rewards, axis=-1)[..., 1:] == np.sort(rewards, axis=-1)[..., :-1]).any()
        found["masks"] += np.isinf(reference).any()
        found["idle prompts"] += (prompts == 0).any()
        found["far shifts"] += np.ptp(rewards.mean(axis=(1, 2))) > 10 * size > 0
        groups.add(len(rewards))
        skews.append(np.ptp(reference[np.isfinite(reference)]))
        if size:
            scales.append(size)
            ratios.append(beta / size)
    assert min(found.values()) >= 50, found
    assert groups == set(range(1, 9)) and max(skews) > 20
    assert np.log10(max(scales) / min(scales)) > 6 and np.log10(max(ratios) / min(ratios)) > 6


def test_an_optimum_of_zero_does_not_hide_the_rounding():
    # Ties and a small beta make kinks, where steps are short; whether they drown the value, here zero, does not tell.
    reference = np.full((2, 4), -np.log(4))
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rewards, beta = rng.integers(-2, 3, size=(3, 2, 4)).astype(float), 10 ** rng.uniform(-4, -2)
        rewards = rewards - max_min(rewards, reference, beta).primal
        solution = max_min(rewards, reference, beta)
        assert abs(solution.primal) <= 1e-8 and 0 <= solution.gap <= 4.1e-9, seed


def test_a_tolerance_that_rounding_forbids_is_told():
    rng = np.random.default_rng(0)
    rewards, reference = rng.normal(size=(4, 3, 5)), np.full((3, 5), -np.log(5))
    for welfare in (Egalitarian(), CVaR(0.4), ChiSquare(0.3)):
        with pytest.warns(RuntimeWarning, match="the gap stayed at"):
            solution = solve(welfare, rewards, reference, 0.1, tol=1e-30)
        assert 0 <= solution.gap <= 1e-11
