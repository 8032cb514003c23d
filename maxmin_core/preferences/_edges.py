"""Likelihoods of annotators under rewards of many items without features: what `_counts` does, on a graph of pairs."""

from functools import cached_property

import numpy as np
from scipy.linalg import eigh

from ._counts import Counts, count_pairs
from ._graph import Edges
from ._logistic import rank

__all__ = ["EdgeCounts", "counts_of", "free_numbers"]

# Up to so many items without features the dense matrices of `Counts` are as fast.
_FEW_ITEMS = 64
# Steps of EM need no more digits than this.
_TOLERANCE = 1e-6
_POINTS = 48


def counts_of(comparisons, l2=0.0):
    """Return the counts of comparisons, in whichever form holds them."""
    if comparisons.one_hot and comparisons.n_items > _FEW_ITEMS:
        return EdgeCounts.of(comparisons, l2)
    return Counts.of(comparisons, l2)


def free_numbers(comparisons):
    """Return the rank of the compared differences: how many numbers of a reward the choices tell."""
    if not comparisons.one_hot:
        return rank(comparisons.difference)
    edges = Edges(comparisons.n_items, comparisons.winner, comparisons.loser)
    return comparisons.n_items - int(edges.component.max()) - 1


class EdgeCounts(Counts):
    """Counts where z is the incidence matrix of a graph, never written out, and a reward has one number an item.

    A Hessian is kept as its weights on the edges, (..., P).
    """

    def __init__(self, edges, won, lost, l2):
        super().__init__(None, None, won, lost, l2, None)
        object.__setattr__(self, "edges", edges)

    @classmethod
    def of(cls, comparisons, l2=0.0):
        """Count comparisons."""
        first, second, won, lost = count_pairs(comparisons)
        return cls(Edges(comparisons.n_items, first, second), won, lost, l2)

    @property
    def n_parameters(self):
        return self.edges.n

    @property
    def dear(self):
        return False

    @cached_property
    def reach(self):
        return np.sqrt(2.0)

    def margins(self, phi):
        return self.edges.between(phi)

    def parameters(self, phi):
        return np.apply_along_axis(self.edges.centred, -1, phi)

    def carried(self, phi, sample):
        return phi

    def ridge(self, phi):
        return self.l2 * (phi**2).sum(axis=-1) / 2

    @cached_property
    def _signed(self):
        """(A, n) sparse: for every annotator and item, choices for it less choices against it."""
        signed = self.won if self.lost is None else self.won - self.lost
        return signed @ self.edges.incidence

    @property
    def scores(self):
        return self._signed / 2

    def scores_at(self, down):
        by_pair = self.won * down if isinstance(self.won, np.ndarray) else self.won.multiply(down).tocsr()
        if self.lost is not None:
            up = 1.0 - down
            by_pair = by_pair - (
                self.lost * up if isinstance(self.lost, np.ndarray) else self.lost.multiply(up).tocsr()
            )
        return by_pair @ self.edges.incidence

    def derivatives(self, phi, down, responsibilities, with_hessian=True):
        slope, curvature = self._by_pair(down, responsibilities, with_hessian)
        gradient = self.edges.gather(slope).T.reshape(phi.shape) + self.l2 * phi
        return gradient, curvature.T.reshape(*phi.shape[:-1], -1) if with_hessian else None

    def step(self, hessian, gradient):
        flat = zip(hessian.reshape(-1, len(self.edges)), gradient.reshape(-1, self.edges.n), strict=True)
        steps = [-self.edges.solve(weight, right, self.l2, _TOLERANCE) for weight, right in flat]
        return np.array(steps).reshape(gradient.shape)

    def damped_step(self, phi, hessian, gradient):
        each = 1 / len(self.edges)
        pull = self.edges.gather(self.edges.between(phi.reshape(-1, self.edges.n).T)).T.reshape(phi.shape)
        return self.step(hessian + each, gradient + each * pull)

    @property
    def positions(self):
        each = np.full(len(self.edges), 1 / len(self.edges))
        if self.edges.small:
            values, vectors = np.linalg.eigh(self.edges.laplacian(each))
            found = values > 1e-12 * values[-1]
            spread = vectors[:, found] / np.sqrt(values[found])
        else:
            # Squared distances in so many random directions are those in all of them, give or take a fifth.
            chance = np.random.default_rng(0).normal(size=(self.edges.n, _POINTS)) / np.sqrt(_POINTS)
            spread = chance / np.sqrt(np.maximum(self.edges.degree(each), 1e-300))[:, None]
        return self.scores @ spread / self.total[:, None]

    def halves(self, down, q, information):
        edges, each = self.edges, np.full(len(self.edges), 1 / len(self.edges))
        found = np.empty((q.shape[1], edges.n))
        for k in range(len(found)):
            scores = self.scores_at(down[:, k])
            if edges.small:
                scores = scores if isinstance(scores, np.ndarray) else scores.toarray()
                between = (q[:, k, None] * scores).T @ scores
                # Whatever is the same for all items of a component is left open, and has no part in a direction.
                whole = (edges.component[:, None] == edges.component).astype(float)
                metric = edges.laplacian(information[k] + each) + self.l2 * np.eye(edges.n) + whole
                along = eigh(between, metric)[1][:, -1]
            else:
                along = self._leading(scores, q[:, k], edges.degree(information[k] + each) + self.l2)
            found[k] = along / np.sqrt(each @ edges.between(along) ** 2)
        return found

    def _leading(self, scores, q, metric, steps=30):
        """Return the direction of largest spread of the scores against a diagonal metric, by the power method."""
        metric = np.where(metric > 0, metric, 1.0)
        along = np.random.default_rng(0).normal(size=len(metric)) / np.sqrt(metric)
        for _ in range(steps):
            along = scores.T @ (q * (scores @ along)) / metric
            along = along / np.linalg.norm(along)
        return along
