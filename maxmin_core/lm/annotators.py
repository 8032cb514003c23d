"""Simulated annotators: groups with known tastes, who compare texts by Bradley-Terry. No learner sees the group."""

import numpy as np

from ..preferences.rewards import bradley_terry

__all__ = ["ATTRIBUTES", "Gold", "compare", "draw_groups"]

# What a taste can weigh: how positive, how concise (best with 4 words), how detailed (best with 12 words).
ATTRIBUTES = ("positive", "concise", "detailed")


class Gold:
    """Hold what the groups truly want: tastes on attributes, each group's value in units of the reference's spread.

    values = (tastes @ standardised attributes), standardised again by group. Chapter 8.

    Parameters
    ----------
    sentiment : callable, texts -> (n,) log odds; trained on reviews that the reward never sees
    tastes : dict of dict, group -> attribute -> weight
    prompts, completions : list of str, texts of the reference policy, which fix zero and unit

    Raises
    ------
    ValueError
        On no groups, an unknown attribute, or a group whose value does not vary over the reference's texts.
    """

    def __init__(self, sentiment, tastes, prompts, completions):
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

    def __call__(self, prompts, completions):
        """Return every group's value of the texts, (U, n) float; zero and one are mean and spread of the reference."""
        plain = self.tastes @ ((self._attributes(prompts, completions) - self.middle) / self.spread)
        return (plain - self.zero) / self.unit

    def _attributes(self, prompts, completions):
        n = np.array([len(text.split()) for text in completions], dtype=float)
        positive = self.sentiment([f"{p} {c}" for p, c in zip(prompts, completions, strict=True)])
        return np.array([positive, 1 - np.abs(n - 4) / 10, 1 - np.abs(n - 12) / 10])


def draw_groups(shares, n_annotators, seed):
    """Return the group of every annotator, (n_annotators,) int, in the shares as nearly as whole people allow.

    Largest remainders, then shuffled. ValueError where there are fewer annotators than groups. Chapter 8.
    """
    shares = np.asarray(shares, dtype=float)
    if n_annotators < len(shares):
        raise ValueError(f"n_annotators: expected at least one for each of {len(shares)} groups, got {n_annotators}")
    exact = n_annotators * shares / shares.sum()
    count = np.floor(exact).astype(int)
    count[np.argsort(count - exact, kind="stable")[: n_annotators - count.sum()]] += 1
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(shares)), count))


def compare(values, group, n_per_annotator, seed, *, strength=2.0):
    """Return simulated choices between pairs of texts: (winner, loser, annotator), each (n,) int.

    values : (U, n_pairs, 2) float, what each group gives the two texts of a pair; text 2 j + k is the k-th of pair j.
    P(first wins) = sigma(strength (v_first - v_second)). Every annotator gets pairs of their own draw. Chapter 8.
    """
    rng = np.random.default_rng(seed)
    n_pairs = values.shape[1]
    annotator = np.repeat(np.arange(len(group)), n_per_annotator)
    pair = rng.integers(n_pairs, size=len(annotator))
    first, second = values[group[annotator], pair].T
    second_wins = rng.random(len(annotator)) >= bradley_terry(strength * (first - second))
    return 2 * pair + second_wins, 2 * pair + ~second_wins, annotator
