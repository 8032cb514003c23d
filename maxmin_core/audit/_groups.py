"""Is there more than one group? Held-out people decide, by rules that were chosen on simulated people alone.

Every fold's people are scored by models fitted to the others: one reward (and careless people); individual tastes
without groups, H(1); and the same with K groups, H(K), which contain H(1). In nats a person:

* K is the smallest number of groups that is at most one standard error (paired, over people) behind the best.
* More than one group: yes, if K is above 1, H(K) is ahead of H(1) and of the one reward, each with a 95% interval above
  0, and two of the groups are told apart: each has five people or more, whose votes its reward predicts (95% interval
  of agreement above one half, on votes that did not assign them), and each one's reward predicts its people better than
  the other's does, whatever the strength of either: who merely votes less reliably is no group.
* No, if K is 1, and the data would have shown a minority: the upper end of the 95% interval of the best H(K) over H(1)
  lies below what a minority of one in five with another ranking would bring, on the same pairs, less what learning its
  ranking costs: (q + 1) / 2 nats over the people of a training part, q the number of directions (Akaike). And one
  reward has to predict people who were held out better than a coin (95%): where votes follow no ranking, "another
  ranking of the same strength" says nothing.
* Else the data cannot tell.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, logsumexp, softmax

from ..intervals import mean_interval
from ..preferences.population import match_groups
from ._space import make_space
from ._tastes import Tastes, fit_tastes

__all__ = [
    "FEWEST",
    "RULE",
    "CrossFit",
    "apart",
    "cross_fit",
    "person_weights",
    "real_groups",
    "resampled_people",
    "verdict_on_groups",
    "visible",
]

# Fewer people than that are not described, and are no group.
FEWEST = 5
# The rule as a page says it.
RULE = (
    "Groups are claimed only where they predict people who were held out (five folds) better than a model in which "
    "everybody has a taste of their own, and a care of their own, but there are no groups; with a 95% interval above "
    "nought, against one reward as well, and only if two of the groups are told apart: each has five people or more, "
    "whose other votes follow their own group's reward better than the other group's, however strong either is."
)
_FOLDS = 5
_MOST_GROUPS = 6
_SHUFFLES = 2


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Hold the held-out log-probability of everybody's votes, (A,), under every model, and the models of the folds."""

    fold: np.ndarray
    coin: np.ndarray
    one: np.ndarray
    scores: dict[int, np.ndarray]
    models: dict[int, list[Tastes]]

    def gain(self, n_groups, than):
        """Return what H(K) gains a person over another score, (A,)."""
        return self.scores[n_groups] - than

    def chosen(self, people=slice(None)):
        """Return the smallest number of groups that is at most one standard error behind the best."""
        scores = {k: score[people] for k, score in self.scores.items()}
        best = max(scores, key=lambda k: scores[k].mean())
        for k in sorted(scores):
            behind = scores[best] - scores[k]
            if k == best or behind.mean() <= behind.std(ddof=1) / np.sqrt(len(behind)):
                return k

    def frequencies(self, seed, n_resamples=500):
        """Return how often every number of groups is chosen when people are drawn again, by number."""
        rng, n = np.random.default_rng(seed), len(self.one)
        chosen = [self.chosen(rng.integers(n, size=n)) for _ in range(n_resamples)]
        return {k: chosen.count(k) / n_resamples for k in sorted(self.scores)}


