"""What is asked of the answers to assignment 1: properties, on instances that nobody has seen, by other routes."""

import itertools
from collections import Counter

import numpy as np
from scipy.sparse.csgraph import connected_components

from maxmin_core.course.judging import AnswerError, Check, numbers


def _unbalanced(reward, wins):
    """The largest relative difference between wins and expected wins: choice by choice, one side of a pair each."""
    n = len(wins)
    missing, scale = np.zeros(n), np.zeros(n)
    for y, z in itertools.permutations(range(n), 2):
        chance = 0.5 * (1 + np.tanh((reward[y] - reward[z]) / 2))
        missing[y] += wins[y, z] - (wins[y, z] + wins[z, y]) * chance
        scale[y] += wins[y, z]
    return np.abs(missing / scale).max()


def fit(ask, rng):
    """Wins are in balance under random weights; None exactly where the arrows are not strongly connected."""

    def fitted(wins):
        answer = ask("fit", wins)
        return None if answer is None else numbers("fit", answer, (len(wins),))

    def holds(wins):
        reward = fitted(wins)
        return reward is not None and abs(reward.sum()) < 1e-5 and _unbalanced(reward, wins) < 1e-3

    n = int(rng.integers(4, 8))
    counts = rng.integers(1, 40, size=(n, n)) * (1.0 - np.eye(n))
    yield Check(4, holds(counts), "wins are in balance where every pair was compared, and the reward sums to zero")
    weights = rng.lognormal(sigma=2, size=(n, n)) * (1.0 - np.eye(n))
    yield Check(3, holds(weights), "wins are in balance under weights that are no counts")
    # A ring, and a few comparisons more: most pairs were never compared. Then the same with weights below one half.
    ring, order = np.zeros((9, 9)), rng.permutation(9)
    ring[order, np.roll(order, -1)] = rng.integers(1, 5, size=9)
    ring[order[:3], order[4:7]] = rng.integers(1, 5, size=3)
    found = [holds(ring), holds(ring * rng.uniform(0.05, 0.1))]
    yield Check(3, all(found), "wins are in balance where most pairs were never compared, small weights included")
    strong = 10 * counts
    strong[0, 1:] *= 3000
    yield Check(2, holds(strong), "wins are in balance where one option wins nearly always")
    # Random sparse tables: some have a maximiser, some do not, and only the arrows say which.
    right = []
    for kind in (True, True, True, False, False, False):
        while True:
            wins = rng.integers(1, 6, size=(5, 5)) * (rng.random((5, 5)) < 0.4) * (1.0 - np.eye(5))
            if (connected_components(wins > 0, connection="strong")[0] == 1) == kind:
                break
        right.append(holds(wins) if kind else fitted(wins) is None)
    # Two rings: everybody has won and has lost, and still no path leads back from one ring to the other.
    rings = np.zeros((6, 6))
    rings[[0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 3]] = rng.integers(1, 5, size=6)
    order = rng.permutation(6)
    for entered in (0, 1):
        rings[0, 3] = entered
        right.append(fitted(rings[np.ix_(order, order)]) is None)
    yield Check(3, all(right), "None exactly where there is no single maximiser")


def _diversity(choice, inside):
    total = 0.0
    for column in choice.T:
        total += abs(np.mean(column[inside]) - np.mean(column[~inside]))
    return total / choice.shape[1]


def _people_of_two_kinds(rng, n, n_pairs):
    """Answers that hang together within a person: two kinds of people, who seldom err."""
    kinds = rng.random((2, n_pairs)) < 0.5
    kinds[1] = ~kinds[0]
    kind = rng.permutation(np.arange(n) % 2)
    return (kinds[kind] ^ (rng.random((n, n_pairs)) < 0.1)).astype(float)


def _near(p, exact, n_shuffles):
    """Whether a p-value from shuffles agrees with the exact one: five standard deviations, and the 1 that is added."""
    return abs(p - exact) < 5 * np.sqrt(exact * (1 - exact) / n_shuffles) + 2 / n_shuffles


