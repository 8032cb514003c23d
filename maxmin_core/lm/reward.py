"""Rewards for text, learned from comparisons: linear in attributes of a text, for all or for each group. Chapter 8."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load_file, save_file

from .._files import read_json, write_json, write_whole
from ..preferences.comparisons import Comparisons
from ..preferences.mixture import MixtureFit, fit_mixture
from ..preferences.rewards import fit_bradley_terry
from .annotators import Choices
from .features import FEATURES, TextFeatures
from .prompts import Prompt
from .sentiment import Sentiment

__all__ = ["Rewards", "learn_known", "learn_mixture", "learn_single"]


class Rewards:
    """Score texts for every group by rewards that are linear in the text's attributes.

    With ``psi`` the attributes, ``r_u = (phi_u @ psi - zero_u) / unit_u``.

    Parameters
    ----------
    features : TextFeatures
        The attributes.
    parameters : array_like, shape (U, d)
        ``phi``.
    shares : array_like, shape (U,)
        The groups' shares of the population.
    zero : ndarray, shape (U,), or None
        Mean of the raw reward over the reference's texts; None is zero.
    unit : ndarray, shape (U,), or None
        Its standard deviation over them; None is one.

    Examples
    --------
    >>> texts = ["good film"] * 10 + ["bad film"] * 10
    >>> features = TextFeatures(Sentiment.fit(texts, [1] * 10 + [0] * 10))
    >>> brief = np.zeros((1, len(FEATURES)))
    >>> brief[0, FEATURES.index("words")] = -1.0
    >>> Rewards(features, brief, [1.0])(["it"] * 2, ["is good", "is"]).tolist()
    [[-2.0, -1.0]]
    """

    def __init__(
        self,
        features: TextFeatures,
        parameters: ArrayLike,
        shares: ArrayLike,
        zero: NDArray[np.float64] | None = None,
        unit: NDArray[np.float64] | None = None,
    ) -> None:
        self.features, self.parameters, self.shares = features, np.asarray(parameters), np.asarray(shares)
        self.zero = np.zeros(len(self.parameters)) if zero is None else zero
        self.unit = np.ones(len(self.parameters)) if unit is None else unit

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> NDArray[np.float64]:
        """Return the reward of every text for every group.

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
        return (self._raw(prompts, completions) - self.zero[:, None]) / self.unit[:, None]

    def calibrated(self, prompts: Sequence[Prompt], completions: Sequence[str], *, common_unit: bool = False) -> Self:
        """Return these rewards with mean zero and spread one over texts.

        Parameters
        ----------
        prompts : sequence of Prompt, length n
            How the texts begin, those of the reference.
        completions : sequence of str, length n
            How they go on.
        common_unit : bool
            Whether all are divided by the mean of their spreads instead, so that a group that feels more counts more.

        Returns
        -------
        Rewards

        Raises
        ------
        ValueError
            On a reward that is constant over the texts.
        """
        raw = self._raw(prompts, completions)
        unit = raw.std(axis=1)
        if not (unit > 1e-9).all():
            raise ValueError(f"parameters: expected rewards that vary over the texts, got spreads {unit}")
        return self._rescaled(raw.mean(axis=1), np.full_like(unit, unit.mean()) if common_unit else unit)

    def _raw(self, prompts, completions):
        return self.parameters @ self.features(prompts, completions).T

    def _rescaled(self, zero, unit):
        return type(self)(self.features, self.parameters, self.shares, zero, unit)

    def of(self, groups: Sequence[int] | NDArray[np.intp]) -> Self:
        """Return the rewards of some groups; their shares are made to sum to one.

        Parameters
        ----------
        groups : sequence of int
            Rows of the groups, in the order that is wanted.

        Returns
        -------
        Rewards
        """
        shares = self.shares[groups] / self.shares[groups].sum()
        return type(self)(self.features, self.parameters[groups], shares, self.zero[groups], self.unit[groups])

    def fingerprint(self) -> str:
        """Return a short name that changes with anything that changes a score.

        Returns
        -------
        str
        """
        digest = hashlib.sha256()
        for name in ("parameters", "shares", "zero", "unit"):
            digest.update(np.ascontiguousarray(getattr(self, name), dtype=float).tobytes())
        sentiment = self.features.sentiment
        scaled = (self.features.middle, self.features.spread, sentiment.coefficients, sentiment.vectorizer.idf_)
        for array in (*scaled, [sentiment.intercept]):
            digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
        digest.update(" ".join(sentiment.vectorizer.get_feature_names_out()).encode())
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write rewards.safetensors, with everything that scoring needs.

        Parameters
        ----------
        folder : Path
            Where to; it is made if need be.
        """
        self.features.sentiment.save(folder)
        arrays = {name: getattr(self, name) for name in ("parameters", "shares", "zero", "unit")}
        arrays |= {"middle": self.features.middle, "spread": self.features.spread}
        write_json(folder / "features.json", list(FEATURES))
        with write_whole(folder / "rewards.safetensors") as partial:
            save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, partial)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return saved rewards: they score every text as before.

        Parameters
        ----------
        folder : Path
            Where they were saved.

        Returns
        -------
        Rewards

        Raises
        ------
        ValueError
            When they were saved with other attributes than this version has.
        """
        saved = read_json(folder / "features.json")
        if tuple(saved) != FEATURES:
            raise ValueError(f"folder: expected rewards on {len(FEATURES)} features of this version, got {saved}")
        arrays = load_file(folder / "rewards.safetensors")
        features = TextFeatures(Sentiment.load(folder), arrays.pop("middle"), arrays.pop("spread"))
        return cls(features, **arrays)


