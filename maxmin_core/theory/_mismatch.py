"""How far the one reward is from a group's, and its lower bounds: many instances at once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, ndtr, softmax

from .._newton import backtrack, newton_step
from .._precise import probability_change, probability_difference
from ._sampler import Sampler, check_shapes

__all__ = ["Instances", "mismatches", "population_sampler"]


@dataclass(frozen=True, eq=False)
class Instances:
    """Hold B pooling problems of one size: populations, and the pairs that they compare.

    The group in question is group 0. The difference of a pair of weight zero becomes zero.

    Attributes
    ----------
    weights : ndarray, shape (B, U)
        Shares of the groups, group 0 first; rows sum to one.
    parameters : ndarray, shape (B, U, d)
        Bradley-Terry parameters phi_u, in logits per unit of feature.
    difference : ndarray, shape (B, n, d)
        Differences of features Dpsi of the compared pairs.
    pair_weights : ndarray, shape (B, n)
        The distribution rho over the pairs; rows sum to one.

    Raises
    ------
    ValueError
        On shapes that do not fit. What the arrays hold is not checked: searches make millions.

    Examples
    --------
    Two groups compare one pair; the single reward of the pool lies between theirs:

    >>> one = Instances(np.array([[0.5, 0.5]]), np.array([[[0.0], [2.0]]]), np.ones((1, 1, 1)), np.ones((1, 1)))
    >>> one.single_reward.round(4)
    array([[0.802]])
    """

    weights: NDArray[np.float64]
    parameters: NDArray[np.float64]
    difference: NDArray[np.float64]
    pair_weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        axes = {"weights": "BU", "parameters": "BUd", "difference": "Bnd", "pair_weights": "Bn"}
        check_shapes({}, [(name, getattr(self, name), letters) for name, letters in axes.items()])
        object.__setattr__(self, "difference", np.where(self.pair_weights[..., None] > 0, self.difference, 0.0))

    @property
    def n_groups(self) -> int:
        """How many groups there are, absent ones (of share zero) included."""
        return self.weights.shape[1]

    @cached_property
    def logits(self) -> NDArray[np.float64]:
        """Margins ``<phi_u, Dpsi>`` of every group on every pair, (B, U, n)."""
        return self.parameters @ self.difference.swapaxes(-1, -2)

    @cached_property
    def apart(self) -> NDArray[np.float64]:
        """How much more often every group prefers the first of each pair than group 0, ``p_u - p_0``, (B, U, n)."""
        logits = self.logits
        return probability_difference(logits, logits[:, :1])

    @property
    def second_moment(self) -> NDArray[np.float64]:
        """The second moment ``H = E_rho[Dpsi Dpsi^T]``, (B, d, d)."""
        return self.difference.swapaxes(-1, -2) @ (self.pair_weights[..., None] * self.difference)

    @cached_property
    def basis(self) -> NDArray[np.float64]:
        """Columns that H turns into a unit matrix, (B, d, d); zero for the directions without data.

        The eigenvectors are those of H with unit diagonal: what counts as no data does not depend on units of features.
        """
        moment = self.second_moment
        scale = np.sqrt(np.einsum("bii->bi", moment))
        scale[scale == 0] = 1.0
        values, vectors = np.linalg.eigh(moment / (scale[:, :, None] * scale[:, None, :]))
        kept = values > 1e-12 * values[:, -1:]
        vectors = vectors * (kept / np.sqrt(np.where(kept, values, 1.0)))[:, None, :]
        return vectors / scale[:, :, None]

    @cached_property
    def single_reward(self) -> NDArray[np.float64]:
        """The parameter phi* of the single reward that pooling leads to, (B, d); of minimum norm.

        NaN where damped Newton did not settle. See `population_mle` for one population by another routine.
        """
        return pooled_mle(self)

    @property
    def misfit(self) -> NDArray[np.float64]:
        """How far the pooled preference is from the single reward's, the largest over pairs, (B,)."""
        pooled = np.einsum("bu,bun->bn", self.weights, expit(self.logits))
        fitted = expit((self.difference @ self.single_reward[..., None])[..., 0])
        return np.abs(pooled - fitted).max(axis=-1)

    @property
    def realizable(self) -> NDArray[np.bool_]:
        """Whether the pool is itself Bradley-Terry, up to 1e-9 in every preference, (B,)."""
        return self.misfit <= 1e-9


