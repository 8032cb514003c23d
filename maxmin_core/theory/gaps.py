"""What a group loses under the policy of another reward: the gap and its bounds, for many instances at once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax

from .._precise import exp_remainder, probability_difference
from . import mismatch

__all__ = [
    "KINDS",
    "Alignments",
    "bounds",
    "gaps",
    "impossibility_bounds",
    "pooled",
    "pooled_sampler",
    "relative_slack",
    "wide_sampler",
]

KINDS = ("lower", "upper", "textbook", "pairwise", "observable")


@dataclass(frozen=True, eq=False)
class Alignments:
    """Hold B instances of one size: the policy of the reward phi, judged by the reward phi + delta.

    Attributes
    ----------
    phi, delta : (B, d) float; the group's parameter is phi + delta
    features : (B, X, Y, d) float
    log_reference : (B, X, Y) float
    beta : (B,) float
    prompt_weights : (B, X) float, mu
    pair_weights : (B, X, P) float or None, rho on the P = Y (Y - 1) / 2 unordered pairs, as np.triu_indices(Y, 1)
    """

    phi: np.ndarray
    delta: np.ndarray
    features: np.ndarray
    log_reference: np.ndarray
    beta: np.ndarray
    prompt_weights: np.ndarray
    pair_weights: np.ndarray | None = None

    def log_policy(self, step=0.0):
        """Return log pi_s of the reward phi + step * delta, (B, X, Y): step 0 is the policy, step 1 the group's own."""
        parameter = self.phi + step * self.delta
        reward = (self.features @ parameter[:, None, :, None])[..., 0]
        return log_softmax(self.log_reference + reward / self.beta[:, None, None], axis=-1)

    @property
    def advantage(self):
        """<delta, psi>, (B, X, Y): what the group sees in a response beyond what the reward sees."""
        return (self.features @ self.delta[:, None, :, None])[..., 0]

    @property
    def difference(self):
        """Dpsi of every unordered pair within a prompt, (B, X, P, d)."""
        first, second = np.triu_indices(self.features.shape[2], 1)
        return self.features[:, :, first] - self.features[:, :, second]


def wide_sampler(n_prompts, n_responses, n_features):
    """Return (decode, dimension): from standard normal coordinates to alignments, for `theory.falsify`.

    decode : callable, (B, dimension) float -> Alignments, with delta over three decades, beta over two, uneven
    references, prompts and comparisons. Chapter 3.
    """
    shape = (n_prompts, n_responses, n_features)
    n_pairs = n_responses * (n_responses - 1) // 2
    sizes = [n_features, n_features, np.prod(shape), np.prod(shape[:2]), n_prompts, n_prompts * n_pairs, 1, 1]

    def decode(coordinates):
        phi, delta, features, reference, prompts, pairs, scale, beta = np.split(
            coordinates, np.cumsum(sizes)[:-1], axis=1
        )
        return Alignments(
            phi,
            10 ** (1.5 * np.tanh(scale)) * delta,
            features.reshape(-1, *shape),
            log_softmax(2 * reference.reshape(-1, *shape[:2]), axis=-1),
            10 ** np.tanh(beta[:, 0]),
            softmax(prompts, axis=1),
            softmax(pairs, axis=1).reshape(-1, n_prompts, n_pairs),
        )

    return decode, int(sum(sizes))


def pooled_sampler(max_groups, n_prompts, n_responses, n_features):
    """Return (decode, dimension): instances of the whole theorem, a population, its single reward, and what it costs.

    decode : callable, (B, dimension) float -> (Instances, Alignments). Chapter 3.
    """
    decode_alignment, n_alignment = wide_sampler(n_prompts, n_responses, n_features)
    decode_population, n_population = mismatch.wide_sampler(max_groups, 1, n_features)

    def decode(coordinates):
        population = decode_population(coordinates[:, :n_population])
        alignment = decode_alignment(coordinates[:, n_population:])
        return pooled(population.weights, population.parameters, alignment)

    return decode, n_population + n_alignment


