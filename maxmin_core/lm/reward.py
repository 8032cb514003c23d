"""Rewards for text, learned from comparisons: linear on ten attributes of a text, one for all or one per group."""

import hashlib

import numpy as np
from safetensors.numpy import load_file, save_file

from .._files import read_json, write_json, write_whole
from ..preferences.comparisons import Comparisons
from ..preferences.mixture import fit_mixture
from ..preferences.rewards import fit_bradley_terry
from .sentiment import Sentiment

__all__ = ["FEATURES", "Rewards", "TextFeatures", "learn_known", "learn_mixture", "learn_single"]

# Not at 4 and 12, where the annotators' tastes turn: a reward that contains the truth would be too easy to learn.
_HINGES = (3, 5, 7, 9, 11)
_NEGATIONS = ("not", "no", "never", "nothing", "don't", "doesn't", "didn't", "isn't", "wasn't", "can't")
# Counts are capped, and nothing stands here that nearly every text of the reference has: a feature that hardly varies
# there has a coefficient of pure noise, and a policy finds it at once.
_MOST = 2
FEATURES = ("sentiment", "words", *(f"words above {n}" for n in _HINGES), "commas", "exclamations", "negations")


class TextFeatures:
    """Return the attributes of texts that a reward may weigh, (n, d) float, in units of the reference's spread.

    sentiment : Sentiment, trained on reviews that the gold scorer never sees; middle, spread : (d,) float, over the
    reference's texts. Chapter 8.
    """

    def __init__(self, sentiment, middle=None, spread=None):
        self.sentiment = sentiment
        self.middle = np.zeros(len(FEATURES)) if middle is None else middle
        self.spread = np.ones(len(FEATURES)) if spread is None else spread

    @classmethod
    def fit(cls, sentiment, prompts, completions):
        """Take zero and unit of every attribute from texts of the reference; one that does not vary stays at zero."""
        raw = cls(sentiment)(prompts, completions)
        spread = raw.std(axis=0)
        return cls(sentiment, raw.mean(axis=0), np.where(spread > 1e-9, spread, np.inf))

    def __call__(self, prompts, completions):
        """Return the attributes, (n, d) float."""
        cut = [text.split() for text in completions]
        n = np.array([len(found) for found in cut], dtype=float)
        columns = [self.sentiment([f"{p} {c}" for p, c in zip(prompts, completions, strict=True)]), n]
        columns += [np.maximum(n - hinge, 0.0) for hinge in _HINGES]
        columns += [[min(found.count(mark), _MOST) for found in cut] for mark in (",", "!")]
        columns.append([min(sum(found.count(word) for word in _NEGATIONS), _MOST) for found in cut])
        return (np.array(columns, dtype=float).T - self.middle) / self.spread


class Rewards:
    """Score texts for every group: r_u = (<phi_u, psi> - zero_u) / unit_u, standardised over the reference. Chapter 8.

    features : TextFeatures; parameters : (U, d) float; weights : (U,) float, the groups' shares
    zero, unit : (U,) float, mean and spread of the raw reward over the reference's texts
    """

    def __init__(self, features, parameters, weights, zero=None, unit=None):
        self.features, self.parameters, self.weights = features, np.asarray(parameters), np.asarray(weights)
        self.zero = np.zeros(len(self.parameters)) if zero is None else zero
        self.unit = np.ones(len(self.parameters)) if unit is None else unit

    def __call__(self, prompts, completions):
        """Return the reward of every text for every group, (U, n) float."""
        return (self._raw(prompts, completions) - self.zero[:, None]) / self.unit[:, None]

    def calibrated(self, prompts, completions):
        """Return these rewards with mean zero and spread one over the texts; ValueError on one that is constant."""
        raw = self._raw(prompts, completions)
        unit = raw.std(axis=1)
        if not (unit > 1e-9).all():
            raise ValueError(f"parameters: expected rewards that vary over the texts, got spreads {unit}")
        return self._rescaled(raw.mean(axis=1), unit)

    def _raw(self, prompts, completions):
        return self.parameters @ self.features(prompts, completions).T

    def _rescaled(self, zero, unit):
        return Rewards(self.features, self.parameters, self.weights, zero, unit)

    def of(self, groups):
        """Return the rewards of these groups, a list of int, in this order; their shares sum to one."""
        weights = self.weights[groups] / self.weights[groups].sum()
        return Rewards(self.features, self.parameters[groups], weights, self.zero[groups], self.unit[groups])

    def fingerprint(self):
        """Return a short name that changes with anything that changes a score."""
        digest = hashlib.sha256()
        for name in ("parameters", "weights", "zero", "unit"):
            digest.update(np.ascontiguousarray(getattr(self, name), dtype=float).tobytes())
        sentiment = self.features.sentiment
        scaled = (self.features.middle, self.features.spread, sentiment.coefficients, sentiment.vectorizer.idf_)
        for array in (*scaled, [sentiment.intercept]):
            digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
        digest.update(" ".join(sentiment.vectorizer.get_feature_names_out()).encode())
        return digest.hexdigest()[:16]

    def save(self, folder):
        """Write rewards.safetensors, with everything that scoring needs, into `folder`."""
        self.features.sentiment.save(folder)
        arrays = {name: getattr(self, name) for name in ("parameters", "weights", "zero", "unit")}
        arrays |= {"middle": self.features.middle, "spread": self.features.spread}
        write_json(folder / "features.json", list(FEATURES))
        with write_whole(folder / "rewards.safetensors") as partial:
            save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, partial)

    @classmethod
    def load(cls, folder):
        """Return the rewards saved in `folder`: they score every text as before. ValueError on other features."""
        saved = read_json(folder / "features.json")
        if tuple(saved) != FEATURES:
            raise ValueError(f"folder: expected rewards on {len(FEATURES)} features of this version, got {saved}")
        arrays = load_file(folder / "rewards.safetensors")
        features = TextFeatures(Sentiment.load(folder), arrays.pop("middle"), arrays.pop("spread"))
        return cls(features, **arrays)


def learn_single(features, choices, *, l2=1.0):
    """Return (1, d) parameters and their weight: one Bradley-Terry reward for everybody's comparisons. Chapter 8."""
    return fit_bradley_terry(Comparisons(features, *choices), l2=l2)[None], np.ones(1)


def learn_mixture(features, choices, n_groups, *, l2=1.0, seed=0):
    """Return the mixture of rewards by EM over annotators, as a MixtureFit; groups unknown. Chapter 8."""
    return fit_mixture(Comparisons(features, *choices), n_groups, l2=l2, seed=seed)


def learn_known(features, choices, group, *, l2=1.0):
    """Return (U, d) parameters and shares where every annotator's group is known: an oracle for the EM. Chapter 8."""
    comparisons = Comparisons(features, *choices)
    each = [
        fit_bradley_terry(comparisons, sample_weight=(group[comparisons.annotator] == u).astype(float), l2=l2)
        for u in range(group.max() + 1)
    ]
    return np.array(each), np.bincount(group) / len(group)
