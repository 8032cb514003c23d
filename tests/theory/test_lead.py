"""Leads, what they guarantee, and the forms that a digest gives of the paper's lemma and theorem."""

from fractions import Fraction as F

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxmin_core.preferences import Population, population_mle
from maxmin_core.theory import (
    STATEMENTS,
    Exact,
    Instances,
    alignment_gap,
    as_ball,
    enclose_mle,
    leads,
    mismatch_bound,
    mismatch_reason,
    pooled_sampler,
    population_sampler,
    reward_mismatch,
    second_hand_gap_bound,
)

seeds = st.integers(0, 2**32 - 1)
PAIRS, RHO = ((F(1, 8), 0), (1, 1), (0, 1)), (F(774, 1000), F(172, 1000), F(54, 1000))
TRIO = (F(1, 5), F(1, 5), F(3, 5)), ((3, 0), (8, -8), (8, 8))


def one_instance(weights, parameters, difference, rho):
    return Instances(*(np.array(part, dtype=float)[None] for part in (weights, parameters, difference, rho)))


def diversities(instances, b):
    """Return Diversity(k, j) of one instance, by the definition, pair by pair."""
    p = 1 / (1 + np.exp(-instances.logits[b]))
    rho = instances.pair_weights[b]
    return np.array([[sum(r * abs(x - y) for r, x, y in zip(rho, one, two, strict=True)) for two in p] for one in p])


def sigma(margin):
    return 1 / (1 + (-as_ball(margin)).exp())


class TestLead:
    @given(seeds, st.integers(2, 5), st.integers(1, 4))
    def test_it_is_the_definition(self, seed, n_groups, n_pairs):
        instances = population_sampler(n_groups, n_pairs, 2).draw(5, seed)
        for b, found in enumerate(leads(instances)):
            apart, present = diversities(instances, b), np.flatnonzero(instances.weights[b] > 0)
            others = [k for k in present if k > 0]
            ahead = [apart[0, j] - max(apart[k, j] for k in others) for j in others]
            np.testing.assert_allclose(found, max(0.0, *ahead), atol=1e-12)

    @given(seeds)
    def test_of_the_most_distant_group_it_is_at_least_what_the_digest_defines(self, seed):
        instances = population_sampler(4, 3, 2).draw(5, seed)
        for b in range(5):
            present = instances.weights[b] > 0
            one = Instances(
                *(part[b : b + 1] for part in (instances.weights[:, present], instances.parameters[:, present])),
                *(part[b : b + 1] for part in (instances.difference, instances.pair_weights)),
            )
            apart = diversities(one, 0)
            u, far = np.unravel_index(apart.argmax(), apart.shape)
            of_digest = apart[u, far] - max(apart[k, far] for k in range(len(apart)) if k != u)
            order = [u, *(k for k in range(len(apart)) if k != u)]
            first = Instances(one.weights[:, order], one.parameters[:, order], one.difference, one.pair_weights)
            assert leads(first)[0] >= of_digest - 1e-12
            if len(apart) == 2:
                np.testing.assert_allclose(leads(first)[0], of_digest)

    @given(seeds)
    def test_a_lead_keeps_the_pool_away(self, seed):
        # The first half of the lemma: no realizability is needed for it.
        instances = population_sampler(5, 3, 2).draw(20, seed)
        pulled = np.einsum("bu,bun->bn", instances.weights, instances.apart)
        away = (instances.pair_weights * np.abs(pulled)).sum(axis=1)
        floor = (1 - instances.weights[:, 0]) * leads(instances)
        assert (away >= floor - 1e-12).all()

    def test_by_hand(self):
        # Groups in a line, preferences .0474, .5, .9526 on one pair.
        line = one_instance([0.2, 0.4, 0.4], [[3.0], [0.0], [-3.0]], [[1.0]], [1.0])
        np.testing.assert_allclose(leads(line), 0.4525741268, rtol=1e-9)
        population = Population([0.2, 0.4, 0.4], [[3.0], [0.0], [-3.0]])
        expected = 4 * 0.8 * 0.4525741268
        np.testing.assert_allclose(mismatch_bound(population, 0, [[1.0]], None, kind="lead"), expected, rtol=1e-9)
        for population in ([[0.0], [3.0], [-3.0]], [[3.0], [3.0], [0.0]]):
            population = Population([0.2, 0.4, 0.4], population)
            assert mismatch_bound(population, 0, [[1.0]], None, kind="lead") == 0
            assert "no lead" in mismatch_reason(population, 0, [[1.0]], None, kind="lead").text

    def test_the_lipschitz_constant_is_half_the_norm_and_is_attained(self):
        # Features D and -D: total variation over distance tends to D / 2 from below.
        for norm in (0.25, 3.0):
            steps = np.array([1e-1, 1e-2, 1e-3, 1e-4])
            ratio = (1 / (1 + np.exp(-2 * norm * steps)) - 0.5) / steps
            assert (np.diff(ratio) > 0).all() and (ratio < norm / 2).all()
            np.testing.assert_allclose(ratio[-1], norm / 2, rtol=1e-6)

    @given(seeds, st.integers(1, 3))
    def test_no_two_rewards_are_steeper(self, seed, n_features):
        draw = np.random.default_rng(seed)
        features = draw.normal(size=(6, n_features))
        one, other = 10 ** draw.uniform(-1, 1, (2, 1)) * draw.normal(size=(2, n_features))
        z = (features[:, None] - features).reshape(-1, n_features)
        apart = np.abs(1 / (1 + np.exp(-z @ one)) - 1 / (1 + np.exp(-z @ other))).mean()
        reach = np.linalg.norm(features, axis=1).max()
        assert apart <= reach / 2 * np.linalg.norm(one - other)


