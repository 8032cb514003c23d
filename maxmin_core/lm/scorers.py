"""What a scorer of texts is: anything that is called with prompts and completions and values them for every group.

Simulated annotators, learned rewards and whole reward models are scorers; so is a function of your own. Chapter 8.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .prompts import Prompt

__all__ = ["GroupRewards", "Scorer", "TextScorer"]


class TextScorer(Protocol):
    """Score whole texts, one number each: how positive they are, say.

    Examples
    --------
    >>> import numpy as np
    >>> def marks(texts):
    ...     return np.array([float(text.count("!")) for text in texts])
    >>> marks(["the film is good !", "the film drags"]).tolist()
    [1.0, 0.0]
    """

    def __call__(self, texts: list[str]) -> NDArray[np.float64]:
        """Return the score of every text.

        Parameters
        ----------
        texts : list of str
            Prompt and completion together.

        Returns
        -------
        ndarray, shape (n,)
        """
        ...


class Scorer(Protocol):
    """Value every text for every group.

    Examples
    --------
    A scorer for two groups, one that likes long texts and one that likes short ones:

    >>> import numpy as np
    >>> def brief(prompts, completions):
    ...     words = np.array([float(len(text.split())) for text in completions])
    ...     return np.stack([words, -words])
    >>> brief(["the film"] * 2, ["is good", "drags"]).tolist()
    [[2.0, 1.0], [-2.0, -1.0]]
    """

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> NDArray[np.float64]:
        """Return what each text is worth to each group.

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
        ...


class GroupRewards(Scorer, Protocol):
    """A scorer that a policy can be trained on: it knows its groups' shares, and a name for what it scores.

    Attributes
    ----------
    shares : ndarray, shape (U,)
        The groups' shares of the population, which sum to one.

    Examples
    --------
    >>> from maxmin_core.lm.enumerable import WordRewards
    >>> WordRewards([[1.0], [-1.0]], [0.8, 0.2]).shares.tolist()
    [0.8, 0.2]
    """

    shares: NDArray[np.float64]

    def fingerprint(self) -> str:
        """Return a short name that changes with anything that changes a score.

        Returns
        -------
        str
            What a cached run is compared with before it is continued.
        """
        ...
