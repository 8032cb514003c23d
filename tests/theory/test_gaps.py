from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import root
from scipy.special import expit

from maxmin_core.alignment import best_values, gibbs_policy, group_values
from maxmin_core.preferences import Population, population_mle
from maxmin_core.theory import (
    GAP,
    Alignments,
    alignment_gap,
    alignment_gaps,
    alignment_sampler,
    gap_bounds,
    impossibility_bound,
    observable_bound,
    pairwise_bound,
    pooled_alignments,
    population_sampler,
    reward_mismatch,
    textbook_gap_bound,
)
from maxmin_core.theory._gap_bounds import _integral, _integral_mirrored

seeds = st.integers(0, 2**32 - 1)
worlds = alignment_sampler(2, 4, 2)


def one_by_one(alignments):
    """Yield (phi, phi_u, features, log_reference, beta, prompt_weights) of every instance, for the public functions."""
    for b in range(len(alignments.phi)):
        phi = alignments.phi[b]
        yield (
            phi,
            phi + alignments.delta[b],
            alignments.features[b],
            alignments.log_reference[b],
            float(alignments.beta[b]),
            alignments.prompt_weights[b],
        )


def square(alignments, b):
    """Return the pair weights of one instance as (X, Y, Y)."""
    n_responses = alignments.features.shape[2]
    rho = np.zeros((alignments.features.shape[1], n_responses, n_responses))
    rho[:, *np.triu_indices(n_responses, 1)] = alignments.pair_weights[b]
    return rho


