"""Small tables of votes that we made, and a search of which everything is given: what the recorded numbers are of."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from maxmin_core.audit._groups import CrossFit
from maxmin_core.audit._search import Search, sample
from maxmin_core.audit._space import Space, Votes
from maxmin_core.audit._tastes import Tastes

NAMES = ["ale", "beer", "cider", "water"]


def votes(n_people=24, n_items=4, seed=0, n_votes=(5, 12)):
    """Return votes with a place, with weights, and of a different number from everybody."""
    rng = np.random.default_rng([seed, 77])
    rewards = np.where(np.arange(n_people)[:, None] % 3 == 0, -1.5, 1.5) * np.linspace(-1, 1, n_items)
    rewards = rewards + rng.normal(0, 0.5, rewards.shape)
    person = np.repeat(np.arange(n_people), rng.integers(*n_votes, size=n_people))
    one = rng.integers(n_items, size=len(person))
    other = (one + rng.integers(1, n_items, size=len(person))) % n_items
    first = rng.random(len(person)) < expit(rewards[person, one] - rewards[person, other] + 0.4)
    winner, loser = np.where(first, one, other), np.where(first, other, one)
    weight = rng.choice([1.0, 2.0], len(person), p=[0.8, 0.2])
    return Votes(np.eye(n_items), n_people, person, winner, loser, np.where(first, 1.0, -1.0), weight)


def model(space, shares=(0.6, 0.4)):
    """Return a model of two groups that want the opposite."""
    q = space.directions.shape[1]
    up = np.linspace(-1, 1, len(space.common)) @ space.directions
    means = np.array([up, -1.2 * up, 0.3 * up + 0.2])[: len(shares)]
    covariance = 0.3 * np.eye(q) + 0.1
    return Tastes(space, np.array(shares), means, covariance, np.array([0.1, 0.7, 0.2]), 0.3)


def table(n_people=44, n_votes=14, seed=0, tie=0.08):
    """Return votes of two groups of people and of some who toss coins, as they might come in a file."""
    rng = np.random.default_rng([seed, 7])
    rows = []
    for i in range(n_people):
        mine = 1.8 * np.array([1.5, 0.5, -0.5, -1.5]) * (1 if i % 5 < 3 else -1) * (0 if i % 11 == 10 else 1)
        for _ in range(n_votes if i else 3 * n_votes):
            a, b = rng.choice(4, 2, replace=False)
            vote = "left" if rng.random() < expit(mine[a] - mine[b] + 0.5) or i == 0 else "right"
            if rng.random() < tie and i:
                vote = rng.choice(["tie", "both bad"])
            rows.append((f"p{i:02}", NAMES[a], NAMES[b], vote, "ns"[i % 5 < 3 or i % 7 == 0], 20 + i, f"essay {i}"))
    frame = pd.DataFrame(rows, columns=["worker", "left", "right", "winner", "region", "age", "remark"])
    frame.loc[5, "worker"] = None
    return frame.assign(importance=1.0 + (np.arange(len(frame)) % 9 == 4))


def given_search(careful, seed, tell, known=True):
    """Return a search that found three groups, of which the last is small; who is where is given, and so is all else.

    known: whether more than one group is established; else the audit speaks of one.
    """
    everybody, items = careful.n_people, careful.features.shape[0]
    people, _ = sample(careful, np.random.default_rng([seed, 4]))
    n = len(people)
    rng = np.random.default_rng([seed, 8])
    centred = np.linalg.qr(np.column_stack([np.ones(items), np.eye(items)[:, 1:]]))[0][:, 1:]
    space = Space(np.linspace(0.3, -0.3, items), centred)
    full = model(space, (0.5, 0.4, 0.1))
    null = replace(full, shares=np.ones(1), means=full.means[:1] / 2)
    found = full if known else null
    draws = [
        replace(
            found,
            shares=softmax(np.log(found.shares) + rng.normal(0, 0.1, len(found.shares))),
            means=found.means + rng.normal(0, 0.15, found.means.shape),
            care=softmax(np.log(found.care) + rng.normal(0, 0.1, 3)),
            bias=found.bias + rng.normal(0, 0.05),
        )
        for _ in range(12)
    ]
    who = np.arange(everybody)
    home = np.where(who % 11 == 10, 0, 1 + (who % 5 >= 3))
    home = np.where(who >= everybody - 3, 3, home) if known else np.minimum(home, 1)
    posterior = np.full((everybody, 1 + len(found.shares)), 0.02)
    posterior[who, home] = 1 - 0.02 * len(found.shares)
    one = rng.normal(-8, 1, n)
    scores = {k: one + gain + rng.normal(0, 0.3, n) for k, gain in ((1, 0.5), (2, 0.9), (3, 1.2 if known else 0.6))}
    fit = CrossFit(np.arange(n) % 5, np.full(n, -10.0), one, scores, {})
    real = [{"real": u < 2, "agreement": [0.8 - 0.1 * u, 0.7, 0.9]} for u in range(3)]
    best = 3 if known else 1
    more, why = (True, "Given.") if known else (None, "Not given.")
    planted = {0.1: (0.05, 0.01), 0.2: (0.4, 0.01), 0.3: (0.9, 0.01)}
    restarts, unseen = ([0.98, 0.95, 0.97], 0.93) if known else ([], None)
    stays, care = (restarts, unseen), [0.11, 0.05, 0.2]
    return Search(people, fit, best, null, found, real, planted, more, why, draws, posterior, *stays, care)
