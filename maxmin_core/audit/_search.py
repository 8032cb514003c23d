"""The search for groups from one end to the other: whom it leaves out, what it fits, how sure that is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit, softmax

from ..intervals import mean_interval
from ..preferences.population import match_groups
from ._care import careless_interval
from ._groups import CrossFit, cross_fit, real_groups, resampled_people, verdict_on_groups, visible
from ._space import Votes, make_space
from ._tastes import Tastes, fit_tastes

__all__ = ["Search", "clickers", "either_way", "find_groups", "sample"]

# What the search looks at: more would take minutes, and is not needed to see a group.
_MOST_VOTES = 20_000
_MOST_PEOPLE = 1_000
_MOST_VOTES_EACH = 150
# Passes of EM that integrate over tastes by sampling.
_SAMPLED = 20
# People whose groups are worked out together.
_AT_A_TIME = 2_000


@dataclass(frozen=True, eq=False)
class Search:
    """Hold what was found.

    people are those whom the search looked at; fit their held-out scores; null H(1) and model H(K), of K = `best`
    groups; draws the model in resamples of people; posterior (A, 1 + K) of everybody, careless first.
    """

    people: np.ndarray
    fit: CrossFit
    best: int
    null: Tastes
    model: Tastes
    real: list
    planted: dict
    more_than_one: bool | None
    why: str
    draws: list
    posterior: np.ndarray
    restarts: list
    unseen: float | None
    careless: list

    @property
    def differ(self):
        """What individual tastes gain over one reward on held-out people, with a 99% interval, nats a person."""
        mean, half = mean_interval(self.fit.scores[1] - self.fit.one, 0.99)
        return [float(mean), float(mean - half), float(mean + half)]

    @property
    def chosen(self):
        """The number of groups that the audit speaks of: 1 where more are not established."""
        return self.best if self.more_than_one else 1


def find_groups(votes: Votes, seed: int, tell: Callable[[float, str], None] = lambda part, what: None) -> Search:
    """Return what the rules of `_groups` say of people's votes."""
    rng = np.random.default_rng([seed, 4])
    people, some = sample(votes, rng)
    fit = cross_fit(some, seed, lambda part: tell(part / 4, "held-out people"))
    best = fit.chosen()
    space = make_space(some)
    null = fit_tastes(some, space, 1, sampled=_SAMPLED, seed=seed)
    model = fit_tastes(some, space, best, sampled=_SAMPLED, seed=seed) if best > 1 else null
    order = np.argsort(-model.shares)
    model = Tastes(space, model.shares[order], model.means[order], model.covariance, model.care, model.bias)
    real = real_groups(some, fit, model)
    planted = visible(some, null, seed)
    tell(1.0, "what would be seen")
    more, why = verdict_on_groups(fit, best, real, planted)
    if not more:
        model = null
    draws = resampled_people(some, model, seed, tell=lambda part: tell(part, "resampled people"))
    posterior = _everybody(model, votes)
    restarts, unseen = _stability(some, fit, model, seed) if more else ([], None)
    careless = careless_interval(some, model)
    return Search(
        people, fit, best, null, model, real, planted, more, why, draws, posterior, restarts, unseen, careless
    )


def _everybody(model, votes):
    """Return the posterior of everybody, (A, 1 + K), some thousand people at a time: memory is that of their votes."""
    parts = range(0, votes.n_people, _AT_A_TIME)
    people = [np.arange(begin, min(begin + _AT_A_TIME, votes.n_people)) for begin in parts]
    return np.concatenate([softmax(model.joint(votes.take(some)), axis=1) for some in people])


def sample(votes, rng):
    """Return the people whom the search looks at, and their votes: all, or as many as it has time for."""
    count = np.bincount(votes.person, minlength=votes.n_people)
    order = rng.permutation(len(votes.person))
    order = order[np.argsort(votes.person[order], kind="stable")]
    # Of somebody with very many votes a random part.
    number = np.arange(len(order)) - (np.cumsum(count) - count)[votes.person[order]]
    kept = np.sort(order[number < _MOST_VOTES_EACH])
    part = votes.rows(kept)
    count = np.bincount(part.person, minlength=votes.n_people)
    people = np.flatnonzero(count)
    drawn = rng.permutation(people)
    drawn = drawn[np.cumsum(count[drawn]) <= max(_MOST_VOTES, count[drawn[0]])][:_MOST_PEOPLE]
    people = np.sort(drawn)
    return people, part.take(people)


def either_way(one, other):
    """Tell whether at least half of the votes are on pairs that were shown in both orders."""
    n = int(max(one.max(), other.max())) + 1
    _, pair = np.unique(np.minimum(one, other) * n + np.maximum(one, other), return_inverse=True)
    ordered = np.bincount(pair, one < other)
    both = (ordered > 0) & (ordered < np.bincount(pair))
    return bool(both[pair].mean() >= 0.5)


def clickers(votes):
    """Return for everybody -1, 0 or 1: who chooses the second place, neither, or the first, whatever stands there.

    The likelihood of pressing one side in 95% of votes, relative to the crowd's share of first places, has to exceed
    20 times the number of people: where the order was random, and people look at the items, that happens to somebody in
    at most one data set of twenty, by Markov's inequality.
    """
    known = votes.shown != 0
    first = np.bincount(votes.person[known], (votes.shown[known] > 0) * 1.0, votes.n_people)
    count = np.bincount(votes.person[known], minlength=votes.n_people)
    if not known.any():
        return np.zeros(votes.n_people, dtype=int)
    logit = np.log((first.sum() + 1) / (count.sum() - first.sum() + 1))
    plain = first * log_expit(logit) + (count - first) * log_expit(-logit)
    side = np.where(2 * first >= count, 1, -1)
    more = np.maximum(first, count - first)
    pressed = np.log(0.5) + more * np.log(0.95) + (count - more) * np.log(0.05)
    return np.where(pressed - plain > np.log(20 * votes.n_people), side, 0)


def _stability(votes, fit, model, seed):
    """Return, from other starts, the share of people who stay in their group; and so of models that never saw them."""
    home = model.joint(votes)[:, 1:].argmax(axis=1)
    restarts = []
    for other in range(1, 4):
        again = fit_tastes(votes, model.space, len(model.shares), seed=seed + 100 * other)
        same = match_groups(model.rewards, again.rewards)
        restarts.append(float((again.joint(votes)[:, 1 + same].argmax(axis=1) == home).mean()))
    stayed = np.empty(votes.n_people)
    for f, fitted in enumerate(fit.models[len(model.shares)]):
        people = np.flatnonzero(fit.fold == f)
        same = match_groups(model.rewards, fitted.rewards)
        stayed[people] = fitted.joint(votes.take(people))[:, 1 + same].argmax(axis=1) == home[people]
    return restarts, float(stayed.mean())