class TestGap:
    def test_disagreement_spills_over_shared_features(self):
        # Both groups agree on all that the reference gives; the single reward by a general root finder.
        groups, shares = np.array([[1.0, 3.0], [1.0, -3.0]]), np.array([0.3, 0.7])
        for pairs, cost in [([[1, 0], [0, 1], [1, 1]], 0.00701439), ([[1, 0], [0, 1]], 0.0)]:
            z = np.array(pairs, dtype=float)
            p_bar = shares @ expit(groups @ z.T)
            found = root(lambda phi, z=z, p_bar=p_bar: (expit(z @ phi) - p_bar) @ z, [0.0, 0.0], tol=1e-13).x
            np.testing.assert_allclose(found, population_mle(Population(shares, groups), z, None), atol=1e-9)
            p, q = expit(found[0]), expit(1.0)
            by_hand = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
            given, even = np.array([[[1.0, 0.0], [0.0, 0.0]]]), np.log([[0.5, 0.5]])
            for phi_u in groups:
                policy = gibbs_policy(given @ found, even, 1.0)
                np.testing.assert_allclose(alignment_gap(policy, given @ phi_u, even, 1.0), by_hand, atol=1e-12)
                # Where c is zero the first form of the theorem still proves a part.
                floor = 8 * min(p * (1 - p), q * (1 - q)) * (p - q) ** 2
                np.testing.assert_allclose(pairwise_bound(found, phi_u, given, even, 1.0), floor, atol=1e-12)
                assert floor < by_hand if cost else floor < 1e-20
            np.testing.assert_allclose(by_hand, cost, atol=1e-8)
            np.testing.assert_allclose(floor, 0.00451 if cost else 0.0, atol=5e-6)

    def test_it_is_the_height_over_a_tangent(self):
        # A(t) by a sum of exponentials, its slope at 0 by finite differences.
        pool, own = np.array([1.0, 0.0, -1.0]), np.array([-1.5, 0.0, 1.5])

        def best(t):
            return np.log(np.exp(pool + t * (own - pool)).mean())

        slope = (best(1e-5) - best(-1e-5)) / 2e-5
        even = np.full((1, 3), -np.log(3))
        gap = alignment_gap(gibbs_policy(pool[None], even, 1.0), own[None], even, 1.0)
        np.testing.assert_allclose(gap, best(1) - best(0) - slope, rtol=1e-8)

    @given(seeds)
    def test_identity_and_bounds_by_the_public_functions(self, seed):
        alignments = worlds.draw(2, seed)
        every = alignment_gaps(alignments)
        for b, (phi, phi_u, features, log_reference, beta, prompts) in enumerate(one_by_one(alignments)):
            policy = gibbs_policy(features @ phi, log_reference, beta)
            rewards = (features @ phi_u)[None]
            gap = alignment_gap(policy, rewards[0], log_reference, beta, prompt_weights=prompts)
            best = best_values(rewards, log_reference, beta, prompt_weights=prompts)
            by_values = best - group_values(policy, rewards, log_reference, beta, prompt_weights=prompts)
            scale = np.abs(rewards).max() + beta
            np.testing.assert_allclose(gap, by_values[0], rtol=1e-9, atol=1e-13 * scale)
            np.testing.assert_allclose(gap, every[b], rtol=1e-9, atol=1e-13 * scale)
            lower, upper = gap_bounds(phi, phi_u, features, log_reference, beta, prompt_weights=prompts)
            assert lower <= every[b] * (1 + 1e-9) and every[b] <= upper * (1 + 1e-9)
            rho = square(alignments, b)
            arguments = features, rho, log_reference, beta
            pairwise = pairwise_bound(phi, phi_u, features, log_reference, beta, prompt_weights=prompts)
            observable = observable_bound(phi, phi_u, *arguments, prompt_weights=prompts)
            assert observable <= pairwise * (1 + 1e-12) <= every[b] * (1 + 1e-9)
            # The order in which a pair is shown is immaterial.
            turned = features, rho.swapaxes(1, 2), log_reference, beta
            assert observable == observable_bound(phi, phi_u, *turned, prompt_weights=prompts)
            population = Population([0.3, 0.7], np.clip([phi_u, phi], -3, 3))
            first, second = np.triu_indices(4, 1)
            pairs = (features[:, first] - features[:, second]).reshape(-1, 2)
            single = population_mle(population, pairs, alignments.pair_weights[b].ravel())
            cost = alignment_gap(
                gibbs_policy(features @ single, log_reference, beta),
                features @ population.parameters[0],
                log_reference,
                beta,
                prompt_weights=prompts,
            )
            floor = impossibility_bound(population, 0, *arguments, prompt_weights=prompts)
            assert floor <= cost * (1 + 1e-7) + 1e-15

    def test_small_gaps_keep_their_digits(self):
        # Two responses, uniform reference, phi = 0: KL = -log(1 - q^2) / 2 with q = tanh(delta / (2 beta)).
        delta = np.logspace(-12, 1, 14)
        zero, one = np.zeros((14, 1)), np.ones(14)
        features = np.tile([[[[1.0], [0.0]]]], (14, 1, 1, 1))
        half = np.full((14, 1, 2), -np.log(2))
        found = alignment_gaps(Alignments(zero, delta[:, None], features, half, one, np.ones((14, 1))))
        np.testing.assert_allclose(found, -0.5 * np.log1p(-(np.tanh(delta / 2) ** 2)), rtol=1e-10)

    def test_any_gauge(self):
        rng = np.random.default_rng(0)
        phi, phi_u, features, log_reference, beta, _ = next(one_by_one(worlds.draw(1, rng)))
        shifted = features + rng.normal(size=(2, 1, 2))
        for bound in (gap_bounds, textbook_gap_bound, pairwise_bound):
            np.testing.assert_allclose(
                bound(phi, phi_u, shifted, log_reference, beta), bound(phi, phi_u, features, log_reference, beta)
            )

    def test_no_difference_no_gap(self):
        phi, _, features, log_reference, beta, _ = next(one_by_one(worlds.draw(1, 0)))
        assert gap_bounds(phi, phi, features, log_reference, beta) == (0.0, 0.0)
        rho = np.full((2, 4, 4), 1 / 24) * (1 - np.eye(4))
        assert observable_bound(phi, phi, features, rho, log_reference, beta) == 0

    def test_the_textbook_bound_is_vacuous_on_one_hot_features(self):
        one_hot, uniform = np.eye(3)[None], np.full((1, 3), -np.log(3))
        phi, phi_u = np.zeros(3), np.array([1.0, 0.0, -1.0])
        assert textbook_gap_bound(phi, phi_u, one_hot, uniform, 1.0) < 1e-15
        assert gap_bounds(phi, phi_u, one_hot, uniform, 1.0)[0] > 0.18

    def test_the_textbook_bound_by_hand(self):
        # Two responses, one feature: the covariance is pi (1 - pi), least at the far end.
        features, half = np.array([[[1.0], [0.0]]]), np.log([[0.5, 0.5]])
        q = 1 / (1 + np.exp(-2.0))
        np.testing.assert_allclose(textbook_gap_bound([0.0], [2.0], features, half, 1.0), q * (1 - q) / 2 * 4)

    @pytest.mark.parametrize("n_steps", [2, np.int64(3)])
    def test_the_textbook_bound_on_its_coarsest_grids_by_hand(self, n_steps):
        # From phi = -1 to phi_u = 3 the covariance q (1 - q) is least at the far end, which every grid has.
        features, half = np.array([[[1.0], [0.0]]]), np.log([[0.5, 0.5]])
        q = 1 / (1 + np.exp(-3.0))
        found = textbook_gap_bound([-1.0], [3.0], features, half, 1.0, n_steps=n_steps)
        np.testing.assert_allclose(found, q * (1 - q) / 2 * 16)

    @pytest.mark.parametrize("unit", [1e-9, 1e9])
    def test_bounds_follow_the_unit_of_rewards(self, unit):
        # Rewards and beta in another unit: policies stay, gap and bounds without preferences are in that unit.
        for phi, phi_u, features, log_reference, beta, _ in one_by_one(worlds.draw(20, 1)):
            plain, scaled = (features, log_reference, beta), (features, log_reference, beta * unit)
            for bound in (gap_bounds, textbook_gap_bound):
                expected = unit * np.array(bound(phi, phi_u, *plain))
                np.testing.assert_allclose(
                    bound(phi * unit, phi_u * unit, *scaled), expected, rtol=1e-7, atol=1e-15 * unit
                )
            policy, reward = gibbs_policy(features @ phi, log_reference, beta), features @ phi_u
            gap = alignment_gap(policy, reward, log_reference, beta)
            np.testing.assert_allclose(alignment_gap(policy, reward * unit, log_reference, beta * unit), unit * gap)

    def test_the_observable_bound_by_hand(self):
        # c = min(1/4, q (1 - q)) / 1, and the preferences are the policies: 8 c (1/2 - q)^2.
        features, half = np.array([[[1.0], [0.0]]]), np.log([[0.5, 0.5]])
        q = 1 / (1 + np.exp(-2.0))
        rho = np.array([[[0.0, 0.4], [0.6, 0.0]]])
        bound = observable_bound([0.0], [2.0], features, rho, half, 1.0)
        np.testing.assert_allclose(bound, 8 * q * (1 - q) * (0.5 - q) ** 2)
        np.testing.assert_allclose(pairwise_bound([0.0], [2.0], features, half, 1.0), bound)

    def test_a_response_outside_the_support(self):
        features, masked = np.array([[[1.0], [0.0], [5.0]]]), np.log([[0.5, 0.5, 1e-300]])
        masked[0, 2] = -np.inf
        two = gap_bounds([0.0], [2.0], features[:, :2], np.log([[0.5, 0.5]]), 1.0)
        np.testing.assert_allclose(gap_bounds([0.0], [2.0], features, masked, 1.0), two)
        rho = np.array([[[0.0, 0.5, 0.5], [0, 0, 0], [0, 0, 0]]])
        assert observable_bound([0.0], [2.0], features, rho, masked, 1.0) == 0

    def test_the_gap_is_not_monotone_in_the_share(self):
        # theory.md, section 3: a larger share of its own, a larger gap.
        psi = np.array([[-1.0, 2.0], [2.0, -1.0], [-1.0, -2.0]])
        difference, rho = psi[[0, 0, 1]] - psi[[1, 2, 2]], np.array([4.0, 5.0, 5.0]) / 14
        log_reference, found, misses = np.full((1, 3), -np.log(3)), [], []
        for share in (0.05, 0.3):
            phi = population_mle(Population([share, 1 - share], [[1.0, -3.0], [3.0, 1.0]]), difference, rho)
            policy = gibbs_policy((psi @ phi)[None], log_reference, 1.0)
            found.append(alignment_gap(policy, (psi @ [1.0, -3.0])[None], log_reference, 1.0))
            misses.append(reward_mismatch(phi, [1.0, -3.0]))
        np.testing.assert_allclose(found, [0.897, 1.305], atol=5e-4)
        np.testing.assert_allclose(misses, [3.66, 3.11], atol=5e-3)

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"beta": 0.0}, "beta"),
            ({"phi_u": [1.0]}, "phi_u"),
            ({"prompt_features": np.ones((1, 2))}, "prompt_features"),
            ({"log_reference": np.log([[0.5, 0.6]])}, "log_reference"),
            ({"prompt_weights": [0.5]}, "prompt_weights"),
        ],
    )
    def test_bad_arguments_are_named(self, change, name):
        arguments = {
            "phi": [1.0, 0.0],
            "phi_u": [0.0, 1.0],
            "prompt_features": np.ones((1, 2, 2)),
            "log_reference": np.log([[0.5, 0.5]]),
            "beta": 1.0,
        }
        for bound in (gap_bounds, textbook_gap_bound, pairwise_bound):
            with pytest.raises(ValueError, match=f"^{name}: expected"):
                bound(**(arguments | change))

    @pytest.mark.parametrize(
        "rho",
        [
            None,
            np.eye(2)[None] / 2,
            [[[0.1, 0.4], [0.4, 0.1]]],
            [[[0, 0.9], [0, 0]]],
            [[[0, 2.0], [-1.0, 0]]],
            [[0, 1.0]],
        ],
    )
    def test_bad_pair_weights_are_named(self, rho):
        with pytest.raises(ValueError, match="^pair_weights: expected"):
            observable_bound([1.0], [0.0], np.ones((1, 2, 1)), rho, np.log([[0.5, 0.5]]), 1.0)

    def test_the_bound_of_every_group_is_its_own(self):
        # Three unlike groups: the bound of group u is that of group 0 after moving u to the front by hand.
        rng = np.random.default_rng(1)
        shares, parameters = np.array([0.2, 0.5, 0.3]), rng.normal(size=(3, 2))
        rho = np.full((1, 3, 3), 1 / 6) * (1 - np.eye(3))
        world = rng.normal(size=(1, 3, 2)), rho, np.full((1, 3), -np.log(3)), 1.0
        of = [impossibility_bound(Population(shares, parameters), u, *world) for u in range(3)]
        for u, order in enumerate([[0, 1, 2], [1, 0, 2], [2, 0, 1]]):
            moved = Population(shares[order], parameters[order])
            np.testing.assert_allclose(of[u], impossibility_bound(moved, 0, *world))
        assert len(set(np.round(of, 6))) == 3

    def test_responses_that_are_never_drawn_do_not_blur_the_gap(self):
        # The third response is masked, and its reward far away: gap and bounds are those of the other two.
        for e in (1e-6, 1e-8):
            features, masked = np.array([[[[1.0], [0.0], [1000 / e]]]]), np.log([[[0.5, 0.5, 1.0]]])
            masked[..., 2] = -np.inf
            one = Alignments(np.zeros((1, 1)), np.full((1, 1), e), features, masked, np.ones(1), np.ones((1, 1)))
            np.testing.assert_allclose(alignment_gaps(one), e**2 / 8, rtol=1e-6)

    @pytest.mark.parametrize("n_steps", [0, 1, 2.5, True])
    def test_a_grid_has_two_ends(self, n_steps):
        with pytest.raises(ValueError, match="^n_steps: expected an integer of at least 2"):
            textbook_gap_bound([0.0], [2.0], np.array([[[1.0], [0.0]]]), np.log([[0.5, 0.5]]), 1.0, n_steps=n_steps)

    def test_overflow_is_named(self):
        features, half = np.array([[[1.0], [0.0]]]), np.log([[0.5, 0.5]])
        for phi, phi_u, name in [([1e160], [0.0], "phi"), ([0.0], [1e160], "phi_u"), ([1e308], [-1e308], "phi")]:
            with pytest.raises(ValueError, match=f"^{name}: expected rewards over beta below 1e150"):
                gap_bounds(phi, phi_u, features, half, 1.0)

    def test_features_that_do_not_reach_are_named(self):
        with pytest.raises(ValueError, match="^prompt_features: expected at least one feature"):
            gap_bounds([], [], np.ones((1, 2, 0)), np.log([[0.5, 0.5]]), 1.0)

    def test_a_single_reward_beyond_double_precision_is_named(self):
        # Two pairs on which the groups are certain, in opposite ways: phi* of the second is lost.
        population = Population([0.5, 0.5], [[1e4], [2e4]])
        features, pairs = np.array([[[0.0], [1.0], [3.0]]]), np.full((1, 3, 3), 1 / 6) * (1 - np.eye(3))
        with pytest.raises(ValueError, match="^population: expected groups whose single reward double precision"):
            impossibility_bound(population, 0, features, pairs, np.full((1, 3), -np.log(3)), 1.0)

    @pytest.mark.parametrize(
        ("name", "shape", "expected"),
        [
            ("features", (2, 2, 4), r"\(B, X, Y, d\)"),
            ("phi", (2, 3), r"\(2, 2\)"),
            ("delta", (1, 2), r"\(2, 2\)"),
            ("log_reference", (2, 2, 3), r"\(2, 2, 4\)"),
            ("beta", (), r"\(2\)"),
            ("prompt_weights", (2, 3), r"\(2, 2\)"),
            ("pair_weights", (2, 2, 4), r"\(2, 2, 6\)"),
        ],
    )
    def test_instances_that_do_not_fit_together_are_named(self, name, shape, expected):
        with pytest.raises(ValueError, match=f"^{name}: expected shape {expected}, got"):
            replace(worlds.draw(2, 0), **{name: np.ones(shape)})

    def test_worlds_without_compared_pairs_are_named(self):
        world = replace(worlds.draw(2, 0), pair_weights=None)
        for name in ("observable", "impossibility"):
            with pytest.raises(ValueError, match="^pair_weights: expected a distribution over the compared pairs"):
                GAP[name].bound(world if name == "observable" else (None, world))
        with pytest.raises(ValueError, match="^pair_weights: expected a distribution over the compared pairs"):
            pooled_alignments(np.array([[0.5, 0.5]] * 2), np.ones((2, 2, 2)), world)

    def test_a_bad_group_is_named(self):
        population = Population([0.5, 0.5], [[1.0], [2.0]])
        with pytest.raises(ValueError, match=r"^u: expected a group in 0\.\.1, got 2"):
            impossibility_bound(population, 2, np.ones((1, 2, 1)), [[[0, 1.0], [0, 0]]], np.log([[0.5, 0.5]]), 1.0)


