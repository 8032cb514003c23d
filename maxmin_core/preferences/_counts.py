"""The likelihood of every annotator under many rewards at once, with its derivatives: what EM climbs on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from ._logistic import well_scaled

__all__ = ["Counts"]


@dataclass(frozen=True, eq=False)
class Counts:
    """Hold who won against whom, by annotator: P rows of differences and A annotators.

    Attributes
    ----------
    z : (P, r) float, differences in well-scaled coordinates of full rank
    coordinates : (d, r) float; parameters are coordinates @ phi
    won, lost : (A, P) float or sparse, choices for and against each row; lost None means none
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
        """Count comparisons; those of one annotator on one pair are put together where items are few."""
        n, n_annotators, n_items = len(comparisons), comparisons.n_annotators, comparisons.n_items
        annotator = comparisons.annotator
        if n_items**2 > n:
            difference, lost = comparisons.difference, None
            won = sparse.csr_matrix((np.ones(n), (annotator, np.arange(n))), shape=(n_annotators, n))
        else:
            low = np.minimum(comparisons.winner, comparisons.loser)
            high = np.maximum(comparisons.winner, comparisons.loser)
            pairs, row = np.unique(low * n_items + high, return_inverse=True)
            difference = comparisons.features[pairs // n_items] - comparisons.features[pairs % n_items]
            first = comparisons.winner == low
            shape = (n_annotators, len(pairs))
            won, lost = (
                sparse.csr_matrix((np.ones(part.sum()), (annotator[part], row[part])), shape=shape)
                for part in (first, ~first)
            )
            if 4 * n > n_annotators * len(pairs):
                won, lost = won.toarray(), lost.toarray()
        z, coordinates = well_scaled(difference)
        return cls(z, coordinates, won, lost, l2, l2 * coordinates.T @ coordinates)

    @cached_property
    def reach(self):
        """Length of the longest row of z: no margin is larger than this times the length of phi."""
        return np.sqrt(np.einsum("pi,pi->p", self.z, self.z).max())

    @property
    def total(self):
        """Comparisons by annotator, (A,)."""
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
        margin = self.z @ phi.reshape(-1, phi.shape[-1]).T
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
        q = responsibilities.reshape(len(responsibilities), -1)
        wins = self.won.T @ q
        losses = None if self.lost is None else self.lost.T @ q
        slope = -wins * down if losses is None else losses * (1.0 - down) - wins * down
        gradient = (slope.T @ self.z).reshape(phi.shape) + phi @ self.penalty
        if not with_hessian:
            return gradient, None
        curvature = (wins if losses is None else wins + losses) * down * (1.0 - down)
        return gradient, self._weighted_moments(curvature).reshape(*phi.shape, phi.shape[-1]) + self.penalty

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