def population_sampler(max_groups: int, n_pairs: int, n_features: int) -> Sampler:
    """Return a sampler of populations that are unlike each other, as `Instances`.

    They have 2 to max_groups groups (those absent have share zero), with shares up to 1000 to 1 and parameters whose
    scale runs over three decades, 0.03 to 30.

    Parameters
    ----------
    max_groups : int
        The largest number of groups, at least 2.
    n_pairs : int
        How many pairs are compared.
    n_features : int
        How many features an item has.

    Returns
    -------
    Sampler
        From standard normal coordinates to `Instances`.

    Examples
    --------
    >>> population_sampler(3, 4, 2).draw(10, 0).parameters.shape
    (10, 3, 2)
    """
    sizes = [max_groups, max_groups * n_features, n_pairs * n_features, n_pairs, 1, 1]

    def decode(coordinates):
        shares, phi, difference, rho, scale, count = np.split(coordinates, np.cumsum(sizes)[:-1], axis=1)
        present = np.arange(max_groups) < 2 + np.floor((max_groups - 1) * ndtr(count))
        shares = np.where(present, 10.0 ** (3 * ndtr(shares)), 0.0)
        phi = 10 ** (1.5 * np.tanh(scale))[:, :, None] * phi.reshape(-1, max_groups, n_features)
        difference = difference.reshape(-1, n_pairs, n_features)
        return Instances(shares / shares.sum(axis=1, keepdims=True), phi, difference, softmax(rho, axis=1))

    return Sampler(decode, sum(sizes))


def group_first(population, u):
    """Return shares (1, U) and parameters (1, U, d) of one population, group u first; ValueError on another u."""
    n_groups = len(population.weights)
    if not isinstance(u, int | np.integer) or isinstance(u, bool) or not 0 <= u < n_groups:
        raise ValueError(f"u: expected a group in 0..{n_groups - 1}, got {u!r}")
    order = [u, *(k for k in range(n_groups) if k != u)]
    return population.weights[order][None], population.parameters[order][None]


def pooled_mle(instances):
    """Return phi* of every instance, (B, d), by damped Newton; NaN where it did not settle.

    phi* is the minimiser of minimum norm of E_rho KL(p_bar || sigma(<phi, Dpsi>)).
    """
    difference, rho = instances.difference, instances.pair_weights
    logits = instances.logits
    wins = rho * np.einsum("bu,bun->bn", instances.weights, expit(logits))
    losses = rho * np.einsum("bu,bun->bn", instances.weights, expit(-logits))
    # Directions without data cost nothing and stay at zero.
    basis = instances.basis
    z = difference @ basis

    def objective(at):
        margin = (z @ at[..., None])[..., 0]
        return -(wins * log_expit(margin) + losses * log_expit(-margin)).sum(axis=-1)

    phi, settled = np.zeros_like(z[:, 0]), np.zeros(len(z), dtype=bool)
    going, at = np.arange(len(z)), phi.copy()
    value = objective(at)
    for _ in range(200):
        margin = (z @ at[..., None])[..., 0]
        up, down = expit(margin), expit(-margin)
        gradient = ((losses * up - wins * down)[:, None] @ z)[:, 0]
        curvature = (wins + losses) * up * down
        hessian = z.swapaxes(-1, -2) @ (curvature[..., None] * z)
        step = newton_step(hessian, gradient)
        move = np.abs((z @ step[..., None])[..., 0]).max(axis=-1)
        reach = np.abs(margin).max(axis=-1)
        step *= np.minimum(1.0, 10.0 * (1.0 + reach) / np.maximum(move, 1e-300))[:, None]

        def attempt(size, at=at, step=step, value=value):
            found = objective(at + size[:, None] * step)
            return found, found > value + 1e-14 * np.abs(value)

        size, found, _ = backtrack(attempt, np.ones(len(z)))
        at, value = at + size[:, None] * step, np.minimum(found, value)
        done = move <= 1e-9 * (1.0 + reach)
        phi[going[done]], settled[going[done]] = at[done], True
        if done.all():
            break
        # Most settle within ten steps: the few that need a hundred do not make the others wait.
        going, z, wins, losses, at, value = (a[~done] for a in (going, z, wins, losses, at, value))
    phi = np.einsum("bde,be->bd", basis, phi)
    open_ended = ~basis.any(axis=1).all(axis=1)
    if open_ended.any():
        # Of minimum norm: without the part that no compared difference sees. The columns are scaled, as in `basis`.
        rows = difference[open_ended]
        scale = np.abs(rows).max(axis=1, keepdims=True)
        scale = np.where(scale == 0, 1.0, scale)
        rows = rows / scale
        null = np.eye(rows.shape[-1]) - np.linalg.pinv(rows, rcond=1e-7) @ rows
        null = null / scale.swapaxes(-1, -2)
        phi[open_ended] -= (null @ np.linalg.pinv(null, rcond=1e-7) @ phi[open_ended][..., None])[..., 0]
    return np.where(settled[:, None], phi, np.nan)


