"""Welfare functions: rules that turn group values into group weights. Each is concave in the values of the groups."""

import numpy as np
from scipy.special import rel_entr, softmax

from .._validation import as_distribution, as_float, as_positive

__all__ = ["CVaR", "ChiSquare", "Egalitarian", "Nash", "Regret", "SoftMin", "Utilitarian", "Welfare"]


class Welfare:
    """Say what a welfare function has: W(v) = min over w in a set C of <w, v> + c(w), but for Nash.

    value(v) : float, concave in the group values v (U,)
    weights(v) : (U,) float, a non-negative supergradient: value(v') <= value(v) + <weights(v), v' - v>
    shares(n) : (U,) float, the shares eta of n groups; equal where none were given

    `alignment.solve` also asks for c, `conjugate(w)`, with gradient and diagonal Hessian, and for the inequalities
    g(w) >= 0 beyond w >= 0 that describe C, `room(w)`: values (m,), gradients (m, U), diagonal Hessians (m, U).
    ValueError on values that are not finite. Chapter 5.
    """

    eta = None

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items() if v is not None)})"

    def shares(self, n):
        """Return eta, (n,)."""
        return as_distribution("weights", self.eta, n)

    def conjugate(self, w):
        """Return c(w), its gradient (U,) and the diagonal of its Hessian (U,)."""
        return 0.0, np.zeros(len(w)), np.zeros(len(w))

    def room(self, w):
        """Return what is left in every further inequality (m,), its gradients (m, U) and diagonal Hessians (m, U)."""
        return np.zeros(0), np.zeros((0, len(w))), np.zeros((0, len(w)))


def _shares(weights):
    return None if weights is None else as_distribution("weights", as_float("weights", weights, ("U",)), len(weights))


def _floats(name, values):
    return None if values is None else as_float(name, values, ("U",))


def _values(v):
    v = as_float("v", v, ("U",))
    if not len(v):
        raise ValueError("v: expected the value of at least one group, got none")
    return v


class Utilitarian(Welfare):
    """Average: W(v) = sum_u eta(u) v_u. weights : (U,) float, the shares eta; None: equal. Chapter 5."""

    def __init__(self, weights=None):
        self.eta = _shares(weights)

    def value(self, v):
        """Return sum_u eta(u) v_u."""
        return float(self.shares(len(_values(v))) @ v)

    def weights(self, v):
        """Return eta."""
        return self.shares(len(_values(v)))


class Egalitarian(Welfare):
    """Worst-off group: W(v) = min_u v_u, the rule of MaxMin-RLHF; C is the whole simplex. Chapter 5."""

    def value(self, v):
        """Return min_u v_u."""
        return float(_values(v).min())

    def weights(self, v):
        """Return one for the worst-off group, shared equally where several are."""
        worst = _values(v) == np.min(v)
        return worst / worst.sum()


class SoftMin(Welfare):
    """Smooth minimum: W(v) = -tau log sum_u eta(u) e^(-v_u / tau); c(w) = tau KL(w || eta). Chapter 5.

    temperature : float above 0, tau, in logits; to 0 the minimum, to infinity the average
    """

    def __init__(self, temperature, weights=None):
        self.temperature, self.eta = as_positive("temperature", temperature), _shares(weights)

    def value(self, v):
        """Return the smooth minimum."""
        eta = self.shares(len(_values(v)))
        least = np.min(np.asarray(v, dtype=float)[eta > 0])
        ahead = np.maximum((v - least) / self.temperature, 0.0)
        # From the least value on, and near log 1 by the excess, so that a high temperature does not drown what the
        # groups differ by; far below as it stands, so that a small share of the least does not either.
        excess = eta @ np.expm1(-ahead)
        return float(least - self.temperature * (np.log1p(excess) if excess > -0.5 else np.log(eta @ np.exp(-ahead))))

    def weights(self, v):
        """Return eta e^(-v / tau), normalised."""
        eta = self.shares(len(_values(v)))
        with np.errstate(divide="ignore"):
            return softmax(np.log(eta) - (v - np.min(v)) / self.temperature)

    def conjugate(self, w):
        """Return tau KL(w || eta) and its derivatives."""
        eta = self.shares(len(w))
        t = (w - eta) / eta
        near = np.abs(t) < 1e-3
        # sum eta h(t) with h(t) = (1 + t) log(1 + t) - t: near eta it keeps the digits that a sum of w log(w / eta)
        # loses and a high temperature magnifies.
        series = eta * t**2 * (1 / 2 - t / 6 + t**2 / 12 - t**3 / 20 + t**4 / 30)
        divergence = np.where(near, series, rel_entr(w, eta) - (w - eta)).sum()
        slope = np.where(near, np.log1p(np.where(near, t, 0.0)), np.log(w / eta))
        return self.temperature * divergence, self.temperature * slope, self.temperature / w


