import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, rel_entr, softmax

from maxmin_core.alignment import best_values, gibbs_policy, group_values, kl_divergence

REFERENCE = np.log([[0.5, 0.5]])
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)
betas = st.floats(0.05, 20)


def problem(seed, n_prompts, n_responses, n_groups=3):
    rng = np.random.default_rng(seed)
    log_reference = log_softmax(rng.normal(size=(n_prompts, n_responses)), axis=1)
    rewards = 3 * rng.normal(size=(n_groups, n_prompts, n_responses))
    policy = softmax(rng.normal(size=(n_prompts, n_responses)), axis=1)
    return rng, rewards, log_reference, policy, rng.dirichlet(np.ones(n_prompts))


@given(seeds, sizes, sizes, betas)
def test_identity_for_any_policy(seed, n_prompts, n_responses, beta):
    _, rewards, log_reference, policy, rho = problem(seed, n_prompts, n_responses)
    values = group_values(policy, rewards, log_reference, beta, prompt_weights=rho)
    best = best_values(rewards, log_reference, beta, prompt_weights=rho)
    for u, reward in enumerate(rewards):
        gap = beta * kl_divergence(policy, np.log(gibbs_policy(reward, log_reference, beta)), prompt_weights=rho)
        np.testing.assert_allclose(best[u] - values[u], gap, rtol=1e-9, atol=1e-11)


@given(seeds, st.integers(2, 4), betas)
def test_gibbs_by_a_general_optimiser(seed, n_responses, beta):
    _, rewards, log_reference, _, _ = problem(seed, 1, n_responses, 1)

    def loss(logits):
        return -group_values(softmax(logits)[None], rewards, log_reference, beta)[0] / beta

    found = minimize(loss, np.zeros(n_responses), jac="3-point", options={"gtol": 1e-9})
    np.testing.assert_allclose(softmax(found.x), gibbs_policy(rewards[0], log_reference, beta)[0], atol=2e-4)
    np.testing.assert_allclose(-beta * found.fun, best_values(rewards, log_reference, beta)[0], atol=1e-6 * beta)


@given(seeds, sizes, sizes)
def test_kl_against_scipy(seed, n_prompts, n_responses):
    _, _, log_reference, policy, rho = problem(seed, n_prompts, n_responses)
    expected = rho @ rel_entr(policy, np.exp(log_reference)).sum(axis=1)
    np.testing.assert_allclose(kl_divergence(policy, log_reference, prompt_weights=rho), expected, atol=1e-12)


@given(seeds, betas)
def test_a_gauge_changes_no_policy(seed, beta):
    rng, rewards, log_reference, _, _ = problem(seed, 3, 4)
    shift = rng.normal(size=(3, 1))
    np.testing.assert_allclose(
        gibbs_policy(rewards[0] + shift, log_reference, beta), gibbs_policy(rewards[0], log_reference, beta), atol=1e-12
    )


def test_by_hand_two_responses():
    log_reference, beta = np.log([[0.25, 0.75]]), 2.0
    reward = np.array([[2 * np.log(3.0), 0.0]])
    # Weights .25 * 3 and .75 * 1: even odds; A = 2 log(1.5).
    np.testing.assert_allclose(gibbs_policy(reward, log_reference, beta), [[0.5, 0.5]])
    np.testing.assert_allclose(best_values(reward[None], log_reference, beta), [2 * np.log(1.5)])
    kl = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    np.testing.assert_allclose(group_values([[0.5, 0.5]], reward[None], log_reference, beta), [np.log(3.0) - 2 * kl])


def test_masked_responses():
    log_reference = np.array([[0.0, -np.inf]])
    reward = np.array([[0.0, 100.0]])
    np.testing.assert_array_equal(gibbs_policy(reward, log_reference, 1.0), [[1.0, 0.0]])
    assert best_values(reward[None], log_reference, 1.0) == [0.0]
    assert kl_divergence([[1.0, 0.0]], log_reference) == 0
    assert kl_divergence([[0.5, 0.5]], log_reference) == np.inf
    assert group_values([[0.5, 0.5]], reward[None], log_reference, 1.0) == [-np.inf]


