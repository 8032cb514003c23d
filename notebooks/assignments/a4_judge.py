"""Hidden checks of assignment 4: problems whose best policy is known because they were built around it."""

import numpy as np
from scipy.special import logsumexp

from maxmin_core.course.judging import AnswerError, Check, numbers, several


def values(policy, rewards, log_reference, beta):
    """Return every group's value of a policy, response by response."""
    total = np.zeros(len(rewards))
    for x, row in enumerate(policy):
        for y, p in enumerate(row):
            if p > 0:
                total += p * (rewards[:, x, y] - beta * (np.log(p) - log_reference[x, y])) / len(policy)
    return total


def best(reward, log_reference, beta):
    """Return the best value of one reward."""
    return beta * logsumexp(log_reference + reward / beta, axis=1).mean()


def is_policy(policy, log_reference):
    """Return whether rows are distributions over what the reference can give."""
    rows = policy.min() > -1e-12 and np.abs(policy.sum(axis=1) - 1).max() < 1e-8
    return bool(rows and np.isfinite(log_reference[policy > 1e-12]).all())


def problem(rng, n_groups, n_prompts, n_responses, zero=0, masked=False):
    """Return a problem with its optimum: rewards, log-reference, beta, weights, policy and the smallest value.

    The weights come first. Each reward is moved by one number, which changes no policy, such that all groups with
    weight have the same value under the policy of the weights, and the others a larger one: then it is the best.
    """
    rewards = rng.normal(size=(n_groups, n_prompts, n_responses))
    log_reference = np.log(rng.dirichlet(np.full(n_responses, 2.0), size=n_prompts))
    if masked:
        log_reference[:, 0] = -np.inf
        log_reference -= logsumexp(log_reference, axis=1, keepdims=True)
    beta, weights = float(rng.uniform(0.2, 0.8)), rng.dirichlet(np.full(n_groups, 4.0))
    weights[n_groups - zero :] = 0
    weights /= weights.sum()
    tilted = log_reference + np.tensordot(weights, rewards, 1) / beta
    policy = np.exp(tilted - logsumexp(tilted, axis=1, keepdims=True))
    level, wanted = rng.normal(), np.where(weights > 0, 0.0, rng.uniform(0.1, 0.5, size=n_groups))
    rewards += (level + wanted - values(policy, rewards, log_reference, beta))[:, None, None]
    return rewards, log_reference, beta, weights, policy, float(level)


def at_weights(ask, rng):
    """The first-order condition of the best policy, values added up response by response, and rewards far out."""
    optimal, valued = True, True
    for n_prompts in (1, 3):
        rewards, log_reference, beta, _, _, _ = problem(rng, 3, n_prompts, 4)
        w = rng.dirichlet(np.ones(3))
        policy, found, bound = several(
            "at_weights", ask("at_weights", w, rewards, log_reference, beta), (n_prompts, 4), (3,), ()
        )
        if not is_policy(policy, log_reference) or policy.min() <= 0:
            optimal = valued = False
            continue
        # What one more bit of any response is worth: at the best policy it is the same for all.
        worth = np.tensordot(w, rewards, 1) - beta * (np.log(policy) - log_reference)
        optimal &= np.ptp(worth, axis=1).max() < 1e-7
        right = values(policy, rewards, log_reference, beta)
        valued &= np.abs(found - right).max() < 1e-8 and abs(bound - w @ right) < 1e-8
    yield Check(5, bool(optimal), "no response should be given more often, or less")
    yield Check(5, bool(valued), "values and A, added up response by response", after=bool(optimal))
    rewards, log_reference, _, w, _, _ = problem(rng, 2, 2, 3, masked=True)
    rewards[:, :, 0] = 5.0
    beta = 5e-4
    policy, found, bound = several("at_weights", ask("at_weights", w, rewards, log_reference, beta), (2, 3), (2,), ())
    chosen = (log_reference + np.tensordot(w, rewards, 1) / beta).argmax(axis=1)
    good = is_policy(policy, log_reference) and (policy[[0, 1], chosen] > 0.5).all()
    good = good and np.abs(found - values(policy, rewards, log_reference, beta)).max() < 1e-8
    good = good and abs(bound - w @ found) < 1e-8
    yield Check(4, bool(good), "responses that cannot be given, and rewards thousands of times beta")


