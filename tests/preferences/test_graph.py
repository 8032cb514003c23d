"""Many items without features: the graph of pairs beside dense matrices."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from maxmin_core.preferences import Comparisons, Population, fit_bradley_terry, fit_mixture, simulate_comparisons
from maxmin_core.preferences import _edges as module
from maxmin_core.preferences._counts import Counts
from maxmin_core.preferences._edges import EdgeCounts, counts_of, free_numbers
from maxmin_core.preferences._graph import Edges, one_sided
from maxmin_core.preferences._logistic import fit_logistic, rank

seeds = st.integers(0, 2**32 - 1)


def tournament(n_items, n, seed=0, n_annotators=30, spread=1.0):
    """Comparisons between random items, with a ring so that every item has won and lost."""
    rng = np.random.default_rng(seed)
    reward = spread * rng.normal(size=n_items)
    first = rng.integers(n_items, size=n)
    second = (first + rng.integers(1, n_items, size=n)) % n_items
    won = rng.random(n) < 1 / (1 + np.exp(reward[second] - reward[first]))
    ring = np.arange(n_items)
    winner = np.concatenate([np.where(won, first, second), ring])
    loser = np.concatenate([np.where(won, second, first), (ring + 1) % n_items])
    annotator = rng.integers(n_annotators, size=len(winner))
    annotator[:n_annotators] = np.arange(n_annotators)
    return Comparisons(None, winner, loser, annotator, weight=rng.uniform(0.5, 2, size=len(winner)))


def test_equations_of_a_graph_in_two_parts_by_least_squares():
    """The solution of minimum norm: every part has mean zero."""
    rng = np.random.default_rng(0)
    edges = Edges(7, np.array([0, 1, 0, 3, 4, 5, 3]), np.array([1, 2, 2, 4, 5, 6, 6]))
    weight = rng.uniform(0.5, 2, 7)
    right = edges.gather(rng.normal(size=7))
    found = edges.solve(weight, right)
    np.testing.assert_allclose(found, np.linalg.lstsq(edges.laplacian(weight), right)[0], atol=1e-10)
    assert np.abs([found[:3].mean(), found[3:].mean()]).max() < 1e-12


class TestFit:
    @pytest.mark.parametrize(("n_items", "l2"), [(80, 0.0), (80, 0.5), (400, 0.0), (400, 0.5)])
    def test_the_graph_equals_the_dense_matrix(self, n_items, l2):
        comparisons = tournament(n_items, 5 * n_items)
        difference = np.eye(n_items)[comparisons.winner] - np.eye(n_items)[comparisons.loser]
        dense = fit_logistic(difference, comparisons.weight, l2=l2)
        np.testing.assert_allclose(fit_bradley_terry(comparisons, l2=l2), dense, rtol=0, atol=1e-9)

    def test_a_long_chain_by_hand(self):
        # Item i beats i + 1 with odds of its own; conjugate gradients would need as many steps as there are items.
        n = 3000
        odds = np.random.default_rng(0).uniform(0.5, 2, size=n - 1)
        each = np.arange(n - 1)
        weight = np.concatenate([odds, np.ones(n - 1)])
        winner, loser = np.concatenate([each, each + 1]), np.concatenate([each + 1, each])
        chain = Comparisons(None, winner, loser, np.zeros(2 * n - 2, dtype=int), weight=weight)
        assert sparse.issparse(chain.features)
        reward = fit_bradley_terry(chain)
        np.testing.assert_allclose(reward[:-1] - reward[1:], np.log(odds), atol=1e-9)
        assert abs(reward.sum()) < 1e-8

    def test_a_third_way_by_iterated_ratios(self):
        # Zermelo's iteration, which knows no derivatives.
        comparisons = tournament(100, 3000, spread=0.5)
        n, weight = 100, comparisons.weight
        strength = np.ones(n)
        wins = np.bincount(comparisons.winner, weight, n)
        for _ in range(2000):
            each = weight / (strength[comparisons.winner] + strength[comparisons.loser])
            strength = wins / (np.bincount(comparisons.winner, each, n) + np.bincount(comparisons.loser, each, n))
        reward = np.log(strength) - np.log(strength).mean()
        np.testing.assert_allclose(fit_bradley_terry(comparisons), reward, atol=1e-9)

    def test_memory_of_many_items(self):
        # A matrix of comparisons by items would take 10 GB, one of items by items 0.5 GB.
        comparisons = tournament(8000, 150_000, n_annotators=500)
        tracemalloc.start()
        fit_bradley_terry(comparisons, l2=0.1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2e8


class TestSeparable:
    @given(seeds, st.integers(3, 7), st.integers(3, 20))
    def test_against_the_linear_programme(self, seed, n_items, n):
        rng = np.random.default_rng(seed)
        winner = rng.integers(n_items, size=n)
        loser = (winner + rng.integers(1, n_items, size=n)) % n_items
        difference = np.eye(n_items)[winner] - np.eye(n_items)[loser]
        try:
            fit_logistic(difference, np.ones(n))
            separable = False
        except ValueError:
            separable = True
        assert (one_sided(n_items, winner, loser) is not None) == separable

    def names(self, winner, loser, items):
        return Comparisons(None, winner, loser, [0] * len(winner), items=items)

    def test_one_unbeaten_item_among_contradictory_votes_is_named(self):
        comparisons = self.names([0, 0, 1, 2], [1, 2, 2, 1], ("tea", "milk", "beer"))
        with pytest.raises(ValueError, match="separable, item 'tea' was always chosen, in 2 comparisons: .* l2 > 0"):
            fit_bradley_terry(comparisons)

    def test_one_item_that_always_loses_is_named(self):
        comparisons = self.names([1, 2, 1, 2], [0, 0, 2, 1], ("tea", "milk", "beer"))
        with pytest.raises(ValueError, match="separable, item 'tea' was never chosen, in 2 comparisons"):
            fit_bradley_terry(comparisons)

    def test_a_set_of_items_is_named(self):
        comparisons = self.names([0, 1, 2, 3, 0], [1, 0, 3, 2, 2], "abcd")
        with pytest.raises(
            ValueError, match="separable, items '[ac]', '[bd]' were (always|never) chosen over the other"
        ):
            fit_bradley_terry(comparisons)

    def test_many_are_counted(self):
        comparisons = self.names([0, 0, 1], [1, 2, 2], "abc")
        with pytest.raises(ValueError, match=r"item 'a' was always .* \(others that were always or never chosen: 1\)"):
            fit_bradley_terry(comparisons)

    def test_what_has_no_weight_does_not_count(self):
        comparisons = self.names([0, 0, 1, 2, 1], [1, 2, 2, 1, 0], "abc")
        fit_bradley_terry(comparisons)
        with pytest.raises(ValueError, match="item 'a' was always chosen"):
            fit_bradley_terry(comparisons, sample_weight=[1, 1, 1, 1, 0])

    def test_features_are_spoken_of_as_directions(self):
        comparisons = Comparisons([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]], [0, 1, 2, 0], [1, 2, 1, 1], [0] * 4)
        with pytest.raises(ValueError, match="separable, some direction of the reward contradicts no choice"):
            fit_bradley_terry(comparisons)

    def test_an_unconnected_item_is_named(self):
        comparisons = Comparisons(np.eye(3), [0, 1], [1, 0], [0, 0], items=("a", "b", "c"))
        with pytest.warns(UserWarning, match=r"do not connect all items \(2 parts, the smallest is 'c'\)"):
            fit_bradley_terry(comparisons)


class TestCounts:
    """Every quantity that EM asks for, beside that of dense matrices: the same up to coordinates."""

    def both(self, monkeypatch, n_items, small=True, l2=0.3):
        comparisons = tournament(n_items, 20 * n_items)
        if not small:
            monkeypatch.setattr(Edges, "small", False)
        ours, dense = counts_of(comparisons, l2), Counts.of(comparisons, l2)
        assert isinstance(ours, EdgeCounts)
        return ours, dense

    @pytest.mark.parametrize("small", [True, False])
    @pytest.mark.parametrize("n_items", [70, 90])  # a row is a pair, and a row is a comparison
    def test_likelihood_derivatives_and_steps(self, monkeypatch, small, n_items):
        monkeypatch.setattr(module, "_TOLERANCE", 1e-12)
        ours, dense = self.both(monkeypatch, n_items, small)
        rng = np.random.default_rng(1)
        at = rng.normal(size=(2, 3, dense.n_parameters))
        phi = dense.parameters(at)
        q = rng.dirichlet(np.ones(3), size=(30, 2))
        (value, down), (dense_value, dense_down) = ours.log_likelihood(phi), dense.log_likelihood(at)
        np.testing.assert_allclose(value, dense_value, rtol=1e-10)
        np.testing.assert_allclose(down, dense_down, rtol=1e-9)
        np.testing.assert_allclose(ours.ridge(phi), dense.ridge(at), rtol=1e-9)
        (gradient, hessian), (g, h) = (ours.derivatives(phi, down, q), dense.derivatives(at, dense_down, q))
        np.testing.assert_allclose(ours.step(hessian, gradient), dense.parameters(dense.step(h, g)), atol=1e-8)
        found = ours.damped_step(phi, hessian, gradient)
        np.testing.assert_allclose(found, dense.parameters(dense.damped_step(at, h, g)), atol=1e-8)
        np.testing.assert_allclose(ours.total, dense.total)

    def test_where_starts_are_sought(self, monkeypatch):
        ours, dense = self.both(monkeypatch, 70)

        def distances(at):
            return ((at[:, None] - at) ** 2).sum(axis=2)

        np.testing.assert_allclose(distances(ours.positions), distances(dense.positions), rtol=1e-8, atol=1e-10)
        at = np.random.default_rng(1).normal(size=(1, 2, dense.n_parameters))
        phi, q = dense.parameters(at), np.full((30, 2), 0.5)
        found = []
        for counts, one in ((ours, phi), (dense, at)):
            _, down = counts.log_likelihood(one)
            _, information = counts.derivatives(one, down, q[:, None])
            found.append(counts.parameters(counts.halves(down, q, information[0])))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other * np.sign(one @ other), atol=1e-7)

    def test_random_directions_and_the_power_method(self, monkeypatch):
        ours, _ = self.both(monkeypatch, 90, small=False)
        each = np.full(len(ours.edges), 1 / len(ours.edges))
        whole = ours.scores.toarray() / np.sqrt(ours.edges.degree(each)) / ours.total[:, None]
        apart, exact = (((at[:, None] - at) ** 2).sum(axis=2)[np.triu_indices(30, 1)] for at in (ours.positions, whole))
        # The variance of a mean of 48 squares of normal numbers, beside their own mean.
        assert np.abs(np.std(apart / exact) - np.sqrt(2 / 48)) < 0.05 and np.abs(np.mean(apart / exact) - 1) < 0.1
        phi, q = np.zeros((1, 1, 90)), np.ones((30, 1))
        _, down = ours.log_likelihood(phi)
        _, information = ours.derivatives(phi, down, q[:, None])
        (along,) = ours.halves(down, q, information[0])
        scores, metric = (
            ours.scores_at(down[:, 0]).toarray(),
            ours.edges.degree(information[0, 0] + 1 / len(ours.edges)),
        )
        whitened = scores / np.sqrt(metric + ours.l2)
        ratio = np.linalg.norm(whitened @ (along * np.sqrt(metric + ours.l2)))
        ratio /= np.linalg.norm(along * np.sqrt(metric + ours.l2))
        np.testing.assert_allclose(ratio, np.linalg.norm(whitened, 2), rtol=0.02)

    def test_free_numbers_are_the_rank(self):
        comparisons = Comparisons(np.eye(6), [0, 1, 3], [1, 2, 4], [0, 0, 0])
        assert free_numbers(comparisons) == rank(comparisons.difference) == 3


class TestMixture:
    def data(self, n_items=100, n_annotators=60):
        rng = np.random.default_rng(3)
        population = Population([0.6, 0.4], 1.5 * rng.normal(size=(2, n_items)))
        return simulate_comparisons(population, np.eye(n_items), n_annotators, 60, rng)

    @pytest.mark.parametrize("l2", [0.0, 0.5])
    @pytest.mark.parametrize("assignment", ["soft", "hard"])
    @pytest.mark.filterwarnings("ignore:fit_mixture")
    def test_from_one_start_the_same_as_dense(self, monkeypatch, l2, assignment):
        comparisons, group = self.data()
        options = {"start": np.eye(2)[group], "l2": l2 + 0.1, "tol": 1e-14, "assignment": assignment}
        ours = fit_mixture(comparisons, 2, **options)
        monkeypatch.setattr(module, "_FEW_ITEMS", 1000)
        dense = fit_mixture(comparisons, 2, **options)
        np.testing.assert_allclose(ours.parameters, dense.parameters, atol=1e-9)
        np.testing.assert_allclose(ours.weights, dense.weights, atol=1e-9)
        np.testing.assert_allclose(ours.log_likelihood, dense.log_likelihood, rtol=1e-12)
        np.testing.assert_allclose(ours.bic(comparisons), dense.bic(comparisons), rtol=1e-12)

    def test_restarts_reach_what_dense_ones_reach(self, monkeypatch):
        comparisons, _ = self.data()
        ours = fit_mixture(comparisons, 2, l2=0.5)
        monkeypatch.setattr(module, "_FEW_ITEMS", 1000)
        np.testing.assert_allclose(ours.history[-1], fit_mixture(comparisons, 2, l2=0.5).history[-1], rtol=1e-7)

    def test_more_items_than_dense_matrices_have_room_for(self):
        comparisons, group = self.data(n_items=1500, n_annotators=300)
        assert sparse.issparse(comparisons.features) or comparisons.one_hot
        fit = fit_mixture(comparisons, 2, l2=1.0)
        known = fit_mixture(comparisons, 2, l2=1.0, start=np.eye(2)[group])
        assert fit.converged and fit.history[-1] > known.history[-1] - 1e-4 * abs(known.history[-1])
        assert (fit.responsibilities.argmax(axis=1) == group).mean() > 0.9 or fit.weights[1] > 0.3
