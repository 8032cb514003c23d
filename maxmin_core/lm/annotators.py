"""Simulated annotators: groups with known tastes, who compare texts by Bradley-Terry. No learner sees the group.

Chapter 8.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..preferences.rewards import bradley_terry
from .prompts import Prompt, plain
from .scorers import TextScorer

__all__ = ["ATTRIBUTES", "Gold", "ask", "compare", "draw_groups", "halves", "wins"]

# What a taste can weigh: how positive, how concise (best with 4 words), how detailed (best with 12 words).
ATTRIBUTES = ("positive", "concise", "detailed")

# Winner, loser and annotator of every comparison.
Choices = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


class Gold:
    """Hold what the groups truly want: tastes on attributes, each group's value in units of the reference's spread.

    With ``a`` the attributes of a text, each standardised over the reference's texts, and ``t_u`` the taste of group
    ``u``, its value is ``t_u @ a``, standardised over the reference's texts once more.

    Parameters
    ----------
    sentiment : callable, texts -> (n,)
        Log odds that a text is positive, trained on reviews that no learned reward sees.
    tastes : mapping of str to mapping of str to float
        Group to attribute (of ``ATTRIBUTES``) to weight.
    prompts : sequence of Prompt, length n
        Prompts of the reference's texts, which fix zero and unit.
    completions : sequence of str, length n
        What the reference wrote on them.

    Attributes
    ----------
    groups : tuple of str
        Names, in the order of the values' rows.
    tastes : ndarray, shape (U, 3)
        The groups' weights on the attributes.

    Raises
    ------
    ValueError
        On no groups, an unknown attribute, or a group whose value does not vary over the reference's texts.

    Examples
    --------
    >>> texts = ["is good", "is a film that I liked a lot", "is long and slow and that is all"]
    >>> def sentiment(texts):
    ...     return np.array([float("good" in text or "liked" in text) for text in texts])
    >>> gold = Gold(sentiment, {"warm": {"positive": 1.0}, "brief": {"concise": 1.0}}, ["it"] * 3, texts)
    >>> gold(["it"] * 3, texts).round(2).tolist()
    [[0.71, 0.71, -1.41], [1.41, -0.71, -0.71]]
    """

    def __init__(
        self,
        sentiment: TextScorer,
        tastes: Mapping[str, Mapping[str, float]],
        prompts: Sequence[Prompt],
        completions: Sequence[str],
    ) -> None:
        unknown = {name for taste in tastes.values() for name in taste} - set(ATTRIBUTES)
        if not tastes or unknown:
            raise ValueError(
                f"tastes: expected groups with weights on {', '.join(ATTRIBUTES)}, got {sorted(unknown) or tastes}"
            )
        self.sentiment, self.groups = sentiment, tuple(tastes)
        self.tastes = np.array([[taste.get(name, 0.0) for name in ATTRIBUTES] for taste in tastes.values()])
        raw = self._attributes(prompts, completions)
        self.middle, self.spread = raw.mean(axis=1, keepdims=True), raw.std(axis=1, keepdims=True)
        plain = self.tastes @ ((raw - self.middle) / self.spread)
        self.zero, self.unit = plain.mean(axis=1, keepdims=True), plain.std(axis=1, keepdims=True)
        if not (self.unit > 0).all() or not np.isfinite(self.unit).all():
            raise ValueError(
                f"completions: expected texts over which every group's value varies, got spreads {self.unit.ravel()}"
            )

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> NDArray[np.float64]:
        """Return every group's value of the texts; zero and one are mean and spread of the reference.

        Parameters
        ----------
        prompts : sequence of Prompt, length n
            How the texts begin.
        completions : sequence of str, length n
            How they go on.

        Returns
        -------
        ndarray, shape (U, n)
        """
        plain = self.tastes @ ((self._attributes(prompts, completions) - self.middle) / self.spread)
        return (plain - self.zero) / self.unit

    def _attributes(self, prompts, completions):
        n = np.array([len(text.split()) for text in completions], dtype=float)
        positive = self.sentiment([f"{plain(p)} {c}" for p, c in zip(prompts, completions, strict=True)])
        return np.array([positive, 1 - np.abs(n - 4) / 10, 1 - np.abs(n - 12) / 10])


def draw_groups(shares: ArrayLike, n_annotators: int, *, seed: int) -> NDArray[np.intp]:
    """Draw the group of every annotator, in the shares as nearly as whole people allow.

    Largest remainders, then shuffled.

    Parameters
    ----------
    shares : array_like, shape (U,)
        Shares of the groups; they are divided by their sum.
    n_annotators : int
        How many people there are.
    seed : int
        Of the order in which they stand.

    Returns
    -------
    ndarray of int, shape (n_annotators,)

    Raises
    ------
    ValueError
        Where there are fewer annotators than groups.

    Examples
    --------
    >>> np.bincount(draw_groups([10, 1], 50, seed=0)).tolist()
    [45, 5]
    """
    shares = np.asarray(shares, dtype=float)
    if n_annotators < len(shares):
        raise ValueError(f"n_annotators: expected at least one for each of {len(shares)} groups, got {n_annotators}")
    exact = n_annotators * shares / shares.sum()
    count = np.floor(exact).astype(int)
    count[np.argsort(count - exact, kind="stable")[: n_annotators - count.sum()]] += 1
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(shares)), count))


def compare(
    values: NDArray[np.float64], group: NDArray[np.intp], n_per_annotator: int, *, seed: int, strength: ArrayLike = 2.0
) -> Choices:
    """Simulate choices between pairs of texts; every annotator gets pairs of their own draw.

    An annotator of group ``u`` prefers the first text of a pair with the probability
    ``sigma(strength (v_u(first) - v_u(second)))``.

    Parameters
    ----------
    values : ndarray, shape (U, n_pairs, 2)
        What each group gives the two texts of a pair.
    group : ndarray of int, shape (A,)
        Group of every annotator.
    n_per_annotator : int
        Comparisons that each of them makes.
    seed : int
        Of pairs and answers.
    strength : float, or array_like of shape (A,)
        How sharply a difference of values decides, for all or for each annotator; 0 is a coin.

    Returns
    -------
    winner : ndarray of int, shape (n,)
        The preferred text; text ``2 j + k`` is the k-th of pair ``j``.
    loser : ndarray of int, shape (n,)
        The other text of the pair.
    annotator : ndarray of int, shape (n,)
        Who chose.

    Examples
    --------
    >>> winner, loser, annotator = compare(np.array([[[9.0, -9.0]]]), np.array([0, 0]), 2, seed=0)
    >>> winner.tolist(), loser.tolist(), annotator.tolist()
    ([0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1])
    """
    rng = np.random.default_rng(seed)
    n_pairs = values.shape[1]
    annotator = np.repeat(np.arange(len(group)), n_per_annotator)
    pair = rng.integers(n_pairs, size=len(annotator))
    first, second = values[group[annotator], pair].T
    sharp = np.broadcast_to(np.asarray(strength, dtype=float), len(group))[annotator]
    second_wins = rng.random(len(annotator)) >= bradley_terry(sharp * (first - second))
    return 2 * pair + second_wins, 2 * pair + ~second_wins, annotator


def halves(n_texts: int) -> tuple[slice, slice]:
    """Divide texts that stand in pairs: the first half is compared by annotators, the second tests what is learned.

    Parameters
    ----------
    n_texts : int
        How many texts there are, two for each pair.

    Returns
    -------
    seen : slice
        The texts that annotators compare.
    fresh : slice
        The texts that nobody has seen.

    Examples
    --------
    >>> halves(10)
    (slice(0, 4, None), slice(4, None, None))
    """
    half = n_texts // 4 * 2
    return slice(0, half), slice(half, None)


def ask(
    values: NDArray[np.float64],
    shares: ArrayLike,
    n_annotators: int,
    n_per_annotator: int,
    *,
    seed: int,
    careless: float = 0.0,
) -> tuple[NDArray[np.intp], Choices]:
    """Draw a population of annotators and ask them: each compares pairs of texts of the first half.

    Parameters
    ----------
    values : ndarray, shape (U, n)
        What each group gives each text; texts ``2 j`` and ``2 j + 1`` are a pair.
    shares : array_like, shape (U,)
        Shares of the groups; they are divided by their sum.
    n_annotators : int
        How many people there are.
    n_per_annotator : int
        Comparisons that each of them makes.
    seed : int
        Of people, pairs and answers.
    careless : float
        Share of the annotators who toss a coin, drawn from all groups alike.

    Returns
    -------
    group : ndarray of int, shape (n_annotators,)
        The group of every annotator, which no learner sees.
    choices : tuple of ndarray of int, each of shape (n,)
        Winner, loser and annotator of every comparison, as `compare` returns them.

    Raises
    ------
    ValueError
        Where there are fewer annotators than groups, or the careless are no share.

    Examples
    --------
    >>> group, (winner, loser, annotator) = ask(np.arange(16.0).reshape(2, 8), [0.5, 0.5], 4, 3, seed=0)
    >>> len(winner), int(max(winner.max(), loser.max())), np.bincount(group).tolist()
    (12, 3, [2, 2])
    """
    if not 0 <= careless <= 1:
        raise ValueError(f"careless: expected a share, between 0 and 1, got {careless}")
    group = draw_groups(shares, n_annotators, seed=seed)
    # They stand in random order: the first are as good a draw as any.
    strength = np.where(np.arange(n_annotators) < round(careless * n_annotators), 0.0, 2.0)
    seen, _ = halves(values.shape[1])
    pairs = values[:, seen].reshape(len(values), -1, 2)
    return group, compare(pairs, group, n_per_annotator, seed=seed, strength=strength)


def wins(values: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return on which share of prompts texts are worth more than others; ties count half.

    Parameters
    ----------
    values : array_like, shape (..., n)
        What texts are worth, one on each prompt.
    others : array_like, shape (..., n)
        What other texts on the same prompts are worth.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> wins([[3.0, 1.0, 0.0, 0.0]], [[2.0, 1.0, 5.0, 6.0]]).tolist()
    [0.375]
    """
    values, others = np.asarray(values), np.asarray(others)
    return ((values > others) + 0.5 * (values == others)).mean(axis=-1)
