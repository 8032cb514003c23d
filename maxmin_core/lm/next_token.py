"""Token by token, where every text is known: the product of policies, and where TRL's GRPO comes to rest. Chapter 9."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from .._validation import as_distribution, as_float, as_positive, is_count

__all__ = ["grpo_rest", "product_by_token"]

_Beginning = tuple[int, ...]


def product_by_token(
    log_policies: ArrayLike, weights: ArrayLike, texts: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Return the policy whose next token is drawn from a product: ``pi(t | before) ~ prod_u pi_u(t | before)^(w_u)``.

    Exact, where `combined.Product` asks networks: the chance of a next token is that of all texts which go on so.

    Parameters
    ----------
    log_policies : array_like, shape (U, X, Y)
        ``log pi_u(text | prompt)`` of U policies, in nats.
    weights : array_like, shape (U,)
        Non-negative, with sum one.
    texts : sequence of list of int, length Y
        All texts, as token ids; none is the beginning of another.

    Returns
    -------
    ndarray, shape (X, Y)
        Log probabilities, in nats.

    Raises
    ------
    ValueError
        On wrong shapes, or weights that are no distribution.

    Examples
    --------
    Of whole texts the product of these two is even. Token by token it is not: their first tokens are.

    >>> texts = [[0, 0], [0, 1], [1]]
    >>> policies = np.log([[[0.4, 0.1, 0.5]], [[0.1, 0.4, 0.5]]])
    >>> np.exp(product_by_token(policies, [0.5, 0.5], texts)).round(3).tolist()
    [[0.25, 0.25, 0.5]]
    """
    log_policies = as_float("log_policies", log_policies, ("U", "X", len(texts)))
    weights = as_distribution("weights", weights, len(log_policies))
    onward, found = _onward(texts), []
    for rows in log_policies.swapaxes(0, 1):
        chances = [_of_beginnings(row, texts, onward) for row in rows]
        steps: dict[_Beginning, float] = {}
        for before, after in onward:
            own = np.array([[log[one] - log[before] for one in after] for log in chances])
            mixed = weights @ own
            steps.update(zip(after, mixed - logsumexp(mixed), strict=True))
        found.append(_of_texts(steps, texts))
    return np.array(found)


def grpo_rest(
    reward: ArrayLike, log_reference: ArrayLike, texts: Sequence[Sequence[int]], beta: float, *, n_samples: int
) -> NDArray[np.float64]:
    """Return the policy at which TRL's GRPO, with advantages as they are, expects to change nothing.

    ``pi(t | before) ~ pi_ref(t | before) exp((1 - 1/n) E_pi[r | before, t] / beta)``, from the last token to the first.

    The best policy of ``E[r] - beta KL`` has the *soft* value of what follows in the place of ``E_pi[r | before, t]``:
    GRPO charges every token its own divergence and does not look ahead to what a token will cost later. And its
    advantage is a text's reward less the mean over all n texts of the prompt, that text among them, which makes it
    ``1 - 1/n`` times as large on average as RLOO's, while the price of divergence stays as it is.

    The price of a token is ``rho (q - 1 - log q)`` with ``q = pi_ref / pi`` and the ratio ``rho``, whose value is one
    and which is differentiated (`use_bias_correction_kl`): on average the gradient of the reverse divergence. Without
    ``rho`` it would be that of the forward one, ``pi - pi_ref`` for a logit, and the rest would be
    ``pi_ref / (1 - (1 - 1/n) (Q - V) / beta)``.

    Parameters
    ----------
    reward : array_like, shape (X, Y)
        Of every text on every prompt.
    log_reference : array_like, shape (X, Y)
        ``log pi_ref(text | prompt)``, in nats.
    texts : sequence of list of int, length Y
        All texts, as token ids; none is the beginning of another.
    beta : float
        KL strength, above 0, in units of the reward per nat.
    n_samples : int
        Texts on a prompt in a step of training, at least 2.

    Returns
    -------
    ndarray, shape (X, Y)
        Log probabilities, in nats.

    Raises
    ------
    ValueError
        On wrong shapes, beta not above 0, or fewer than two texts a prompt.

    References
    ----------
    TRL 1.16, ``GRPOTrainer._compute_loss`` with ``loss_type="dr_grpo"``, ``scale_rewards="none"`` and
    ``use_bias_correction_kl=True``, its default.

    Examples
    --------
    With one token there is nothing to look ahead to, and with many texts the best policy is found:

    >>> rest = grpo_rest([[1.0, 0.0]], np.log([[0.5, 0.5]]), [[0], [1]], 1.0, n_samples=10**9)
    >>> np.exp(rest).round(4).tolist()
    [[0.7311, 0.2689]]
    """
    log_reference = as_float("log_reference", log_reference, ("X", len(texts)))
    reward = as_float("reward", reward, log_reference.shape)
    beta = as_positive("beta", beta)
    if not is_count(n_samples) or n_samples < 2:
        raise ValueError(f"n_samples: expected an integer of at least 2, got {n_samples!r}")
    onward, found = _onward(texts), []
    for values, row in zip(reward, log_reference, strict=True):
        log, value = _of_beginnings(row, texts, onward), dict(zip(map(tuple, texts), values, strict=True))
        steps: dict[_Beginning, float] = {}
        for before, after in onward:
            expected = np.array([value[one] for one in after])
            tilted = np.array([log[one] - log[before] for one in after]) + (1 - 1 / n_samples) * expected / beta
            tilted -= logsumexp(tilted)
            value[before] = np.exp(tilted) @ expected
            steps.update(zip(after, tilted, strict=True))
        found.append(_of_texts(steps, texts))
    return np.array(found)


def _onward(texts: Sequence[Sequence[int]]) -> list[tuple[_Beginning, list[_Beginning]]]:
    """Every beginning that goes on, the longest first, with what it can go on to."""
    found: dict[_Beginning, set[_Beginning]] = {}
    for text in texts:
        for k in range(len(text)):
            found.setdefault(tuple(text[:k]), set()).add(tuple(text[: k + 1]))
    return sorted(((before, sorted(after)) for before, after in found.items()), key=lambda pair: -len(pair[0]))


def _of_beginnings(row, texts, onward):
    """The log chance that a text begins so, for every beginning."""
    log = dict(zip(map(tuple, texts), row, strict=True))
    for before, after in onward:
        log[before] = logsumexp([log[one] for one in after])
    return log


def _of_texts(steps, texts):
    return [sum(steps[tuple(text[: k + 1])] for k in range(len(text))) for text in texts]