def mismatches(instances: Instances, norm: Literal["euclidean", "H"] = "euclidean") -> NDArray[np.float64]:
    """Return how far the single reward of every instance is from the reward of group 0.

    ``||phi* - phi_0||``, or ``||a||_H = sqrt(a^T H a)`` of the same difference.

    Parameters
    ----------
    instances : Instances
        B instances.
    norm : {"euclidean", "H"}
        The norm; H is the second moment of the compared differences of features.

    Returns
    -------
    ndarray, shape (B,)
        In logits per unit of feature, in the H-norm in logits; NaN where the single reward could not be resolved.

    Raises
    ------
    ValueError
        On another norm.

    Examples
    --------
    >>> one = Instances(np.array([[0.5, 0.5]]), np.array([[[0.0], [2.0]]]), np.ones((1, 1, 1)), np.ones((1, 1)))
    >>> mismatches(one).round(4)
    array([0.802])
    """
    if norm not in ("euclidean", "H"):
        raise ValueError(f"norm: expected 'euclidean' or 'H', got {norm!r}")
    delta = displacements(instances)
    if norm == "H":
        along = np.einsum("bnd,bd->bn", instances.difference, delta)
        return np.sqrt(np.einsum("bn,bn->b", instances.pair_weights, along**2))
    return np.linalg.norm(delta, axis=-1)


def displacements(instances):
    """Return phi* - phi_0 of every instance, (B, d), from the reward of group 0 to the single one; NaN if unsettled.

    The difference is polished by Newton steps on its own equation, E[(sigma(l_0 + Dpsi delta) - sigma(l_0)) Dpsi] = g,
    so that it keeps its digits where phi* and phi_0 agree in many.
    """
    difference, rho, logits = instances.difference, instances.pair_weights, instances.logits
    delta = instances.single_reward - instances.parameters[:, 0]
    basis = instances.basis
    z = difference @ basis
    apart = _pooled_apart(instances)
    for _ in range(3):
        change = np.einsum("bnd,bd->bn", difference, delta)
        margin = logits[:, 0] + change
        residual = probability_change(logits[:, 0], change) - apart
        gradient = np.einsum("bn,bnd->bd", rho * residual, z)
        curvature = rho * expit(margin) * expit(-margin)
        step = newton_step(z.swapaxes(-1, -2) @ (curvature[..., None] * z), gradient)
        delta = delta + np.einsum("bde,be->bd", basis, step)
    return delta


def mle_bounds(instances):
    """Return 4 ||g|| / lambda_max(H), (B,), g = E_rho[(p_bar - p_0) Dpsi]: a floor under the mismatch, always."""
    largest = np.linalg.eigvalsh(instances.second_moment)[:, -1]
    return ratio(4 * np.linalg.norm(_pull(instances), axis=-1), largest)


def mle_bounds_in_h(instances):
    """Return 4 ||g||_{H^+}, (B,): a floor under the mismatch in the H-norm, always."""
    return 4 * np.linalg.norm(np.einsum("bde,bd->be", instances.basis, _pull(instances)), axis=-1)


def realizable_bounds(instances):
    """Return (4/R) E_rho|p_bar - p_0|, (B,), R = max ||Dpsi||: a floor where p_bar is itself Bradley-Terry."""
    apart = (instances.pair_weights * np.abs(_pooled_apart(instances))).sum(axis=-1)
    return ratio(4 * apart, longest(instances))


def two_group_bounds(instances):
    """Return (4/R) (1 - eta(0)) E[|p_1 - p_0| |l_1 - l_0|] / E|l_1 - l_0|, (B,), l the logits: for two groups."""
    disagreement, logits_apart, others = between(instances)
    rho = instances.pair_weights
    weighted = ratio((rho * disagreement * logits_apart).sum(axis=-1), (rho * logits_apart).sum(axis=-1))
    return ratio(4 * others * weighted, longest(instances))


def two_group_bounds_in_h(instances):
    """Return 16 (1 - eta(0)) Diversity^2 / ||phi_1 - phi_0||_H, (B,): a floor in the H-norm, for two groups."""
    disagreement, logits_apart, others = between(instances)
    rho = instances.pair_weights
    spread = np.sqrt((rho * logits_apart**2).sum(axis=-1))
    return ratio(16 * others * (rho * disagreement).sum(axis=-1) ** 2, spread)


def _pooled_apart(instances):
    """Return p_bar - p_0 of every pair, (B, n)."""
    return np.einsum("bu,bun->bn", instances.weights, instances.apart)


def _pull(instances):
    """Return g = E_rho[(p_bar - p_0) Dpsi], (B, d)."""
    return np.einsum("bn,bnd->bd", instances.pair_weights * _pooled_apart(instances), instances.difference)


def between(instances):
    """Return |p_1 - p_0| and |l_1 - l_0|, (B, n), and the share of group 1, (B,)."""
    if instances.n_groups != 2:
        raise ValueError(f"instances: expected two groups, got {instances.n_groups}")
    logits = instances.logits
    return np.abs(instances.apart[:, 1]), np.abs(logits[:, 1] - logits[:, 0]), instances.weights[:, 1]


def longest(instances):
    return np.linalg.norm(instances.difference, axis=-1).max(axis=-1)


def ratio(above, below):
    """Return above / below, zero where both vanish: a bound without data says nothing."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
