"""The likelihood of every annotator under many rewards at once, with its derivatives: what EM climbs on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

from .._newton import newton_step
from ._logistic import well_scaled

__all__ = ["Counts", "count_pairs"]


@dataclass(frozen=True, eq=False)
class Counts:
    """Hold who won against whom, by annotator: P rows of differences and A annotators.

    Attributes
    ----------
    z : (P, r) float, differences in well-scaled coordinates of full rank
    coordinates : (d, r) float; parameters are coordinates @ phi
    won, lost : (A, P) float or sparse, weight of choices for and against each row; lost None means none
    l2 : float; penalty : (r, r) float, the ridge penalty is phi^T penalty phi / 2

    Where items are few a row is a pair of items; else a row is a comparison, winner first. Chapter 4.
    """

    z: np.ndarray
    coordinates: np.ndarray
    won: object
    lost: object
    l2: float
    penalty: np.ndarray

    @classmethod
    def of(cls, comparisons, l2=0.0):
        """Count comparisons by weight; those of one annotator on one pair are put together where items are few."""
        first, second, won, lost = count_pairs(comparisons)
        z, coordinates = well_scaled(comparisons.features[first] - comparisons.features[second])
        return cls(z, coordinates, won, lost, l2, l2 * coordinates.T @ coordinates)

    @property
    def n_parameters(self):
        """r, the free numbers of a reward."""
        return self.z.shape[1]

    @property
    def dear(self):
        """Whether a pass with fresh curvature costs so much that it is kept for a while."""
        return len(self.z) >= 50_000 or self.z.size * self.z.shape[1] >= 50_000 * 16**2

    def margins(self, phi):
        """Return the margins of rewards phi (r, ...), (P, ...)."""
        return self.z @ phi

    def parameters(self, phi):
        """Return rewards phi (..., r) in the units of the features, (..., d)."""
        return phi @ self.coordinates.T

    def carried(self, phi, sample):
        """Return rewards phi (..., r) of the counts of a subsample in the coordinates of these."""
        return phi @ (np.linalg.pinv(self.coordinates) @ sample.coordinates).T

    def ridge(self, phi):
        """Return the penalty of several rewards (..., r), (...)."""
        return np.einsum("...i,ij,...j->...", phi, self.penalty, phi) / 2

    def step(self, hessian, gradient):
        """Return Newton's steps, (..., r)."""
        return newton_step(hessian, gradient)

    def damped_step(self, phi, hessian, gradient):
        """Return Newton's steps as if every reward had one more comparison on every direction."""
        scale = np.einsum("pi,pj->ij", self.z, self.z) / len(self.z)
        return newton_step(hessian + scale, gradient + phi @ scale)

    @property
    def positions(self):
        """Return the annotators' scores at 0 as points, (A, m), whose distances do not depend on units."""
        moment = self.z.T @ self.z / len(self.z)
        # With the diagonal brought near one first (by powers of two, which are exact) the digits do not either.
        unit = np.sqrt(np.diag(moment))
        unit = np.exp2(np.round(np.log2(unit / unit.max())))
        values, vectors = np.linalg.eigh(moment / np.outer(unit, unit))
        spread = vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1])) / unit[:, None]
        return self.scores @ spread / self.total[:, None]

    def halves(self, down, q, information):
        """Return for every group (K) the direction, (K, r), that splits it: one logit in the mean.

        It is that along which the scores of the group's annotators vary most beside what one reward for all of them
        would make: sum_i q_i s_i s_i^T against the information. down (P, K), q (A, K).
        """
        moment = self.z.T @ self.z / len(self.z)
        found = np.empty((q.shape[1], self.z.shape[1]))
        for k in range(len(found)):
            scores = self.scores_at(down[:, k])
            between = (q[:, k, None] * scores).T @ scores
            along = eigh(between, information[k] + moment)[1][:, -1]
            found[k] = along / np.sqrt(along @ moment @ along)
        return found

    @cached_property
    def reach(self):
        """Length of the longest row of z: no margin is larger than this times the length of phi."""
        return np.sqrt(np.einsum("pi,pi->p", self.z, self.z).max())

    @property
    def total(self):
        """Weight of the comparisons by annotator, (A,)."""
        return sum(np.asarray(part.sum(axis=1)).ravel() for part in (self.won, self.lost) if part is not None)

    @property
    def scores(self):
        """Gradient of every annotator's log-likelihood at phi = 0, (A, r)."""
        return (self.won @ self.z - (0.0 if self.lost is None else self.lost @ self.z)) / 2

    def scores_at(self, down):
        """Gradient of every annotator's log-likelihood where sigma(-margin) is `down` (P,), (A, r)."""
        up = 0.0 if self.lost is None else self.lost @ ((1.0 - down)[:, None] * self.z)
        return self.won @ (down[:, None] * self.z) - up

    def log_likelihood(self, phi):
        """Return ((A, ...) log-likelihood of every annotator, (P, ...) sigma(-margin)) for phi (..., r)."""
        margin = self.margins(phi.reshape(-1, phi.shape[-1]).T)
        tail = np.exp(-np.abs(margin))
        log_up = np.minimum(margin, 0.0) - np.log1p(tail)
        value = self.won @ log_up
        if self.lost is not None:
            value = value + self.lost @ (log_up - margin)
        down = np.where(margin > 0, tail, 1.0) / (1.0 + tail)
        return value.reshape(-1, *phi.shape[:-1]), down

    def derivatives(self, phi, down, responsibilities, with_hessian=True):
        """Return gradient (..., r) and Hessian (..., r, r) or None of -sum_i q_i log L_i(phi) + penalty.

        down : as `log_likelihood` returns it at phi; responsibilities : (A, ...), q.
        """
        slope, curvature = self._by_pair(down, responsibilities, with_hessian)
        gradient = (slope.T @ self.z).reshape(phi.shape) + phi @ self.penalty
        if not with_hessian:
            return gradient, None
        return gradient, self._weighted_moments(curvature).reshape(*phi.shape, phi.shape[-1]) + self.penalty

    def _by_pair(self, down, responsibilities, with_curvature=True):
        """Return slope and curvature of -sum_i q_i log L_i in every margin, (P, ...)."""
        q = responsibilities.reshape(len(responsibilities), -1)
        wins = self.won.T @ q
        losses = None if self.lost is None else self.lost.T @ q
        slope = -wins * down if losses is None else losses * (1.0 - down) - wins * down
        if not with_curvature:
            return slope, None
        return slope, (wins if losses is None else wins + losses) * down * (1.0 - down)

    def _weighted_moments(self, weight, block=512):
        """Return sum_p weight[p, c] z_p z_p^T for every column c, by blocks of rows that stay in cache."""
        r, n_columns = self.z.shape[1], weight.shape[1]
        # Where there are many rows, whichever of the two factors is smaller is multiplied out.
        outer = n_columns > r and len(self.z) > 10_000
        moments = np.zeros((n_columns, r * r) if outer else (r, n_columns * r))
        for start in range(0, len(self.z), block):
            rows, weights = self.z[start : start + block], weight[start : start + block]
            if outer:
                moments += weights.T @ (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
            else:
                moments += rows.T @ (rows[:, None, :] * weights[:, :, None]).reshape(len(rows), -1)
        return moments.reshape(n_columns, r, r) if outer else moments.reshape(r, n_columns, r).swapaxes(0, 1)


def count_pairs(comparisons):
    """Return first (P,), second (P,), won and lost (A, P): who chose which by what weight; lost None means none.

    Where items are few a row is a pair of items, else it is a comparison, winner first.
    """
    n, n_annotators, n_items = len(comparisons), comparisons.n_annotators, comparisons.n_items
    annotator, weight = comparisons.annotator, comparisons.weight
    if n_items**2 > n:
        won = sparse.csr_matrix((weight, (annotator, np.arange(n))), shape=(n_annotators, n))
        return comparisons.winner, comparisons.loser, won, None
    low = np.minimum(comparisons.winner, comparisons.loser)
    high = np.maximum(comparisons.winner, comparisons.loser)
    key = low * n_items + high
    pairs = np.flatnonzero(np.bincount(key, minlength=n_items**2))
    place = np.zeros(n_items**2, dtype=np.int64)
    place[pairs] = np.arange(len(pairs))
    row, first = place[key], comparisons.winner == low
    shape = (n_annotators, len(pairs))
    won, lost = (
        sparse.csr_matrix((weight[part], (annotator[part], row[part])), shape=shape) for part in (first, ~first)
    )
    if 4 * n > n_annotators * len(pairs):
        won, lost = won.toarray(), lost.toarray()
    return pairs // n_items, pairs % n_items, won, lost
