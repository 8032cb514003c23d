"""Chapter 7's worst loss over groups, by a programme that knows no pool and no weights."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, xlogy

from maxmin_core.preferences import Population, population_mle

FEATURES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.6, 0], [0.6, 0, 0.6], [0, 0.6, 0.6], [0.6] * 3, [0] * 3])


@pytest.fixture(scope="module")
def functions(defined_in):
    one, other = np.triu_indices(len(FEATURES), 1)
    return defined_in("07", "losses", "least_worst_loss", all_pairs=FEATURES[one] - FEATURES[other])


def population(fade):
    tastes = np.array([[3.0, 0.5, -0.5], [0.0, 3.0, 0.5], [-1.0, 0.5, 3.0]])
    return Population([0.7, 0.2, 0.1], tastes * np.array([1, 1, fade])[:, None])


def pairs():
    """All pairs of items in a double loop."""
    return np.array([a - b for i, a in enumerate(FEATURES) for b in FEATURES[i + 1 :]])


def divergences(people, phi):
    """E KL(p_u || p_phi) for every group, from its definition."""
    p, q = expit(people.parameters @ pairs().T), expit(pairs() @ phi)
    return (xlogy(p, p / q) + xlogy(1 - p, (1 - p) / (1 - q))).mean(axis=1)


def test_the_loss_is_noise_and_divergence(functions):
    people, phi = population(1.0), np.array([0.4, -1.2, 2.0])
    loss, noise = functions[0](people, phi)
    p = expit(people.parameters @ pairs().T)
    np.testing.assert_allclose(noise, -(xlogy(p, p) + xlogy(1 - p, 1 - p)).mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(loss - noise, divergences(people, phi), atol=1e-12)


@pytest.mark.parametrize("fade", [1.0, 0.3, 0.1])
@pytest.mark.parametrize("excess", [False, True])
def test_the_optimum_by_a_programme_over_rewards(functions, fade, excess):
    people = population(fade)
    phi, weights, gap = functions[1](people, excess)
    noise = functions[0](people, phi)[1] * (not excess)

    def worst(x):
        return x[-1] - divergences(people, x[:-1]) - noise

    by_slsqp = minimize(
        lambda x: x[-1],
        np.append(np.zeros(3), 2.0),
        constraints={"type": "ineq", "fun": worst},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    found = (divergences(people, phi) + noise).max()
    np.testing.assert_allclose(found, by_slsqp.x[-1], atol=1e-6)
    np.testing.assert_allclose(phi, by_slsqp.x[:-1], atol=2e-3)
    assert -1e-12 <= gap < 1e-6
    # It is the single reward of a population with those shares.
    np.testing.assert_allclose(phi, population_mle(Population(weights, people.parameters), pairs()), atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_any_weights_enclose_the_optimum(functions, seed):
    rng, people = np.random.default_rng(seed), population(1.0)
    phi, _, _ = functions[1](people, False)
    optimum = functions[0](people, phi)[0].max()
    weights = rng.dirichlet(np.ones(3))
    loss = functions[0](people, population_mle(Population(weights, people.parameters), pairs()))[0]
    assert weights @ loss <= optimum + 1e-9 and optimum <= loss.max() + 1e-9