class TestTwoGroups:
    def test_by_hand(self):
        # One pair, phi = (0, 2), half and half: Diversity = sigma(2) - 1/2.
        diversity = 1 / (1 + np.exp(-2.0)) - 0.5
        expected = np.log(1 + 2 * diversity / (1 + 4 * diversity)) / 3
        population = Population([0.5, 0.5], [[0.0], [2 / 3]])
        found = mismatch_bound(population, 0, [[3.0]], None, kind="two_groups_diversity")
        np.testing.assert_allclose(found, expected)

    def test_it_is_at_least_an_eighth_of_the_simple_form(self):
        # What the second inequality of the theorem says, on a grid of shares and diversities.
        others, diversity = np.meshgrid(np.linspace(1e-6, 1, 300), np.linspace(1e-6, 1, 300))
        first = np.log1p(4 * others * diversity / (1 + 4 * diversity))
        assert (first >= others * diversity / 2).all()
        assert (first <= 4 * others * diversity).all()

    def test_where_the_simple_form_fails(self):
        population, pairs, rho = Population([0.9, 0.1], [[3.0], [10003.0]]), [[0.001], [1.0]], [0.9, 0.1]
        truth = reward_mismatch(population_mle(population, pairs, rho), [3.0])
        old, new = (mismatch_bound(population, 0, pairs, rho, kind=k) for k in ("two_groups", "two_groups_diversity"))
        assert old < new < truth
        # The third bound is in the H-norm.
        in_h = mismatch_bound(population, 0, pairs, rho, kind="two_groups_H")
        assert in_h < truth * np.sqrt(0.9 * 0.001**2 + 0.1)
        # In balls: both sides enclosed.
        (single,) = enclose_mle((F(9, 10), F(1, 10)), ((3,), (10003,)), ((F(1, 1000),), (1,)), (F(9, 10), F(1, 10)))
        first, second = (sigma(10003 * z) - sigma(3 * z) for z in (F(1, 1000), F(1)))
        simple = as_ball(F(4, 10)) * (as_ball(F(9, 10)) * first + as_ball(F(1, 10)) * second)
        assert single - 3 < simple - as_ball(F(1, 20))
        np.testing.assert_allclose(float(single - 3), truth, rtol=1e-9)
        # The second pair, on which the groups differ by a twentieth, is nine tenths of the pull.
        np.testing.assert_allclose(float(second), 0.0474, atol=1e-4)
        pulls = np.array([0.9 * 0.001 * float(first), 0.1 * float(second)])
        np.testing.assert_allclose(pulls[1] / pulls.sum(), 0.913, atol=1e-3)


class TestSecondHandLemma:
    def test_three_groups_refute_it_without_realizability(self):
        # All in balls: the lead from the definition, the single reward enclosed.
        weights, parameters = TRIO
        single = enclose_mle(weights, parameters, PAIRS, RHO)
        off = [single[0] - 3, single[1]]
        mismatch = (off[0] * off[0] + off[1] * off[1]).sqrt()
        p = [[sigma(a * x + b * y) for x, y in PAIRS] for a, b in parameters]

        def apart(k, j):
            return sum(as_ball(r) * abs(a - b) for r, a, b in zip(RHO, p[k], p[j], strict=True))

        # u and j are the most diverse pair, and k is nearer to j than u is.
        assert apart(0, 1) > apart(0, 2) > apart(2, 1)
        epsilon = apart(0, 1) - apart(2, 1)
        asked_for = epsilon * as_ball(F(4, 5)) / (2 * as_ball(2).sqrt())
        assert mismatch < asked_for / 3
        floats = one_instance(
            [float(w) for w in weights],
            [[float(v) for v in phi] for phi in parameters],
            [[float(v) for v in z] for z in PAIRS],
            [float(r) for r in RHO],
        )
        np.testing.assert_allclose(leads(floats)[0], float(epsilon), rtol=1e-12)
        np.testing.assert_allclose(
            population_mle(
                Population(floats.weights[0], floats.parameters[0]), floats.difference[0], floats.pair_weights[0]
            ),
            [float(v) for v in single],
            rtol=1e-9,
        )
        # Our lemma does not apply there, and says so.
        assert "off Bradley-Terry" in STATEMENTS["lead"].reasons(floats)[0]


