"""The toy of chapters 0 to 5: what they do by hand, done again in fractions, in ball arithmetic and by counting."""

import itertools
from collections import Counter
from fractions import Fraction
from math import comb, prod

import numpy as np
import pytest
from flint import arb, ctx, fmpq

from maxmin_core.alignment import gibbs_policy, group_values, kl_divergence, max_min
from maxmin_core.data import load_toy
from maxmin_core.preferences import Comparisons, Population, diversity, fit_bradley_terry, fit_mixture, population_mle
from maxmin_core.theory import alignment_gap, mismatch_bound, price_of_sharing, reward_mismatch

ANSWERS = ("expert", "middle", "plain")
# By hand: strengths in the order of ANSWERS, the tastes, and the policy of the pooled reward at beta = 1/2.
ANA, CLEO, POOL = (1, 2, 10), (10, 2, 1), (1, 1, 2)
SINGLE, BOTH = [Fraction(k, 6) for k in (1, 1, 4)], [Fraction(k, 12) for k in (5, 2, 5)]
THIRD, BETA = Fraction(1, 3), Fraction(1, 2)
THIRDS = np.full((1, 3), -np.log(3))


@pytest.fixture(scope="module")
def toy():
    return Comparisons.from_frame(load_toy())


@pytest.fixture(scope="module")
def wishes(toy):
    """Rewards of the two groups as the core fits them; they sum to zero."""
    return np.array([fit_bradley_terry(toy.take(people)) for people in ([0, 1], [2])])[:, None]


@pytest.fixture(autouse=True)
def bits():
    before, ctx.prec = ctx.prec, 200
    yield
    ctx.prec = before


def ball(number):
    number = Fraction(number)
    return arb(fmpq(number.numerator, number.denominator))


def log(number):
    return ball(number).log()


def kl(p, q):
    return sum((ball(a) * log(a / b) for a, b in zip(p, q, strict=True)), arb(0))


def own_policy(strengths):
    """At beta = 1/2 the strengths are squared."""
    squares = [Fraction(s) ** 2 for s in strengths]
    return [s / sum(squares) for s in squares]


def gain(policy, strengths):
    """F(policy) - F(reference), in balls."""
    logs = [log(s) for s in strengths]
    expected = sum((ball(p - THIRD) * r for p, r in zip(policy, logs, strict=True)), arb(0))
    return expected - ball(BETA) * kl(policy, [THIRD] * 3)


def equal(ball_one, ball_two, number=None):
    """The two balls meet, both are narrow, and the core's number lies within 1e-12 of them."""
    narrow = max(float(b.rad()) for b in (ball_one, ball_two)) < 1e-40
    near = number is None or abs(float(ball_one.mid()) - number) < 1e-12
    return narrow and ball_one.overlaps(ball_two) and near


@pytest.mark.parametrize(
    ("people", "strengths"), [(["Ana", "Ben"], ANA), (["Cleo"], CLEO), (["Ana", "Ben", "Cleo"], POOL)]
)
def test_strengths_balance_wins_in_fractions(people, strengths, toy):
    s = dict(zip(ANSWERS, strengths, strict=True))
    won, expected = Counter(), Counter()
    for who, first, second, choice in load_toy().itertuples(index=False):
        if who in people:
            won[first if choice == "first" else second] += 1
            expected[first] += Fraction(s[first], s[first] + s[second])
            expected[second] += Fraction(s[second], s[first] + s[second])
    assert won == expected
    index = [["Ana", "Ben", "Cleo"].index(who) for who in people]
    fitted = fit_bradley_terry(toy.take(index))
    np.testing.assert_allclose(fitted - fitted[1], np.log(np.array(strengths) / strengths[1]), atol=1e-12)


@pytest.mark.parametrize(("strengths", "by_hand"), [(ANA, Fraction(247, 396)), (CLEO, Fraction(40, 99))])
def test_win_rates_in_fractions(strengths, by_hand):
    win = sum(
        p * THIRD * (BETA if y == z else Fraction(strengths[y], strengths[y] + strengths[z]))
        for y, p in enumerate(SINGLE)
        for z in range(3)
    )
    assert win == by_hand


