import numpy as np
import pytest

from maxmin_core.theory import MISMATCH, STATEMENTS, exact_grid, falsify, population_sampler, verified_slack


def test_a_million_random_instances_of_the_mle_bound(benchmark):
    benchmark.extra_info["promised"] = "with the next, over all statements: under 60 s, one thread"
    sampler, rng = population_sampler(6, 3, 2), np.random.default_rng(0)

    def search():
        return min(np.nanmin(MISMATCH["mle"].slack(sampler.draw(20_000, rng))) for _ in range(50))

    assert benchmark.pedantic(search, rounds=1) > -1e-9


@pytest.mark.parametrize("name", [name for name in STATEMENTS if name != "textbook"])
def test_a_thousand_adversarial_starts(benchmark, name):
    benchmark.extra_info["promised"] = "with the one before, over all statements: under 60 s, one thread"

    def search():
        return falsify(STATEMENTS[name], n_random=1000, n_adversarial=1000, seed=0, n_steps=60)

    assert benchmark.pedantic(search, rounds=1).n_violations == 0


def test_a_grid_of_exact_instances(benchmark):
    benchmark.extra_info["promised"] = "nothing, watched"

    # The ten statements with an exact form, each on those of 72 instances to which it applies.
    def verify():
        return [
            bool(verified_slack(statement, exact) > 0)
            for exact in exact_grid(1, 0)
            for statement in STATEMENTS.values()
            if statement.exact is not None and statement.reasons(exact) == ""
        ]

    assert all(benchmark.pedantic(verify, rounds=1))
