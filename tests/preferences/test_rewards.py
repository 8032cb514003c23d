import choix
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from maxmin_core.data import load_survey
from maxmin_core.preferences import (
    Comparisons,
    Population,
    annotator_agreement,
    annotator_log_likelihood,
    fit_bradley_terry,
    simulate_comparisons,
)

seeds = st.integers(0, 2**32 - 1)


def overlapping(rng, n_items, n_extra, d=None):
    """Comparisons in which every item has beaten every other one: the MLE exists."""
    winner, loser = np.nonzero(~np.eye(n_items, dtype=bool))
    extra = rng.integers(n_items, size=n_extra)
    winner = np.concatenate([winner, extra])
    loser = np.concatenate([loser, (extra + rng.integers(1, n_items, size=n_extra)) % n_items])
    features = np.eye(n_items) if d is None else rng.normal(size=(n_items, d))
    return Comparisons(features, winner, loser, rng.integers(4, size=len(winner)))


def log_likelihood(phi, comparisons, weight=None, l2=0.0):
    """The objective, written out comparison by comparison: the independent route."""
    total = -0.5 * l2 * sum(x * x for x in phi)
    for i in range(len(comparisons)):
        difference = comparisons.features[comparisons.winner[i]] - comparisons.features[comparisons.loser[i]]
        total -= (1.0 if weight is None else weight[i]) * np.log1p(np.exp(-difference @ phi))
    return total


def gradient(function, at, step=1e-5):
    return np.array([(function(at + e) - function(at - e)) / (2 * step) for e in step * np.eye(len(at))])


class TestFit:
    def test_by_hand_three_wins_to_one(self):
        comparisons = Comparisons(np.eye(2), [0, 0, 0, 1], [1, 1, 1, 0], [0, 0, 1, 1])
        np.testing.assert_allclose(fit_bradley_terry(comparisons), [np.log(3) / 2, -np.log(3) / 2], atol=1e-12)

    @given(seeds, st.integers(2, 7), st.integers(0, 60))
    def test_equals_choix(self, seed, n_items, n_extra):
        comparisons = overlapping(np.random.default_rng(seed), n_items, n_extra)
        other = choix.opt_pairwise(n_items, list(zip(comparisons.winner, comparisons.loser, strict=True)), tol=1e-12)
        np.testing.assert_allclose(fit_bradley_terry(comparisons), other, atol=1e-5)

    @given(seeds, st.integers(3, 6), st.integers(1, 5), st.floats(0, 2))
    def test_gradient_vanishes_by_finite_differences(self, seed, n_items, d, l2):
        rng = np.random.default_rng(seed)
        comparisons = overlapping(rng, n_items, 20, d)
        weight = rng.exponential(size=len(comparisons))
        phi = fit_bradley_terry(comparisons, sample_weight=weight, l2=l2)
        slope = gradient(lambda p: log_likelihood(p, comparisons, weight, l2), phi)
        np.testing.assert_allclose(slope, 0, atol=2e-6)

    @given(seeds, st.integers(2, 6))
    def test_one_hot_rewards_sum_to_zero(self, seed, n_items):
        assert abs(fit_bradley_terry(overlapping(np.random.default_rng(seed), n_items, 10)).sum()) < 1e-12

    @given(seeds, st.sampled_from([1e-3, 1e3]))
    def test_rescaled_features_rescale_the_parameter(self, seed, scale):
        comparisons = overlapping(np.random.default_rng(seed), 6, 30, 3)
        stretch = np.array([1.0, scale, 1.0])
        stretched = Comparisons(
            comparisons.features * stretch, comparisons.winner, comparisons.loser, comparisons.annotator
        )
        np.testing.assert_allclose(fit_bradley_terry(stretched) * stretch, fit_bradley_terry(comparisons), atol=1e-9)

    @given(seeds)
    def test_flipped_choices_negate_the_reward(self, seed):
        comparisons = overlapping(np.random.default_rng(seed), 5, 30)
        flipped = Comparisons(comparisons.features, comparisons.loser, comparisons.winner, comparisons.annotator)
        np.testing.assert_allclose(fit_bradley_terry(flipped), -fit_bradley_terry(comparisons), atol=1e-10)

    @given(seeds)
    def test_a_weight_counts_like_repetitions(self, seed):
        rng = np.random.default_rng(seed)
        comparisons = overlapping(rng, 4, 8)
        weight = rng.integers(1, 4, size=len(comparisons))
        index = np.repeat(np.arange(len(comparisons)), weight)
        repeated = Comparisons(
            comparisons.features, comparisons.winner[index], comparisons.loser[index], comparisons.annotator[index]
        )
        np.testing.assert_allclose(
            fit_bradley_terry(comparisons, sample_weight=weight), fit_bradley_terry(repeated), atol=1e-10
        )

    def test_many_items_take_the_same_road(self):
        # More items than fit in a table of pairs: the likelihood is summed comparison by comparison.
        features = np.random.default_rng(0).normal(size=(40, 3))
        wide, _ = simulate_comparisons(Population([1.0], [[1.0, -0.5, 0.2]]), features, 20, 10, 0)
        assert wide.n_items**2 > len(wide)
        result = minimize(lambda p: -annotator_log_likelihood(p, wide).sum(), np.zeros(3), tol=1e-12)
        np.testing.assert_allclose(fit_bradley_terry(wide), result.x, atol=1e-5)

    def test_redundant_features_give_the_minimum_norm(self):
        rng = np.random.default_rng(1)
        comparisons = overlapping(rng, 5, 30, 2)
        doubled = Comparisons(
            np.hstack([comparisons.features, comparisons.features]),
            comparisons.winner,
            comparisons.loser,
            comparisons.annotator,
        )
        phi = fit_bradley_terry(comparisons)
        np.testing.assert_allclose(fit_bradley_terry(doubled), np.concatenate([phi, phi]) / 2, atol=1e-10)

    def test_separable_choices_are_refused_and_l2_helps(self):
        comparisons = Comparisons(np.eye(3), [0, 0, 1], [1, 2, 2], [0, 0, 0])
        with pytest.raises(ValueError, match="separable.*l2"):
            fit_bradley_terry(comparisons)
        reward = fit_bradley_terry(comparisons, l2=1.0)
        assert reward[0] > reward[1] > reward[2]

    def test_partly_separable_choices_are_refused(self):
        # Items 0 and 1 overlap; item 2 has lost every comparison.
        comparisons = Comparisons(np.eye(3), [0, 1, 0, 1], [1, 0, 2, 2], [0, 0, 0, 0])
        with pytest.raises(ValueError, match="separable"):
            fit_bradley_terry(comparisons)

    def test_nearly_separable_choices_are_fitted(self):
        # 10^12 wins to one loss: margin log(10^12), far out but finite.
        comparisons = Comparisons(np.eye(2), [0, 1], [1, 0], [0, 0])
        reward = fit_bradley_terry(comparisons, sample_weight=[1e12, 1.0])
        np.testing.assert_allclose(reward[0] - reward[1], np.log(1e12), rtol=1e-9)

    def test_ridge_by_a_scalar_search(self):
        comparisons = Comparisons([[0.0], [1.0]], [1, 1], [0, 0], [0, 0])
        found = minimize_scalar(
            lambda p: 2 * np.log1p(np.exp(-p)) + 0.35 * p * p, bounds=(0, 5), method="bounded", options={"xatol": 1e-12}
        )
        np.testing.assert_allclose(fit_bradley_terry(comparisons, l2=0.7), [found.x], atol=1e-6)

    def test_unconnected_items_warn_and_each_part_sums_to_zero(self):
        comparisons = Comparisons(np.eye(4), [0, 1, 2, 2, 3], [1, 0, 3, 3, 2], [0] * 5)
        with pytest.warns(UserWarning, match="not connect"):
            reward = fit_bradley_terry(comparisons)
        np.testing.assert_allclose([reward[:2].sum(), reward[2:].sum()], 0, atol=1e-12)
        np.testing.assert_allclose(reward[2] - reward[3], np.log(2), atol=1e-10)

    @pytest.mark.parametrize(
        ("argument", "value"),
        [("l2", -1.0), ("l2", np.nan), ("sample_weight", [1.0]), ("sample_weight", [1, -1]), ("sample_weight", [0, 0])],
    )
    def test_bad_arguments_are_named(self, argument, value):
        comparisons = Comparisons(np.eye(2), [0, 1], [1, 0], [0, 0])
        with pytest.raises(ValueError, match=f"^{argument}: expected"):
            fit_bradley_terry(comparisons, **{argument: value})

    def test_survey_reaches_the_reference_value(self):
        comparisons = Comparisons.from_frame(load_survey()[0])
        total = annotator_log_likelihood(fit_bradley_terry(comparisons), comparisons).sum()
        assert abs(total - -1716.807) < 5e-4