def test_policies(toy, wishes):
    core = gibbs_policy(fit_bradley_terry(toy)[None], THIRDS, 0.5)[0]
    assert own_policy(POOL) == SINGLE
    np.testing.assert_allclose(core, [float(p) for p in SINGLE], atol=1e-14)
    assert own_policy(ANA) == [Fraction(k, 105) for k in (1, 4, 100)]
    np.testing.assert_allclose(gibbs_policy(wishes[1], THIRDS, 0.5)[0] * 105, [100, 4, 1], atol=1e-10)


def test_divergences():
    reference = [THIRD] * 3
    for p, forth, back in [
        (SINGLE, log(2) / 3, log(2) / 3),
        (BOTH, ball(Fraction(5, 6)) * log(Fraction(5, 4)) - log(2) / 6, log(Fraction(32, 25)) / 3),
    ]:
        floats = np.array([[float(x) for x in p]])
        assert equal(kl(p, reference), forth, kl_divergence(floats, THIRDS))
        assert equal(kl(reference, p), back, kl_divergence(np.exp(THIRDS), np.log(floats)))


def test_who_gains(wishes):
    for policy, by_hand in [
        (SINGLE, (log(5) / 3, -log(40) / 6)),
        (BOTH, (log(Fraction(32, 25)) / 6, log(Fraction(32, 25)) / 6)),
    ]:
        core = group_values(np.array([[float(p) for p in policy]]), wishes, THIRDS, 0.5)
        for strengths, told, number in zip((ANA, CLEO), by_hand, core, strict=True):
            assert equal(gain(policy, strengths), told, number)


def test_mismatch_and_its_floor():
    groups, pairs = Population([2 / 3, 1 / 3], np.log([ANA, CLEO])), np.array([[0, -1, 1], [-1, 1, 0]])
    p = [[Fraction(s[2], s[2] + s[1]), Fraction(s[1], s[1] + s[0])] for s in (ANA, CLEO)]
    assert p == [[Fraction(5, 6), Fraction(4, 6)], [Fraction(2, 6), Fraction(1, 6)]]
    assert [2 * a / 3 + c / 3 for a, c in zip(*p, strict=True)] == [Fraction(2, 3), Fraction(1, 2)]
    assert diversity(*groups.preference(pairs)) == pytest.approx(0.5, abs=1e-15)
    single = population_mle(groups, pairs)
    for u, (strengths, share) in enumerate([(ANA, Fraction(2, 3)), (CLEO, THIRD)]):
        off = [log(Fraction(a, b)) for a, b in zip(POOL, strengths, strict=True)]
        middle = sum(off, arb(0)) / 3
        length = sum(((x - middle) ** 2 for x in off), arb(0)).sqrt()
        phi = groups.parameters[u]
        assert equal(length, length, reward_mismatch(single, phi - phi.mean()))
        floor = 4 / ball(2).sqrt() * ball(1 - share) * ball(BETA)
        assert equal(floor, floor, mismatch_bound(groups, u, pairs, None, kind="realizable"))
        assert floor < length


def test_gaps_and_the_price_of_sharing(wishes):
    policy = np.array([[float(p) for p in SINGLE]])
    told = [log(Fraction(343, 80)) / 6, log(Fraction(8575, 2)) / 6]
    for strengths, own, by_hand in zip((ANA, CLEO), wishes, told, strict=True):
        gap = ball(BETA) * kl(SINGLE, own_policy(strengths))
        assert equal(gap, by_hand, alignment_gap(policy, own, THIRDS, 0.5))
    # (5, 2, 5)/12 costs both the same, and beta times the Chernoff information says that nothing costs less.
    price = log(Fraction(35, 8)) / 2
    roots = [(ball(a) * ball(c)).sqrt() for a, c in zip(own_policy(ANA), own_policy(CLEO), strict=True)]
    assert equal(-sum(roots, arb(0)).log() / 2, price)
    core = -price_of_sharing(wishes, THIRDS, 0.5).values
    for strengths, number in zip((ANA, CLEO), core, strict=True):
        assert equal(ball(BETA) * kl(BOTH, own_policy(strengths)), price, number)


