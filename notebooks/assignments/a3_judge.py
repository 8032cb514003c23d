"""Hidden checks of assignment 3: properties on people that nobody has seen, by routes other than the answers'."""

from itertools import combinations

import numpy as np
from scipy.special import expit, softmax

from maxmin_core.course.judging import AnswerError, Check, numbers, several
from maxmin_core.data import load_survey
from maxmin_core.preferences import Comparisons


def all_pairs(n):
    """Return the differences of one-hot features of every two of n options."""
    return np.array([np.eye(n)[i] - np.eye(n)[j] for i, j in combinations(range(n), 2)])


def likelihoods(parameters, wins, losses, z):
    """Return the likelihood of every person under every reward, (N, K), as a plain product over choices."""
    p = expit(z @ parameters.T)
    return np.prod(p ** wins[:, :, None] * (1 - p) ** losses[:, :, None], axis=1)


def value(shares, parameters, wins, losses, z):
    """Return the log-likelihood of a mixture, by products."""
    return np.log(likelihoods(parameters, wins, losses, z) @ shares).sum()


def draw(rng, shares, parameters, z, n_people, n_choices):
    """Return wins, losses and groups of simulated people."""
    group = rng.choice(len(shares), size=n_people, p=shares)
    seen = rng.multinomial(n_choices, np.full(len(z), 1 / len(z)), size=n_people)
    wins = rng.binomial(seen, expit(parameters[group] @ z.T))
    return wins.astype(float), (seen - wins).astype(float), group


def one_reward(up, down, z):
    """Return the Bradley-Terry parameter of smallest norm for numbers of wins and losses of every pair."""
    phi = np.zeros(z.shape[1])
    for _ in range(60):
        p = expit(z @ phi)
        step = np.linalg.pinv((z.T * ((up + down) * p * (1 - p))) @ z) @ (z.T @ (up * (1 - p) - down * p))
        phi = phi + step / max(1, np.abs(z @ step).max())
        if np.abs(step).max() < 1e-10:
            break
    return phi


def climb(q, wins, losses, z, n_passes=150):
    """Return shares and parameters that EM reaches from responsibilities."""
    for _ in range(n_passes):
        shares = q.mean(axis=0)
        parameters = np.array([one_reward(part @ wins, part @ losses, z) for part in q.T])
        before, q = q, shares * likelihoods(parameters, wins, losses, z)
        q = q / q.sum(axis=1, keepdims=True)
        if np.abs(q - before).max() < 1e-9:
            break
    return shares, parameters


def survey():
    """Return wins, losses and pairs of the survey."""
    choices = Comparisons.from_frame(load_survey()[0])
    pairs = {pair: j for j, pair in enumerate(combinations(range(choices.n_items), 2))}
    wins, losses = np.zeros((2, choices.n_annotators, len(pairs)))
    for a, b, who in zip(choices.winner, choices.loser, choices.annotator, strict=True):
        (wins if a < b else losses)[who, pairs[min(a, b), max(a, b)]] += 1
    return wins, losses, all_pairs(choices.n_items)


