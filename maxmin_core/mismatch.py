"""How far the one reward is from a group's: the mismatch and its lower bounds, for many instances at once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, ndtr, softmax

__all__ = [
    "KINDS",
    "Instances",
    "bounds",
    "displacements",
    "mismatches",
    "pooled_mle",
    "reasons",
    "relative_slack",
    "wide_sampler",
]

KINDS = ("mle", "mle_H", "realizable", "two_groups", "two_groups_H")


@dataclass(frozen=True)
class Instances:
    """Hold B instances of the pooling problem of one size; the group in question is group 0.

    Attributes
    ----------
    weights : (B, U) float, shares, group 0 first
    parameters : (B, U, d) float
    difference : (B, n, d) float, compared pairs
    pair_weights : (B, n) float, the distribution rho
    """

    weights: np.ndarray
    parameters: np.ndarray
    difference: np.ndarray
    pair_weights: np.ndarray

    @property
    def logits(self):
        """Margins <phi_u, Dpsi>, (B, U, n)."""
        return self.parameters @ self.difference.swapaxes(-1, -2)

    @property
    def second_moment(self):
        """H = E_rho[Dpsi Dpsi^T], (B, d, d)."""
        return self.difference.swapaxes(-1, -2) @ (self.pair_weights[..., None] * self.difference)


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


def probability_difference(a, b):
    """Return sigma(a) - sigma(b) with full relative precision, also where both round to one."""
    high, low = np.maximum(a, b), np.minimum(a, b)
    return np.sign(a - b) * expit(high) * expit(-low) * -np.expm1(low - high)


def pooled_mle(instances, max_iter=200):
    """Return phi* of every instance, (B, d), by damped Newton; NaN where it did not settle.

    phi* is the minimiser of minimum norm of E_rho KL(p_bar || sigma(<phi, Dpsi>)); see `preferences.population_mle`
    for one instance by another routine. Chapter 2.
    """
    difference, rho = instances.difference, instances.pair_weights
    logits = instances.logits
    wins = rho * np.einsum("bu,bun->bn", instances.weights, expit(logits))
    losses = rho * np.einsum("bu,bun->bn", instances.weights, expit(-logits))
    # In an orthonormal basis of the compared differences, directions without data cost nothing and stay at zero.
    values, vectors = np.linalg.eigh(instances.second_moment)
    kept = values > 1e-12 * values[:, -1:]
    basis = vectors * kept[:, None, :]
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
        step = _newton_step(hessian, gradient, kept)
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
        going, z, wins, losses, kept, at, value = (a[~done] for a in (going, z, wins, losses, kept, at, value))
    return np.where(settled[:, None], np.einsum("bde,be->bd", basis, phi), np.nan)


def mismatches(instances, norm="euclidean"):
    """Return ||phi* - phi_0|| of every instance, (B,); with norm 'H', ||a||_H^2 = a^T H a."""
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
    values, vectors = np.linalg.eigh(instances.second_moment)
    kept = values > 1e-12 * values[:, -1:]
    z = difference @ (vectors * kept[:, None, :])
    apart = np.einsum("bu,bun->bn", instances.weights, probability_difference(logits, logits[:, :1]))
    for _ in range(3):
        margin = logits[:, 0] + np.einsum("bnd,bd->bn", difference, delta)
        residual = probability_difference(margin, logits[:, 0]) - apart
        gradient = np.einsum("bn,bnd->bd", rho * residual, z)
        curvature = rho * expit(margin) * expit(-margin)
        step = _newton_step(z.swapaxes(-1, -2) @ (curvature[..., None] * z), gradient, kept)
        delta = delta + np.einsum("bde,be->bd", vectors, step)
    return delta


def bounds(instances, kind):
    """Return the lower bound of one kind for every instance, (B,); `mismatch_bound` states the kinds."""
    logits, rho, difference = instances.logits, instances.pair_weights, instances.difference
    apart = probability_difference(logits, logits[:, :1])
    pooled_apart = np.einsum("bu,bun->bn", instances.weights, apart)
    length = np.linalg.norm(difference, axis=-1)
    if kind in ("mle", "mle_H"):
        pull = np.einsum("bn,bnd->bd", rho * pooled_apart, difference)
        values, vectors = np.linalg.eigh(instances.second_moment)
        if kind == "mle":
            return _ratio(4 * np.linalg.norm(pull, axis=-1), values[:, -1])
        along = np.einsum("bde,bd->be", vectors, pull)
        kept = values > 1e-12 * values[:, -1:]
        return 4 * np.sqrt(np.where(kept, along**2 / np.where(kept, values, 1.0), 0.0).sum(axis=-1))
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
    """Return 1 - bound / truth of every instance, (B,): below zero a violation; NaN where the mismatch is zero."""
    truth = mismatches(instances, "H" if kind.endswith("H") else "euclidean")
    return 1 - bounds(instances, kind) / np.where(truth > 0, truth, np.nan)


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
            if not misfit <= tolerance:
                why = f"does not apply: the pooled preference is off Bradley-Terry by {misfit:.2g}"
        if not why and not instances.difference[b].any():
            why = "is zero: the compared differences are all zero (degenerate features)"
        elif not why and np.ptp(instances.logits[b], axis=0).max() == 0:
            why = "is zero: the groups prefer alike (no diversity)"
        elif not why and bounds(_one(instances, b), kind)[0] == 0:
            why = "is zero: the differences between the groups cancel"
        told.append(why)
    return told


def _newton_step(hessian, gradient, kept):
    """Return -hessian^{-1} gradient on the kept directions, zero on the others, after scaling to a unit diagonal."""
    diagonal = np.sqrt(np.einsum("bii->bi", hessian))
    diagonal[diagonal == 0] = 1.0
    scaled = hessian / (diagonal[:, :, None] * diagonal[:, None, :])
    scaled += np.einsum("bi,ij->bij", np.where(kept, 1e-15, 1.0), np.eye(hessian.shape[-1]))
    return np.where(kept, -np.linalg.solve(scaled, (gradient / diagonal)[..., None])[..., 0] / diagonal, 0.0)


def _one(instances, b):
    return Instances(
        *(getattr(instances, f)[b : b + 1] for f in ("weights", "parameters", "difference", "pair_weights"))
    )


def _ratio(above, below):
    """Return above / below, zero where both vanish: a bound without data says nothing."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