def test_the_sampler_is_wide():
    instances = population_sampler(6, 3, 2).draw(20_000, 0)
    positive = np.where(instances.weights > 0, instances.weights, np.nan)
    assert set((instances.weights > 0).sum(axis=1)) == {2, 3, 4, 5, 6}
    assert np.nanmax(np.nanmax(positive, 1) / np.nanmin(positive, 1)) > 900
    sizes = np.abs(instances.parameters).max(axis=(1, 2))
    assert sizes.max() / sizes.min() > 1e3

    alignments = alignment_sampler(2, 3, 2).draw(20_000, 0)
    for size, ratio in [(np.abs(alignments.delta).max(axis=1), 1e3), (alignments.beta, 50)]:
        assert size.max() / size.min() > ratio
    for uneven in (np.exp(alignments.log_reference), alignments.prompt_weights, alignments.pair_weights[:, 0]):
        assert np.median(uneven.max(axis=-1) / uneven.min(axis=-1)) > 1.5


@pytest.mark.parametrize("c", [-2.0, -0.0101, -0.0099, 0.0, 0.0099, 0.0101, 1.5])
def test_integrals_along_the_path_by_quadrature(c):
    nodes, weights = np.polynomial.legendre.leggauss(20)
    t = (nodes + 1) / 2
    for found, at in ((_integral, 1 - t), (_integral_mirrored, t)):
        assert found(np.array([c]))[0] == pytest.approx(weights @ (at * np.exp(c * t)) / 2, rel=5e-12)


def test_features_of_too_few_axes_are_named():
    one = np.ones(1)
    with pytest.raises(ValueError, match="^features: "):
        Alignments(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 2)), np.zeros((1, 1, 2)), one, np.ones((1, 1)))
