"""The decided votes of people as arrays, and the few directions of item rewards in which people may differ."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import expit

from ..preferences.comparisons import Comparisons
from ..preferences.rewards import fit_bradley_terry

__all__ = ["Data", "Space", "Votes", "make_space"]

# People may differ in so many directions; with at most one item more, in every direction that there is.
_DIRECTIONS = 10
# Up to so many items the directions are found in dense matrices.
_DENSE = 1500


@dataclass(frozen=True, eq=False)
class Votes:
    """Hold n decided votes, sorted by person: winner, loser (n,), shown (n,), weight (n,), person (n,).

    shown is 1 where the winner was shown first, -1 where it was second, 0 where nobody knows.
    """

    features: object
    n_people: int
    person: np.ndarray
    winner: np.ndarray
    loser: np.ndarray
    shown: np.ndarray
    weight: np.ndarray

    def take(self, people):
        """Return the votes of some people, numbered anew in that order; one who stands there twice is two."""
        count = np.bincount(self.person, minlength=self.n_people)
        begin, many = (np.cumsum(count) - count)[people], count[people]
        number = np.repeat(np.arange(len(people)), many)
        rows = begin[number] + np.arange(len(number)) - (np.cumsum(many) - many)[number]
        return self.rows(rows, number, len(people))

    def rows(self, rows, person=None, n_people=None):
        """Return some rows; people keep their numbers unless others are given."""
        person = self.person[rows] if person is None else person
        parts = (part[rows] for part in (self.winner, self.loser, self.shown, self.weight))
        return Votes(self.features, self.n_people if n_people is None else n_people, person, *parts)

    def comparisons(self):
        """Return the votes as Comparisons of the people who cast any."""
        _, person = np.unique(self.person, return_inverse=True)
        return Comparisons(self.features, self.winner, self.loser, person, weight=self.weight)

    def redrawn(self, stays):
        """Return the votes on the same pairs, turned round where `stays` (n,) is false."""
        winner, loser = (np.where(stays, *both) for both in ((self.winner, self.loser), (self.loser, self.winner)))
        shown = np.where(stays, self.shown, -self.shown)
        return Votes(self.features, self.n_people, self.person, winner, loser, shown, self.weight)

    @property
    def count(self):
        """(n_people,) how much everybody's votes count."""
        return np.bincount(self.person, self.weight, self.n_people)


@dataclass(frozen=True, eq=False)
class Space:
    """Hold rewards of items, ``common + directions @ z``: common (I,), directions (I, q), orthonormal and centred."""

    common: np.ndarray
    directions: np.ndarray

    def rewards(self, z):
        """Return the items' rewards, (K, I), of points (K, q)."""
        return self.common + z @ self.directions.T

    def data(self, votes):
        """Return what a likelihood of votes needs."""
        across = self.directions[votes.winner] - self.directions[votes.loser]
        return Data(votes, self.common[votes.winner] - self.common[votes.loser], across)


class Data:
    """Votes seen from a space: offset (n,), across (n, q); sums over the votes of every person."""

    def __init__(self, votes, offset, across):
        self.offset, self.across = offset, np.ascontiguousarray(across)
        self.person, self.shown, self.weight = votes.person, votes.shown, votes.weight
        self.n_people, self.q = votes.n_people, across.shape[1]
        self.upper = np.triu_indices(self.q)
        self.products = np.ascontiguousarray(across[:, self.upper[0]] * across[:, self.upper[1]])
        votes_of = np.bincount(self.person, minlength=self.n_people)
        pointers = np.concatenate([[0], np.cumsum(votes_of)])
        columns = np.arange(len(self.person))
        self.sums = sparse.csr_array((np.ones(len(columns)), columns, pointers), (self.n_people, len(columns)))

    def sum(self, values):
        """Return the sum of values (n, ...) over the votes of every person."""
        return self.sums @ values

    def square(self, packed):
        """Return symmetric matrices (A, q, q) of packed upper triangles (A, q(q+1)/2)."""
        full = np.empty((len(packed), self.q, self.q))
        full[:, self.upper[0], self.upper[1]] = packed
        full[:, self.upper[1], self.upper[0]] = packed
        return full


def make_space(votes, n_directions=_DIRECTIONS):
    """Return the space of a population: its pooled reward, and the directions in which people differ most from it.

    The directions are those of the largest excess of the spread of people's scores over what chance explains, relative
    to the information on them; the pooled reward's own direction is the first.
    """
    n_items = votes.features.shape[0]
    common = votes.features @ fit_bradley_terry(votes.comparisons(), l2=1.0)
    common = common - common.mean()
    if n_items - 1 <= n_directions:
        whole = np.linalg.qr(np.column_stack([np.ones(n_items), np.eye(n_items)[:, 1:]]))[0]
        return Space(common, whole[:, 1:])
    surprise = votes.weight * expit(common[votes.loser] - common[votes.winner])
    rows = np.concatenate([votes.person, votes.person])
    columns = np.concatenate([votes.winner, votes.loser])
    shape = (votes.n_people, n_items)
    scores = sparse.csr_array((np.concatenate([surprise, -surprise]), (rows, columns)), shape=shape)
    scores = scores @ votes.features  # of features, where items have some
    size = surprise * (1 - surprise)
    found = _dense(votes, scores, size) if scores.shape[1] <= _DENSE else _sparse(votes, scores, size, n_directions)
    # One more: where people differ in little, the direction of all items alike, which is none, is among them.
    basis = np.column_stack([common, votes.features @ found[:, :n_directions]])
    return Space(common, _orthonormal(basis, n_directions))


def _orthonormal(basis, most):
    """Return orthonormal, centred directions, without columns that are none, or are held by those before them."""
    least = 1e-8 * np.maximum(np.linalg.norm(basis, axis=0), 1e-8)
    basis = basis - basis.mean(axis=0)
    kept = []
    for column in range(basis.shape[1]):
        # A column of nothing has no direction: QR would make one up, and turn all later ones away from it.
        if abs(np.linalg.qr(basis[:, [*kept, column]])[1][-1, -1]) > least[column]:
            kept.append(column)
    return np.linalg.qr(basis[:, kept[:most]])[0]


def _dense(votes, scores, size):
    dense = scores.toarray() if sparse.issparse(scores) else np.asarray(scores)
    if sparse.issparse(votes.features) or votes.features.shape[0] == votes.features.shape[1]:
        n = votes.features.shape[0]
        links = np.bincount(votes.winner * n + votes.loser, size, n * n).reshape(n, n)
        links = links + links.T
        chance = np.diag(links.sum(axis=1)) - links
        chance = votes.features.T @ chance @ votes.features
    else:
        difference = votes.features[votes.winner] - votes.features[votes.loser]
        chance = difference.T @ (size[:, None] * difference)
    from scipy.linalg import eigh  # slow to import

    floor = max(np.trace(chance) / len(chance), 1e-12)
    _, vectors = eigh(dense.T @ dense - chance, chance + floor * np.eye(len(chance)))
    return vectors[:, ::-1]


def _sparse(votes, scores, size, n_directions):
    from scipy.sparse.linalg import svds  # slow to import

    scale = np.sqrt(sum(np.bincount(end, size, scores.shape[1]) for end in (votes.winner, votes.loser)) + 1.0)
    many = min(n_directions, min(scores.shape) - 1)
    start = np.ones(min(scores.shape))
    _, _, right = svds(scores @ sparse.diags_array(1 / scale), k=many, v0=start)
    return right[::-1].T / scale[:, None]