def worst_off_first(ask, rng):
    """The policy is evaluated, and so is what its weights prove, where the optimum is known."""
    proved, all_reached = True, True
    for points, shapes, says in [
        (6, [(2, 1, 4, 0, False), (2, 1, 3, 0, False)], "two groups"),
        (7, [(3, 2, 4, 0, False), (6, 3, 5, 1, False)], "more groups, several prompts"),
        (5, [(4, 2, 4, 2, True), (3, 1, 5, 2, True)], "groups without weight, responses that cannot be given"),
    ]:
        good = True
        for shape in shapes:
            rewards, log_reference, beta, _, best_policy, level = problem(rng, *shape)
            if shape[0] == 4:
                rewards[3] = rewards[0]  # a clone, which changes nothing
            # The promised part of the largest range of rewards within a prompt, over what can be given.
            known = np.where(np.isfinite(log_reference), rewards, np.nan)
            close = 1e-4 * (np.nanmax(known, axis=2) - np.nanmin(known, axis=2)).max()
            answer = ask("worst_off_first", rewards, log_reference, beta)
            weights, policy = several("worst_off_first", answer, (len(rewards),), best_policy.shape)
            reached = is_policy(policy, log_reference)
            reached = reached and values(policy, rewards, log_reference, beta).min() > level - close
            good &= reached
            all_reached &= reached
            sound = weights.min() > -1e-9 and abs(weights.sum() - 1) < 1e-8
            mixed = np.tensordot(weights, rewards, 1)
            proved &= sound and best(mixed, log_reference, beta) < level + close
        yield Check(points, bool(good), f"nobody can do more for the worst-off: {says}")
    yield Check(4, bool(proved), "the weights prove it", after=bool(all_reached))


