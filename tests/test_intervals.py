import itertools

import numpy as np
import pytest
from scipy import stats

from maxmin_core.intervals import (
    bootstrap,
    mean_interval,
    percentile_interval,
    permutation_test,
    variance_parts,
)


class TestMeanInterval:
    def test_against_scipy(self):
        draws = np.random.default_rng(0).normal(size=(9, 3, 2))
        for level in (0.5, 0.95):
            mean, half = mean_interval(draws, level)
            low, high = stats.t.interval(level, 8, loc=draws.mean(axis=0), scale=stats.sem(draws, axis=0))
            np.testing.assert_allclose([mean - half, mean + half], [low, high], rtol=1e-12)

    def test_two_draws_by_hand(self):
        # One degree of freedom is Cauchy's law: its 97.5% quantile is tan(.475 pi).
        mean, half = mean_interval([1.0, 3.0])
        np.testing.assert_allclose([mean, half], [2.0, np.tan(0.475 * np.pi)], rtol=1e-10)

    def test_covers_as_often_as_it_says(self):
        draws = np.random.default_rng(1).normal(3.0, 2.0, size=(5, 20_000))
        mean, half = mean_interval(draws, 0.9)
        assert abs((np.abs(mean - 3.0) <= half).mean() - 0.9) < 4 * np.sqrt(0.09 / 20_000)

    @pytest.mark.parametrize(
        ("draws", "level", "name"),
        [([1.0], 0.95, "draws"), ([], 0.95, "draws"), ([1, 2], 1.0, "level"), ([1, 2], 0, "level")],
    )
    def test_bad_arguments_are_named(self, draws, level, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            mean_interval(draws, level)


class TestPercentileInterval:
    def test_quantiles_over_the_first_axis(self):
        draws = np.random.default_rng(0).permuted(np.tile(np.arange(1001.0)[:, None], (1, 2)), axis=0)
        low, high = percentile_interval(draws * [1, 10], 0.9)
        np.testing.assert_allclose([low, high], [[50, 500], [950, 9500]])
        np.testing.assert_allclose(percentile_interval(draws[:, 0]), [25, 975])

    @pytest.mark.parametrize(
        ("draws", "level", "name"), [([], 0.95, "draws"), ([1.0], 1.5, "level"), ([1.0], np.nan, "level")]
    )
    def test_bad_arguments_are_named(self, draws, level, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            percentile_interval(draws, level)


class TestBootstrap:
    def test_the_mean_has_its_known_spread(self):
        values = np.random.default_rng(0).normal(size=40)
        draws = bootstrap(lambda people: [values[people].mean(), people.max()], 40, n_resamples=4000, seed=1)
        assert draws.shape == (4000, 2)
        # Exactly the plug-in variance over n, in expectation.
        np.testing.assert_allclose(draws[:, 0].std(), values.std() / np.sqrt(40), rtol=0.05)
        # The last person is drawn with probability 1 - (1 - 1/n)^n.
        assert abs((draws[:, 1] == 39).mean() - (1 - (1 - 1 / 40) ** 40)) < 4 * np.sqrt(0.25 / 4000)

    def test_agrees_with_scipy(self):
        values = np.random.default_rng(0).exponential(size=60)
        draws = bootstrap(lambda people: np.median(values[people]), 60, n_resamples=500, seed=3)
        other = stats.bootstrap(
            (values,), np.median, n_resamples=500, method="percentile", rng=np.random.default_rng(3), batch=1
        )
        np.testing.assert_array_equal(np.sort(draws), np.sort(other.bootstrap_distribution))
        np.testing.assert_allclose(percentile_interval(draws), other.confidence_interval, rtol=1e-12)

    def test_a_generator_goes_on(self):
        rng = np.random.default_rng(5)
        one, two = (bootstrap(lambda people: people, 7, n_resamples=3, seed=rng) for _ in range(2))
        both = np.random.default_rng(5).integers(7, size=(6, 7))
        np.testing.assert_array_equal(np.vstack([one, two]), both)

    @pytest.mark.parametrize(
        ("n", "many", "name"), [(0, 5, "n_people"), (2.0, 5, "n_people"), (3, True, "n_resamples")]
    )
    def test_bad_arguments_are_named(self, n, many, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            bootstrap(np.mean, n, n_resamples=many)


class TestPermutationTest:
    values = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3])

    def apart(self, member):
        return self.values[member].mean() - self.values[~member].mean()

    def test_few_people_by_enumeration(self):
        member = np.array([False, False, True, False, True, False, True])
        observed = self.apart(member)
        each = [self.apart(np.isin(np.arange(7), chosen)) for chosen in itertools.combinations(range(7), 3)]
        by_hand = np.mean(np.array(each) >= observed - 1e-12)
        found = permutation_test(self.apart, member, n_resamples=10_000)  # 7! = 5040: every labelling is tried
        np.testing.assert_allclose([found.statistic, found.p_value], [observed, by_hand], rtol=1e-12)
        assert len(found.null) == 5040

    def test_shuffles_by_hand(self):
        labels = np.random.default_rng(0).integers(3, size=30)
        score = np.random.default_rng(1).normal(size=30) + 0.3 * labels

        def statistic(given):
            return np.corrcoef(given, score)[0, 1]

        found = permutation_test(statistic, labels, n_resamples=200, seed=2)
        rng = np.random.default_rng(2)
        null = np.array([statistic(rng.permutation(labels)) for _ in range(200)])
        np.testing.assert_allclose(found.null, null)
        np.testing.assert_allclose(found.p_value, (1 + (null >= found.statistic).sum()) / 201)

    def test_ties_count_though_rounding_tells_them_apart(self):
        # Two people each: the mean of six values, summed in another order, differs in the last digit.
        values = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1])
        member = np.arange(10) < 5
        found = permutation_test(lambda m: -abs(values[m].sum() - values[~m].sum()), member, n_resamples=2000, seed=0)
        exact = np.round(found.null, 9) >= round(found.statistic, 9)
        np.testing.assert_allclose(found.p_value, (1 + exact.sum()) / 2001)

    def test_uniform_when_labels_say_nothing(self):
        rng = np.random.default_rng(4)
        p = []
        for _ in range(300):
            values = rng.normal(size=12)
            member = np.arange(12) < 6
            p.append(
                permutation_test(
                    lambda m, v=values: v[m].mean() - v[~m].mean(), member, n_resamples=99, seed=rng
                ).p_value
            )
        assert stats.kstest(p, "uniform").pvalue > 1e-3
        assert min(p) >= 0.01

    @pytest.mark.parametrize(
        ("labels", "many", "name"), [([1], 9, "labels"), (np.ones((3, 2)), 9, "labels"), ([0, 1, 1], 0, "n_resamples")]
    )
    def test_bad_arguments_are_named(self, labels, many, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            permutation_test(np.mean, labels, n_resamples=many)

    def test_two_people_are_enough(self):
        assert permutation_test(lambda m: float(m[1]), [0, 1]).p_value == 0.5

    def test_labels_may_be_names(self):
        values = np.arange(8.0)
        found = permutation_test(lambda of: values[of == "b"].mean(), np.array(list("aaaabbbb")), n_resamples=99)
        assert found.statistic == 5.5 and found.p_value <= 0.05


class TestVarianceParts:
    def test_unbiased(self):
        rng, outer, inner, rest = np.random.default_rng(3), 0.5, 2.0, 1.0
        found = []
        for _ in range(4000):
            rows = rng.normal(0, np.sqrt(outer), (3, 1)) + rng.normal(0, np.sqrt(inner + rest), (3, 4))
            found.append(variance_parts(rows, rng.normal(7, np.sqrt(rest), 3)))
        centre, half = mean_interval(found, 0.999)
        assert (np.abs(centre - [outer, inner, rest]) < half).all() and (half < 0.15).all()

    def test_by_hand(self):
        # Rows (0, 2), (6, 8), (6, 10): variances 2, 2, 8, so 4 within; means 1, 7, 8 with variance 43/3.
        found = variance_parts([[0, 2], [6, 8], [6, 10]], [1, 1, 4])
        np.testing.assert_allclose(found, [43 / 3 - 2, 1, 3])

    @pytest.mark.parametrize(
        ("draws", "repeated", "message"),
        [
            ([[1.0, 2.0]], [1.0, 2.0], "^rows of draws: expected at least two, got 1"),
            ([[1.0], [2.0]], [1.0, 2.0], "^entries of a row: expected at least two, got 1"),
            ([[1.0, 2.0], [1.0, 2.0]], [1.0], "^repeated: expected at least two, got 1"),
            ([1.0, 2.0], [1.0, 2.0], "^draws: "),
        ],
    )
    def test_bad_arguments_are_named(self, draws, repeated, message):
        with pytest.raises(ValueError, match=message):
            variance_parts(draws, repeated)
