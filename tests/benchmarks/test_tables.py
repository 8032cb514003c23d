"""Votes by names: read, one reward an item, a mixture, the audit; a million votes, and many items."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from maxmin_core.audit import audit_votes
from maxmin_core.preferences import (
    Comparisons,
    Population,
    bradley_terry,
    fit_bradley_terry,
    fit_mixture,
    read_comparisons,
)

COLUMNS = {"annotator": "who", "first": "a", "second": "b", "choice": "vote"}


def votes(n, n_people, n_items, seed=0):
    """Return a table of votes between items of two groups of people, a fifth of them ties, all by names."""
    rng = np.random.default_rng(seed)
    population = Population([0.7, 0.3], rng.normal(size=(2, n_items)))
    activity = rng.dirichlet(np.full(n_items, 0.5)) if n_items > 1000 else np.full(n_items, 1 / n_items)
    first = rng.choice(n_items, size=n, p=activity)
    second = (first + rng.integers(1, n_items, size=n)) % n_items
    who = rng.integers(n_people, size=n)
    of = (rng.random(n_people) < 0.3).astype(int)[who]
    won = rng.random(n) < bradley_terry(population.parameters[of, first] - population.parameters[of, second])
    vote = np.where(rng.random(n) < 0.2, "tie", np.where(won, "first", "second"))
    item = np.array([f"model {i}" for i in range(n_items)])
    person = np.array([f"person {i}" for i in range(n_people)])
    return pd.DataFrame({"who": person[who], "a": item[first], "b": item[second], "vote": vote})


@pytest.fixture(scope="module")
def million():
    return votes(1_000_000, 20_000, 130)


@pytest.fixture(scope="module")
def players():
    return read_comparisons(votes(195_000, 2000, 7572), **COLUMNS)[0]


def fresh(comparisons):
    """Return a copy, so that nothing that was kept helps."""
    names = ("features", "winner", "loser", "annotator", "items", "weight")
    return Comparisons(**{name: getattr(comparisons, name) for name in names})


def memory(benchmark, function, *args, **options):
    tracemalloc.start()
    function(*args, **options)
    benchmark.extra_info["MiB"] = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()


def test_read_a_million_votes(benchmark, million):
    benchmark.extra_info["promised"] = "under 0.6 s, a frame with names"
    _, report = benchmark.pedantic(read_comparisons, args=(million,), kwargs=COLUMNS, rounds=3)
    assert report.votes == 1_000_000 and report.ties > 0


def test_read_a_million_votes_from_a_file(benchmark, million, tmp_path):
    benchmark.extra_info["promised"] = "nothing, watched"
    million.to_csv(tmp_path / "votes.csv", index=False)
    benchmark.pedantic(read_comparisons, args=(tmp_path / "votes.csv",), kwargs=COLUMNS, rounds=3)


def test_one_reward_from_a_million_votes(benchmark, million):
    benchmark.extra_info["promised"] = "under 0.3 s"
    comparisons, _ = read_comparisons(million, **COLUMNS)
    benchmark.pedantic(fit_bradley_terry, setup=lambda: ((fresh(comparisons),), {}), rounds=3)


def test_two_groups_from_a_million_votes(benchmark, million):
    benchmark.extra_info["promised"] = "under 5 s and 1 GiB, default restarts"
    comparisons, _ = read_comparisons(million, **COLUMNS)
    fit = benchmark.pedantic(fit_mixture, args=(fresh(comparisons), 2), rounds=1)
    assert fit.converged and abs(fit.weights[0] - 0.7) < 0.02
    memory(benchmark, fit_mixture, comparisons, 2, n_restarts=2)


def test_one_reward_of_many_items(benchmark, players):
    benchmark.extra_info["promised"] = "under 3 s and 500 MiB, 7,572 items, 195,000 votes"
    benchmark.pedantic(fit_bradley_terry, setup=lambda: ((fresh(players),), {"l2": 0.5}), rounds=3)
    memory(benchmark, fit_bradley_terry, fresh(players), l2=0.5)


def test_separable_votes_of_many_items_are_refused(benchmark, players):
    benchmark.extra_info["promised"] = "under 1 s, by the graph of wins"

    def refused():
        with pytest.raises(ValueError, match="separable, item .* was always chosen"):
            fit_bradley_terry(unbeaten)

    unbeaten = players.where(players.loser != 0)
    benchmark.pedantic(refused, rounds=3)


def test_two_groups_of_many_items(benchmark, players):
    benchmark.extra_info["promised"] = "under 30 s, 7,572 items, 195,000 votes"
    fit = benchmark.pedantic(fit_mixture, args=(fresh(players), 2), kwargs={"l2": 1.0}, rounds=1)
    assert fit.converged and abs(fit.weights[0] - 0.7) < 0.1


@pytest.mark.parametrize(("n", "n_people", "seconds"), [(10_000, 500, 20), (1_000_000, 20_000, 120)])
def test_audit(benchmark, n, n_people, seconds):
    benchmark.extra_info["promised"] = f"{seconds} s"
    table = votes(n, n_people, 130)
    found = benchmark.pedantic(audit_votes, args=(table,), kwargs=COLUMNS, rounds=1, iterations=1)
    assert found.record["votes"] == n
