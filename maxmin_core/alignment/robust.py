"""Welfare functions that guard against other shares: the worst case over a set of populations. Chapters 5 and 7."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr, softmax

from .._validation import as_positive
from ._parts import Floats, as_shares, as_values, no_cost, no_room
from .welfare import Welfare

__all__ = ["CVaR", "ChiSquare", "SoftMin"]


class SoftMin(Welfare):
    """Count the worse-off more, smoothly: ``W(v) = -tau log sum_u eta(u) exp(-v_u / tau)``.

    Its conjugate is ``c(w) = tau KL(w || eta)``.

    Parameters
    ----------
    temperature : float
        tau, above 0, in logits. Towards 0 it is the minimum, towards infinity the average.
    weights : array_like, shape (U,), optional
        The shares eta, a distribution. None means equal shares.

    Raises
    ------
    ValueError
        On a temperature that is not above 0, or weights that are no distribution.

    Examples
    --------
    >>> round(SoftMin(0.1).value([1.0, 0.3]), 4)
    0.3692
    """

    def __init__(self, temperature: float, weights: ArrayLike | None = None) -> None:
        self.temperature, self.eta = as_positive("temperature", temperature), as_shares(weights)

    def value(self, v: ArrayLike) -> float:
        """Return the smooth minimum."""
        v = as_values(v)
        eta = self.shares(len(v))
        least = np.min(v[eta > 0])
        ahead = np.maximum((v - least) / self.temperature, 0.0)
        # From the least value on, and near log 1 by the excess, so that a high temperature does not drown what the
        # groups differ by; far below as it stands, so that a small share of the least does not either.
        excess = eta @ np.expm1(-ahead)
        return float(least - self.temperature * (np.log1p(excess) if excess > -0.5 else np.log(eta @ np.exp(-ahead))))

    def weights(self, v: ArrayLike) -> Floats:
        """Return ``eta exp(-v / tau)``, normalised."""
        v = as_values(v)
        eta = self.shares(len(v))
        with np.errstate(divide="ignore"):
            return softmax(np.log(eta) - (v - np.min(v)) / self.temperature)

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return ``tau KL(w || eta)`` and its derivatives."""
        eta = self.shares(len(w))
        with np.errstate(divide="ignore", over="ignore"):
            return self._divergence(w, eta)

    def _divergence(self, w, eta):
        t = (w - eta) / eta
        near = np.abs(t) < 1e-3
        # sum eta h(t) with h(t) = (1 + t) log(1 + t) - t: near eta it keeps the digits that a sum of w log(w / eta)
        # loses and a high temperature magnifies.
        series = eta * t**2 * (1 / 2 - t / 6 + t**2 / 12 - t**3 / 20 + t**4 / 30)
        divergence = np.where(near, series, rel_entr(w, eta) - (w - eta)).sum()
        slope = np.where(near, np.log1p(np.where(near, t, 0.0)), np.log(w / eta))
        return self.temperature * divergence, self.temperature * slope, self.temperature / w

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return no inequality: C is the whole simplex."""
        return no_room(w)


class CVaR(Welfare):
    """Count the worst-off part of the population: ``W(v) = min <w, v>`` over ``w <= eta / level``.

    Parameters
    ----------
    level : float
        Which part of the population counts, in (0, 1]. 1 is the average; up to the smallest share it is the minimum.
    weights : array_like, shape (U,), optional
        The shares eta, a distribution. None means equal shares.

    Raises
    ------
    ValueError
        On a level outside of (0, 1], or weights that are no distribution.

    References
    ----------
    Rockafellar and Uryasev (2000), Optimization of conditional value-at-risk.

    Examples
    --------
    >>> CVaR(0.5, [0.5, 0.25, 0.25]).value([1.0, 2.0, 4.0])
    1.0
    """

    def __init__(self, level: float, weights: ArrayLike | None = None) -> None:
        self.level, self.eta = as_positive("level", level), as_shares(weights)
        if self.level > 1:
            raise ValueError(f"level: expected a number in (0, 1], got {self.level}")

    def value(self, v: ArrayLike) -> float:
        """Return the mean value of the worst-off share ``level`` of the population."""
        v = as_values(v)
        return float(self.weights(v) @ v)

    def weights(self, v: ArrayLike) -> Floats:
        """Return ``eta / level`` from the worst-off group on, until the weights sum to one."""
        v = as_values(v)
        order = np.argsort(v, kind="stable")
        most = self.shares(len(order))[order] / self.level
        taken = np.diff(np.minimum(np.cumsum(most), 1.0), prepend=0.0)
        taken[np.argmax(np.cumsum(most) >= 1.0 - 1e-15)] += 1.0 - taken.sum()
        return taken[np.argsort(order, kind="stable")]

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return 0."""
        return no_cost(w)

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return ``eta / level - w``."""
        n = len(w)
        return self.shares(n) / self.level - w, -np.eye(n), np.zeros((n, n))

    def point(self, n: int) -> Floats | None:
        """Return eta where everybody counts, at level 1."""
        return self.shares(n) if self.level == 1.0 else None


class ChiSquare(Welfare):
    """Count the worst case over shifted shares: ``W(v) = min <w, v>`` over ``sum_u (w_u - eta_u)^2 / eta_u <= radius``.

    Parameters
    ----------
    radius : float
        Above 0. Towards 0 it is the average; from ``1 / min eta - 1`` on it is the minimum.
    weights : array_like, shape (U,), optional
        The shares eta, a distribution, all positive. None means equal shares.

    Raises
    ------
    ValueError
        On a radius that is not above 0, or shares that are no distribution or not all positive.

    References
    ----------
    Namkoong and Duchi (2017), Variance-based regularization with convex objectives.

    Examples
    --------
    >>> round(ChiSquare(0.1, [0.5, 0.25, 0.25]).value([1.0, 2.0, 4.0]), 4)
    1.6127
    """

    def __init__(self, radius: float, weights: ArrayLike | None = None) -> None:
        self.radius, self.eta = as_positive("radius", radius), as_shares(weights)
        if self.eta is not None and (self.eta == 0).any():
            raise ValueError("weights: expected positive shares, got a share of 0")

    def value(self, v: ArrayLike) -> float:
        """Return the least mean value over the ball of shares."""
        v = as_values(v)
        return float(self.weights(v) @ v)

    def weights(self, v: ArrayLike) -> Floats:
        """Return the shares of the least mean: falling linearly in the value, cut at zero."""
        v = as_values(v)
        order = np.argsort(v, kind="stable")
        ahead = v[order] - v[order[0]]
        eta = self.shares(len(ahead))[order]
        rounding = 1e-14 * np.abs(v).max()
        w = np.zeros(len(v))
        # The groups with the largest values drop out one by one as the radius grows.
        for k in range(len(v), 0, -1):
            total = eta[:k].sum()
            mean = eta[:k] @ ahead[:k] / total
            variance = eta[:k] @ (ahead[:k] - mean) ** 2 / total
            left = self.radius - (1 / total - 1)
            if left < 0:
                continue
            alike = variance <= rounding**2
            slope = 0.0 if alike else np.sqrt(left / (total * variance))
            w[:k] = eta[:k] * (1 / total - slope * (ahead[:k] - mean))
            if alike or w[k - 1] >= 0:
                break
            w[:] = 0.0
        else:
            w[0] = 1.0
        return w[np.argsort(order, kind="stable")] / w.sum()

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return 0."""
        return no_cost(w)

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return ``radius - chi^2(w, eta)``, one inequality."""
        eta = self.shares(len(w))
        apart = (w - eta) / eta
        return np.array([self.radius - apart @ (w - eta)]), -2 * apart[None], -2 / eta[None]
