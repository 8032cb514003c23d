"""What a group loses under the policy of another reward, and its bounds: many instances at once."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from .._precise import exp_remainder
from .._validation import as_distribution, as_float, as_log_reference, as_positive
from . import _mismatch
from ._sampler import Sampler, check_shapes

__all__ = ["Alignments", "alignment_gaps", "alignment_sampler", "pooled_alignments", "pooled_sampler"]


@dataclass(frozen=True, eq=False)
class Alignments:
    """Hold B alignment problems of one size: the policy of the reward phi, judged by the reward phi + delta.

    Attributes
    ----------
    phi : ndarray, shape (B, d)
        The parameter of the reward whose optimal policy is judged, in logits per unit of feature.
    delta : ndarray, shape (B, d)
        From that parameter to the judging group's, which is phi + delta.
    features : ndarray, shape (B, X, Y, d)
        Features psi of every response to every prompt.
    log_reference : ndarray, shape (B, X, Y)
        Log-probabilities of the reference policy; -inf masks a response.
    beta : ndarray, shape (B,)
        KL strength, above 0, in logits per nat.
    prompt_weights : ndarray, shape (B, X)
        The distribution mu over prompts.
    pair_weights : ndarray, shape (B, X, P), optional
        The distribution rho over prompts and the P = Y (Y - 1) / 2 unordered pairs, as ``np.triu_indices(Y, 1)``
        numbers them; only the statements about compared pairs read it.

    Raises
    ------
    ValueError
        On shapes that do not fit. What the arrays hold is not checked: searches make millions.

    Examples
    --------
    >>> one = Alignments(
    ...     np.zeros((1, 1)), np.full((1, 1), 2.0), np.array([[[[1.0], [0.0]]]]),
    ...     np.log([[[0.5, 0.5]]]), np.ones(1), np.ones((1, 1)),
    ... )
    >>> np.exp(one.log_policy(1)).round(3)
    array([[[0.881, 0.119]]])
    """

    phi: NDArray[np.float64]
    delta: NDArray[np.float64]
    features: NDArray[np.float64]
    log_reference: NDArray[np.float64]
    beta: NDArray[np.float64]
    prompt_weights: NDArray[np.float64]
    pair_weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        axes = {"features": "BXYd", "phi": "Bd", "delta": "Bd", "log_reference": "BXY", "beta": "B"}
        axes |= {"prompt_weights": "BX"} | ({} if self.pair_weights is None else {"pair_weights": "BXP"})
        pairs = np.shape(self.features)[2] * (np.shape(self.features)[2] - 1) // 2 if np.ndim(self.features) == 4 else 0
        check_shapes({"P": pairs}, [(name, getattr(self, name), letters) for name, letters in axes.items()])

    def log_policy(self, step: float = 0.0) -> NDArray[np.float64]:
        """Return the log-probabilities of the optimal policy of a reward between the two.

        Parameters
        ----------
        step : float
            Where between them: 0 is the policy that is judged, 1 the group's own.

        Returns
        -------
        ndarray, shape (B, X, Y)
            ``log pi_s`` of the reward ``phi + step * delta``.
        """
        parameter = self.phi + step * self.delta
        reward = (self.features @ parameter[:, None, :, None])[..., 0]
        return log_softmax(self.log_reference + reward / self.beta[:, None, None], axis=-1)

    def over_prompts(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over prompts, ``E_x`` of values that every prompt has.

        Parameters
        ----------
        values : ndarray, shape (B, X)
            One value per prompt.

        Returns
        -------
        ndarray, shape (B,)
            Their means, each prompt counted with its weight.
        """
        return (self.prompt_weights * values).sum(axis=-1)

    @property
    def advantage(self) -> NDArray[np.float64]:
        """What the group sees in a response beyond what the reward sees, ``<delta, psi>``, (B, X, Y)."""
        return (self.features @ self.delta[:, None, :, None])[..., 0]

    @property
    def difference(self) -> NDArray[np.float64]:
        """Differences of features Dpsi of every unordered pair within a prompt, (B, X, P, d)."""
        first, second = np.triu_indices(self.features.shape[2], 1)
        return self.features[:, :, first] - self.features[:, :, second]