def accept(ask, rng):
    """Honest certificates beside false ones: both must be told."""

    def says(*claim):
        answer = ask("accept", *claim)
        if not isinstance(answer, bool | np.bool_):
            raise AnswerError(f"accept: expected True or False, got {type(answer).__name__}")
        return bool(answer)

    def honest_and(*changes):
        rewards, log_reference, beta, weights, policy, level = problem(rng, 3, 2, 4, zero=1)
        claim = {"policy": policy, "weights": weights, "claimed": level}
        given = [rewards, log_reference, beta, *claim.values(), 1e-6]
        answers = [says(*given)]
        for change in changes:
            other = claim | change(rewards, log_reference, beta, weights, policy, level)
            answers.append(says(rewards, log_reference, beta, *other.values(), 1e-6))
        return answers == [True] + [False] * len(changes)

    def average(rewards, log_reference, beta, weights, policy, level):
        tilted = log_reference + rewards.mean(axis=0) / beta
        other = np.exp(tilted - logsumexp(tilted, axis=1, keepdims=True))
        return {
            "policy": other,
            "weights": np.full(3, 1 / 3),
            "claimed": values(other, rewards, log_reference, beta).min(),
        }

    def wrong_weights(rewards, log_reference, beta, weights, policy, level):
        return {"weights": np.roll(weights, 1)}

    def improper(rewards, log_reference, beta, weights, policy, level, towards):
        """A worse policy that is seemingly proved by weights that are none: A may then be below the optimum."""
        step = 0.1
        while best(np.tensordot(weights + step * towards, rewards, 1), log_reference, beta) >= level - 1e-9:
            step /= 2
        other = weights + step * towards
        bound, low, high = best(np.tensordot(other, rewards, 1), log_reference, beta), 0.0, 1.0
        for _ in range(60):
            part = (low + high) / 2
            worse = (1 - part) * policy + part * np.exp(log_reference)
            reached = float(values(worse, rewards, log_reference, beta).min())
            low, high = (part, high) if reached > bound else (low, part)
        return {"policy": worse, "weights": other, "claimed": reached}

    def scaled(rewards, log_reference, beta, weights, policy, level):
        slope = (policy * np.tensordot(weights, rewards, 1)).sum()
        return improper(rewards, log_reference, beta, weights, policy, level, -np.sign(slope) * weights)

    def negative(rewards, log_reference, beta, weights, policy, level):
        return improper(rewards, log_reference, beta, weights, policy, level, np.array([1.0, 0.0, -1.0]))

    def too_much(rewards, log_reference, beta, weights, policy, level):
        # With rows that do not sum to one, the formula of the values gives any policy more than the best one has.
        other = (1 + 0.02 * np.sign(level - beta)) * policy
        return {"policy": other, "claimed": values(other, rewards, log_reference, beta).min()}

    def refuses_the_impossible():
        """Beside an honest claim: policies that give what cannot be given, and what is left where that is skipped."""
        rewards, log_reference, beta, weights, policy, level = problem(rng, 3, 2, 4, zero=1, masked=True)
        # All groups dislike what can be given, and like what cannot: to leave out a part looks like a gain.
        rewards -= 6.0
        level -= 6.0
        rewards[:, :, 0] = 6.0
        other = 0.9 * policy
        other[:, 0] = 0.1
        given = (other > 0) & np.isfinite(log_reference)
        spent = beta * (other[given] * (np.log(other[given]) - log_reference[given])).sum() / len(other)
        all_rewards = (other * rewards).sum(axis=2).mean(axis=1)
        left = (np.where(given, other, 0) * rewards).sum(axis=2).mean(axis=1)
        moved = policy.copy()
        moved[:, 0], moved[:, 1] = moved[:, 1], 0
        answers = [says(rewards, log_reference, beta, policy, weights, level, 1e-6)]
        for wrong, claimed in [
            (other, (all_rewards - spent).min()),
            (other, (left - spent).min()),
            (other, level),
            (moved, level),
        ]:
            answers.append(says(rewards, log_reference, beta, wrong, weights, float(claimed), 1e-6))
        return answers == [True] + [False] * 4

    def boast(rewards, log_reference, beta, weights, policy, level):
        return {"claimed": level + 1e-3}

    def modest(rewards, log_reference, beta, weights, policy, level):
        return {"claimed": level - 1e-3}

    yield Check(4, honest_and(average, wrong_weights), "the best policy is accepted, that of the average is not")
    good = honest_and(scaled, negative) and honest_and(too_much) and refuses_the_impossible()
    yield Check(5, bool(good), "weights that are no weights prove nothing, and what is no policy attains nothing")
    rewards, log_reference, beta, weights, policy, level = problem(rng, 3, 2, 4, zero=1)
    near = 0.98 * policy + 0.02 * np.exp(log_reference)
    reached = float(values(near, rewards, log_reference, beta).min())
    loose = says(rewards, log_reference, beta, near, weights, reached, 2 * (level - reached))
    tight = says(rewards, log_reference, beta, near, weights, reached, 0.3 * (level - reached))
    good = honest_and(boast, modest) and loose and not tight
    yield Check(5, bool(good), "the claim is compared, and a policy near the best is accepted within the tolerance")


