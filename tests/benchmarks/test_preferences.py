import numpy as np
import pytest

from maxmin_core.preferences import Comparisons, Population, fit_bradley_terry, simulate_comparisons


@pytest.fixture(scope="module")
def million():
    """10^6 comparisons x 16 features by simulated annotators."""
    rng = np.random.default_rng(0)
    population = Population([1.0], rng.normal(size=(1, 16)))
    return simulate_comparisons(population, rng.normal(size=(2000, 16)), 1000, 1000, 1)[0]


def test_fit_bradley_terry_1e6_x_16(benchmark, million):
    benchmark.extra_info["promised"] = "under 2 s, one thread"

    # A fresh object each round, so that no cached difference helps.
    def fresh():
        return (Comparisons(million.features, million.winner, million.loser, million.annotator),), {}

    benchmark.pedantic(fit_bradley_terry, setup=fresh, rounds=5)


def test_fit_bradley_terry_survey(benchmark):
    benchmark.extra_info["promised"] = "nothing, watched"
    from maxmin_core.data import load_survey

    benchmark(fit_bradley_terry, Comparisons.from_frame(load_survey()[0]))