def e_step(ask, rng):
    """Products of probabilities where these are exact, closed forms where they are not, and Bayes' rule taken twice."""
    z, shares, parameters = rng.normal(size=(5, 2)), rng.dirichlet(np.full(3, 4.0)), rng.normal(size=(3, 2)) / 2
    wins, losses = rng.integers(0, 4, size=(2, 6, 5)).astype(float)
    wins[:, 0] += 1
    q, found = several("e_step", ask("e_step", shares, parameters, wins, losses, z), (6, 3), ())
    joint = shares * likelihoods(parameters, wins, losses, z)
    good = np.abs(q - joint / joint.sum(axis=1, keepdims=True)).max() < 1e-9
    good &= abs(found - np.log(joint.sum(axis=1)).sum()) < 1e-8
    yield Check(4, bool(good), "responsibilities and log-likelihood of people with few choices, counted by hand")
    far = -1000.0 - rng.uniform(0, 3, size=3)
    wins, losses = np.array([[1.0], [2.0], [0.0]]), np.array([[0.0], [0.0], [1.0]])
    q, found = several("e_step", ask("e_step", shares, far[:, None], wins, losses, np.ones((1, 1))), (3, 3), ())
    right = np.array([softmax(np.log(shares) + n * far) for n in (1, 2)] + [shares])
    total = sum(n * far.max() + np.log(shares @ np.exp(n * (far - far.max()))) for n in (1, 2))
    good = np.abs(q - right).max() < 1e-6 and abs(found - total) < 1e-5
    yield Check(4, bool(good), "rewards of a thousand logits")
    first, second = rng.integers(0, 3, size=(2, 2, 1, 5)).astype(float)
    first[0] += 1
    q_first, one = several("e_step", ask("e_step", shares, parameters, *first, z), (1, 3), ())
    q_then, two = several("e_step", ask("e_step", q_first[0], parameters, *second, z), (1, 3), ())
    q_both, both = several("e_step", ask("e_step", shares, parameters, *(first + second), z), (1, 3), ())
    good = np.abs(q_then - q_both).max() < 1e-8 and abs(one + two - both) < 1e-8
    counted = value(shares, parameters, *(first + second), z)
    good &= abs(both - counted) < 1e-8 and np.abs(q_both - shares).max() > 1e-4 and q_both.min() > 1e-9
    yield Check(4, bool(good), "what is learned from some choices is the prior for the next")


def m_step(ask, rng):
    """The derivative vanishes, in the right gauge, and one pair has a closed form."""
    for points, z, says in [
        (4, rng.normal(size=(5, 2)), "shares, and a derivative of zero"),
        (3, all_pairs(4), "one-hot options: a derivative of zero, and the smallest norm"),
    ]:
        q = rng.dirichlet(np.full(3, 0.6), size=12)
        wins, losses = rng.integers(0, 5, size=(2, 12, len(z))).astype(float)
        shares, parameters = several("m_step", ask("m_step", q, wins, losses, z), (3,), (3, z.shape[1]))
        up, down = wins.T @ q, losses.T @ q
        p = expit(z @ parameters.T)
        good = np.abs(z.T @ (up * (1 - p) - down * p)).max() < 1e-5 and np.abs(shares - q.mean(axis=0)).max() < 1e-9
        good &= np.abs(parameters - parameters @ np.linalg.pinv(z) @ z).max() < 1e-6
        yield Check(points, bool(good), says)
    q = rng.dirichlet(np.full(2, 0.6), size=9)
    wins, losses = rng.integers(1, 9, size=(2, 9, 1)).astype(float)
    shares, parameters = several("m_step", ask("m_step", q, wins, losses, np.array([[2.0]])), (2,), (2, 1))
    right = np.log((wins.T @ q) / (losses.T @ q)).T / 2
    good = np.abs(parameters - right).max() < 1e-6 and np.abs(shares - q.mean(axis=0)).max() < 1e-9
    yield Check(3, bool(good), "one pair: the odds of wins, each person counted by responsibility")