class TestSecondHandTheorem:
    READINGS = {"beta": 1, "feature_norm": 1, "least_eigenvalue": F(1, 2), "steepness": 2}

    @staticmethod
    def opposite(t):
        """Two opposite groups of equal size; four responses, of which one pair divides the groups most."""
        features = ((1, 0), (-1, 0), (0, 1), (0, -1))
        half, quarter, sixth = F(1, 2), F(1, 4), F(1, 6)
        return Exact((half, half), ((t, 0), (-t, 0)), features, (quarter,) * 4, (sixth,) * 6)

    def sides(self, t, power):
        exact = self.opposite(t)
        readings = {name: as_ball(value) for name, value in self.READINGS.items()}
        with flint.ctx.workprec(256):
            epsilon = exact.pair_mean([abs(a - b) for a, b in zip(*exact.preferences, strict=True)])
            return epsilon, exact.gap, second_hand_gap_bound(epsilon, as_ball(F(1, 2)), power=power, **readings)

    @pytest.mark.parametrize("t", [F(1), F(1, 10), F(1, 1000)])
    def test_the_family_by_hand(self, t):
        # phi* = 0, so the policy is uniform: gap = 2 log cosh(t/2), lead = (tanh t + 4 tanh(t/2)) / 6.
        epsilon, gap, _ = self.sides(t, 1)
        with flint.ctx.workprec(256):
            half, whole = as_ball(t / 2), as_ball(t)
            by_hand = 2 * half.cosh().log()
            assert abs(gap / by_hand - 1) < 1e-40
            lead = (whole.tanh() + 4 * half.tanh()) / 6
            assert abs(epsilon / lead - 1) < 1e-40
        # A third route: the public function in floating point.
        features = np.array([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])
        even = np.full((1, 4), 0.25)
        cost = alignment_gap(even, features @ [float(t), 0.0], np.log(even), 1.0)
        np.testing.assert_allclose(cost, float(gap), rtol=1e-8)

    def test_the_first_power_fails_and_the_square_does_not(self):
        ratios = {1: [], 2: []}
        for t in (F(1), F(1, 10), F(1, 100), F(1, 1000), F(1, 10000)):
            for power, found in ratios.items():
                _, gap, bound = self.sides(t, power)
                found.append(gap / bound)
        assert ratios[1][0] > 1 and ratios[1][-1] < 1
        assert all(b < a for a, b in zip(ratios[1], ratios[1][1:], strict=False))
        assert all(r > 1000 for r in ratios[2])
        # The limits by hand: gap = eps^2 and bound = eps / 512 or eps^2 / 1024 to leading order.
        np.testing.assert_allclose(float(ratios[2][-1]), 1024, rtol=1e-6)
        np.testing.assert_allclose(float(ratios[1][-1]), 512 * 0.5e-4, rtol=1e-6)

    def test_the_share_needs_its_square_too(self):
        # One pair, the lead fixed, the group nearly everybody: the gap is of second order in the others' share.
        ratios = {1: [], 2: []}
        half = F(1, 2)
        readings = {"beta": 1, "feature_norm": 1, "least_eigenvalue": 1, "steepness": 2}
        for others in (F(1, 10), F(1, 1000), F(1, 10**5)):
            exact = Exact((1 - others, others), ((0,), (2,)), ((1,), (-1,)), (half, half), (1,))
            epsilon = abs(exact.preferences[0][0] - exact.preferences[1][0])
            for power, found in ratios.items():
                bound = second_hand_gap_bound(epsilon, as_ball(others), power=power, **readings)
                found.append(exact.gap / bound)
        assert ratios[1][-1] < 1 < ratios[1][0]
        assert all(r > 100 for r in ratios[2])

    @staticmethod
    def certain(t, a):
        """Both groups prefer the first response by about t, and differ about the two others."""
        half, third = F(1, 2), F(1, 3)
        return Exact((half, half), ((t, a), (t, -a)), ((1, 0), (0, 1), (0, -1)), (third,) * 3, (third,) * 3)

    @pytest.mark.parametrize("t", [5, 10, 15, 30])
    def test_the_square_is_not_enough_either(self, t):
        exact = self.certain(t, 1)
        readings = self.READINGS | {"least_eigenvalue": as_ball(F(2, 9))}
        with flint.ctx.workprec(256):
            epsilon = exact.pair_mean([abs(a - b) for a, b in zip(*exact.preferences, strict=True)])
            # By hand: the pool is Bradley-Terry with phi* = (t*, 0), and the gap is A(1) - A(0) - A'(0).
            rarely = (sigma(-t - 1) + sigma(1 - t)) / 2
            single = ((1 - rarely) / rarely).log()
            assert all(
                abs(p - q) < 1e-40
                for p, q in zip(exact.single_preference, [1 - rarely, 1 - rarely, as_ball(F(1, 2))], strict=True)
            )
            mass, own = single.exp() + 2, as_ball(t).exp() + 2 * as_ball(1).cosh()
            by_hand = (own / mass).log() - (t - single) * single.exp() / mass
            assert abs(exact.gap / by_hand - 1) < 1e-40
            lead = (2 * (sigma(t + 1) - sigma(t - 1)) + as_ball(1).tanh()) / 3
            assert abs(epsilon / lead - 1) < 1e-40 and lead > as_ball(F(1, 4))
            assert exact.gap < 4 * as_ball(2 - t).exp()
            ratio = exact.gap / second_hand_gap_bound(epsilon, as_ball(F(1, 2)), power=2, **readings)
        assert ratio > 1 if t < 15 else ratio < 0.02
        # The bound with c sees the policies, and holds.
        bound, _ = STATEMENTS["lead_gap"].exact(exact)
        assert 0 < bound < exact.gap

    def test_the_covariance_of_that_family(self):
        psi = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(psi.T, bias=True))[0], 2 / 9)

    @pytest.mark.parametrize("t", [2, 10, 20])
    def test_a_lead_of_a_quarter_exactly_and_a_gap_that_vanishes(self, t):
        def lead(a):
            one = self.certain(t, a)
            return one.pair_mean([abs(p - q) for p, q in zip(*one.preferences, strict=True)])

        low, high, quarter = F(0), F(1), as_ball(F(1, 4))
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if lead(middle) < quarter else (low, middle)
        assert lead(low) < quarter < lead(high) and high - low < 1e-8
        assert self.certain(t, high).gap < 4 * as_ball(2 - t).exp()

    def test_it_is_a_formula(self):
        found = second_hand_gap_bound(
            0.3, 0.5, beta=2.0, feature_norm=3.0, least_eigenvalue=5.0, steepness=7.0, power=2
        )
        np.testing.assert_allclose(found, 5 * (0.15) ** 2 / (64 * 4 * 7 * 9))
        with pytest.raises(ValueError, match="^power: expected 1 or 2, got 3"):
            second_hand_gap_bound(0.3, 0.5, beta=1, feature_norm=1, least_eigenvalue=1, steepness=1, power=3)