def test_a_prompt_of_weight_zero_does_not_count():
    log_reference = np.array([[0.0, -np.inf], np.log([0.5, 0.5])])
    policy = np.array([[0.5, 0.5], [0.5, 0.5]])
    assert kl_divergence(policy, log_reference, prompt_weights=[0.0, 1.0]) == 0


@pytest.mark.parametrize("beta", [1e6, 1e9, 1e17])
def test_a_large_beta_keeps_its_digits(beta):
    # A(r) = E_ref[r] + Var_ref(r) / (2 beta) + ...: by hand 1.5 + .125 / beta.
    np.testing.assert_allclose(best_values([[[1.0, 2.0]]], REFERENCE, beta), 1.5 + 0.125 / beta, rtol=1e-12)


def test_large_rewards_stay_finite():
    log_reference = np.log([[0.5, 0.5]])
    reward = np.array([[1e3, -1e3]])
    np.testing.assert_allclose(gibbs_policy(reward, log_reference, 0.01), [[1.0, 0.0]])
    np.testing.assert_allclose(best_values(reward[None], log_reference, 0.01), [1e3 + 0.01 * np.log(0.5)])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gibbs_policy([1.0, 2.0], REFERENCE, 1.0), "reward"),
        (lambda: gibbs_policy([[1.0, np.nan]], REFERENCE, 1.0), "reward"),
        (lambda: gibbs_policy([[1.0, 2.0]], REFERENCE, 0.0), "beta"),
        (lambda: gibbs_policy([[1.0, 2.0]], REFERENCE, np.inf), "beta"),
        (lambda: gibbs_policy([[1.0, 2.0]], [[0.5, 0.5]], 1.0), "log_reference"),
        (lambda: gibbs_policy([[1.0, 2.0]], [[np.nan, 0.0]], 1.0), "log_reference"),
        (lambda: gibbs_policy([[1.0, 2.0]], [[-np.inf, -np.inf]], 1.0), "log_reference"),
        (lambda: gibbs_policy([[1.0, 2.0, 3.0]], REFERENCE, 1.0), "log_reference"),
        (lambda: group_values([[0.5, 0.6]], [[[1.0, 2.0]]], REFERENCE, 1.0), "policy"),
        (lambda: group_values([[-0.5, 1.5]], [[[1.0, 2.0]]], REFERENCE, 1.0), "policy"),
        (lambda: group_values([[0.5, 0.5]], [[1.0, 2.0]], REFERENCE, 1.0), "rewards"),
        (
            lambda: group_values([[0.5, 0.5]], [[[1.0, 2.0]]], REFERENCE, 1.0, prompt_weights=[0.5, 0.5]),
            "prompt_weights",
        ),
        (lambda: best_values([[[1.0, 2.0]]], REFERENCE, 1.0, prompt_weights=[0.9]), "prompt_weights"),
        (lambda: best_values([[[1.0, 2.0]]], REFERENCE, -1.0), "beta"),
        (lambda: best_values(np.empty((1, 0, 2)), np.empty((0, 2)), 1.0), "prompt_weights"),
        (lambda: gibbs_policy([[1e200, 2.0]], REFERENCE, 1e-200), "beta"),
        (lambda: gibbs_policy([[1.0, 2.0]], np.log([[0.5, 0.5 + 1e-6]]), 1.0), "log_reference"),
        (lambda: group_values([[0.5, 0.5 + 1e-6]], [[[1.0, 2.0]]], REFERENCE, 1.0), "policy"),
        (lambda: best_values([[[1.0, 2.0]]], REFERENCE, 1.0, prompt_weights=[1 + 1e-6]), "prompt_weights"),
        (lambda: gibbs_policy([[1j, 2.0]], REFERENCE, 1.0), "reward"),
        (lambda: gibbs_policy([["1", "2"]], REFERENCE, 1.0), "reward"),
    ],
)
def test_bad_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()
