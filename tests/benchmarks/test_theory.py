import numpy as np
import pytest

from maxmin_core.theory import gaps, mismatch
from maxmin_core.theory.statements import falsify

SEARCHES = {
    **{kind: (mismatch, mismatch.wide_sampler(6, 3, 2)) for kind in ("mle", "mle_H")},
    **{kind: (mismatch, mismatch.wide_sampler(2, 3, 2)) for kind in ("two_groups", "two_groups_H")},
    "realizable": (mismatch, mismatch.wide_sampler(6, 1, 1)),
    **{kind: (gaps, gaps.wide_sampler(2, 3, 2)) for kind in ("lower", "upper", "pairwise")},
    "observable": (gaps, gaps.wide_sampler(1, 3, 2)),
    "impossibility": (gaps, gaps.pooled_sampler(6, 1, 3, 2)),
}


def test_a_million_random_instances_of_the_mle_bound(benchmark):
    # Promised, with the next benchmark summed over its kinds: under 60 s, one thread.
    decode, dimension = mismatch.wide_sampler(6, 3, 2)
    rng = np.random.default_rng(0)

    def search():
        least = np.inf
        for _ in range(50):
            slack = mismatch.relative_slack(decode(rng.normal(size=(20_000, dimension))), "mle")
            least = min(least, np.nanmin(slack))
        return least

    assert benchmark.pedantic(search, rounds=1) > -1e-9


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_thousand_adversarial_starts(benchmark, kind):
    module, (decode, dimension) = SEARCHES[kind]

    def search():
        def slack(instances):
            return module.relative_slack(instances, kind)

        return falsify(slack, decode, dimension, n_random=1000, n_adversarial=1000, seed=0, n_steps=60)

    assert benchmark.pedantic(search, rounds=1).n_violations == 0