def pooled(weights, parameters, alignment):
    """Return (Instances, Alignments) of populations that compare the alignment's pairs: phi = phi*, delta to group 0.

    weights : (B, U) float, shares; parameters : (B, U, d) float; alignment : Alignments with pair_weights, whose phi
    and delta are not read. NaN where the single reward could not be resolved. Chapter 3.
    """
    n_features = parameters.shape[-1]
    instances = mismatch.Instances(
        weights,
        parameters,
        alignment.difference.reshape(len(weights), -1, n_features),
        alignment.pair_weights.reshape(len(weights), -1),
    )
    delta = -mismatch.displacements(instances)
    return instances, Alignments(
        parameters[:, 0] - delta,
        delta,
        alignment.features,
        alignment.log_reference,
        alignment.beta,
        alignment.prompt_weights,
        alignment.pair_weights,
    )


def gaps(alignments):
    """Return the alignment gap of every instance, (B,): beta E_x KL(pi_phi || pi_u), with full relative precision.

    With t = (s - E_pi s) / beta, s = <delta, psi>, the divergence is log E_pi e^t = log(1 + E_pi[e^t - 1 - t]).
    """
    log_policy = alignments.log_policy()
    policy = np.exp(log_policy)
    t = (policy[..., None, :] * _apart(alignments.advantage)).sum(axis=-1) / alignments.beta[:, None, None]
    # No term of E_pi[e^t - 1 - t] is negative: nothing cancels, however close the policy is to one response. Where e^t
    # is large it meets pi inside the exponential, and only where even that is too large does the logarithm come first.
    grown = log_policy + t
    tame = np.minimum(t, 1.0)
    steep = np.exp(np.minimum(grown, 600.0)) - policy * (1.0 + np.maximum(t, 0.0))
    terms = np.where(t < 1, policy * exp_remainder(tame), steep)
    direct = np.log1p(np.where(np.isfinite(log_policy), terms, 0.0).sum(axis=-1))
    divergence = np.where(grown.max(axis=-1) < 600, direct, logsumexp(grown, axis=-1))
    return alignments.beta * (alignments.prompt_weights * divergence).sum(axis=-1)