class CVaR(Welfare):
    """Mean of the worst-off part: W(v) = min <w, v> over w <= eta / level. Chapters 5 and 7.

    level : float in (0, 1], which part of the population; 1 is the average, up to min eta the minimum
    """

    def __init__(self, level, weights=None):
        self.level, self.eta = as_positive("level", level), _shares(weights)
        if self.level > 1:
            raise ValueError(f"level: expected a number in (0, 1], got {self.level}")

    def value(self, v):
        """Return the mean value of the worst-off share `level` of the population."""
        return float(self.weights(v) @ v)

    def weights(self, v):
        """Return eta / level from the worst-off group on, until the weights sum to one."""
        order = np.argsort(_values(v), kind="stable")
        most = self.shares(len(order))[order] / self.level
        taken = np.diff(np.minimum(np.cumsum(most), 1.0), prepend=0.0)
        taken[np.argmax(np.cumsum(most) >= 1.0 - 1e-15)] += 1.0 - taken.sum()
        return taken[np.argsort(order, kind="stable")]

    def room(self, w):
        """Return eta / level - w."""
        n = len(w)
        return self.shares(n) / self.level - w, -np.eye(n), np.zeros((n, n))


class ChiSquare(Welfare):
    """Worst case over shifted shares: W(v) = min <w, v> over sum_u (w_u - eta_u)^2 / eta_u <= radius. Chapters 5 and 7.

    radius : float above 0; from 1 / min eta - 1 on the whole simplex, to 0 the average. Shares must be positive.
    """

    def __init__(self, radius, weights=None):
        self.radius, self.eta = as_positive("radius", radius), _shares(weights)
        if self.eta is not None and (self.eta == 0).any():
            raise ValueError("weights: expected positive shares, got a share of 0")

    def value(self, v):
        """Return the least mean value over the ball of shares."""
        return float(self.weights(v) @ v)

    def weights(self, v):
        """Return the shares of the least mean: falling linearly in the value, cut at zero."""
        order = np.argsort(_values(v), kind="stable")
        eta, v = self.shares(len(v))[order], np.asarray(v, dtype=float)[order]
        rounding, v = 1e-14 * np.abs(v).max(), v - v[0]
        w = np.zeros(len(v))
        # The groups with the largest values drop out one by one as the radius grows.
        for k in range(len(v), 0, -1):
            total = eta[:k].sum()
            mean = eta[:k] @ v[:k] / total
            variance = eta[:k] @ (v[:k] - mean) ** 2 / total
            left = self.radius - (1 / total - 1)
            if left < 0:
                continue
            alike = variance <= rounding**2
            slope = 0.0 if alike else np.sqrt(left / (total * variance))
            w[:k] = eta[:k] * (1 / total - slope * (v[:k] - mean))
            if alike or w[k - 1] >= 0:
                break
            w[:] = 0.0
        else:
            w[0] = 1.0
        return w[np.argsort(order, kind="stable")] / w.sum()

    def room(self, w):
        """Return radius - chi^2(w, eta), one inequality."""
        eta = self.shares(len(w))
        apart = (w - eta) / eta
        return np.array([self.radius - apart @ (w - eta)]), -2 * apart[None], -2 / eta[None]


class Nash(Welfare):
    """Nash bargaining: W(v) = sum_u eta(u) log(v_u - d_u), -inf where some group has no gain. Chapter 5.

    disagreement : (U,) float, d; None: `solve` fills in the values of the reference policy
    """

    def __init__(self, disagreement=None, weights=None):
        self.disagreement, self.eta = _floats("disagreement", disagreement), _shares(weights)

    def value(self, v):
        """Return sum_u eta(u) log(v_u - d_u); groups without a share do not count."""
        eta = self.shares(len(_values(v)))
        gain = (v - self._disagreement(len(v)))[eta > 0]
        return float(eta[eta > 0] @ np.log(gain)) if (gain > 0).all() else -np.inf

    def weights(self, v):
        """Return eta / (v - d), the gradient; ValueError where some group has no gain."""
        eta = self.shares(len(_values(v)))
        gain = v - self._disagreement(len(v))
        if (gain[eta > 0] <= 0).any():
            raise ValueError(f"v: expected values above the disagreement, got a gain of {gain[eta > 0].min():.3g}")
        return np.divide(eta, gain, out=np.zeros(len(eta)), where=eta > 0)

    def _disagreement(self, n):
        if self.disagreement is None:
            raise ValueError("disagreement: expected the groups' values without agreement, got None; solve fills it in")
        return as_float("disagreement", self.disagreement, (n,))


class Regret(Welfare):
    """Largest regret: W(v) = min_u (v_u - best_u), max-min on what a group gets less than its best. Chapter 5.

    best : (U,) float, every group's best value A(r_u); None: `solve` fills it in
    """

    def __init__(self, best=None):
        self.best = _floats("best", best)

    def value(self, v):
        """Return min_u (v_u - best_u)."""
        return float((_values(v) - self._best(len(v))).min())

    def weights(self, v):
        """Return one for the group with the largest regret, shared equally where several have it."""
        return Egalitarian().weights(_values(v) - self._best(len(v)))

    def _best(self, n):
        if self.best is None:
            raise ValueError("best: expected every group's best value, got None; solve fills it in")
        return as_float("best", self.best, (n,))
