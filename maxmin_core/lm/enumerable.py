"""A language model so small that every text it can write is known: the exact optimum beside what training finds.

Chapter 9.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from transformers import PreTrainedTokenizerBase

from ..alignment.policies import group_values
from .policy import load_policy, log_probabilities
from .prompts import Prompt
from .reference import END, make_gpt2, make_tokenizer

__all__ = ["WordRewards", "every_text", "exact_log_policy", "make_reference", "part_closed"]


def make_reference(
    folder: Path, *, n_words: int = 4, n_prompts: int = 4, n_tokens: int = 4, seed: int = 0
) -> list[str]:
    """Save a random GPT-2 over a few words, its weights large enough for uneven texts; return its prompts.

    Words are called a, b, c, ...; a prompt is one word of its own, p0, p1, ...

    Parameters
    ----------
    folder : Path
        Where the policy is saved.
    n_words : int
        Words that the policy can write, beside prompts and special tokens.
    n_prompts : int
        How many prompts there are.
    n_tokens : int
        Tokens of a text at most.
    seed : int
        Of the weights.

    Returns
    -------
    list of str, length n_prompts

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_reference(Path(folder), n_words=2, n_prompts=2, n_tokens=2)
    ['p0', 'p1']
    """
    words, prompts = [chr(ord("a") + k) for k in range(n_words)], [f"p{k}" for k in range(n_prompts)]
    tokenizer = make_tokenizer([" ".join(words), " ".join(prompts)], n_words + n_prompts)
    shape = {"layers": 2, "width": 32, "heads": 2}
    model = make_gpt2(tokenizer, positions=2 + n_tokens, seed=seed, initializer_range=0.2, **shape)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return prompts


def every_text(tokenizer: PreTrainedTokenizerBase, n_tokens: int) -> list[list[int]]:
    """Return all completions of a few tokens: those that have ended, then those that were cut off.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Whose tokens they are made of.
    n_tokens : int
        Tokens of a text at most.

    Returns
    -------
    list of list of int
        Token ids.

    Examples
    --------
    One word and four special tokens, one of which ends a text: 1 empty text, 4 that are cut off after one token.

    >>> every_text(make_tokenizer(["a"], 1), 1)
    [[3], [0], [1], [2], [4]]
    """
    end = tokenizer.get_vocab()[END]
    others = [token for token in range(len(tokenizer)) if token != end]
    ended: list[list[int]] = [[*ids, end] for length in range(n_tokens) for ids in product(others, repeat=length)]
    return ended + [list(ids) for ids in product(others, repeat=n_tokens)]


def exact_log_policy(folder: Path, prompts: Sequence[str], texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return how likely a saved policy is to write every text: ``log pi(text | prompt)``, rows summing to one.

    Parameters
    ----------
    folder : Path
        Where the policy was saved.
    prompts : sequence of str, length X
        How texts begin.
    texts : sequence of list of int, length Y
        All that the policy can write, as token ids.

    Returns
    -------
    ndarray, shape (X, Y)
        In nats.

    Raises
    ------
    ValueError
        Where the probabilities do not sum to one: then these are not all texts.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prompts = make_reference(Path(folder), n_words=2, n_prompts=2, n_tokens=2)
    ...     texts = every_text(load_policy(Path(folder))[1], 2)
    ...     log_policy = exact_log_policy(Path(folder), prompts, texts)
    >>> log_policy.shape, np.exp(log_policy).sum(axis=1).round(6).tolist()
    ((2, 57), [1.0, 1.0])
    """
    model, tokenizer = load_policy(folder)
    rows = [log_probabilities(model, tokenizer, [prompt] * len(texts), texts, batch=4096) for prompt in prompts]
    total = logsumexp(rows, axis=1)
    if not np.abs(total).max() <= 1e-3:
        found = np.exp(total)[np.abs(total).argmax()]
        raise ValueError(f"texts: expected all that the policy can write, got a probability of {found:.4f}")
    return np.array(rows) - total[:, None]


def part_closed(policy: ArrayLike, rewards: ArrayLike, log_reference: ArrayLike, beta: float, best: float) -> float:
    """Return which part of the distance from the reference to the max-min value a policy closes.

    ``(min_u F_u(policy) - min_u F_u(reference)) / (best - min_u F_u(reference))``: one at the optimum, zero at the
    reference, negative where somebody is worse off than under the reference.

    Parameters
    ----------
    policy : array_like, shape (X, Y)
        Probabilities, rows summing to one.
    rewards : array_like, shape (U, X, Y)
        Rewards of the groups.
    log_reference : array_like, shape (X, Y)
        Logarithms of the reference's probabilities.
    beta : float
        KL strength.
    best : float
        The max-min value.

    Returns
    -------
    float

    Examples
    --------
    >>> rewards, even = [[[1.0, 0.0]], [[0.0, 1.0]]], np.log([[0.5, 0.5]])
    >>> part_closed([[0.5, 0.5]], rewards, even, 0.1, 1.0)
    0.0
    """
    start, worst = (
        group_values(chances, rewards, log_reference, beta).min() for chances in (np.exp(log_reference), policy)
    )
    return float((worst - start) / (best - start))


class WordRewards:
    """Reward a text by its words: ``r_u = (sum of score_u(word) - zero_u) / unit_u``, over the words of the text.

    Parameters
    ----------
    scores : array_like, shape (U, V)
        What a word of the V letters a, b, ... is worth to a group; other tokens are worth nothing.
    shares : array_like, shape (U,)
        The groups' shares.
    zero : ndarray, shape (U, 1), or float
        What is taken off.
    unit : ndarray, shape (U, 1), or float
        By what is divided.

    Examples
    --------
    >>> WordRewards([[1.0, -1.0]], [1.0])(["p0"] * 2, ["a a b", "b"]).tolist()
    [[1.0, -1.0]]
    """

    def __init__(
        self,
        scores: ArrayLike,
        shares: ArrayLike,
        zero: NDArray[np.float64] | float = 0.0,
        unit: NDArray[np.float64] | float = 1.0,
    ) -> None:
        self.scores, self.shares = np.asarray(scores, dtype=float), np.asarray(shares, dtype=float)
        self.zero, self.unit = zero, unit

    def __call__(self, prompts: Sequence[Prompt] | None, completions: Sequence[str]) -> NDArray[np.float64]:
        """Return the rewards of texts.

        Parameters
        ----------
        prompts : sequence of Prompt or None
            Not looked at.
        completions : sequence of str, length n
            Words separated by blanks.

        Returns
        -------
        ndarray, shape (U, n)
        """
        letters = [chr(ord("a") + k) for k in range(self.scores.shape[1])]
        count = np.array([[text.split().count(letter) for letter in letters] for text in completions], dtype=float)
        return (self.scores @ count.T - self.zero) / self.unit

    def calibrated(self, completions: Sequence[str], probability: NDArray[np.float64]) -> "WordRewards":
        """Return these rewards with mean zero and spread one under a distribution over texts.

        Parameters
        ----------
        completions : sequence of str, length n
            The texts.
        probability : ndarray, shape (n,)
            How likely each is.

        Returns
        -------
        WordRewards
        """
        raw = WordRewards(self.scores, self.shares)(None, completions)
        zero = raw @ probability
        unit = np.sqrt((raw - zero[:, None]) ** 2 @ probability)
        return WordRewards(self.scores, self.shares, zero[:, None], unit[:, None])

    def fingerprint(self) -> str:
        """Return a name that changes with anything that changes a score.

        Returns
        -------
        str
        """
        numbers = (self.scores, self.shares, self.zero, self.unit)
        return repr([np.asarray(number).tolist() for number in numbers])
