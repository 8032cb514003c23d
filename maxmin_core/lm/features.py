"""Attributes of a text that a learned reward may weigh, in units of the reference's spread. Chapter 8."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .prompts import Prompt, plain
from .sentiment import Sentiment

__all__ = ["FEATURES", "TextFeatures"]

# Not at 4 and 12, where the annotators' tastes turn: a reward that contains the truth would be too easy to learn.
_HINGES = (3, 5, 7, 9, 11)
_NEGATIONS = ("not", "no", "never", "nothing", "don't", "doesn't", "didn't", "isn't", "wasn't", "can't")
# Counts are capped, and nothing stands here that nearly every text of the reference has: a feature that hardly varies
# there has a coefficient of pure noise, and a policy finds it at once.
_MOST = 2
FEATURES = ("sentiment", "words", *(f"words above {n}" for n in _HINGES), "commas", "exclamations", "negations")


class TextFeatures:
    """Compute the attributes of texts that a reward may weigh, each less its mean and divided by its spread.

    Parameters
    ----------
    sentiment : Sentiment
        Trained on reviews that the gold scorer never sees.
    middle : ndarray, shape (d,), or None
        Mean of every attribute over the reference's texts; None is zero.
    spread : ndarray, shape (d,), or None
        Standard deviation over them; None is one.

    Examples
    --------
    >>> texts = ["good film"] * 10 + ["bad film"] * 10
    >>> features = TextFeatures(Sentiment.fit(texts, [1] * 10 + [0] * 10))
    >>> dict(zip(FEATURES, features(["it"], ["was not good , no !"])[0].tolist()))["negations"]
    2.0
    """

    def __init__(
        self,
        sentiment: Sentiment,
        middle: NDArray[np.float64] | None = None,
        spread: NDArray[np.float64] | None = None,
    ) -> None:
        self.sentiment = sentiment
        self.middle = np.zeros(len(FEATURES)) if middle is None else middle
        self.spread = np.ones(len(FEATURES)) if spread is None else spread

    @classmethod
    def fit(cls, sentiment: Sentiment, prompts: Sequence[Prompt], completions: Sequence[str]) -> "TextFeatures":
        """Take zero and unit of every attribute from texts of the reference; one that does not vary stays at zero.

        Parameters
        ----------
        sentiment : Sentiment
            Trained on reviews that the gold scorer never sees.
        prompts : sequence of Prompt, length n
            How the reference's texts begin.
        completions : sequence of str, length n
            How they go on.

        Returns
        -------
        TextFeatures
        """
        raw = cls(sentiment)(prompts, completions)
        spread = raw.std(axis=0)
        return cls(sentiment, raw.mean(axis=0), np.where(spread > 1e-9, spread, np.inf))

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> NDArray[np.float64]:
        """Return the attributes of texts.

        Parameters
        ----------
        prompts : sequence of Prompt, length n
            How the texts begin.
        completions : sequence of str, length n
            How they go on.

        Returns
        -------
        ndarray, shape (n, d)
            Columns as in ``FEATURES``.
        """
        cut = [text.split() for text in completions]
        n = np.array([len(found) for found in cut], dtype=float)
        whole = [f"{plain(p)} {c}" for p, c in zip(prompts, completions, strict=True)]
        columns: list[ArrayLike] = [self.sentiment(whole), n]
        columns += [np.maximum(n - hinge, 0.0) for hinge in _HINGES]
        columns += [[min(found.count(mark), _MOST) for found in cut] for mark in (",", "!")]
        columns.append([min(sum(found.count(word) for word in _NEGATIONS), _MOST) for found in cut])
        return (np.array(columns, dtype=float).T - self.middle) / self.spread
