"""What the reference's own texts tell before any training: group weights, and the best choice among several texts.

On n texts a prompt, drawn from the reference, a policy is a distribution over these n, and the reference is the even
one. That problem is finite, so `alignment.solve` solves it exactly, over all prompts at once. Chapter 8.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..alignment.solution import Solution, solve
from ..alignment.welfare import Welfare
from .prompts import Prompt
from .scorers import Scorer
from .texts import Texts, write_texts

__all__ = ["Draws", "begin_at", "choose", "draw"]


class Draws(NamedTuple):
    """Hold several texts on every prompt, and what each is worth to every group.

    Parameters
    ----------
    texts : Texts
        X n texts, prompt by prompt.
    rewards : ndarray, shape (U, X, n)
        Their rewards.

    Examples
    --------
    >>> Draws(Texts(["the film"], [[3]], ["drags"]), np.ones((2, 1, 1))).rewards.shape
    (2, 1, 1)
    """

    texts: Texts
    rewards: NDArray[np.float64]

    def solve(self, welfare: Welfare, beta: float) -> Solution:
        """Return the best policy among those that choose one of the n texts on every prompt, with its certificate.

        Its divergence from the even choice is an upper bound on its divergence from the policy that wrote the texts.

        Parameters
        ----------
        welfare : Welfare
            What is maximised.
        beta : float
            KL strength, in units of the reward a nat.

        Returns
        -------
        Solution
            ``policy`` has the shape (X, n), ``weights`` are the groups'.
        """
        n = self.rewards.shape[2]
        return solve(welfare, self.rewards, np.full(self.rewards.shape[1:], -np.log(n)), beta)


def draw(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    rewards: Scorer,
    *,
    n_samples: int,
    n_tokens: int,
    seed: int,
) -> Draws:
    """Draw several texts on every prompt and score them.

    Parameters
    ----------
    model : PreTrainedModel
        The policy that writes.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    prompts : sequence of Prompt, length X
        Words or chats.
    rewards : Scorer
        What scores the texts.
    n_samples : int
        Texts on each prompt.
    n_tokens : int
        Tokens of a text at most.
    seed : int
        Of the draw.

    Returns
    -------
    Draws

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> def brief(prompts, completions):
    ...     return np.array([[-float(len(text.split())) for text in completions]])
    >>> draw(model, tokenizer, ["the film"] * 2, brief, n_samples=5, n_tokens=2, seed=0).rewards.shape
    (1, 2, 5)
    """
    texts = write_texts(model, tokenizer, [p for p in prompts for _ in range(n_samples)], n_tokens=n_tokens, seed=seed)
    return Draws(texts, rewards(*texts.pair).reshape(-1, len(prompts), n_samples))


def begin_at(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where exponentiated gradient begins, to begin near these weights: nine tenths of them, the rest even.

    A weight of zero could never grow again.

    Parameters
    ----------
    weights : ndarray, shape (U,)
        Non-negative, with sum one.

    Returns
    -------
    ndarray, shape (U,)

    Examples
    --------
    >>> begin_at(np.array([0.0, 1.0])).round(3).tolist()
    [0.05, 0.95]
    """
    return 0.9 * weights + 0.1 / len(weights)


def choose(draws: Draws, policy: NDArray[np.float64], *, seed: int) -> Texts:
    """Choose one of the texts on every prompt.

    Parameters
    ----------
    draws : Draws
        n texts on each of X prompts.
    policy : ndarray, shape (X, n)
        With what probability each is chosen.
    seed : int
        Of the choice.

    Returns
    -------
    Texts
        One a prompt.

    Examples
    --------
    >>> draws = Draws(Texts(["it"] * 2, [[1], [2]], ["is", "was"]), np.zeros((1, 1, 2)))
    >>> choose(draws, np.array([[0.0, 1.0]]), seed=0).completions
    ['was']
    """
    n = policy.shape[1]
    below = np.cumsum(policy, axis=1) <= np.random.default_rng(seed).random((len(policy), 1))
    # What rounding leaves of a row's sum goes to its last text that can be chosen.
    last = n - 1 - (policy[:, ::-1] > 0).argmax(axis=1)
    at = np.arange(len(policy)) * n + np.minimum(below.sum(axis=1), last)
    texts = draws.texts
    return Texts([texts.prompts[i] for i in at], [texts.ids[i] for i in at], [texts.completions[i] for i in at])