def certified_gaps(ask, rng):
    """The same loop in natural parameters: a policy takes steps, and no weights are kept."""

    def loop(rewards, log_reference, beta, n_steps, rate):
        natural, gaps = rewards.mean(axis=0), []
        for t in range(n_steps + 1):
            tilted = log_reference + natural / beta
            policy = np.exp(tilted - logsumexp(tilted, axis=1, keepdims=True))
            expected = (policy * rewards).sum(axis=2).mean(axis=1)
            gaps.append((policy * natural).sum(axis=1).mean() - expected.min())
            step = 2 / (t + 2) if rate is None else rate
            natural = natural + step * (rewards[expected.argmin()] - natural)
        return np.array(gaps)

    for points, rate, says in [
        (4, float(rng.uniform(0.05, 0.2)), "a constant step"),
        (4, None, "the steps 2/(t + 2)"),
    ]:
        rewards, log_reference, beta, _, _, _ = problem(rng, 3, 2, 4)
        found = numbers("certified_gaps", ask("certified_gaps", rewards, log_reference, beta, 40, rate), (41,))
        good = np.abs(found - loop(rewards, log_reference, beta, 40, rate)).max() < 1e-7
        yield Check(points, bool(good), f"the certificates of the first 40 steps: {says}")
    while True:
        rewards, log_reference, beta, _, _, _ = problem(rng, 2, 1, 4)
        right = [loop(rewards, log_reference, beta, 400, rate)[-200:].mean() for rate in (0.1, None)]
        if right[0] > 5 * right[1]:
            break
    late, early = [], True
    for rate in (0.1, None):
        found = numbers("certified_gaps", ask("certified_gaps", rewards, log_reference, beta, 400, rate), (401,))
        late.append(found[-200:].mean())
        early &= np.abs(found - loop(rewards, log_reference, beta, 400, rate))[:20].max() < 1e-7
    good = early and np.abs(np.array(late) / right - 1).max() < 0.2
    yield Check(4, bool(good), "in the long run: how far a constant step stays away, and the falling one does not")


def common_scale(ask, rng):
    """Mean and spread under the reference, unmoved by what choices cannot show, and groups without wishes."""

    def scaled(rewards, log_reference):
        return numbers("common_scale", ask("common_scale", rewards, log_reference), rewards.shape)

    def moments(scores, reference):
        """Return the largest mean of a prompt, and the spreads."""
        first = (reference * scores).sum(axis=2)
        return np.abs(first).max(), np.sqrt((reference * scores**2).sum(axis=2).mean(axis=1))

    rewards = rng.normal(size=(3, 3, 4)) * rng.uniform(0.3, 3, size=(3, 3, 1)) + 2 * rng.normal(size=(3, 3, 1))
    reference = rng.dirichlet(np.ones(4), size=3)
    found = scaled(rewards, np.log(reference))
    mean, spread = moments(found, reference)
    good = mean < 1e-8 and np.abs(spread - 1).max() < 1e-8
    # One factor a group: differences of responses stay in proportion, over all prompts.
    ratio = np.diff(found, axis=2) / np.diff(rewards, axis=2)
    good &= np.ptp(ratio, axis=(1, 2)).max() < 1e-6 * ratio.max() and ratio.min() > 0
    yield Check(4, bool(good), "mean zero on each prompt, spread one for each group, and nothing else changed")
    moved = rewards * rng.uniform(0.2, 5, size=(3, 1, 1)) + 4 * rng.normal(size=(3, 3, 1))
    again = scaled(moved, np.log(reference))
    first = bool(good)
    good = np.abs(again - found).max() < 1e-7 and np.abs(moments(again, reference)[1] - 1).max() < 1e-8
    yield Check(4, bool(good), "numbers added to a prompt and factors on a group change nothing", after=first)
    first &= bool(good)
    reference[:, 1] = 0
    reference /= reference.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_reference = np.log(reference)
    rewards[1] = rng.normal(size=(3, 1))
    rewards[:, :, 1] = 40.0
    found = scaled(rewards, log_reference) * (reference > 0)
    mean, spread = moments(found, reference)
    good = mean < 1e-8 and np.abs(spread - [1, 0, 1]).max() < 1e-8 and np.abs(found[1]).max() == 0
    yield Check(3, bool(good), "a group without preferences, and responses that cannot be given", after=first)


TASKS = {
    "at_weights": at_weights,
    "worst_off_first": worst_off_first,
    "accept": accept,
    "certified_gaps": certified_gaps,
    "common_scale": common_scale,
}
