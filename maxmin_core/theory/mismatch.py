"""How far the one reward is from a group's: the mismatch and its lower bounds, for many instances at once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, ndtr, softmax

from .._newton import newton_step
from .._precise import probability_difference

__all__ = [
    "KINDS",
    "Instances",
    "bounds",
    "displacements",
    "mismatches",
    "pooled_mle",
    "reasons",
    "relative_slack",
    "shortfall",
    "wide_sampler",
]

KINDS = ("mle", "mle_H", "realizable", "two_groups", "two_groups_H")


@dataclass(frozen=True, eq=False)
class Instances:
    """Hold B instances of the pooling problem of one size; the group in question is group 0.

    Attributes
    ----------
    weights : (B, U) float, shares, group 0 first
    parameters : (B, U, d) float
    difference : (B, n, d) float, compared pairs
    pair_weights : (B, n) float, the distribution rho; the difference of a pair of weight zero becomes zero
    """

    weights: np.ndarray
    parameters: np.ndarray
    difference: np.ndarray
    pair_weights: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "difference", np.where(self.pair_weights[..., None] > 0, self.difference, 0.0))

    @property
    def logits(self):
        """Margins <phi_u, Dpsi>, (B, U, n)."""
        return self.parameters @ self.difference.swapaxes(-1, -2)

    @property
    def second_moment(self):
        """H = E_rho[Dpsi Dpsi^T], (B, d, d)."""
        return self.difference.swapaxes(-1, -2) @ (self.pair_weights[..., None] * self.difference)

    @property
    def basis(self):
        """Return (B, d, d) columns that H turns into a unit matrix, zero for the directions without data.

        The eigenvectors are those of H with unit diagonal: what counts as no data does not depend on units of features.
        """
        moment = self.second_moment
        scale = np.sqrt(np.einsum("bii->bi", moment))
        scale[scale == 0] = 1.0
        values, vectors = np.linalg.eigh(moment / (scale[:, :, None] * scale[:, None, :]))
        kept = values > 1e-12 * values[:, -1:]
        vectors = vectors * (kept / np.sqrt(np.where(kept, values, 1.0)))[:, None, :]
        return vectors / scale[:, :, None]


def wide_sampler(max_groups, n_pairs, n_features):
    """Return (decode, dimension): from standard normal coordinates to instances, for `theory.falsify`.

    decode : callable, (B, dimension) float -> Instances of 2 to max_groups groups (those absent have share zero), with
    shares up to 1000 to 1 and parameters whose scale runs over three decades, .03 to 30. Chapter 2.
    """
    sizes = [max_groups, max_groups * n_features, n_pairs * n_features, n_pairs, 1, 1]

    def decode(coordinates):
        shares, phi, difference, rho, scale, count = np.split(coordinates, np.cumsum(sizes)[:-1], axis=1)
        present = np.arange(max_groups) < 2 + np.floor((max_groups - 1) * ndtr(count))
        shares = np.where(present, 10.0 ** (3 * ndtr(shares)), 0.0)
        phi = 10 ** (1.5 * np.tanh(scale))[:, :, None] * phi.reshape(-1, max_groups, n_features)
        difference = difference.reshape(-1, n_pairs, n_features)
        return Instances(shares / shares.sum(axis=1, keepdims=True), phi, difference, softmax(rho, axis=1))

    return decode, sum(sizes)


def pooled_mle(instances, max_iter=200):
    """Return phi* of every instance, (B, d), by damped Newton; NaN where it did not settle.

    phi* is the minimiser of minimum norm of E_rho KL(p_bar || sigma(<phi, Dpsi>)); see `preferences.population_mle`
    for one instance by another routine. Chapter 2.
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
    for _ in range(max_iter):
        margin = (z @ at[..., None])[..., 0]
        up, down = expit(margin), expit(-margin)
        gradient = ((losses * up - wins * down)[:, None] @ z)[:, 0]
        curvature = (wins + losses) * up * down
        hessian = z.swapaxes(-1, -2) @ (curvature[..., None] * z)
        step = newton_step(hessian, gradient)
        move = np.abs((z @ step[..., None])[..., 0]).max(axis=-1)
        reach = np.abs(margin).max(axis=-1)
        step *= np.minimum(1.0, 10.0 * (1.0 + reach) / np.maximum(move, 1e-300))[:, None]
        size = np.ones(len(z))
        for _ in range(40):
            found = objective(at + size[:, None] * step)
            worse = found > value + 1e-14 * np.abs(value)
            if not worse.any():
                break
            size[worse] /= 2
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
        null = np.eye(rows.shape[-1]) - np.linalg.pinv(rows / np.where(scale == 0, 1.0, scale), rcond=1e-7) @ (
            rows / np.where(scale == 0, 1.0, scale)
        )
        null = null / np.where(scale == 0, 1.0, scale).swapaxes(-1, -2)
        phi[open_ended] -= (null @ np.linalg.pinv(null, rcond=1e-7) @ phi[open_ended][..., None])[..., 0]
    return np.where(settled[:, None], phi, np.nan)


def mismatches(instances, norm="euclidean"):
    """Return ||phi* - phi_0|| of every instance, (B,); with norm 'H', ||a||_H^2 = a^T H a. ValueError on another."""
    if norm not in ("euclidean", "H"):
        raise ValueError(f"norm: expected 'euclidean' or 'H', got {norm!r}")
    delta = displacements(instances)
    if norm == "H":
        along = np.einsum("bnd,bd->bn", instances.difference, delta)
        return np.sqrt(np.einsum("bn,bn->b", instances.pair_weights, along**2))
    return np.linalg.norm(delta, axis=-1)


