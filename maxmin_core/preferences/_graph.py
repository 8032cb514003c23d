"""Items without features as the nodes of a graph, compared pairs as its edges: what dense matrices have no room for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

__all__ = ["Edges", "one_sided", "refuse_separable"]

# Up to so many items a dense factorisation is at least as fast as conjugate gradients.
_DENSE_ITEMS = 200
_MOST_STEPS = 300


@dataclass(frozen=True, eq=False)
class Edges:
    """Hold P compared pairs of n items, first (P,) and second (P,); a pair may stand there more than once.

    With weights c (P,) on the edges, sum_p c_p (x_first - x_second)^2 = x^T L x, L the graph's Laplacian: the curvature
    of every likelihood of rewards, one an item. Chapters 1 and 4.
    """

    n: int
    first: np.ndarray
    second: np.ndarray

    def __len__(self):
        return len(self.first)

    @cached_property
    def incidence(self):
        """(P, n) sparse: +1 at the first item of every pair, -1 at the second."""
        each = np.arange(len(self))
        values = np.repeat([1.0, -1.0], len(self))
        at = np.concatenate([each, each]), np.concatenate([self.first, self.second])
        return sparse.csr_array((values, at), shape=(len(self), self.n))

    @cached_property
    def component(self):
        """(n,) int, the connected component of every item."""
        from scipy.sparse.csgraph import connected_components  # slow to import

        links = sparse.coo_array((np.ones(len(self)), (self.first, self.second)), shape=(self.n, self.n))
        return connected_components(links, directed=False)[1]

    @cached_property
    def _skeleton(self):
        """Where every edge stands in the matrix of neighbours: its order, indices and row pointers."""
        rows, columns = np.concatenate([self.first, self.second]), np.concatenate([self.second, self.first])
        order = np.argsort(rows, kind="stable")
        pointers = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.n))])
        return order % max(len(self), 1), columns[order], pointers

    def degree(self, weight):
        """Return sum of the weights at every item, (n,): the diagonal of the Laplacian."""
        return sum(np.bincount(end, weights=weight, minlength=self.n) for end in (self.first, self.second))

    def laplacian(self, weight):
        """Return the Laplacian as a dense (n, n) array."""
        cells = np.bincount(self.first * self.n + self.second, weights=weight, minlength=self.n**2)
        links = cells.reshape(self.n, self.n)
        links = links + links.T
        return np.diag(links.sum(axis=1)) - links

    def between(self, x):
        """Return x_first - x_second for every pair, (P, ...)."""
        return x[self.first] - x[self.second]

    def gather(self, y):
        """Return for every item the sum of y (P, ...) over its pairs, with a minus where it is second: (n, ...)."""
        return self.incidence.T @ y

    def centred(self, x):
        """Return x (n,) less its mean over every connected component."""
        count = np.bincount(self.component)
        return x - (np.bincount(self.component, weights=x) / count)[self.component]

    @property
    def small(self):
        """Whether dense matrices of all items are the faster way."""
        return self.n <= _DENSE_ITEMS

    def solve(self, weight, right, ridge=0.0, tol=1e-10):
        """Return x with (L + ridge I) x = right; of minimum norm where ridge is 0 and right sums to 0 on components."""
        if self.small:
            return self._solve_dense(weight, right, ridge)
        indices, columns, pointers = self._skeleton
        links = sparse.csr_array((weight[indices], columns, pointers), shape=(self.n, self.n))
        diagonal = self.degree(weight) + ridge
        x, settled = _conjugate_gradients(links, diagonal, right, tol)
        if not settled:
            x = self._solve_sparse(links, diagonal, right, ridge)
        return x if ridge else self.centred(x)

    def _solve_dense(self, weight, right, ridge):
        matrix = self.laplacian(weight) + ridge * np.eye(self.n)
        scale = np.sqrt(np.diagonal(matrix))
        scale = np.where(scale == 0, 1.0, scale)
        matrix = matrix / np.outer(scale, scale) + 1e-15 * np.eye(self.n)
        if ridge == 0:
            # The Laplacian leaves the mean of every component open.
            open_ = (self.component[:, None] == np.arange(self.component.max() + 1)) * scale[:, None]
            open_ = open_ / np.linalg.norm(open_, axis=0)
            matrix += open_ @ open_.T
        x = np.linalg.solve(matrix, right / scale) / scale
        return x if ridge else self.centred(x)

    def _solve_sparse(self, links, diagonal, right, ridge):
        """Factorise, with one item of every component held at zero where nothing else holds it."""
        from scipy.sparse.linalg import splu

        kept = np.ones(self.n, dtype=bool)
        if ridge == 0:
            kept[np.unique(self.component, return_index=True)[1]] = False
        matrix = (sparse.diags_array(diagonal) - links).tocsr()[kept][:, kept].tocsc()
        x = np.zeros(self.n)
        x[kept] = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(right[kept])
        return x


def _conjugate_gradients(links, diagonal, right, tol):
    """Return x with (diagonal - links) x = right, to a relative residual of tol, and whether it got there."""
    diagonal = np.where(diagonal > 0, diagonal, 1.0)
    x, residual = np.zeros_like(right), right.copy()
    enough = tol * np.linalg.norm(right / np.sqrt(diagonal))
    ahead = residual / diagonal
    along, slope = ahead, residual @ ahead
    for _ in range(_MOST_STEPS):
        if slope <= enough**2:
            return x, True
        moved = diagonal * along - links @ along
        size = slope / (along @ moved)
        x, residual = x + size * along, residual - size * moved
        ahead = residual / diagonal
        slope, before = residual @ ahead, slope
        along = ahead + (slope / before) * along
    return x, bool(slope <= enough**2)


def one_sided(n_items, winner, loser):
    """Return None, or items that were always chosen against the others that they met, or never, and which of both.

    The third that is returned is how many other single items there are of which that can be said.

    A likelihood of rewards, one an item, has a finite maximum where nobody can be found: where, within every connected
    component, from every item a path of wins leads to every other one (Ford 1957; Zermelo 1929).
    """
    from scipy.sparse.csgraph import connected_components  # slow to import

    wins = sparse.coo_array((np.ones(len(winner)), (winner, loser)), shape=(n_items, n_items))
    n_parts, part = connected_components(wins, directed=True, connection="strong")
    across = part[winner] != part[loser]
    if not across.any():
        return None
    size = np.bincount(part, minlength=n_parts)
    above, below = (np.unique(part[end[across]]) for end in (winner, loser))
    # Of those at the top and those at the bottom, the smallest set says most.
    ends = [(size[k], False, k) for k in np.setdiff1d(above, below)] + [
        (size[k], True, k) for k in np.setdiff1d(below, above)
    ]
    _, never, k = min(ends)
    return (
        np.flatnonzero(part == k),
        "never" if never else "always",
        sum(many == 1 for many, _, other in ends if other != k),
    )


def refuse_separable(comparisons, counted):
    """Raise a ValueError that names an item where the likelihood has no finite maximum; rows `counted` have weight."""
    found = one_sided(comparisons.n_items, comparisons.winner[counted], comparisons.loser[counted])
    if found is None:
        return
    items, how, more_alone = found
    names = ", ".join(repr(comparisons.items[i]) for i in items[:5])
    if len(items) == 1:
        met = counted & ((comparisons.winner == items[0]) | (comparisons.loser == items[0]))
        text = f"item {names} was {how} chosen, in {met.sum()} comparisons"
    else:
        more = f" and {len(items) - 5} more" if len(items) > 5 else ""
        text = f"items {names}{more} were {how} chosen over the other items"
    others = f" (others that were always or never chosen: {more_alone})" if more_alone else ""
    raise ValueError(
        f"comparisons: separable, {text}{others}: the likelihood has no finite maximum and rewards diverge; expected "
        "overlapping choices, such items left out, or l2 > 0"
    )
