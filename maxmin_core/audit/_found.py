"""What an audit found, as numbers with their intervals over people: the parts of audit.json; called by `whole`."""

import warnings

import numpy as np
from scipy.special import softmax, stdtrit

from ..intervals import permutation_test
from ..preferences.rewards import fit_bradley_terry
from ._groups import FEWEST, _interval, person_weights
from ._names import traits
from ._people import agreement, circles, ratio, repeats
from ._serving import losses_of_groups

__all__ = ["behaviour", "described", "gain_of", "given_traits", "over", "served", "single_reward", "worst_off"]

_SHUFFLES = 999


def behaviour(votes, ties, totals, model, draws):
    """Return how people vote, whatever they like: ties, place, agreement, repeats, circles."""
    n = votes.n_people
    one = (votes.person, votes.winner, votes.loser, n)
    agrees, again, round_ = agreement(*one), repeats(*one), circles(*one)
    known = votes.shown != 0
    first = np.bincount(votes.person[known], (votes.shown[known] > 0) * 1.0, n)
    shown = np.bincount(votes.person[known], minlength=n)
    place = {"known": bool(known.any()), "share_first": ratio(first, shown)}
    if known.any():
        place["logits"] = over(model.bias, [draw.bias for draw in draws])
        low, high = place["share_first"][1:]
        place["present"] = None if low is None else bool(low > 0.5 or high < 0.5)
    return {
        "ties": ratio(ties, totals),
        "position_bias": place,
        "agreement_on_the_same_pair": ratio(*agrees),
        "same_answer_again": ratio(*again),
        "circles": ratio(*round_),
    }, {"first": (first, shown), "agreement": agrees, "repeats": again, "circles": round_}


def single_reward(votes, seed, n_resamples):
    """Return the reward of everybody together, (I,), with ends of its intervals, (2, I), over people."""
    comparisons = votes.comparisons()
    reward = _centred(votes, comparisons)
    rng, n = np.random.default_rng([seed, 5]), votes.n_people
    drawn = []
    for _ in range(n_resamples):
        weight = np.bincount(rng.integers(n, size=n), minlength=n).astype(float)
        if weight[votes.person].any():
            drawn.append(_centred(votes, comparisons, weight[votes.person]))
    ends = np.quantile(drawn, [0.025, 0.975], axis=0)
    return reward, ends