def bounds(alignments, kind, n_steps=33):
    """Return the bound of one kind on the gap of every instance, (B,).

    lower, upper   from the range and the variances of s = <delta, psi>; see `theory.gap_bounds`
    textbook       lambda_min / (2 beta) ||delta||^2, the least eigenvalue of E_x Cov(psi) on a grid of n_steps points
                   between the two rewards: on a grid it is no bound, only the limit of finer grids is
    pairwise       (8 / beta) sum over x and pairs of mu m (p_phi - p_u)^2, m the lesser of pi(y) pi(y') at the two ends
    observable     (8 c / beta) E_rho (p_phi - p_u)^2, see `theory.observable_bound`

    ValueError on an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    if not isinstance(n_steps, int | np.integer) or n_steps < 2:
        raise ValueError(f"n_steps: expected an integer of at least 2, got {n_steps!r}")
    if kind in ("pairwise", "observable"):
        apart = probability_difference(*_margins(alignments))
        if kind == "pairwise":
            return 8 / alignments.beta * (_reach(alignments) * apart**2).sum(axis=(1, 2))
        return 8 * _coverage(alignments) / alignments.beta * (alignments.pair_weights * apart**2).sum(axis=(1, 2))
    if kind == "textbook":
        least = np.full(len(alignments.phi), np.inf)
        for step in np.linspace(0, 1, n_steps):
            least = np.minimum(least, np.linalg.eigvalsh(_covariance(alignments, step))[:, 0])
        return np.maximum(least, 0) * (alignments.delta**2).sum(axis=-1) / (2 * alignments.beta)
    beta = alignments.beta[:, None]
    advantage = alignments.advantage
    variance, variance_u = (_variance(np.exp(alignments.log_policy(step)), advantage) / beta for step in (0, 1))
    supported = np.isfinite(alignments.log_reference)
    spread = np.where(supported, advantage, -np.inf).max(axis=-1) - np.where(supported, advantage, np.inf).min(axis=-1)
    a = spread / beta
    if kind == "lower":
        per_prompt = np.maximum(variance * _integral(-a), variance_u * _integral_mirrored(-a))
    else:
        with np.errstate(invalid="ignore"):  # no variance times an overflow: NaN, which fmin passes over
            per_prompt = np.fmin(variance * _integral(a), variance_u * _integral_mirrored(a))
        per_prompt = np.fmin(per_prompt, spread**2 / (8 * beta))
    return (alignments.prompt_weights * per_prompt).sum(axis=-1)


def impossibility_bounds(instances, alignments):
    """Return (8 c / beta) ||g_u||^2_{H^+} of every instance, (B,): a floor under the gap of group 0 from preferences.

    instances, alignments : as `pooled` returns them.
    """
    return _coverage(alignments) / alignments.beta * mismatch.bounds(instances, "mle_H") ** 2 / 2


def relative_slack(instance, kind):
    """Return 1 - bound / gap of every instance, (B,), for 'upper' 1 - gap / bound: below zero a violation.

    instance : Alignments; for 'impossibility' (Instances, Alignments). NaN where gap and bound are both zero.
    """
    if kind == "impossibility":
        instances, alignments = instance
        bound = impossibility_bounds(instances, alignments)
    else:
        alignments = instance
        bound = bounds(alignments, kind)
    above, below = (gaps(alignments), bound) if kind == "upper" else (bound, gaps(alignments))
    return mismatch.shortfall(above, below)


def _reach(alignments):
    """Return mu(x) times the least of pi_s(y) pi_s(y') along the path, (B, X, P), taken at the path's ends.

    log pi_s(y) is concave in s, so the product of two is least at s = 0 or s = 1.
    """
    first, second = np.triu_indices(alignments.features.shape[2], 1)
    ends = [alignments.log_policy(step) for step in (0, 1)]
    product = np.exp(np.minimum(*(end[..., first] + end[..., second] for end in ends)))
    return alignments.prompt_weights[..., None] * product


def _coverage(alignments):
    """Return c, (B,): the least of `_reach` over rho among the compared pairs."""
    compared = alignments.pair_weights > 0
    ratio = _reach(alignments) / np.where(compared, alignments.pair_weights, 1.0)
    return np.where(compared, ratio, np.inf).min(axis=(1, 2))


def _margins(alignments):
    """Return the margins of all pairs under the reward and under the group's, each (B, X, P)."""
    difference = alignments.difference
    return tuple(
        (difference @ parameter[:, None, :, None])[..., 0]
        for parameter in (alignments.phi, alignments.phi + alignments.delta)
    )


def _covariance(alignments, step):
    """Return E_x Cov_{pi_s}(psi), (B, d, d)."""
    policy = np.exp(alignments.log_policy(step))[..., None]
    centred = alignments.features - (policy * alignments.features).sum(axis=2, keepdims=True)
    per_prompt = centred.swapaxes(-1, -2) @ (policy * centred)
    return (alignments.prompt_weights[..., None, None] * per_prompt).sum(axis=1)


def _variance(policy, values):
    """Return the variance as half the mean squared difference of two draws: nothing cancels."""
    return (policy[..., None] * policy[..., None, :] * _apart(values) ** 2).sum(axis=(-1, -2)) / 2


def _apart(values):
    """Return values(y) - values(y') for every two responses, (..., Y, Y)."""
    return values[..., None] - values[..., None, :]


def _integral(c):
    """Integral of (1 - t) e^(c t) over [0, 1], (e^c - 1 - c) / c^2; by its series where c is small."""
    series = 0.5 + c / 6 + c**2 / 24 + c**3 / 120 + c**4 / 720
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.abs(c) < 1e-2, series, (np.expm1(c) - c) / np.where(c == 0, 1.0, c) ** 2)


def _integral_mirrored(c):
    """Integral of t e^(c t) over [0, 1], (1 + (c - 1) e^c) / c^2; by its series where c is small."""
    series = 0.5 + c / 3 + c**2 / 8 + c**3 / 30 + c**4 / 144
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.abs(c) < 1e-2, series, (1 + (c - 1) * np.exp(c)) / np.where(c == 0, 1.0, c) ** 2)