def alignment_sampler(n_prompts: int, n_responses: int, n_features: int) -> Sampler:
    """Return a sampler of alignment problems that are unlike each other, as `Alignments`.

    The difference delta of the two rewards runs over three decades, beta over two; references, prompts and
    comparisons are uneven.

    Parameters
    ----------
    n_prompts : int
        How many prompts there are.
    n_responses : int
        How many responses a prompt has.
    n_features : int
        How many features a response has.

    Returns
    -------
    Sampler
        From standard normal coordinates to `Alignments`.

    Examples
    --------
    >>> alignment_sampler(2, 3, 4).draw(10, 0).features.shape
    (10, 2, 3, 4)
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

    return Sampler(decode, int(sum(sizes)))


def pooled_sampler(max_groups: int, n_prompts: int, n_responses: int, n_features: int) -> Sampler:
    """Return a sampler of the whole theorem: a population, its single reward, and what that costs group 0.

    Parameters
    ----------
    max_groups : int
        The largest number of groups, at least 2.
    n_prompts : int
        How many prompts there are.
    n_responses : int
        How many responses a prompt has.
    n_features : int
        How many features a response has.

    Returns
    -------
    Sampler
        From standard normal coordinates to pairs (`Instances`, `Alignments`), as `pooled_alignments` makes them.

    Examples
    --------
    >>> instances, alignments = pooled_sampler(3, 1, 3, 2).draw(10, 0)
    >>> np.allclose(alignments.phi, instances.single_reward)
    True
    """
    decode_alignment, n_alignment = alignment_sampler(n_prompts, n_responses, n_features)
    decode_population, n_population = _mismatch.population_sampler(max_groups, 1, n_features)

    def decode(coordinates):
        population = decode_population(coordinates[:, :n_population])
        alignment = decode_alignment(coordinates[:, n_population:])
        return pooled_alignments(population.weights, population.parameters, alignment)

    return Sampler(decode, n_population + n_alignment)


def pooled_alignments(
    weights: NDArray[np.float64], parameters: NDArray[np.float64], world: Alignments
) -> tuple[_mismatch.Instances, Alignments]:
    """Return populations that compare a world's pairs, and what the single reward of each costs its group 0.

    Parameters
    ----------
    weights : ndarray, shape (B, U)
        Shares of the groups, group 0 first; rows sum to one.
    parameters : ndarray, shape (B, U, d)
        Bradley-Terry parameters of the groups, in logits per unit of feature.
    world : Alignments
        Features, reference, beta, prompts and, needed here, pair weights; phi and delta are not read.

    Returns
    -------
    instances : Instances
        The pooling problems.
    alignments : Alignments
        The same worlds, phi the single reward and delta from there to group 0; NaN where the single reward could not
        be resolved.

    Raises
    ------
    ValueError
        On a world without pair weights.

    Examples
    --------
    >>> world = alignment_sampler(1, 3, 2).draw(1, 0)
    >>> _, alignments = pooled_alignments(np.array([[0.5, 0.5]]), np.array([[[1.0, 0.0], [0.0, 1.0]]]), world)
    >>> (alignments.phi + alignments.delta).round(6)
    array([[1., 0.]])
    """
    n_features = parameters.shape[-1]
    instances = _mismatch.Instances(
        weights,
        parameters,
        world.difference.reshape(len(weights), -1, n_features),
        pair_weights_of(world).reshape(len(weights), -1),
    )
    delta = -_mismatch.displacements(instances)
    return instances, replace(world, phi=parameters[:, 0] - delta, delta=delta)


def alignment_gaps(alignments: Alignments) -> NDArray[np.float64]:
    """Return the alignment gap of every instance, with full relative precision.

    ``beta E_x KL(pi_phi || pi_u)``. With ``t = (s - E_pi s) / beta``, ``s = <delta, psi>``, the divergence is
    ``log E_pi e^t = log(1 + E_pi[e^t - 1 - t])``.

    Parameters
    ----------
    alignments : Alignments
        B instances.

    Returns
    -------
    ndarray, shape (B,)
        In logits, at least 0.

    Examples
    --------
    >>> one = Alignments(
    ...     np.zeros((1, 1)), np.full((1, 1), 2.0), np.array([[[[1.0], [0.0]]]]),
    ...     np.log([[[0.5, 0.5]]]), np.ones(1), np.ones((1, 1)),
    ... )
    >>> alignment_gaps(one).round(4)
    array([0.4338])
    """
    log_policy = alignments.log_policy()
    policy = np.exp(log_policy)
    t = (policy[..., None, :] * pairwise_differences(alignments.advantage)).sum(axis=-1)
    t = t / alignments.beta[:, None, None]
    # No term of E_pi[e^t - 1 - t] is negative: nothing cancels, however close the policy is to one response. Where e^t
    # is large it meets pi inside the exponential, and only where even that is too large does the logarithm come first.
    grown = log_policy + t
    tame = np.minimum(t, 1.0)
    steep = np.exp(np.minimum(grown, 600.0)) - policy * (1.0 + np.maximum(t, 0.0))
    terms = np.where(t < 1, policy * exp_remainder(tame), steep)
    direct = np.log1p(np.where(np.isfinite(log_policy), terms, 0.0).sum(axis=-1))
    divergence = np.where(grown.max(axis=-1) < 600, direct, logsumexp(grown, axis=-1))
    return alignments.beta * alignments.over_prompts(divergence)


def checked_alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights):
    """Return one checked instance."""
    phi = as_float("phi", phi, ("d",))
    phi_u = as_float("phi_u", phi_u, phi.shape)
    features = as_float("prompt_features", prompt_features, ("X", "Y", len(phi)))
    log_reference = as_log_reference(log_reference, features.shape[:2])
    beta = as_positive("beta", beta)
    weights = as_distribution("prompt_weights", prompt_weights, len(features))
    if not features.shape[2]:
        raise ValueError(f"prompt_features: expected at least one feature, got shape {features.shape}")
    for name, parameter in (("phi", phi), ("phi_u", phi_u)):
        with np.errstate(over="ignore", invalid="ignore"):
            reward = np.abs(features @ parameter / beta).max()
        if not reward < 1e150:
            raise ValueError(f"{name}: expected rewards over beta below 1e150, got {reward:.2g}")
    return Alignments(
        phi[None], (phi_u - phi)[None], features[None], log_reference[None], np.array([beta]), weights[None]
    )


def with_pairs(alignment, pair_weights):
    """Return the instance with checked pair weights, on its unordered pairs."""
    _, n_prompts, n_responses, _ = alignment.features.shape
    rho = as_float("pair_weights", pair_weights, (n_prompts, n_responses, n_responses))
    as_distribution("pair_weights", rho.ravel(), rho.size)
    if np.einsum("xyy->", rho) > 0:
        raise ValueError("pair_weights: expected no weight on a response compared with itself, got some")
    first, second = np.triu_indices(n_responses, 1)
    return replace(alignment, pair_weights=(rho[:, first, second] + rho[:, second, first])[None])


def pair_weights_of(alignments):
    """Return the pair weights; ValueError where there are none."""
    if alignments.pair_weights is None:
        raise ValueError("pair_weights: expected a distribution over the compared pairs, got None")
    return alignments.pair_weights


def pairwise_differences(values):
    """Return values(y) - values(y') for every two responses, (..., Y, Y)."""
    return values[..., None] - values[..., None, :]