def p_value(ask, rng):
    """Every labelling is enumerated: 12 people, 4 of them members (so that shares are exact, and ties are ties)."""
    n_shuffles = 1500

    def answered(choice, member, n=n_shuffles):
        return float(numbers("p_value", ask("p_value", choice, member, n, int(rng.integers(1000))), ()))

    def right(choice, member):
        observed, values = _diversity(choice, member), []
        for chosen in itertools.combinations(range(12), 4):
            inside = np.zeros(12, dtype=bool)
            inside[list(chosen)] = True
            values.append(_diversity(choice, inside))
        exact = np.mean(np.array(values) >= observed - 1e-9)
        return _near(answered(choice, member), exact, n_shuffles)

    member = rng.permutation(np.arange(12) < 4)
    one_kind = (rng.random((12, 8)) < 0.5).astype(float)
    found = [right(one_kind, member), right((rng.random((12, 2)) < 0.5).astype(float), member)]
    yield Check(5, all(found), "the p-value agrees with the enumeration of all labellings, answers at random")
    kinds = [_people_of_two_kinds(rng, 12, 16) for _ in range(2)]
    found = [right(choice, rng.permutation(np.arange(12) < 4)) for choice in kinds]
    yield Check(5, all(found), "the same, where a person's answers hang together")
    # The members answer as nobody else does: no other labelling but this one reaches the observed value.
    apart = np.repeat(member[:, None], 16, axis=1).astype(float)
    apart[:, ::2] = 1 - apart[:, ::2]
    few = answered(apart, member, 9)
    found = [right(apart, member), few >= 0.1 - 1e-9, abs(few * 10 - round(few * 10)) < 1e-6]
    yield Check(3, all(found), "groups far apart have a small p-value, which is never below one in (1 + shuffles)")
    tied = np.tile((np.arange(8) < 4).astype(float), (12, 1))
    found = [abs(answered(tied, member, 50) - 1) < 1e-9, right(one_kind[:, :1], member)]
    yield Check(2, all(found), "ties count as at least as large")


def _spread(choice, label):
    total = 0.0
    for name, size in Counter(label.tolist()).items():
        share = [np.mean([row[k] for row, own in zip(choice, label, strict=True) if own == name]) for k in range(4)]
        total += size * np.mean(np.abs(np.array(share) - choice.mean(axis=0)))
    return total / len(choice)


def spread_test(ask, rng):
    """The spread person by person; its law by all ways to deal the labels."""
    n_shuffles = 1200

    def answered(choice, label, n=n_shuffles):
        answer = ask("spread_test", choice, label, n, int(rng.integers(1000)))
        return numbers("spread_test", answer, (3,))

    names = np.array([*rng.choice(np.arange(200), size=2, replace=False), -int(rng.integers(1, 50))])
    # Seven people in groups of 1, 2 and 4: 105 ways to deal them out.
    label = np.repeat(names, [1, 2, 4])
    ways = sorted(set(itertools.permutations(label.tolist())))
    values_right, mean_right, p_right = [], [], []
    for error in (0.5, 0.1):
        kind = (label == names[2]) if error < 0.5 else np.zeros(7, dtype=bool)
        choice = (kind[:, None] ^ (rng.random((7, 4)) < error)).astype(float)
        own = rng.permutation(7)
        choice, mixed = choice[own], label[own]
        spread, mean, p = answered(choice, mixed)
        law = np.array([_spread(choice, np.array(way)) for way in ways])
        values_right.append(abs(spread - _spread(choice, mixed)) < 1e-8)
        mean_right.append(abs(mean - law.mean()) < 5 * law.std() / np.sqrt(n_shuffles) + 1e-9)
        p_right.append(_near(p, np.mean(law >= _spread(choice, mixed) - 1e-9), n_shuffles))
    yield Check(4, all(values_right), "the spread, for groups of different sizes with any names")
    right = all(values_right)
    yield Check(2, all(mean_right), "its mean over shuffled labels, against all ways to deal them", after=right)
    yield Check(3, all(p_right), "its p-value, against all ways to deal the labels", after=right)
    apart = np.repeat((label == names[2]).astype(float)[:, None], 4, axis=1)
    p = answered(apart, label, 4)[2]
    counts = bool(p >= 0.2 - 1e-9 and abs(5 * p - round(5 * p)) < 1e-6)
    yield Check(1, counts, "the p-value counts the present labels", after=bool(values_right[0]))


def _tournaments(rng, n, m):
    """Every person decides every pair by a coin."""
    preferred = np.zeros((n, m, m))
    for person, (y, z) in itertools.product(range(n), itertools.combinations(range(m), 2)):
        winner, loser = (y, z) if rng.random() < 0.5 else (z, y)
        preferred[person, winner, loser] = 1
    return preferred