def _centred(votes, comparisons, weight=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reward = votes.features @ fit_bradley_terry(comparisons, sample_weight=weight, l2=1.0)
    return reward - reward.mean()


def over(value, draws, within=(-np.inf, np.inf)):
    """Return a number with its 95% interval: t times its standard deviation over resamples of people, either side.

    With some dozen resamples their own quantiles would lie too close.
    """
    half = stdtrit(len(draws) - 1, 0.975) * np.std(draws, ddof=1)
    return [float(value), float(max(value - half, within[0])), float(min(value + half, within[1]))]


def described(search, votes, own, labels, clicking):
    """Return what can be said of every group: a list, by falling share; small groups are not described."""
    model = search.model
    home = np.where(search.posterior[:, 0] >= 0.5, -1, search.posterior[:, 1:].argmax(axis=1))
    home[(votes.count == 0) | clicking] = -1
    rewards = model.rewards
    drawn = np.array([draw.rewards for draw in search.draws])
    found = []
    for u in range(len(model.shares)):
        members = home == u
        one = {"group": u + 1, "people": int(members.sum()), "described": bool(members.sum() >= FEWEST)}
        if not one["described"]:
            found.append({"group": u + 1, "people": f"fewer than {FEWEST}", "described": False})
            continue
        one["share"] = over(model.shares[u], [draw.shares[u] for draw in search.draws], (0.0, 1.0))
        order = np.argsort(-rewards[u])
        ends = np.quantile(drawn[:, u], [0.025, 0.975], axis=0)
        one["rewards"] = [
            {"item": labels[i], "reward": float(rewards[u, i]), "low": float(ends[0, i]), "high": float(ends[1, i])}
            for i in order
        ]
        if len(model.shares) > 1:
            others = np.delete(np.arange(len(model.shares)), u)
            weight = model.shares[others] / model.shares[others].sum()
            apart = drawn[:, u] - np.einsum("v,bvi->bi", weight, drawn[:, others])
            low, high = np.quantile(apart, [0.025, 0.975], axis=0)
            mean = rewards[u] - weight @ rewards[others]
            far = np.argsort(-np.abs(mean))
            one["likes_more"] = [labels[i] for i in far if low[i] > 0][:5]
            one["likes_less"] = [labels[i] for i in far if high[i] < 0][:5]
            one["real"] = bool(search.real[u]["real"])
            one["agreement_with_its_own_reward"] = search.real[u]["agreement"]
        rows = members[votes.person]
        person = np.cumsum(members)[votes.person[rows]] - 1
        one["agreement_on_the_same_pair"] = ratio(
            *agreement(person, votes.winner[rows], votes.loser[rows], int(members.sum()))
        )
        one["share_first"] = ratio(*(part[members] for part in own["first"]))
        found.append(one)
    return found, home


def served(search, some, single, beta, seed):
    """Return how well one reward serves every group: agreement on held-out votes, win rate, gap; price, diversity."""
    model, n = search.model, some.n_people
    posterior = softmax(model.joint(some), axis=1)
    home = np.where(posterior[:, 0] >= 0.5, -1, posterior[:, 1:].argmax(axis=1))
    right = np.zeros(n)
    for f in range(search.fit.fold.max() + 1):
        train = some.take(np.flatnonzero(search.fit.fold != f))
        reward = _centred(train, train.comparisons())
        rows = search.fit.fold[some.person] == f
        margin = reward[some.winner[rows]] - reward[some.loser[rows]]
        right += np.bincount(some.person[rows], some.weight[rows] * np.heaviside(margin, 0.5), n)
    pairs = _pairs(some)
    now = losses_of_groups(model.rewards, model.shares, single, beta, pairs)
    comparisons, drawn = some.comparisons(), []
    for weight, draw in zip(person_weights(n, seed, len(search.draws)), search.draws, strict=True):
        alone = _centred(some, comparisons, weight[some.person])
        drawn.append(losses_of_groups(draw.rewards, draw.shares, alone, beta, pairs))
    found = []
    for u in range(len(model.shares)):
        here = home == u
        found.append(
            {"group": u + 1, "agreement": ratio(right[here], some.count[here])}
            | {
                name: over(now[name][u], [one[name][u] for one in drawn])
                for name in ("win_rate", "best_win_rate", "gap")
            }
        )
    everybody = {name: over(now[name], [one[name] for one in drawn]) for name in ("price", "diversity")}
    everybody["agreement"] = ratio(right, some.count)
    gaps = np.array([one["gap"] for one in drawn])
    return found, everybody, gaps, np.divide(right, some.count, out=np.full(n, np.nan), where=some.count > 0)


def _pairs(votes):
    n = votes.features.shape[0]
    key = np.unique(np.minimum(votes.winner, votes.loser) * n + np.maximum(votes.winner, votes.loser))
    return np.array([key // n, key % n])


def worst_off(search, groups, gaps):
    """Return the group that one reward serves worst, or None, and why."""
    if not search.more_than_one:
        return None, "No worst-off group is named, as more than one group is not established."
    mean = gaps.mean(axis=0)
    u = int(mean.argmax())
    often = float((gaps.argmax(axis=1) == u).mean())
    group = groups[u]
    if not group["described"]:
        return None, f"No worst-off group is named: it would have fewer than {FEWEST} people."
    if not group.get("real"):
        return None, (
            f"Group {u + 1} would be worst off, but how reliably its people vote explains that as well as a taste of "
            "their own: their votes do not follow the group's reward better than another group's."
        )
    place, own = group["share_first"], group["agreement_with_its_own_reward"]
    if place is not None and abs(place[0] - 0.5) >= own[0] - 0.5:
        return None, (
            f"Group {u + 1} would be worst off, but where an item stood explains its votes as well as its reward does: "
            f"{place[0]:.0%} of its choices were the item shown first."
        )
    if often < 0.95:
        return None, (
            f"Group {u + 1} loses most, but only in {often:.0%} of the resamples of people: which group is worst off "
            "these data cannot tell."
        )
    return u + 1, f"Group {u + 1} loses most by one reward, in {often:.0%} of the resamples of people."


def given_traits(said, home, agrees, seed):
    """Return permutation tests of what the table says of people, Holm-corrected, and why columns are left out.

    home is everybody's group, -1 for none; agrees how often everybody's votes agree with the single reward, NaN where
    unknown. Each trait is tested against both.
    """
    kept, refused = traits(said, FEWEST)
    tests = []
    for number, (name, values) in enumerate(kept.items()):
        for outcome, y in (("group", home.astype(float)), ("agreement with one reward", agrees)):
            use = (values != "") & np.isfinite(y) & ((home >= 0) | (outcome != "group"))
            levels, level = np.unique(values[use], return_inverse=True)
            if len(levels) < 2 or len(np.unique(y[use])) < 2:
                continue
            shown = np.eye(len(np.unique(y[use])))[np.unique(y[use], return_inverse=True)[1]]
            target = shown if outcome == "group" else (y[use] - y[use].mean())[:, None]
            size = np.bincount(level)

            def between(label, target=target, size=size):
                sums = np.array([np.bincount(label, column, len(size)) for column in target.T])
                return float((sums**2 / size).sum())

            found = permutation_test(between, level, n_resamples=_SHUFFLES, seed=[seed, 6, number])
            tests.append({"trait": name, "of": outcome, "levels": len(levels), "p": float(found.p_value)})
    order = np.argsort([test["p"] for test in tests])
    reached = 0.0
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, tests[place]["p"] * (len(tests) - rank)))
        tests[place]["p_holm"] = reached
    return tests, refused


def gain_of(search):
    """Return the held-out gains of the groups, mean and 95% interval in nats a person, against one reward and null."""
    fit = search.fit
    k = max(search.best, min(2, max(fit.scores)))
    return {
        "groups": k,
        "against_one_group": _interval(fit.gain(k, fit.one)),
        "against_null": _interval(fit.gain(k, fit.scores[1])),
    }