def learn_single(
    features: NDArray[np.float64], choices: Choices, *, l2: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit one Bradley-Terry reward to everybody's comparisons.

    Parameters
    ----------
    features : ndarray, shape (n_texts, d)
        Attributes of the compared texts.
    choices : tuple of ndarray of int, each of shape (n,)
        Winner, loser and annotator of every comparison.
    l2 : float
        Strength of the ridge penalty, ``l2 (phi @ phi) / 2``, on the summed log-likelihood.

    Returns
    -------
    parameters : ndarray, shape (1, d)
        The reward.
    shares : ndarray, shape (1,)
        One.

    Examples
    --------
    >>> choices = np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([0, 0, 1])
    >>> learn_single(np.array([[1.0], [0.0]]), choices)[0].round(2).tolist()
    [[0.29]]
    """
    return fit_bradley_terry(Comparisons(features, *choices), l2=l2)[None], np.ones(1)


def learn_mixture(
    features: NDArray[np.float64], choices: Choices, n_groups: int, *, l2: float = 1.0, seed: int = 0
) -> MixtureFit:
    """Fit a mixture of rewards by EM over annotators, whose groups are unknown.

    Parameters
    ----------
    features : ndarray, shape (n_texts, d)
        Attributes of the compared texts.
    choices : tuple of ndarray of int, each of shape (n,)
        Winner, loser and annotator of every comparison.
    n_groups : int
        How many groups there are.
    l2 : float
        Strength of the ridge penalty, ``l2 (phi @ phi) / 2``, on the summed log-likelihood.
    seed : int
        Of EM's starting points.

    Returns
    -------
    MixtureFit

    Examples
    --------
    >>> winner, annotator = np.repeat([0, 1], 40), np.repeat(np.arange(8), 10)
    >>> fit = learn_mixture(np.array([[1.0], [-1.0]]), (winner, 1 - winner, annotator), 2)
    >>> sorted(np.sign(fit.parameters[:, 0]).tolist())
    [-1.0, 1.0]
    """
    return fit_mixture(Comparisons(features, *choices), n_groups, l2=l2, seed=seed)


def learn_known(
    features: NDArray[np.float64], choices: Choices, group: NDArray[np.intp], *, l2: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a reward for every group where every annotator's group is known: an oracle beside EM.

    Parameters
    ----------
    features : ndarray, shape (n_texts, d)
        Attributes of the compared texts.
    choices : tuple of ndarray of int, each of shape (n,)
        Winner, loser and annotator of every comparison.
    group : ndarray of int, shape (A,)
        Group of every annotator.
    l2 : float
        Strength of the ridge penalty, ``l2 (phi @ phi) / 2``, on the summed log-likelihood.

    Returns
    -------
    parameters : ndarray, shape (U, d)
        A reward for every group.
    shares : ndarray, shape (U,)
        The groups' shares among the annotators.

    Examples
    --------
    >>> choices = np.array([0, 1, 1]), np.array([1, 0, 0]), np.array([0, 1, 2])
    >>> parameters, shares = learn_known(np.array([[1.0], [0.0]]), choices, np.array([0, 1, 1]))
    >>> np.sign(parameters[:, 0]).tolist(), shares.round(2).tolist()
    ([1.0, -1.0], [0.33, 0.67])
    """
    comparisons = Comparisons(features, *choices)
    each = [
        fit_bradley_terry(comparisons, sample_weight=(group[comparisons.annotator] == u).astype(float), l2=l2)
        for u in range(group.max() + 1)
    ]
    return np.array(each), np.bincount(group) / len(group)