def _by_ranking(rankings):
    """Every person decides every pair by a ranking, best first."""
    n, m = rankings.shape
    preferred = np.zeros((n, m, m))
    for person, ranking in enumerate(rankings):
        for better, worse in itertools.combinations(ranking, 2):
            preferred[person, better, worse] = 1
    return preferred


def _rates(preferred, policy, reference):
    rates = []
    for person in preferred:
        won = 0.0
        for y, z in itertools.product(range(len(policy)), repeat=2):
            won += policy[y] * reference[z] * (0.5 if y == z else person[y, z])
        rates.append(won)
    return np.array(rates)


def win_rate(ask, rng):
    """Every pair of draws is enumerated."""

    def right(preferred, policy, reference):
        answer = numbers("win_rate", ask("win_rate", preferred, policy, reference), (len(preferred),))
        return bool(np.abs(answer - _rates(preferred, policy, reference)).max() < 1e-8)

    n, m = int(rng.integers(5, 9)), int(rng.integers(4, 7))
    preferred, even = _tournaments(rng, n, m), np.full(m, 1 / m)
    policy, reference = rng.dirichlet(np.ones(m), size=2)
    uniform = right(preferred, policy, even)
    yield Check(2, uniform, "win rates against the uniform reference, by all pairs of draws")
    found = [right(preferred, policy, reference), right(preferred, even, reference)]
    yield Check(2, all(found), "the same, against a reference that is not uniform")
    sure = np.eye(m)[rng.integers(m)]
    found = [right(preferred, sure, sure), right(preferred, reference, reference)]
    yield Check(1, all(found), "a policy against itself, too", after=uniform)


def _pool(preferred, count, beta):
    """The pool's policy, from how often each person was drawn."""
    m, n = preferred.shape[1], count.sum()
    likes = np.array([sum(count[i] * preferred[i, y].sum() for i in range(len(count))) for y in range(m)]) / n / (m - 1)
    weight = np.exp((likes - likes.max()) / beta)
    return weight / weight.sum()


def worse_off(ask, rng):
    """All bootstrap samples of seven people are enumerated, each with its probability."""
    n, m, n_resamples = 7, 4, 3000
    multinomial = [np.bincount(drawn, minlength=n) for drawn in itertools.combinations_with_replacement(range(n), n)]
    factorial = np.cumprod([1.0, *range(1, n + 1)])
    chance = np.array([factorial[n] / factorial[count].prod() for count in multinomial]) / n**n

    def losing(preferred, count, beta):
        rates = _rates(preferred, _pool(preferred, count, beta), np.full(m, 1 / m))
        return count @ (rates < 0.5 - 1e-9) / n

    def answered(preferred, beta):
        answer = ask("worse_off", preferred, beta, n_resamples, int(rng.integers(1000)))
        return numbers("worse_off", answer, (3,))

    def quantile(values, place, level):
        # Four standard deviations of the level that a quantile of so many draws has.
        room = 4 * np.sqrt(level * (1 - level) / n_resamples)
        below, up_to = chance[values < place - 1e-9].sum(), chance[values <= place + 1e-9].sum()
        return below <= level + room and up_to >= level - room

    # Four people of one mind against three of the other: who wins changes from sample to sample.
    one = rng.permutation(m)
    mind = rng.permutation(n) < 4
    split = _by_ranking(np.where(mind[:, None], one, one[::-1]))
    mixed = _by_ranking(np.array([rng.permutation(m) for _ in range(n)]))
    alike = _by_ranking(np.tile(one, (n, 1)))
    shares, ends = [], []
    for preferred, beta in ((split, 0.05), (mixed, 0.5)):
        share, low, high = answered(preferred, beta)
        values = np.array([losing(preferred, count, beta) for count in multinomial])
        shares.append(abs(share - losing(preferred, np.ones(n), beta)) < 1e-8)
        ends.append(quantile(values, low, 0.025) and quantile(values, high, 0.975))
    for beta in (0.2, 1.0, 3.0, 0.05):
        preferred = _by_ranking(np.array([rng.permutation(m) for _ in range(n)]))
        answer = numbers("worse_off", ask("worse_off", preferred, beta, 10, 0), (3,))
        shares.append(abs(answer[0] - losing(preferred, np.ones(n), beta)) < 1e-8)
    yield Check(5, all(shares), "the share of people below one half, person by person")
    says = "the interval, where the majority changes from sample to sample"
    yield Check(5, bool(ends[0]), says, after=bool(shares[0]))
    says = "the interval, where everybody has a taste of their own"
    yield Check(3, bool(ends[1]), says, after=bool(shares[1]))
    none = bool((answered(alike, 0.1) == 0).all())
    yield Check(2, none, "nobody is worse off where all agree", after=all(shares + ends))