def test_posteriors_in_fractions(toy):
    def odds(answers):
        """Of group a against c, from pairs (winner, loser), shares included."""
        ratios = (Fraction(ANA[y], ANA[y] + ANA[z]) / Fraction(CLEO[y], CLEO[y] + CLEO[z]) for y, z in answers)
        return 2 * prod(ratios)

    fit = fit_mixture(toy, 2, assignment="hard", tol=1e-15)
    for who, by_hand in enumerate([Fraction(2000), Fraction(2000), Fraction(1, 500)]):
        mine = toy.annotator == who
        assert odds(zip(toy.winner[mine].tolist(), toy.loser[mine].tolist(), strict=True)) == by_hand
        assert fit.posterior(toy)[who, 0] == pytest.approx(float(by_hand / (1 + by_hand)), abs=1e-12)
    assert odds([(2, 1)]) == 5
    np.testing.assert_allclose(fit.weights, [2 / 3, 1 / 3])


def test_max_min_has_a_certificate_in_balls(wishes):
    # Weights 1/2 and 1/2: what no policy exceeds is what (5, 2, 5)/12 gives to both.
    roots = [(ball(a) * ball(c)).sqrt() for a, c in zip(ANA, CLEO, strict=True)]
    upper = ball(BETA) * (sum((root**2 for root in roots), arb(0)) / 3).log()
    reference = sum((log(s) for s in ANA), arb(0)) / 3
    for strengths in (ANA, CLEO):
        assert equal(gain(BOTH, strengths), upper - reference)
    solution = max_min(wishes, THIRDS, 0.5)
    np.testing.assert_allclose(solution.weights, 0.5, atol=1e-12)
    np.testing.assert_allclose(solution.policy[0], [float(p) for p in BOTH], atol=1e-12)
    # And on a grid of policies nothing is better.
    grid = [np.array([[i, j, 40 - i - j]]) / 40 for i in range(41) for j in range(41 - i)]
    assert max(group_values(p, wishes, THIRDS, 0.5).min() for p in grid) < solution.primal


def test_slopes_at_the_kink():
    def at(t, strengths):
        return gain([(4 - 3 * t) / 6, Fraction(1, 6), (1 + 3 * t) / 6], strengths)

    h = Fraction(1, 10**12)
    for strengths, sign in ((ANA, 1), (CLEO, -1)):
        slope = (at(BETA + h, strengths) - at(BETA - h, strengths)) / ball(2 * h)
        assert abs(float(slope.mid()) - sign * float(log(10).mid()) / 2) < 1e-12


def test_the_bootstrap_by_enumeration():
    plain = [Fraction(5, 6), Fraction(5, 6), Fraction(2, 6)]
    found = Counter(sum(plain[i] for i in three) / 3 for three in itertools.product(range(3), repeat=3))
    assert found == {Fraction(15 - 3 * k, 18): n for k, n in enumerate((8, 12, 6, 1))}


def test_the_permutations_by_enumeration():
    plain = [1] * 12 + [0] * 6
    few = sum(sum(plain[i] for i in six) <= 2 for six in itertools.combinations(range(18), 6))
    assert (few, comb(18, 6)) == (1063, 18564)
    # Both pairs, names shuffled within each: the exercise.
    ways = sum(a * b for i, a in enumerate(counts(12)) for j, b in enumerate(counts(9)) if i + j <= 3)
    assert Fraction(ways, comb(18, 6) ** 2) == Fraction(15893, 2735096)


def counts(n):
    """How often k of n marked answers are among six of eighteen, by enumeration."""
    marked = [1] * n + [0] * (18 - n)
    found = Counter(sum(marked[i] for i in six) for six in itertools.combinations(range(18), 6))
    return [found[k] for k in range(7)]
