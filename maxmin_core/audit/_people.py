"""How people vote, whatever they like: ties, places, repeated pairs, agreement on the same pair, circles.

Every share is a ratio of sums over people, with an interval over people.
"""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

__all__ = ["agreement", "circles", "ratio", "repeats", "with_others"]

# Circles are counted person by person.
_MOST_PEOPLE = 3_000


def ratio(parts, wholes, level=0.95):
    """Return sum(parts) / sum(wholes) over people with its interval, [value, low, high]; None where there is nothing.

    The interval is that of a mean, of the linearised ratio, over people; kept to [0, 1].
    """
    counted = wholes > 0
    parts, wholes = np.asarray(parts, dtype=float)[counted], np.asarray(wholes, dtype=float)[counted]
    n = len(wholes)
    if not n:
        return None
    value = parts.sum() / wholes.sum()
    if n < 2:
        return [float(value), None, None]
    rest = (parts - value * wholes) / wholes.mean()
    half = stdtrit(n - 1, (1 + level) / 2) * rest.std(ddof=1) / np.sqrt(n)
    return [float(value), float(max(value - half, 0.0)), float(min(value + half, 1.0))]


def with_others(person, winner, loser, n_people):
    """Return for every decided vote 1 where the majority of other people on that pair agrees, 0 not, NaN where none."""
    n = int(max(winner.max(), loser.max())) + 1
    low = np.minimum(winner, loser) * n + np.maximum(winner, loser)
    _, pair = np.unique(low, return_inverse=True)
    vote = np.where(winner < loser, 1.0, -1.0)
    both = pair * n_people + person
    _, own = np.unique(both, return_inverse=True)
    others = np.bincount(pair, vote)[pair] - np.bincount(own, vote)[own]
    return np.where(others == 0, np.nan, (np.sign(others) == vote) * 1.0)


def agreement(person, winner, loser, n_people):
    """Return how often people agree with the majority of the others on the same pair: parts and wholes by person."""
    if not len(person):
        return np.zeros(n_people), np.zeros(n_people)
    agrees = with_others(person, winner, loser, n_people)
    told = np.isfinite(agrees)
    return np.bincount(person[told], agrees[told], n_people), np.bincount(person[told], minlength=n_people)


def repeats(person, winner, loser, n_people):
    """Return how often people answer a pair again as they did the first time: parts and wholes by person."""
    frame = pd.DataFrame(
        {"person": person, "low": np.minimum(winner, loser), "high": np.maximum(winner, loser), "winner": winner}
    )
    first = frame.groupby(["person", "low", "high"], sort=False)["winner"].transform("first")
    again = frame.duplicated(["person", "low", "high"]).to_numpy()
    same = (first == frame["winner"]).to_numpy() & again
    return np.bincount(person[same], minlength=n_people), np.bincount(person[again], minlength=n_people)


def circles(person, winner, loser, n_people):
    """Return how many triples of items somebody chose in a circle, and how many in all were compared: by person.

    A coin makes a circle of a quarter of them. Beyond 3,000 people the first 3,000 are counted.
    """
    begin = np.searchsorted(person, np.arange(n_people + 1))
    cyclic, whole = np.zeros(n_people), np.zeros(n_people)
    for i in range(min(n_people, _MOST_PEOPLE)):
        rows = slice(begin[i], begin[i + 1])
        items, place = np.unique(np.concatenate([winner[rows], loser[rows]]), return_inverse=True)
        m = len(items)
        if not 3 <= m <= 400:
            continue
        won = np.bincount(place[: len(place) // 2] * m + place[len(place) // 2 :], minlength=m * m).reshape(m, m)
        beats = (won > won.T).astype(float)
        met = beats + beats.T
        cyclic[i] = np.einsum("ij,ji->", beats @ beats, beats) / 3
        whole[i] = np.einsum("ij,ji->", met @ met, met) / 6
    return cyclic, whole