def _triads(person):
    count = 0
    for a, b, c in itertools.combinations(range(len(person)), 3):
        # Circular where each of the three wins once among them.
        won = [person[a, b] + person[a, c], person[b, a] + person[b, c], person[c, a] + person[c, b]]
        count += won == [1, 1, 1]
    return count


def circular_triads(ask, rng):
    """Every set of three options is looked at."""

    def right(preferred):
        answer = numbers("circular_triads", ask("circular_triads", preferred), (len(preferred),))
        return bool(np.abs(answer - [_triads(person) for person in preferred]).max() < 1e-8)

    coins = right(_tournaments(rng, 12, 6))
    yield Check(3, coins, "circular triads of people who toss coins, by all sets of three options")
    some = np.concatenate([_tournaments(rng, 4, 8), _by_ranking(np.array([rng.permutation(8) for _ in range(3)]))])
    yield Check(2, right(some), "the same with more options, and none for people with a ranking", after=coins)


def two_worlds(ask, rng):
    """The two worlds are evaluated: pooled counts, rankings, and contradictions against their expectation."""
    n, m = 300, 5
    centre = rng.permutation(m)
    # Half of the people share a ranking, a quarter turns it round, the others have one of their own.
    rankings = np.array([centre if i % 2 else (centre[::-1] if i % 4 else rng.permutation(m)) for i in range(n)])
    rankings = rankings[rng.permutation(n)]
    answer = ask("two_worlds", rankings, int(rng.integers(1000)))
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise AnswerError("two_worlds: two arrays are expected")
    tastes, noise = (numbers("two_worlds", part, (n, m, m)) for part in answer)
    own = bool((tastes == _by_ranking(rankings)).all())
    yield Check(3, own, "in the first world everybody answers by their own ranking")
    off = ~np.eye(m, dtype=bool)
    valid = bool((np.isin(noise, [0, 1]).all()) and (noise[:, ~off] == 0).all())
    valid = valid and bool(
        (noise + noise.transpose(0, 2, 1))[:, off].min() == 1 == (noise + noise.transpose(0, 2, 1))[:, off].max()
    )
    pooled = valid and bool((tastes.sum(axis=0) == noise.sum(axis=0)).all())
    # Given the counts, a person's answers to different pairs are independent in a world of noise.
    share = tastes.mean(axis=0)
    rings = list(itertools.combinations(range(m), 3))
    expected = sum(
        share[a, b] * share[b, c] * share[c, a] + share[b, a] * share[c, b] * share[a, c] for a, b, c in rings
    )
    count = np.array([_triads(person) for person in noise]) if valid else np.zeros(n)
    contradicts = abs(count.mean() - expected) < 5 * np.sqrt(max(count.var(), 0.1) / n)
    second = Check(
        4,
        bool(pooled and contradicts),
        "in the second world every answer is valid, the pooled counts are the same, and people contradict themselves",
        after=own,
    )
    yield second
    # Two pairs without a common option are answered independently, given their counts.
    pairs = [(a, b) for a, b in itertools.combinations(range(m), 2) if 0 < share[a, b] < 1]
    together = [(p, q) for p, q in itertools.combinations(pairs, 2) if not set(p) & set(q)]
    worst = (
        max((abs(np.corrcoef(noise[:, *p], noise[:, *q])[0, 1]) for p, q in together), default=1.0) if pooled else 1.0
    )
    anew = bool(worst < 5 / np.sqrt(n))
    yield Check(3, anew, "in the second world chance decides anew for every pair", after=second.given)


TASKS = {
    "fit": fit,
    "p_value": p_value,
    "spread_test": spread_test,
    "win_rate": win_rate,
    "worse_off": worse_off,
    "circular_triads": circular_triads,
    "two_worlds": two_worlds,
}
