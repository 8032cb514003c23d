"""Welfare functions that measure from a point: gains over a disagreement, losses against the best. Chapters 3 and 5."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from .._validation import as_float
from ._barrier import bargain
from ._parts import Floats, as_shares, as_values, no_room
from .welfare import Egalitarian, Welfare

__all__ = ["Nash", "Regret"]


class Nash(Welfare):
    """Count gains over a disagreement, by Nash's bargain: ``W(v) = sum_u eta(u) log(v_u - d_u)``.

    W is minus infinity where some group has no gain. It does not rise by t where all values rise by t, so its
    dual has a form of its own: with weights w that sum to one, ``W(v) <= log(<w, v - d>) + KL(eta || w)``.

    Parameters
    ----------
    disagreement : array_like, shape (U,), optional
        d, what every group has without an agreement, in logits. None means that `solve` fills in the values of the
        reference policy.
    weights : array_like, shape (U,), optional
        The shares eta, a distribution; groups without a share do not count. None means equal shares.

    Raises
    ------
    ValueError
        On a disagreement that is not finite or of the wrong length, or weights that are no distribution.

    References
    ----------
    Nash (1950), The bargaining problem.

    Examples
    --------
    >>> round(Nash([0.0, 0.0]).value([1.0, 0.25]), 4)
    -0.6931
    """

    def __init__(self, disagreement: ArrayLike | None = None, weights: ArrayLike | None = None) -> None:
        self.disagreement, self.eta = _optional("disagreement", disagreement), as_shares(weights)

    def value(self, v: ArrayLike) -> float:
        """Return ``sum_u eta(u) log(v_u - d_u)``."""
        v = as_values(v)
        eta = self.shares(len(v))
        gain = (v - self._disagreement(len(eta)))[eta > 0]
        return float(eta[eta > 0] @ np.log(gain)) if (gain > 0).all() else -np.inf

    def weights(self, v: ArrayLike) -> Floats:
        """Return ``eta / (v - d)``, the gradient, which does not sum to one; ValueError where a group has no gain."""
        v = as_values(v)
        eta = self.shares(len(v))
        gain = v - self._disagreement(len(eta))
        if (gain[eta > 0] <= 0).any():
            raise ValueError(f"v: expected values above the disagreement, got a gain of {gain[eta > 0].min():.3g}")
        return np.divide(eta, gain, out=np.zeros(len(eta)), where=eta > 0)

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return ``KL(eta || w)`` and its derivatives, what `ceiling` adds to the logarithm of the weighted gain."""
        eta = self.shares(len(w))
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(eta > 0, -eta / w, 0.0)
            return float(rel_entr(eta, w).sum()), slope, np.where(eta > 0, eta / w**2, 0.0)

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return no inequality."""
        return no_room(w)

    def ceiling(self, w: Floats, attained: float) -> float:
        """Return ``log(attained - <w, d>) + KL(eta || w)``."""
        return float(np.log(attained - w @ self._disagreement(len(w))) + self.conjugate(w)[0])

    def dual_gradient(self, w: Floats, expected: Floats, penalty: float = 0.0) -> Floats:
        """Return ``E[r_u] - d_u - G eta_u / w_u`` with the weighted gain ``G = <w, E[r] - d> - beta KL``.

        That is the derivative of the ceiling times G, which keeps its direction as long as there is a gain, and is
        defined where there is none yet.
        """
        surplus = expected - self._disagreement(len(w))
        return surplus + (w @ surplus - penalty) * self.conjugate(w)[1]

    def _among(self, groups):
        reduced = super()._among(groups)
        reduced.disagreement = None if self.disagreement is None else self.disagreement[groups]
        return reduced

    def _completed(self, dual):
        return self if self.disagreement is not None else Nash(dual.offsets, self.shares(len(dual.rewards)))

    def _minimise(self, dual, search, tol):
        eta, disagreement = self.shares(len(dual.rewards)), self._disagreement(len(dual.rewards))
        counted = eta > 0
        some = dual.among(counted, dual.offsets[counted] - disagreement[counted])
        for precision in (1e-6, 1e-12):
            start, gap = search(some, Egalitarian(), precision)
            gain = some.values(start).min()
            if gain > 0:
                break
        else:
            raise ValueError(
                f"disagreement: expected values that some policy betters for every group, got a best least gain of at "
                f"most {gain + gap:.3g}"
            )
        weights = np.zeros(len(eta))
        weights[counted], gap = bargain(some, eta[counted], tol, start)
        if not (dual.values(weights) > disagreement)[counted].all():
            raise ValueError(
                f"disagreement: expected values that some policy betters for every group beyond rounding, got "
                f"{disagreement.tolist()}"
            )
        return weights, gap, 1.0

    def _disagreement(self, n):
        if self.disagreement is None:
            raise ValueError("disagreement: expected the groups' values without agreement, got None; solve fills it in")
        return as_float("disagreement", self.disagreement, (n,))


class Regret(Welfare):
    """Count the largest regret: ``W(v) = min_u (v_u - best_u)``, max-min on what a group gets less than its best.

    Parameters
    ----------
    best : array_like, shape (U,), optional
        What every group would get alone, in logits. None means that `solve` fills in the best values A(r_u).

    Raises
    ------
    ValueError
        On best values that are not finite, or of another number of groups.

    References
    ----------
    Savage (1951), The theory of statistical decision.

    Examples
    --------
    >>> Regret([1.0, 3.0, 4.0]).value([1.0, 2.0, 4.0])
    -1.0
    """

    def __init__(self, best: ArrayLike | None = None) -> None:
        self.best = _optional("best", best)

    def value(self, v: ArrayLike) -> float:
        """Return ``min_u (v_u - best_u)``."""
        v = as_values(v)
        return float((v - self._best(len(v))).min())

    def weights(self, v: ArrayLike) -> Floats:
        """Return one for the group with the largest regret, shared equally where several have it."""
        v = as_values(v)
        return Egalitarian().weights(v - self._best(len(v)))

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return ``-<w, best>`` and its derivatives."""
        best = self._best(len(w))
        return float(-w @ best), -best, np.zeros(len(w))

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return no inequality."""
        return no_room(w)

    def _completed(self, dual):
        return Regret(dual.best) if self.best is None else self

    def _minimise(self, dual, search, tol):
        # Max-min on values measured from the best: what is large in both cancels before the search, not in it.
        best = self._best(len(dual.rewards))
        shifted = dual.among(np.ones(len(best), dtype=bool), dual.offsets - best)
        weights, gap = search(shifted, Egalitarian(), tol)
        return weights, gap, shifted.scale

    def _best(self, n):
        if self.best is None:
            raise ValueError("best: expected every group's best value, got None; solve fills it in")
        return as_float("best", self.best, (n,))


def _optional(name, values):
    return None if values is None else as_float(name, values, ("U",))
