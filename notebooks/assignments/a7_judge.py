"""Judge assignment 7: what was constructed is enumerated, policies are found by mirror descent on group weights."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq, minimize

from maxmin_core.course.judging import AnswerError, Ask, Check, numbers


def chance_of(margin):
    """Return the logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(np.asarray(margin) / 2))


def pooled_reward(chance):
    """Return the Bradley-Terry reward of chances of winning (m, m), by the minorise-maximise iteration."""
    n = len(chance)
    strength, wins = np.ones(n), (chance - np.diag(np.diag(chance))).sum(axis=1)
    for _ in range(20_000):
        before = strength
        meets = 1 / (strength[:, None] + strength[None, :])
        np.fill_diagonal(meets, 0.0)
        strength = wins / meets.sum(axis=1)
        strength = strength / np.exp(np.log(strength).mean())
        if np.abs(np.log(strength / before)).max() < 1e-11:
            break
    return np.log(strength)


def judge_two_winners(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Count people in every duel, and learn the pooled reward."""
    for n_options, worth in [(3, 3), (5, 3), (int(rng.integers(9, 13)), 4)]:
        condorcet, pooled = map(int, rng.permutation(n_options)[:2])
        answer = ask("two_winners", n_options, condorcet, pooled)
        if not isinstance(answer, list | tuple) or len(answer) != 2:
            raise AnswerError("two_winners: expected rewards and shares")
        rewards = numbers("two_winners", answer[0], (None, n_options), below=1e6)
        shares = numbers("two_winners", answer[1], (len(rewards),))
        holds = shares.min() > 0 and abs(shares.sum() - 1) < 1e-9
        majority = min(shares @ (rewards[:, condorcet] > rewards[:, j]) for j in range(n_options) if j != condorcet)
        holds &= majority >= 0.52 - 1e-9
        if holds:
            chance = sum(s * chance_of(np.subtract.outer(r, r)) for s, r in zip(shares, rewards, strict=True))
            holds &= bool(chance[~np.eye(n_options, dtype=bool)].min() > 1e-6)
        if holds:
            phi = pooled_reward(chance)
            holds &= phi[pooled] - np.delete(phi, pooled).max() >= 0.05
        says = f"{n_options} options: one wins every duel, another one has the largest learned reward"
        yield Check(worth, bool(holds), says)


def centred(rewards, reference):
    """Return rewards that are zero under the reference."""
    return rewards - (rewards @ reference)[:, None]


def values_of(policy, rewards, reference, beta):
    """Return the values of a policy."""
    nats = float(np.where(policy > 0, policy * np.log(np.maximum(policy, 1e-300) / reference), 0.0).sum())
    return rewards @ policy - beta * nats


def tilted(reward, reference, beta):
    """Return the optimal policy of one reward."""
    policy = reference * np.exp((reward - reward.max()) / beta)
    return policy / policy.sum()


def fair_for_two(rewards, reference, beta):
    """Return the max-min policy of two groups: find the weight of the first at which both have the same."""

    def ahead(weight):
        return (rewards[0] - rewards[1]) @ tilted(weight * rewards[0] + (1 - weight) * rewards[1], reference, beta)

    weight = 0.0 if ahead(0.0) >= 0 else 1.0 if ahead(1.0) <= 0 else brentq(ahead, 0.0, 1.0, xtol=1e-12)
    return tilted(weight * rewards[0] + (1 - weight) * rewards[1], reference, beta)


def fair_for_many(rewards, reference, beta):
    """Return a policy whose worst-off value is within 1e-7 of the max-min value, by mirror descent."""
    log_weights, best, lead = np.zeros(len(rewards)), (-np.inf, None), np.inf
    for step in range(20_000):
        weights = np.exp(log_weights) / np.exp(log_weights).sum()
        policy = tilted(weights @ rewards, reference, beta)
        values = values_of(policy, rewards, reference, beta)
        if values.min() > best[0]:
            best = values.min(), policy
        lead = min(lead, weights @ values)
        if lead - best[0] < 1e-7:
            break
        log_weights = log_weights - (0.3 * beta + 1 / (10 + step)) * values
        log_weights -= log_weights.max()
    return best[1]


def truly(report, rewards, reference, beta, liar):
    """Return what the liar truly has when it reports this."""
    told = rewards.copy()
    told[liar] = report
    policy = fair_for_two(centred(told, reference), reference, beta)
    return values_of(policy, centred(rewards, reference), reference, beta)[liar]


def patient(rewards, reference, beta, liar, cap, rng):
    """Return the best true value that a search from several starts finds."""

    def loss(report):
        return -truly(report * min(1.0, cap / max(np.ptp(report), 1e-12)), rewards, reference, beta, liar)

    own, other = rewards[liar], rewards[1 - liar]
    starts = [own, 0.3 * own, own - other, rng.normal(size=len(own))]
    options = {"maxfev": 200, "xatol": 1e-3, "fatol": 1e-6}
    return -min(minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts)


def judge_best_lie(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Evaluate the lie by the true reward, against a patient search."""
    shares = []
    for _ in range(2):
        # Instances in which lying pays.
        while True:
            rewards, reference = 1.5 * rng.normal(size=(2, 4)), rng.dirichlet(np.full(4, 5.0))
            beta, liar = float(rng.uniform(0.3, 0.7)), int(rng.integers(2))
            cap = 3 * float(np.ptp(rewards[liar]))
            honest = truly(rewards[liar], rewards, reference, beta, liar)
            quick = max(truly(s * rewards[liar], rewards, reference, beta, liar) for s in (0.3, 0.6, 2.0))
            if quick < honest + 0.02:
                continue
            gain = patient(rewards, reference, beta, liar, cap, rng) - honest
            if gain > 0.1:
                break
        answer = ask("best_lie", rewards, np.log(reference), beta, liar, cap)
        report = numbers("best_lie", answer, (4,), below=1e6)
        fair = np.ptp(report) <= cap * (1 + 1e-6)
        shares.append((truly(report, rewards, reference, beta, liar) - honest) / gain if fair else 0.0)
    yield Check(7, bool(min(shares) >= 0.5), "half of what a patient search gains for the liar, by its true reward")
    yield Check(7, bool(min(shares) >= 0.9), "nine tenths of it")


def judge_careless_reward(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Learn from the chances by another iteration."""
    for worth, n_options, epsilon in [(3, 4, 0.3), (3, 6, 0.8), (2, 5, 0.0)]:
        reward = 1.5 * rng.normal(size=n_options) + 2
        found = numbers("careless_reward", ask("careless_reward", reward, epsilon), (n_options,))
        true = pooled_reward((1 - epsilon) * chance_of(np.subtract.outer(reward, reward)) + epsilon / 2)
        same = np.abs(found - true).max() <= 1e-5 * np.abs(true).max()
        yield Check(worth, bool(same), f"the learned reward of {n_options} options, coin flips {epsilon:.0%}")


def judge_veto(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Let other groups want what they like, and see how far the policy goes."""
    for worth, n_options in [(2, 4), (2, 6)]:
        reference, beta = rng.dirichlet(np.full(n_options, 3.0)), float(rng.uniform(0.2, 1.0))
        nats = float(rng.uniform(0.01, 0.1))
        reward = numbers("veto", ask("veto", np.log(reference), beta, nats), (n_options,))
        # The range of which the theorem says so: delta with delta^2 = 2 beta^2 nats.
        holds = abs(reference @ reward) < 1e-9 and abs(np.ptp(reward) ** 2 / (2 * beta**2) - nats) < 1e-3 * nats
        for _ in range(2 if holds else 0):
            others = centred(2 * rng.normal(size=(2, n_options)), reference)
            policy = fair_for_many(np.vstack([others, reward]), reference, beta)
            holds &= float((policy * np.log(policy / reference)).sum()) <= nats + 1e-6
        yield Check(worth, bool(holds), f"{n_options} responses: the range of the theorem, and no policy goes further")


TASKS = {
    "two_winners": judge_two_winners,
    "best_lie": judge_best_lie,
    "careless_reward": judge_careless_reward,
    "veto": judge_veto,
}