class TestTheGapOfAGroupWithALead:
    def test_by_hand(self):
        # Two responses, uniform reference, phi = (0, 2), half and half.
        half = F(1, 2)
        exact = Exact((half, half), ((0,), (2,)), ((1,), (0,)), (half, half), (1,), F(1, 2))
        diversity = 1 / (1 + np.exp(-2.0)) - 0.5
        p_bar = 0.5 + diversity / 2
        # The policy of phi* = logit(p_bar) at beta = 1/2; the group's own is even.
        odds = (p_bar / (1 - p_bar)) ** 2
        product = odds / (1 + odds) ** 2
        expected = 8 / 0.5 * min(product, 0.25) * 0.25 * diversity**2
        bound, _ = STATEMENTS["lead_gap"].exact(exact)
        np.testing.assert_allclose(float(bound), expected, rtol=1e-12)

    def test_it_is_at_most_the_second_form_of_the_theorem(self):
        instances, alignments = pooled_sampler(5, 1, 2, 1).draw(300, 0)
        with_lead = STATEMENTS["lead_gap"].bound((instances, alignments))
        second_form = STATEMENTS["observable"].bound(alignments)
        assert (with_lead <= second_form * (1 + 1e-9) + 1e-300).all() and (with_lead > 0).mean() > 0.3
        many, aligned = pooled_sampler(3, 2, 3, 2).draw(50, 0)
        assert (STATEMENTS["lead_gap"].reasons((many, aligned)) != "").all()