def soft_em(ask, rng):
    """The mixture that comes back is evaluated: its value, its slope, and that people have no order."""
    wins, losses, z = survey()
    for k, reference in [(2, -1410.945), (3, -1350.130)]:
        arguments = wins, losses, z, k, int(rng.integers(1000))
        shares, parameters, said = several("soft_em", ask("soft_em", *arguments), (k,), (k, 6), ())
        if shares.min() < 0 or abs(shares.sum() - 1) > 1e-6:
            raise AnswerError("soft_em: expected shares that are not negative and sum to one")
        reached = value(shares, parameters, wins, losses, z)
        good = reached > reference - 0.01 and abs(said - reached) < 1e-3
        yield Check(4, bool(good), f"the survey with {k} groups: as likely as the R package's fit, and so reported")
        if k == 2:
            # Nudges of every parameter: at a maximum none of them changes the value to first order.
            slopes = []
            for nudge in 1e-4 * np.eye(12).reshape(12, 2, 6):
                ends = (value(shares, parameters + s * nudge, wins, losses, z) for s in (1, -1))
                slopes.append(np.subtract(*ends) / 2e-4)
            nudged = np.array(
                [value(shares + s * np.array([1, -1]), parameters, wins, losses, z) for s in (1e-4, -1e-4)]
            )
            slopes.append((nudged[0] - nudged[1]) / 2e-4)
            flat = reached > -1500 and np.abs(slopes).max() < 0.02
    yield Check(3, bool(flat), "one more step of EM would move nothing")
    z, truth = all_pairs(4), np.array([[1.5, 0.5, -0.5, -1.5], [-1.0, 1.8, 0.2, -1.0]]) + rng.normal(size=(2, 4)) / 5
    wins, losses, _ = draw(rng, [0.7, 0.3], truth, z, 60, 20)
    order, reached = rng.permutation(60), []
    for rows in (np.arange(60), order):
        arguments = wins[rows], losses[rows], z, 2, 5
        shares, parameters, _ = several("soft_em", ask("soft_em", *arguments), (2,), (2, 4), ())
        reached.append(value(shares, parameters, wins, losses, z))
    good = min(reached) > value(np.array([0.7, 0.3]), truth, wins, losses, z) and abs(np.subtract(*reached)) < 1e-3
    yield Check(3, bool(good), "simulated people: likelier than the truth, in whatever order they come")
    # Five groups on three options: a single random start ends far below the best mixture half of the time.
    z, reached = all_pairs(3), 0
    for _ in range(8):
        truth = 2 * rng.normal(size=(5, 3))
        wins, losses, group = draw(rng, np.full(5, 0.2), truth, z, 60, 40)
        start = np.where(np.arange(5) == group[:, None], 0.9, 0.025)
        best = value(*climb(start, wins, losses, z, 30), wins, losses, z)
        answer = ask("soft_em", wins, losses, z, 5, int(rng.integers(1000)))
        shares, parameters, _ = several("soft_em", answer, (5,), (5, 3), ())
        reached += value(shares, parameters, wins, losses, z) > best - 0.5
    yield Check(4, bool(reached == 8), "where most single starts end in a poor place: the best of several starts")


def stalling_start(ask, rng):
    """The start that was built is evaluated: people differ in it, and one M-step makes all groups the same."""
    z = all_pairs(4)
    for k in (2, 3):
        wins, losses = rng.integers(0, 4, size=(2, 40, 6)).astype(float)
        q = numbers("stalling_start", ask("stalling_start", wins, losses, k), (40, k))
        good = q.min() > -1e-9 and np.abs(q.sum(axis=1) - 1).max() < 1e-9 and np.ptp(q, axis=0).min() >= 0.1 - 1e-9
        if good:
            parameters = np.array([one_reward(part @ wins, part @ losses, z) for part in q.T])
            good = np.ptp(parameters, axis=0).max() < 1e-6
        yield Check(5, bool(good), f"{k} groups: people differ, and the rewards after one M-step do not")


