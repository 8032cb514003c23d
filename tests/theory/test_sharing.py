import numpy as np
import pytest

from maxmin_core.theory import alignment_gap, chernoff_information, price_of_sharing


@pytest.mark.parametrize(
    ("policy", "other"),
    [
        ([[0.9, 0.1, 0.0]], [[0.85, 0.1, 0.05]]),
        ([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]], [[0.0, 0.1, 0.9], [0.3, 0.3, 0.4]]),
        ([[0.6, 0.4, 0.0], [0.5, 0.25, 0.25]], [[0.55, 0.4, 0.05], [0.0, 0.5, 0.5]]),
        ([[0.4, 0.6]], [[0.4 + 1e-4, 0.6 - 1e-4]]),
    ],
)
@pytest.mark.parametrize("prompt_weights", [None, [0.2, 0.8]])
def test_the_chernoff_information_is_the_best_on_a_grid_of_exponents(policy, other, prompt_weights):
    # Some responses are given by one policy alone: they drop out of the overlap sum p^w q^(1-w), inside of (0, 1).
    if len(policy) == 1:
        prompt_weights = None
    w, p, q = np.linspace(1e-9, 1 - 1e-9, 20_001)[:, None, None], np.array(policy), np.array(other)
    overlap = np.log((p**w * q ** (1 - w)).sum(axis=-1))
    best = (-np.average(overlap, axis=1, weights=prompt_weights)).max()
    np.testing.assert_allclose(chernoff_information(policy, other, prompt_weights=prompt_weights), best, rtol=1e-6)
    np.testing.assert_allclose(chernoff_information(other, policy, prompt_weights=prompt_weights), best, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_price_follows_the_unit_of_rewards(unit):
    rng = np.random.default_rng(0)
    rewards, prompts = rng.normal(size=(3, 2, 4)), [0.3, 0.7]
    reference = np.log(rng.dirichlet(np.ones(4), size=2))
    plain = price_of_sharing(rewards, reference, 0.5, prompt_weights=prompts)
    scaled = price_of_sharing(rewards * unit, reference, 0.5 * unit, prompt_weights=prompts)
    np.testing.assert_allclose(scaled.policy, plain.policy, atol=1e-6)
    np.testing.assert_allclose([scaled.dual, *scaled.values], unit * np.array([plain.dual, *plain.values]), rtol=1e-6)
    gaps = [alignment_gap(plain.policy, r, reference, 0.5, prompt_weights=prompts) for r in rewards]
    np.testing.assert_allclose(plain.values, np.negative(gaps))
    assert -plain.dual <= max(gaps) * (1 + 1e-12) and max(gaps) <= -plain.primal * (1 + 1e-12)