def cross_fit(votes, seed, tell=lambda part: None):
    """Return the held-out scores of one reward and of 1, 2, 3, ... groups, as long as more are better; at least 3."""
    n = votes.n_people
    fold = np.random.default_rng([seed, 1]).permutation(n) % min(_FOLDS, n)
    parts = []
    for f in range(fold.max() + 1):
        train = votes.take(np.flatnonzero(fold != f))
        parts.append((f, train, votes.take(np.flatnonzero(fold == f)), make_space(train)))
    # A group needs people to be learned from.
    most = max(1, min(_MOST_GROUPS, n // 20))
    scores, models = {}, {}

    def score(n_groups, spread):
        found, fitted = np.empty(n), []
        for f, train, test, space in parts:
            fitted.append(fit_tastes(train, space, n_groups, spread=spread, seed=seed))
            found[fold == f] = logsumexp(fitted[-1].joint(test, seed=[seed, f]), axis=1)
            tell(1 / len(parts))
        return found, fitted

    one, _ = score(1, False)
    for k in range(1, most + 1):
        if k > 3 and max(scores, key=lambda j: scores[j].mean()) < k - 1:
            break
        scores[k], models[k] = score(k, True)
    return CrossFit(fold, -np.log(2) * votes.count, one, scores, models)


def real_groups(votes, fit, model):
    """Return for every group of the model on all data what its members' other votes say of it, a dictionary each.

    Everybody is assigned by every other vote, under the model of the folds that never saw them, and the rest of the
    votes are compared with the rewards of all groups; then the other way round.
    """
    k = len(model.shares)
    within = np.arange(len(votes.person)) - np.searchsorted(votes.person, votes.person)
    margins, place = np.zeros((len(votes.person), k)), np.zeros(len(votes.person))
    member = np.full(len(votes.person), -1)
    for f, fitted in enumerate(fit.models[k]):
        here = fit.fold[votes.person] == f
        same = match_groups(model.rewards, fitted.rewards)
        rewards = fitted.rewards[same]
        margins[here] = (rewards[:, votes.winner[here]] - rewards[:, votes.loser[here]]).T
        place[here] = fitted.bias * votes.shown[here]
        for half in (0, 1):
            known = votes.rows(here & (within % 2 == half))
            posterior = softmax(fitted.joint(known), axis=1)[:, np.append(0, 1 + same)]
            home = np.where((posterior[:, 0] < 0.5) & (known.count > 0), posterior[:, 1:].argmax(axis=1), -1)
            asked = here & (within % 2 != half)
            member[asked] = home[votes.person[asked]]
    told = []
    for u in range(k):
        rows = member == u
        told.append(_told(margins[rows], place[rows], votes.weight[rows], votes.person[rows], u))
    for u, one in enumerate(told):
        one["real"] = bool(one["ahead"]) and all(apart(told, u, v, both=False) for v in range(k) if v != u)
    return told


def apart(told, u, v, both=True):
    """Tell whether group u's people follow u's reward, and better than v's; `both`: and the other way round."""
    one = told[u]
    sure = bool(one["ahead"]) and one["agreement"][1] > 0.5 and one["ahead"][v][1] > 0
    return sure and (not both or apart(told, v, u, both=False))


def _told(margins, place, weight, person, u):
    """Return what members' votes say of group u: agreement with its reward, and its lead over others in nats a person.

    Every reward is taken with the strength that suits these votes best.
    """
    people, number = np.unique(person, return_inverse=True)
    told = {"people": len(people), "agreement": None, "ahead": []}
    if len(people) < FEWEST:
        return told
    count = np.bincount(number, weight)
    told["agreement"] = _interval(np.bincount(number, weight * np.heaviside(margins[:, u], 0.5)) / count)
    each = [np.bincount(number, weight * _best_strength(margin, place, weight)) for margin in margins.T]
    told["ahead"] = [_interval(each[u] - other) for other in each]
    return told


def _best_strength(margin, place, weight):
    """Return the log-probabilities of votes by a reward of the strength, at least 0, that makes them likeliest."""
    strength = 1.0
    for _ in range(20):
        down = expit(-(strength * margin + place))
        slope, curvature = weight * down @ margin, weight * down * (1 - down) @ margin**2
        strength = np.clip(strength + slope / (curvature + 1e-9), max(strength - 1, 0.0), strength + 1)
    return log_expit(strength * margin + place)


def _interval(draws, level=0.95):
    mean, half = mean_interval(draws, level)
    return [float(mean), float(mean - half), float(mean + half)]


def visible(votes, model, seed, shares=(0.1, 0.2, 0.3)):
    """Return by share what a minority of that share with another ranking would gain over individual tastes.

    Everybody's votes are drawn anew on the pairs that they saw, from the fitted H(1) with a minority whose mean reward
    is that of the others with the items shuffled; then H(1) is fitted to them, and compared on votes that are drawn
    once more with what they were drawn from. The mean of two shuffles, a person, less what learning costs, and its
    standard error.
    """
    space, n = model.space, votes.n_people
    levels = np.append(0.0, model.levels)
    found = {}
    for share in shares:
        gains = []
        # A model that is fitted to the people of a training part pays for what it has to learn.
        cost = (space.directions.shape[1] + 1) / 2 / ((1 - 1 / _FOLDS) * n)
        for number in range(_SHUFFLES):
            rng = np.random.default_rng([seed, 2, number])
            reward = model.rewards[0]
            other = (reward[rng.permutation(len(reward))] - space.common) @ space.directions
            means = np.array([model.means[0], other])
            true = Tastes(space, np.array([1 - share, share]), means, model.covariance, model.care, model.bias)

            def drawn(rng=rng, means=means, share=share):
                taste = means[(rng.random(n) < share).astype(int)]
                taste = taste + rng.multivariate_normal(np.zeros(means.shape[1]), model.covariance, n)
                care = levels[rng.choice(len(levels), size=n, p=model.care)]
                rewards = care[:, None] * (space.common + taste @ space.directions.T)
                margin = rewards[votes.person, votes.winner] - rewards[votes.person, votes.loser]
                return votes.redrawn(rng.random(len(margin)) < expit(margin + model.bias * votes.shown))

            null, unseen = fit_tastes(drawn(), space, 1, start=model, passes=25), drawn()
            gains.append(
                logsumexp(true.joint(unseen, seed=seed), axis=1) - logsumexp(null.joint(unseen, seed=seed), axis=1)
            )
        found[share] = float(np.mean(gains)) - cost, float(np.std(gains) / np.sqrt(n * _SHUFFLES))
    return found


def verdict_on_groups(fit, chosen, real, planted):
    """Return True, False or None (cannot tell), and why, in words; see the module's docstring."""
    best = max((k for k in fit.scores if k > 1), key=lambda k: fit.scores[k].mean(), default=None)
    if best is None:
        return None, f"{len(fit.one)} people are too few to look for groups (at least 40 are needed)."
    k = chosen if chosen > 1 else best
    gain, over_one = (_interval(fit.gain(k, than)) for than in (fit.scores[1], fit.one))
    told = any(apart(real, u, v) for v in range(len(real)) for u in range(v))
    ends = f"95% interval {gain[1]:z.2f} to {gain[2]:z.2f}"
    interval = f"({ends} nats a person)"
    if chosen > 1 and gain[1] > 0 and over_one[1] > 0 and told:
        return True, (
            f"{k} groups predict people who were held out better than individual tastes without groups do, by "
            f"{gain[0]:z.2f} nats a person ({ends})."
        )
    if _interval(fit.one - fit.coin)[1] <= 0:
        return None, (
            "One reward predicts people who were held out no better than a coin does: these votes follow no common "
            "ranking, or are too few to show one."
        )
    would = planted[0.2][0]
    if chosen == 1 and gain[2] < would:
        return False, (
            f"{k} groups predict people who were held out no better than individual tastes without groups do "
            f"{interval}, and one person in five with another ranking would have gained {would:z.2f}."
        )
    if chosen > 1 and not told:
        return None, (
            f"{k} groups predict best {interval}, but no two of them are told apart: nowhere do the people of both "
            "follow their own group's reward better than the other's. They may differ in how reliably they vote alone."
        )
    return None, (
        f"{k} groups gain {gain[1]:z.2f} to {gain[2]:z.2f} nats a person over individual tastes (95% interval), and "
        f"one person in five with another ranking would gain {would:z.2f}: these data cannot tell groups from "
        "individual tastes."
    )


def person_weights(n_people, seed, n_resamples=40):
    """Return how often everybody is drawn in every resample of people, (n_resamples, A)."""
    rng = np.random.default_rng([seed, 3])
    drawn = rng.integers(n_people, size=(n_resamples, n_people))
    return np.array([np.bincount(people, minlength=n_people) for people in drawn], dtype=float)


def resampled_people(votes, model, seed, n_resamples=40, tell=lambda part: None):
    """Return the model fitted again to people drawn with replacement, from where it stands: a list of models."""
    found = []
    for weight in person_weights(votes.n_people, seed, n_resamples):
        people = np.flatnonzero(weight)
        part, weight = votes.take(people), weight[people]
        found.append(fit_tastes(part, model.space, len(model.shares), start=model, weight=weight, passes=0, sampled=6))
        tell(1 / n_resamples)
    return found
