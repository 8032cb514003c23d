import numpy as np
import pytest
from scipy.special import logsumexp

from maxmin_core.data import load_survey
from maxmin_core.preferences import Comparisons, Population, annotator_log_likelihood, fit_mixture, simulate_comparisons
from maxmin_core.preferences._counts import Counts


def simulated(n):
    """Return a population of four groups and n comparisons x 16 features by simulated annotators, 100 each."""
    rng = np.random.default_rng(0)
    population = Population([0.4, 0.3, 0.2, 0.1], rng.normal(size=(4, 16)))
    return population, simulate_comparisons(population, rng.normal(size=(2000, 16)), n // 100, 100, 1)[0]


@pytest.mark.parametrize("n", [10_000, 100_000, 1_000_000])
def test_fit_mixture_default(benchmark, n):
    benchmark.extra_info["promised"] = (
        "at 10^6: under 12 s and 1 GiB, ten restarts, at least the likelihood of the truth"
    )
    population, comparisons = simulated(n)
    fit = benchmark.pedantic(fit_mixture, args=(comparisons, 4), rounds=1)
    joint = annotator_log_likelihood(population.parameters, comparisons).T + np.log(population.weights)
    assert fit.log_likelihood >= logsumexp(joint, axis=1).sum() and fit.converged


@pytest.mark.parametrize("n_groups", [2, 3])
def test_many_people_few_votes(benchmark, n_groups):
    benchmark.extra_info["promised"] = "under 15 s, and the likelihood reached from the true groups"
    # 18,334 people, 41,902 votes, 130 items.
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.2])[:n_groups]
    population = Population(shares / shares.sum(), rng.normal(size=130) + rng.normal(size=(n_groups, 130)))
    votes = 1 + rng.multinomial(41_902 - 18_334, rng.dirichlet(np.full(18_334, 0.3)))
    comparisons, group = simulate_comparisons(population, np.eye(130), 18_334, votes, rng)
    fit = benchmark.pedantic(fit_mixture, args=(comparisons, n_groups), kwargs={"l2": 1.0}, rounds=1)
    known = fit_mixture(comparisons, n_groups, l2=1.0, start=np.eye(n_groups)[group])
    assert fit.converged and fit.history[-1] > known.history[-1] - 0.1


def test_one_pass_1e6_x_16_x_4(benchmark):
    benchmark.extra_info["promised"] = "under 0.35 s, E-step and M-step with fresh curvature"
    _, comparisons = simulated(1_000_000)
    counts = Counts.of(comparisons)
    phi = np.random.default_rng(0).normal(size=(1, 4, 16))
    q = np.full((10_000, 1, 4), 0.25)

    def step():
        _, down = counts.log_likelihood(phi)
        return counts.derivatives(phi, down, q)

    benchmark.pedantic(step, rounds=3)


def test_fit_mixture_survey(benchmark):
    benchmark.extra_info["promised"] = "K = 2, five restarts, under 30 ms"
    comparisons = Comparisons.from_frame(load_survey()[0])
    benchmark(fit_mixture, comparisons, 2, n_restarts=5)