def heldout(ask, rng):
    """The judge fits the other folds by itself, from the true groups."""
    z = all_pairs(4)
    truth = np.array([[2.0, 0.7, -0.7, -2.0], [-1.5, 2.2, 0.3, -1.0]]) + rng.normal(size=(2, 4)) / 5
    wins, losses, group = draw(rng, [0.7, 0.3], truth, z, 48, 15)
    fold = rng.permutation(np.repeat([0, 1, 2], [20, 16, 12]))
    right = np.zeros((2, 48))
    for f in range(3):
        train, test = fold != f, fold == f
        start = np.where(np.arange(2) == group[train, None], 0.9, 0.1)
        for row, q in zip(right, (np.ones((train.sum(), 1)), start), strict=True):
            shares, parameters = climb(q, wins[train], losses[train], z)
            row[test] = np.log(likelihoods(parameters, wins[test], losses[test], z) @ shares)
    found = [
        numbers("heldout", ask("heldout", wins, losses, z, fold, k, int(rng.integers(100))), (48,)) for k in (1, 2)
    ]
    yield Check(3, bool(np.abs(found[0] - right[0]).max() < 1e-3), "one group: every person under the others' reward")
    yield Check(5, bool(np.abs(found[1] - right[1]).max() < 0.02), "two groups: every person under the others' mixture")
    gain = (found[1] - found[0]).mean()
    good = gain > 0.1 and abs(gain - (right[1] - right[0]).mean()) < 0.01
    yield Check(4, bool(good), "what the second group gains on people who were held out")


def learning_curve(ask, rng):
    """Against the best rule with known rewards, and the least error that known groups allow."""
    z, counts, n_people = all_pairs(4), [1, 5, 20], 100
    truth = np.array([[1.8, 0.6, -0.6, -1.8], [-1.2, 1.6, 0.6, -1.0]]) + rng.normal(size=(2, 4)) / 5
    shares, best = np.array([0.35, 0.65]), []
    for n in counts:
        wins, losses, group = draw(rng, shares, truth, z, 4000, n)
        joint = likelihoods(truth, wins, losses, z) * shares
        best.append((joint.argmax(axis=1) == group).mean())
    p = expit(z @ truth.T)
    information = np.einsum("jk,jd,je->kde", p * (1 - p), z, z) * n_people * counts[-1] / len(z)
    information *= shares[:, None, None]
    least = np.sqrt(np.trace(np.linalg.pinv(information), axis1=1, axis2=2).mean() / 4)
    curves = []
    for _ in range(3):
        shifted = truth + rng.uniform(2, 4, size=(2, 1)) * rng.choice([-1, 1], size=(2, 1))
        arguments = shares, shifted, z, counts, n_people, int(rng.integers(1000))
        curves.append(numbers("learning_curve", ask("learning_curve", *arguments), (3, 2)))
    mean = np.mean(curves, axis=0)
    people = np.array(curves)[..., 0] * n_people
    good = abs(mean[2, 0] - best[2]) < 0.06 and np.abs(people - people.round()).max() < 1e-6
    yield Check(4, bool(good), "from 20 comparisons, as many people are put right as with known rewards")
    yield Check(3, bool(0.5 < mean[2, 1] / least < 1.8), "from 20 comparisons, the error that known groups would leave")
    good = mean[0, 0] < mean[1, 0] < mean[2, 0] and mean[0, 1] > mean[1, 1] > mean[2, 1]
    good &= mean[0, 0] < best[0] + 0.1 and np.abs(people - people.round()).max() < 1e-6
    good &= 0.5 < mean[2, 1] / least < 1.8
    yield Check(3, bool(good), "more comparisons: more people right, smaller errors; one comparison tells little")
    # Of few comparisons, one knows best about a person that most people are of the large group.
    shares = np.array([0.15, 0.85])
    wins, losses, group = draw(rng, shares, truth, z, 20_000, 3)
    best_share = ((likelihoods(truth, wins, losses, z) * shares).argmax(axis=1) == group).mean()
    arguments = shares, truth, z, [3], 2000, int(rng.integers(1000))
    curve = numbers("learning_curve", ask("learning_curve", *arguments), (1, 2))
    good = abs(curve[0, 0] - best_share) < 0.028
    yield Check(3, bool(good), "a small and a large group: as many people right as with known rewards and shares")


TASKS = {
    "e_step": e_step,
    "m_step": m_step,
    "soft_em": soft_em,
    "stalling_start": stalling_start,
    "heldout": heldout,
    "learning_curve": learning_curve,
}
