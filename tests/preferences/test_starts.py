"""Where EM begins: seeds, splits, subsamples; and what it says when a start has led nowhere."""

import numpy as np
import pytest

from maxmin_core.data import load_survey
from maxmin_core.preferences import (
    Comparisons,
    Population,
    annotator_log_likelihood,
    fit_bradley_terry,
    fit_mixture,
    simulate_comparisons,
)
from maxmin_core.preferences import _starts as module
from maxmin_core.preferences._counts import Counts
from maxmin_core.preferences._em import Run, climb


def alike(*kinds):
    """Return comparisons of three items by annotators of several kinds; a kind is (how many, wins by hand)."""
    winner, loser, annotator, number = [], [], [], 0
    for many, choices in kinds:
        for _ in range(many):
            for won, lost in choices:
                winner.append(won), loser.append(lost), annotator.append(number)
            number += 1
    return Comparisons(np.eye(3), winner, loser, annotator)


UP, DOWN, ODD = [(0, 1), (1, 2), (0, 2)], [(2, 1), (1, 0), (2, 0)], [(1, 0), (1, 2), (2, 0)]


def true_start(group, n_groups):
    return np.eye(n_groups)[group]


class TestSeeds:
    @pytest.mark.parametrize("seed", range(5))
    def test_every_kind_of_annotator_gets_a_seed_however_rare(self, seed):
        counts = Counts.of(alike((60, UP), (60, DOWN), (2, ODD)))
        q = module.starts(counts, 3, 6, np.random.default_rng(seed))
        kind = np.repeat([0, 1, 2], [60, 60, 2])
        for restart in range(3):
            group = q[:, restart].argmax(axis=1)
            # Nobody of one kind is apart, and no two kinds are together.
            assert [len(set(group[kind == k])) for k in range(3)] == [1, 1, 1] and len(set(group)) == 3

    @pytest.mark.parametrize("n_restarts", [1, 2, 4, 5, 7])
    def test_half_of_the_restarts_are_seeded(self, n_restarts):
        counts = Counts.of(alike((20, UP), (20, DOWN), (5, ODD)))
        q = module.starts(counts, 3, n_restarts, np.random.default_rng(0))
        assert q.shape == (45, n_restarts, 3)
        np.testing.assert_allclose(q.sum(axis=2), 1.0)
        # A seeded restart gives .9 to one group, and shares the rest among all of them.
        seeded = np.isclose(np.sort(q, axis=2), [0.1 / 3, 0.1 / 3, 0.9 + 0.1 / 3]).all(axis=(0, 2))
        assert seeded.tolist() == [True] * ((n_restarts + 1) // 2) + [False] * (n_restarts // 2)

    def test_annotators_who_answer_alike(self):
        counts = Counts.of(alike((8, UP)))
        q = module.starts(counts, 3, 2, np.random.default_rng(0))
        assert np.isfinite(q).all()
        with pytest.warns(RuntimeWarning, match="is not above that of 1"):
            fit = fit_mixture(alike((8, UP)), 3, l2=0.5)
        np.testing.assert_allclose(fit.log_likelihood, fit_mixture(alike((8, UP)), 1, l2=0.5).log_likelihood, rtol=1e-3)

    @pytest.mark.parametrize("scale", [1e-9, 1e-60, 1e9])
    def test_units_do_not_matter(self, scale):
        rng = np.random.default_rng(0)
        features = rng.normal(size=(9, 3))
        population = Population([0.5, 0.5], rng.normal(size=(2, 3)))
        one, _ = simulate_comparisons(population, features, 80, 25, 0)
        # Columns in different units, too.
        stretch = scale * np.array([1.0, 1e3, 1e-3])
        other = Comparisons(features * stretch, one.winner, one.loser, one.annotator)
        q = [module.starts(Counts.of(c), 3, 4, np.random.default_rng(1)) for c in (one, other)]
        np.testing.assert_allclose(q[1], q[0])
        fits = [fit_mixture(c, 2, seed=1, tol=1e-13) for c in (one, other)]
        np.testing.assert_allclose(fits[1].parameters * stretch, fits[0].parameters, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(fits[1].log_likelihood, fits[0].log_likelihood, rtol=1e-10)


class TestBeginAnew:
    def test_an_empty_hard_group_goes_to_whom_the_others_explain_worst(self):
        # Two kinds of annotators, nine to one and seven to three; everybody begins in group 0.
        nine, seven = [(0, 1)] * 9 + [(1, 0)], [(0, 1)] * 7 + [(1, 0)] * 3
        choices = np.array((nine + seven) * 5)
        comparisons = Comparisons(np.eye(2), *choices.T, np.repeat(np.arange(10), 10))
        fit = fit_mixture(comparisons, 2, assignment="hard", start=np.tile([1.0, 0.0], (10, 1)))
        np.testing.assert_array_equal(fit.weights, [0.5, 0.5])
        margins = np.sort(fit.parameters[:, 0] - fit.parameters[:, 1])
        np.testing.assert_allclose(margins, np.log([7 / 3, 9]), rtol=1e-6)
        by_hand = 5 * (9 * np.log(0.9) + np.log(0.1) + 7 * np.log(0.7) + 3 * np.log(0.3))
        np.testing.assert_allclose(fit.history[-1], by_hand, rtol=1e-9)


class TestSplit:
    def data(self, seed=0, n_groups=2):
        rng = np.random.default_rng(seed)
        population = Population(np.full(n_groups, 1 / n_groups), 1.5 * rng.normal(size=(n_groups, 6)))
        return population, *simulate_comparisons(population, np.eye(6), 400, 6, rng)

    def test_along_the_direction_in_which_annotators_differ_most(self):
        population, comparisons, _ = self.data()
        counts = Counts.of(comparisons, l2=0.3)
        alone = climb(counts, np.ones((1, 1)), np.zeros((1, 1, 5)), "soft", 50, 1e-12)
        shares, phi = module._split(counts, alone.shares, alone.phi, "soft")
        assert shares.tolist() == [[0.5, 0.5]] and phi.shape == (1, 2, 5)
        np.testing.assert_allclose(phi.mean(axis=1), alone.phi[:, 0])
        half = (phi[0, 0] - phi[0, 1]) / 2
        np.testing.assert_allclose(np.sqrt(np.mean((counts.z @ half) ** 2)), 1.0)
        # Nearly the direction in which the two true rewards differ.
        apart = (population.parameters[0] - population.parameters[1]) @ (np.eye(6) - 1 / 6)
        found = counts.coordinates @ half
        assert abs(apart @ found) > 0.9 * np.linalg.norm(apart) * np.linalg.norm(found)
        # No other direction has more variance of the scores beside the information; scores by finite differences.
        step = 1e-5
        sides = [counts.log_likelihood(alone.phi + sign * step * np.eye(5)[:, None])[0][..., 0] for sign in (1, -1)]
        scores = (sides[0] - sides[1]) / (2 * step)
        _, information = counts.derivatives(alone.phi, counts.log_likelihood(alone.phi)[1], np.ones((400, 1, 1)))
        within = information[0, 0] + counts.z.T @ counts.z / len(counts.z)

        best = np.linalg.eig(np.linalg.solve(within, scores.T @ scores))
        best = best.eigenvectors[:, best.eigenvalues.real.argmax()].real
        # (Without the moment beside the information the cosine falls short of one by 8e-8 here.)
        assert abs(best @ half) / np.linalg.norm(best) / np.linalg.norm(half) > 1 - 1e-8

    @pytest.mark.parametrize("assignment", ["soft", "hard"])
    def test_every_group_is_split_once(self, assignment):
        _, comparisons, _ = self.data(1, 3)
        counts = Counts.of(comparisons, l2=0.3)
        shares, phi = np.array([[0.5, 0.3, 0.2]]), np.random.default_rng(0).normal(size=(1, 3, 5))
        new_shares, new_phi = module._split(counts, shares, phi, assignment)
        assert new_phi.shape == (3, 4, 5)
        for k in range(3):
            others = np.arange(3) != k
            np.testing.assert_array_equal(new_phi[k, :3][others], phi[0, others])
            np.testing.assert_allclose((new_phi[k, k] + new_phi[k, 3]) / 2, phi[0, k])
            expected = np.append(shares[0], shares[0, k] / 2)
            expected[k] /= 2
            np.testing.assert_allclose(new_shares[k], expected)

    @pytest.mark.parametrize("assignment", ["soft", "hard"])
    def test_growing_finds_the_groups_without_any_chance(self, assignment):
        _, comparisons, group = self.data(2, 3)
        counts = Counts.of(comparisons, l2=0.3)
        run = climb(counts, *module._grow(counts, 3, assignment), assignment, 500, 1e-9)
        known = fit_mixture(comparisons, 3, l2=0.3, assignment=assignment, start=true_start(group, 3))
        # The hard objective has many maxima close by.
        behind = 1e-4 if assignment == "soft" else 2e-3
        assert run.value[0] >= known.history[-1] - behind * abs(known.history[-1])


def test_finalists_are_different_maxima_within_reach():
    value = np.array([-1000.0, -1500.0, -1000.001, -1030.0, -1012.0, -1001.0])
    run = Run(value, None, np.zeros((6, 2, 3)), [], None, None)
    # -1000.001 is the same maximum as -1000; -1500 is further off than six parameters and thirty nats of noise.
    assert module._finalists(run).tolist() == [0, 5, 4]
    value[4:] = -5000.0
    assert module._finalists(run).tolist() == [0, 3]


class TestManyPeopleFewChoices:
    """More people than restarts on all data are affordable for, so few choices each that the penalty decides."""

    def case(self):
        rng = np.random.default_rng(4)
        population = Population([0.75, 0.25], 1.5 * rng.normal(size=(2, 12)))
        return simulate_comparisons(population, np.eye(12), 3000, 2, rng)

    def test_fifty_seeds_reach_the_best_likelihood(self):
        # Restarts under the penalty of all data on 1,000 of them ended, every one, at the likelihood of one group.
        comparisons, group = self.case()
        best = fit_mixture(comparisons, 2, l2=6.0, start=true_start(group, 2)).history[-1]
        assert best > fit_mixture(comparisons, 1, l2=6.0).history[-1] + 10
        reached = [fit_mixture(comparisons, 2, l2=6.0, n_restarts=4, seed=s).history[-1] for s in range(50)]
        assert min(reached) > best - 0.01

    def test_two_groups_of_ten_thousand_people(self):
        rng = np.random.default_rng(0)
        population = Population([0.75, 0.25], rng.normal(size=(2, 40)))
        comparisons, _ = simulate_comparisons(population, np.eye(40), 10_000, 2, rng)
        fit = fit_mixture(comparisons, 2, l2=2.0)
        assert fit.converged and fit.history[-1] > -12_410.83 and fit.weights[1] > 0.3

    def test_the_penalty_of_a_subsample_is_scaled(self, monkeypatch):
        comparisons, group = self.case()
        monkeypatch.setattr(module, "_SMALL_COMPARISONS", 2000)
        seen = []

        def starts(counts, *rest, real=module.starts):
            seen.append((counts.won.shape[0], counts.l2))
            return real(counts, *rest)

        monkeypatch.setattr(module, "starts", starts)
        fit = fit_mixture(comparisons, 2, l2=6.0, n_restarts=2)
        assert seen == [(1000, 2.0)]
        best = fit_mixture(comparisons, 2, l2=6.0, start=true_start(group, 2))
        assert fit.history[-1] > best.history[-1] - 0.01
        # The history is that of all data: it never falls where the finalist goes on alone.
        assert (np.diff(fit.history) >= 0).all() and len(fit.history) == fit.n_iter + 1 > module._FEW + 1

    @pytest.mark.filterwarnings("ignore:fit_mixture. stopped at max_iter")
    def test_max_iter_is_the_most_passes_over_all_data(self):
        comparisons, _ = self.case()
        for most in (3, module._FEW + 4):
            fit = fit_mixture(comparisons, 2, l2=6.0, n_restarts=1, max_iter=most)
            assert fit.n_iter == most and not fit.converged

    def test_hard_assignment_is_as_good_as_from_the_true_groups(self):
        comparisons, group = self.case()
        best = fit_mixture(comparisons, 2, l2=6.0, assignment="hard", start=true_start(group, 2)).history[-1]
        for seed in range(5):
            fit = fit_mixture(comparisons, 2, l2=6.0, assignment="hard", n_restarts=4, seed=seed)
            assert fit.history[-1] > best - 0.001 * abs(best)


class TestNoBetterThanFewer:
    """A fit that a smaller mixture equals says so, naming both values."""

    said = r"objective .* of {}, -\d+\.\d\d\d, is not above that of {}, -\d+\.\d\d\d: some group has found nothing"

    @pytest.mark.parametrize("assignment", ["soft", "hard"])
    def test_one_group_of_people_is_not_two(self, assignment):
        # Everybody answers alike: a second reward costs more than it explains.
        comparisons = alike((30, [(0, 1), (1, 2), (1, 0)]))
        with pytest.warns(RuntimeWarning, match=self.said.format("2 groups", 1)):
            fit = fit_mixture(comparisons, 2, l2=5.0, assignment=assignment)
        alone = fit_bradley_terry(comparisons, l2=5.0)
        value = annotator_log_likelihood(alone, comparisons).sum() - 2.5 * alone @ alone
        assert value - 0.1 < fit.history[-1] <= value + 1e-6

    def test_a_start_that_stalls(self):
        survey = Comparisons.from_frame(load_survey()[0])
        with pytest.warns(RuntimeWarning, match=self.said.format("3 groups", "[12]")):
            fit_mixture(survey, 3, start=np.full((192, 3), 1 / 3))

    def test_a_third_group_that_copies_another(self):
        survey = Comparisons.from_frame(load_survey()[0])
        two = fit_mixture(survey, 2, tol=1e-12)
        q = two.responsibilities
        with pytest.warns(RuntimeWarning, match=self.said.format("3 groups", 2)):
            fit = fit_mixture(survey, 3, start=np.column_stack([q[:, 0], q[:, 1] / 2, q[:, 1] / 2]))
        np.testing.assert_allclose(fit.log_likelihood, two.log_likelihood, rtol=1e-7)

    def test_groups_that_are_there_say_nothing(self):
        survey = Comparisons.from_frame(load_survey()[0])
        for k in (2, 3, 4):
            fit_mixture(survey, k)  # warnings are errors