def displacements(instances):
    """Return phi* - phi_0 of every instance, (B, d), from the single reward to that of group 0; NaN where not settled.

    The difference is polished by Newton steps on its own equation, E[(sigma(l_0 + Dpsi delta) - sigma(l_0)) Dpsi] = g,
    so that it keeps its digits where phi* and phi_0 agree in many.
    """
    difference, rho, logits = instances.difference, instances.pair_weights, instances.logits
    delta = pooled_mle(instances) - instances.parameters[:, 0]
    basis = instances.basis
    z = difference @ basis
    apart = np.einsum("bu,bun->bn", instances.weights, probability_difference(logits, logits[:, :1]))
    for _ in range(3):
        margin = logits[:, 0] + np.einsum("bnd,bd->bn", difference, delta)
        residual = probability_difference(margin, logits[:, 0]) - apart
        gradient = np.einsum("bn,bnd->bd", rho * residual, z)
        curvature = rho * expit(margin) * expit(-margin)
        step = newton_step(z.swapaxes(-1, -2) @ (curvature[..., None] * z), gradient)
        delta = delta + np.einsum("bde,be->bd", basis, step)
    return delta


def bounds(instances, kind):
    """Return the lower bound of one kind for every instance, (B,); `mismatch_bound` states the kinds.

    ValueError on another kind, or on more than two groups where two are meant.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind.startswith("two_groups") and instances.parameters.shape[1] != 2:
        raise ValueError(f"kind: {kind!r} expected two groups, got {instances.parameters.shape[1]}")
    logits, rho, difference = instances.logits, instances.pair_weights, instances.difference
    apart = probability_difference(logits, logits[:, :1])
    pooled_apart = np.einsum("bu,bun->bn", instances.weights, apart)
    length = np.linalg.norm(difference, axis=-1)
    if kind in ("mle", "mle_H"):
        pull = np.einsum("bn,bnd->bd", rho * pooled_apart, difference)
        if kind == "mle":
            largest = np.linalg.eigvalsh(instances.second_moment)[:, -1]
            return _ratio(4 * np.linalg.norm(pull, axis=-1), largest)
        return 4 * np.linalg.norm(np.einsum("bde,bd->be", instances.basis, pull), axis=-1)
    if kind == "realizable":
        return _ratio(4 * (rho * np.abs(pooled_apart)).sum(axis=-1), length.max(axis=-1))
    disagreement = np.abs(apart[:, 1])
    logits_apart = np.abs(logits[:, 1] - logits[:, 0])
    others = 1 - instances.weights[:, 0]
    if kind == "two_groups":
        weighted = _ratio((rho * disagreement * logits_apart).sum(axis=-1), (rho * logits_apart).sum(axis=-1))
        return _ratio(4 * others * weighted, length.max(axis=-1))
    spread = np.sqrt((rho * logits_apart**2).sum(axis=-1))
    return _ratio(16 * others * (rho * disagreement).sum(axis=-1) ** 2, spread)


def relative_slack(instances, kind):
    """Return 1 - bound / truth of every instance, (B,): below zero a violation; NaN where both are zero."""
    return shortfall(bounds(instances, kind), mismatches(instances, "H" if kind.endswith("H") else "euclidean"))


def shortfall(below, above, negligible=1e-290):
    """Return 1 - below / above: NaN where both are negligible or above is NaN, -inf where only above is."""
    empty = np.where(below > negligible, -np.inf, np.nan)
    ratio = below / np.where(above > negligible, above, 1.0)
    return np.where(np.isnan(above), np.nan, np.where(above > negligible, 1 - ratio, empty))


def reasons(instances, kind, tolerance=1e-9):
    """Return, for every instance, why the bound does not apply or is zero: a list of texts, '' where neither holds."""
    told = []
    two = instances.parameters.shape[1] == 2
    phi = pooled_mle(instances) if kind == "realizable" else None
    for b in range(len(instances.weights)):
        why = ""
        if kind.startswith("two_groups") and not two:
            why = f"does not apply: expected two groups, got {instances.parameters.shape[1]}"
        elif kind == "realizable":
            pooled = instances.weights[b] @ expit(instances.logits[b])
            misfit = np.abs(pooled - expit(instances.difference[b] @ phi[b])).max()
            if np.isnan(misfit):
                why = "does not apply: the single reward is beyond double precision"
            elif not misfit <= tolerance:
                why = f"does not apply: the pooled preference is off Bradley-Terry by {misfit:.2g}"
        if not why and not instances.difference[b].any():
            why = "is zero: the compared differences are all zero (degenerate features)"
        elif not why and instances.weights[b, 0] == 1:
            why = "is zero: the group is everybody"
        elif not why and np.ptp(instances.logits[b][instances.weights[b] > 0], axis=0).max() == 0:
            why = "is zero: the groups prefer alike (no diversity)"
        elif not why and not probability_difference(instances.logits[b], instances.logits[b, :1]).any():
            why = "is zero: the preferences are so certain that double precision sees no difference"
        elif not why and bounds(_one(instances, b), kind)[0] == 0:
            why = "is zero: the differences between the groups cancel"
        told.append(why)
    return told


def _one(instances, b):
    return Instances(
        *(getattr(instances, f)[b : b + 1] for f in ("weights", "parameters", "difference", "pair_weights"))
    )


def _ratio(above, below):
    """Return above / below, zero where both vanish: a bound without data says nothing."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
