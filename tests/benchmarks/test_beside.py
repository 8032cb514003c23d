"""From a million votes by names to one score an item: this package beside evalica, choix and arena-rank.

choix comes with the environment. The other two are measured where they are installed (evalica 0.4, arena-rank 0.1,
which needs jax) and skipped elsewhere. Each reads as its own documentation does; scores must agree, or the times would
compare different work.
"""

import choix
import numpy as np
import pandas as pd
import pytest

from maxmin_core.preferences import fit_bradley_terry, read_comparisons
from tests.benchmarks.test_tables import COLUMNS, votes

PROMISED = "no slower than evalica, names to scores"


@pytest.fixture(scope="module")
def table():
    return votes(1_000_000, 20_000, 130)


@pytest.fixture(scope="module")
def expected(table):
    return ours(table)


def centred(names, scores):
    scores = pd.Series(np.asarray(scores, dtype=float), index=list(names))
    return (scores - scores.mean()).sort_index()


def ours(table):
    comparisons, _ = read_comparisons(table, **COLUMNS)
    return centred(comparisons.items, fit_bradley_terry(comparisons))


def by_evalica(table):
    evalica = pytest.importorskip("evalica", reason="evalica is not installed", exc_type=ImportError)
    told = {"first": evalica.Winner.X, "second": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    found = evalica.bradley_terry(table["a"], table["b"], table["vote"].map(told))
    return centred(found.scores.index, np.log(found.scores))


def by_choix(table):
    codes, names = pd.factorize(pd.concat([table["a"], table["b"]]), sort=True)
    first, second = codes[: len(table)], codes[len(table) :]
    won = table["vote"].map({"first": 1.0, "second": 0.0, "tie": 0.5}).to_numpy()
    wins = np.zeros((len(names), len(names)))
    np.add.at(wins, (first, second), won)
    np.add.at(wins, (second, first), 1 - won)
    return centred(names, choix.ilsr_pairwise_dense(wins))


def by_arena_rank(table):
    model = pytest.importorskip("arena_rank.models.bradley_terry", reason="arena-rank is not installed")
    data = pytest.importorskip("arena_rank.utils.data_utils")
    told = {"first": 1.0, "second": 0.0, "tie": 0.5}
    pairs = data.PairDataset.from_pandas(
        table, competitor_cols=["a", "b"], outcome_col="vote", outcome_map=told.get, min_pair_count=0
    )
    # base e and scale 1 give scores in logits
    rated = model.BradleyTerry(len(pairs.competitors), scale=1.0, base=np.e, init_rating=0.0, gtol=1e-12, ftol=1e-14)
    rated.fit(pairs)
    return centred(pairs.competitors, rated.params["ratings"])


@pytest.mark.parametrize("read_and_fit", [ours, by_evalica, by_choix, by_arena_rank])
def test_names_to_scores(benchmark, table, expected, read_and_fit):
    benchmark.extra_info["promised"] = PROMISED if read_and_fit is ours else "(beside it)"
    found = benchmark.pedantic(read_and_fit, args=(table,), rounds=3, warmup_rounds=1)
    np.testing.assert_allclose(found, expected, atol=2e-4)
