"""Welfare functions: rules that turn group values into group weights. Each is concave in the values of the groups.

A welfare states its own dual problem, ``W(v) = min over w in C of <w, v> + c(w)``, where C is a set of weights that sum
to one. That is all `solve` needs to know of it: a new welfare is a subclass that defines ``value``, ``weights``,
``conjugate`` and ``room``. Chapters 5, 6 and 7.
"""

from copy import copy

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_distribution, as_float
from ._parts import Floats, as_shares, as_values, no_cost, no_room

__all__ = ["Egalitarian", "Utilitarian", "Welfare"]

_PARTS = ("value", "weights", "conjugate", "room")


class Welfare:
    """Say how good a policy is for all, given how good it is for each group.

    A subclass states its dual problem, all of it or not at all::

        W(v) = min over w in C of <w, v> + c(w),   C = {w >= 0 : sum w = 1, g(w) >= 0}

    by four methods: ``value(v)`` is W; ``weights(v)`` a w that attains the minimum, which is a supergradient of W;
    ``conjugate(w)`` is c with its derivatives; ``room(w)`` is g with its derivatives. A subclass that defines ``value``
    anew has to define the three others anew, too: those it would inherit belong to another welfare, and `solve` refuses
    it. Where C is a single point, ``point(n)`` returns it.

    As the weights sum to one, W rises by t where every value rises by t. (`Nash`, which does not, solves its own dual.)

    Parameters
    ----------
    weights : array_like, shape (U,), optional
        The groups' shares, a distribution. None means equal shares.

    Raises
    ------
    ValueError
        On shares that are no distribution; when solved, on a part that is missing, or parts that contradict each other.

    Examples
    --------
    Half average, half worst-off group: the weights are at least half the shares.

    >>> import numpy as np
    >>> from maxmin_core import Egalitarian, Welfare, solve
    >>> class Halfway(Welfare):
    ...     def value(self, v):
    ...         return (self.shares(len(v)) @ v + np.min(v)) / 2
    ...     def weights(self, v):
    ...         return (self.shares(len(v)) + Egalitarian().weights(v)) / 2
    ...     def conjugate(self, w):
    ...         return 0.0, 0 * w, 0 * w
    ...     def room(self, w):
    ...         return w - self.shares(len(w)) / 2, np.eye(len(w)), np.zeros((len(w), len(w)))
    >>> rewards = np.array([[[1.0, 0.0, 0.35]], [[0.0, 1.0, 0.35]]])
    >>> solution = solve(Halfway([0.8, 0.2]), rewards, np.log([[1 / 3, 1 / 3, 1 / 3]]), 0.1)
    >>> solution.weights.round(3), round(solution.primal, 3)
    (array([0.5, 0.5]), 0.47)
    """

    def __init__(self, weights: ArrayLike | None = None) -> None:
        self.eta = None if weights is None else as_float("weights", weights, ("U",))
        if self.eta is not None:
            as_distribution("weights", self.eta, len(self.eta))

    # A subclass with an initialiser of its own need not call ours.
    eta: Floats | None = None

    def __repr__(self) -> str:
        """Show the parameters that were given."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items() if v is not None)})"

    def shares(self, n: int) -> Floats:
        """Return the shares eta of n groups, equal where none were given.

        Parameters
        ----------
        n : int
            How many groups.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        ValueError
            Where the shares that were given are those of another number of groups.
        """
        return as_distribution("weights", self.eta, n)

    def value(self, v: ArrayLike) -> float:
        """Return W(v).

        Parameters
        ----------
        v : array_like, shape (U,)
            The groups' values, in logits.

        Returns
        -------
        float
        """
        raise self._missing("value")

    def weights(self, v: ArrayLike) -> Floats:
        """Return weights w of C with ``value(v) = <w, v> + c(w)``, a non-negative supergradient of W at v.

        Parameters
        ----------
        v : array_like, shape (U,)
            The groups' values, in logits.

        Returns
        -------
        ndarray, shape (U,)
        """
        raise self._missing("weights")

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return c(w), its gradient and the diagonal of its Hessian, which has no other entries.

        Parameters
        ----------
        w : ndarray, shape (U,)
            Weights of C.

        Returns
        -------
        tuple of float, ndarray of shape (U,), ndarray of shape (U,)
        """
        raise self._missing("conjugate")

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return g(w): the m concave inequalities ``g(w) >= 0`` of C, besides ``w >= 0`` and ``sum w = 1``.

        Parameters
        ----------
        w : ndarray, shape (U,)
            Weights that sum to one.

        Returns
        -------
        tuple of ndarray of shape (m,), (m, U) and (m, U)
            The values, their gradients, and the diagonals of their Hessians, which have no other entries.
        """
        raise self._missing("room")

    def point(self, n: int) -> Floats | None:
        """Return the only element of C, where it has only one, else None.

        Parameters
        ----------
        n : int
            How many groups.

        Returns
        -------
        ndarray of shape (n,), or None
        """
        return None

    def ceiling(self, w: Floats, attained: float) -> float:
        """Return the largest W(v) of all values v with ``<w, v> <= attained``, which is ``attained + c(w)``.

        With ``attained = A(r_w)`` it is what no policy exceeds in W: the upper end of a certificate.

        Parameters
        ----------
        w : ndarray, shape (U,)
            Weights of C.
        attained : float
            In logits.

        Returns
        -------
        float
        """
        return attained + self.conjugate(w)[0]

    def dual_gradient(self, w: Floats, expected: Floats, penalty: float = 0.0) -> Floats:
        """Return ``E[r_u] + c'(w)``, the derivative of ``A(r_w) + c(w)`` up to a constant; training moves against it.

        Parameters
        ----------
        w : ndarray, shape (U,)
            Weights of C.
        expected : ndarray, shape (U,)
            Expected rewards ``E_pi[r_u]`` of the best policy for these weights, in logits.
        penalty : float
            ``beta KL`` of that policy, in logits.

        Returns
        -------
        ndarray, shape (U,)
        """
        return expected + self.conjugate(w)[1]

    def supergradient(self, v: ArrayLike) -> Floats:
        """Return ``weights(v)``, checked: what a solver and a training step ask of a welfare.

        Parameters
        ----------
        v : array_like, shape (U,)
            The groups' values, in logits.

        Returns
        -------
        ndarray, shape (U,)
            Non-negative and finite, not all zero.

        Raises
        ------
        ValueError
            On weights that are negative, not finite, all zero or of another shape: names the welfare.
        """
        v = np.asarray(v, dtype=float)
        w = np.asarray(self.weights(v), dtype=float)
        if w.shape != v.shape or not np.isfinite(w).all() or (w < 0).any() or not w.any():
            raise ValueError(
                f"welfare: expected {type(self).__name__}.weights to be non-negative, finite and of shape {v.shape}, "
                f"got {w}"
            )
        return w

    def _missing(self, *parts):
        return ValueError(
            f"welfare: expected a welfare that states its dual problem ({', '.join(_PARTS)}), "
            f"got {type(self).__name__} without {', '.join(parts)} of its own"
        )

    def _checked(self):
        """Refuse a subclass whose parts are not all its own: what it inherits belongs to another value."""
        of = {part: next(c for c in type(self).__mro__ if part in vars(c)) for part in _PARTS}
        missing = [part for part in _PARTS if of[part] is Welfare or not issubclass(of[part], of["value"])]
        if missing:
            raise self._missing(*missing)

    def _completed(self, dual):
        """Return this welfare with what was left open filled in from the problem."""
        return self

    def _among(self, groups):
        """Return this welfare among some of the groups, those that have a share."""
        reduced = copy(self)
        reduced.eta = None if self.eta is None else self.eta[groups]
        return reduced

    def _minimise(self, dual, search, tol):
        """Return the weights of the smallest dual value that `search` finds, its gap, and what tol is relative to."""
        eta = self.shares(len(dual.rewards))
        point = self.point(len(eta))
        if point is not None:
            return point, 0.0, 1.0
        # A group without a share has no weight, and no inside for a barrier.
        counted = eta > 0
        some = dual.among(counted, dual.offsets[counted])
        weights = np.zeros(len(eta))
        weights[counted], gap = search(some, self._among(counted), tol)
        return weights, gap, some.scale


class Utilitarian(Welfare):
    """Count the average: ``W(v) = sum_u eta(u) v_u``. C is the single point eta.

    Parameters
    ----------
    weights : array_like, shape (U,), optional
        The shares eta, a distribution. None means equal shares.

    Raises
    ------
    ValueError
        On weights that are no distribution.

    References
    ----------
    Harsanyi (1955), Cardinal welfare, individualistic ethics, and interpersonal comparisons of utility.

    Examples
    --------
    >>> Utilitarian([0.8, 0.2]).value([1.0, 0.0])
    0.8
    """

    def __init__(self, weights: ArrayLike | None = None) -> None:
        self.eta = as_shares(weights)

    def value(self, v: ArrayLike) -> float:
        """Return ``sum_u eta(u) v_u``."""
        v = as_values(v)
        return float(self.shares(len(v)) @ v)

    def weights(self, v: ArrayLike) -> Floats:
        """Return eta."""
        return self.shares(len(as_values(v)))

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return 0, at eta."""
        return no_cost(w)

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return no inequality: `point` says all."""
        return no_room(w)

    def point(self, n: int) -> Floats:
        """Return eta."""
        return self.shares(n)


class Egalitarian(Welfare):
    """Count the worst-off group alone: ``W(v) = min_u v_u``, the rule of MaxMin-RLHF. C is the whole simplex.

    References
    ----------
    Rawls (1971), A Theory of Justice; Chakraborty et al. (2024), MaxMin-RLHF.

    Examples
    --------
    >>> Egalitarian().value([1.0, 0.3]), Egalitarian().weights([1.0, 0.3]).tolist()
    (0.3, [0.0, 1.0])
    """

    def __init__(self) -> None:
        pass

    def value(self, v: ArrayLike) -> float:
        """Return ``min_u v_u``."""
        return float(as_values(v).min())

    def weights(self, v: ArrayLike) -> Floats:
        """Return one for the worst-off group, shared equally where several are."""
        v = as_values(v)
        worst = v == v.min()
        return worst / worst.sum()

    def conjugate(self, w: Floats) -> tuple[float, Floats, Floats]:
        """Return 0."""
        return no_cost(w)

    def room(self, w: Floats) -> tuple[Floats, Floats, Floats]:
        """Return no inequality."""
        return no_room(w)