class TestAnnotators:
    @given(seeds)
    def test_likelihood_and_agreement_by_loops(self, seed):
        rng = np.random.default_rng(seed)
        comparisons = overlapping(rng, 4, 20, 2)
        parameters = rng.normal(size=(3, 2))
        likelihood, agreed, count = np.zeros((3, 4)), np.zeros((3, 4)), np.zeros(4)
        for w, z, a in zip(comparisons.winner, comparisons.loser, comparisons.annotator, strict=True):
            count[a] += 1
            for u in range(3):
                margin = parameters[u] @ (comparisons.features[w] - comparisons.features[z])
                likelihood[u, a] += np.log(1 / (1 + np.exp(-margin)))
                agreed[u, a] += margin > 0
        np.testing.assert_allclose(
            annotator_log_likelihood(parameters, comparisons), likelihood[:, : comparisons.n_annotators]
        )
        np.testing.assert_allclose(
            annotator_log_likelihood(parameters[1], comparisons), likelihood[1, : comparisons.n_annotators]
        )
        present = count > 0
        np.testing.assert_allclose(
            annotator_agreement(parameters, comparisons)[:, present], (agreed / np.maximum(count, 1))[:, present]
        )

    def test_equal_rewards_count_half(self):
        comparisons = Comparisons(np.eye(2), [0], [1], [0])
        assert annotator_agreement([1.0, 1.0], comparisons) == [0.5]

    def test_an_annotator_without_comparisons(self):
        comparisons = Comparisons(np.eye(2), [0], [1], [1])
        assert np.isnan(annotator_agreement([1.0, 0.0], comparisons)[0])
        assert annotator_log_likelihood([1.0, 0.0], comparisons)[0] == 0

    def test_huge_margins_stay_finite(self):
        comparisons = Comparisons(np.eye(2), [0, 1], [1, 0], [0, 0])
        np.testing.assert_allclose(annotator_log_likelihood([1e3, 0.0], comparisons), -1e3)

    def test_bad_parameters_are_named(self):
        comparisons = Comparisons(np.eye(2), [0], [1], [0])
        for bad in ([1.0], np.ones((2, 3)), [np.nan, 0.0]):
            with pytest.raises(ValueError, match="^parameters: expected"):
                annotator_log_likelihood(bad, comparisons)
