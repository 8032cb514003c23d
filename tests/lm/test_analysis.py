import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maxmin_core.lm.analysis import Results, at_divergence
from maxmin_core.lm.annotators import wins
from maxmin_core.lm.results import late_weights
from maxmin_core.lm.summary import Margin, as_text, effective_number, least, separated, share_kept


@pytest.fixture
def runs(tmp_path):
    """Two seeds of three methods, one of them at two KL strengths, in the wrong order; two groups, four texts."""
    rows, rng = [], np.random.default_rng(0)
    for method, beta in [("reference", 0.1), ("single", 0.1), ("single", 0.4), ("maxmin", 0.1)]:
        for seed in (21, 20):
            folder = tmp_path / f"{method}-{beta}-{seed}"
            folder.mkdir()
            gold = np.zeros((2, 4)) if method == "reference" else rng.integers(-2, 3, size=(2, 4)) / 2 + seed
            (folder / "gold.json").write_text(json.dumps(gold.tolist()))
            steps = [{"step": k, "weight/a": 0.5 + 0.1 * k, "weight/b": 0.5 - 0.1 * k} for k in range(4)]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
            row = {"setting": "1:1", "method": method, "beta": beta, "seed": seed, "folder": folder}
            row |= {"groups": ["a", "b"], "learned": {"mixture": [1.0, seed / 10]}, "value": gold.mean(axis=1).tolist()}
            row["kl"] = 0.0 if method == "reference" else {0.1: 4.0, 0.4: 1.0}[beta] * (1 + seed - 20)
            rows.append(row | ({"kl": 2.25 * (1 + seed - 20)} if method == "maxmin" else {}))
    return Results(pd.DataFrame(rows), 0.1)


class TestResults:
    def test_seeds_stand_in_order_and_strengths_apart(self, runs):
        assert runs.of("1:1", "single")["kl"].tolist() == [4.0, 8.0]
        assert runs.of("1:1", "single", beta=0.4)["kl"].tolist() == [1.0, 2.0]
        assert runs.of("1:1", "maxmin")["value"].shape == (2, 2)
        assert [folder.name for folder in runs.of("1:1", "maxmin").folders] == ["maxmin-0.1-20", "maxmin-0.1-21"]

    def test_methods_are_those_at_the_own_strength(self, runs):
        table = runs.table
        assert runs.methods("1:1") == list(dict.fromkeys(table[table.beta == 0.1].method))
        assert runs.methods("10:1") == []

    def test_the_value_is_the_mean_of_the_texts(self, runs):
        found = runs.of("1:1", "maxmin")
        np.testing.assert_allclose(found.gold.mean(axis=2), found["value"])
        np.testing.assert_array_equal(found.worst, [min(row) for row in found["value"]])

    def test_wins_by_hand(self, runs):
        here, there = runs.of("1:1", "maxmin"), runs.of("1:1", "single")
        expected = np.zeros((2, 2))
        for s in range(2):
            for u in range(2):
                for one, other in zip(here.gold[s, u], there.gold[s, u], strict=True):
                    expected[s, u] += (1.0 if one > other else 0.5 if one == other else 0.0) / 4
        np.testing.assert_allclose(here.wins(there), expected)
        np.testing.assert_allclose(here.wins(there) + there.wins(here), 1.0)
        assert 0 < expected.min() < expected.max() < 1

    def test_unsettled_by_hand(self, runs):
        # The last two steps: weights .75 and .25; learned means 1 and 2, or 1 and 2.1.
        np.testing.assert_allclose(runs.of("1:1", "maxmin").unsettled(n_steps=2), [0.25, 0.275])
        assert runs.of("1:1", "maxmin").learned("mixture").tolist() == [[1.0, 2.0], [1.0, 2.1]]
        assert len(runs.of("1:1", "maxmin").curves[0]) == 4

    def test_matched_divergence_by_hand(self, runs):
        # In each seed the target's root lies half way between those of the frontier.
        low, high = (runs.of("1:1", "single", beta=beta)["value"] for beta in (0.4, 0.1))
        found = runs.matched("1:1", "maxmin", "single", [0.1, 0.4])
        np.testing.assert_allclose(found, (low + high) / 2)
        kl, values = runs.frontier("1:1", "single", [0.1, 0.4])
        assert kl.tolist() == [[4.0, 8.0], [1.0, 2.0]] and values.shape == (2, 2, 2)

    def test_beyond_the_frontier(self, runs):
        with pytest.raises(ValueError, match=r"^target: expected at most 1.000 nats for seed 0, got 2.250"):
            runs.matched("1:1", "maxmin", "single", [0.4])
        at_its_end = runs.matched("1:1", "maxmin", "single", [0.4], clipped=True)
        np.testing.assert_allclose(at_its_end, runs.of("1:1", "single", beta=0.4)["value"])

    @pytest.mark.parametrize("asked", [("1:1", "soup", None), ("1:1", "maxmin", 0.4), ("three", "maxmin", None)])
    def test_what_was_not_run_is_named(self, runs, asked):
        setting, method, beta = asked
        known = "maxmin at 0.1, reference at 0.1, single at 0.1, single at 0.4" if setting == "1:1" else "none"
        with pytest.raises(ValueError, match=f"^method: expected one of {known}, got {method} at .* in {setting}"):
            runs.of(setting, method, beta=beta)


class TestAtDivergence:
    def test_by_hand(self):
        # Two strengths, one seed, two groups: at 1 and 4 nats; 2.25 nats lie half way between their roots.
        kl, values = np.array([[4.0], [1.0]]), np.array([[[6.0, -3.0]], [[2.0, -1.0]]])
        found = at_divergence([2.25], kl, values, [0.0, 1.0])
        np.testing.assert_allclose(found, [[4.0, -2.0]])
        # Between the reference and the first point: a quarter of a nat is half of the root.
        np.testing.assert_allclose(at_divergence([0.25], kl, values, [0.0, 1.0]), [[1.0, 0.0]])
        np.testing.assert_allclose(at_divergence([-0.1], kl, values, [0.0, 1.0]), [[0.0, 1.0]])

    def test_beyond_the_frontier_is_named(self):
        with pytest.raises(ValueError, match=r"^target: expected at most 4.000 nats for seed 0, got 5.000"):
            at_divergence([5.0], np.array([[4.0]]), np.array([[[1.0]]]), [0.0])


class TestSummary:
    def test_wins_of_ties_and_shapes(self):
        assert wins([1.0, 0.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]) == 0.625
        assert wins(np.zeros((3, 2, 5)), np.zeros((3, 2, 5))).tolist() == [[0.5, 0.5]] * 3

    def test_text_by_scipy(self):
        draws = np.array([[0.1, 1.0, 3.0], [0.4, 1.0, 2.0], [0.3, 1.0, 7.0]])
        low, high = stats.t.interval(0.95, 2, loc=draws.mean(axis=0), scale=stats.sem(draws))
        found = as_text(draws, "+.2f")
        assert found[0] == f"{draws[:, 0].mean():+.2f}\u00a0±\u00a0{(high - low)[0] / 2:.2f}"
        # No minus before a zero, with a half-width and without.
        nearly = np.array([[-0.001, -0.001], [-0.003, -0.001], [-0.002, -0.001]])
        assert as_text(nearly, "+.2f") == ["+0.00\u00a0±\u00a00.00", "+0.00"]
        assert as_text(nearly, ".1f") == ["0.0\u00a0±\u00a00.0", "0.0"]
        assert found[1] == "+1.00" and as_text(draws[:, 2], ".1f") == [f"4.0\u00a0±\u00a0{(high - low)[2] / 2:.1f}"]

    def test_margins(self):
        margins = {"a": Margin(0.5, 0.1), "b": Margin(-0.2, 0.1), "c": Margin(-0.1, 0.3), "d": Margin(0.4, 0.9)}
        assert separated(margins) == (["a"], ["c", "d"], ["b"])
        name, mean, (low, high) = least(margins)
        # The lowest lower limit is another rival's than the lowest mean.
        assert (name, mean) == ("b", -0.2) and low == pytest.approx(-0.5) and high == pytest.approx(-0.1)

    def test_zero_is_in_an_interval_that_ends_there(self):
        assert not Margin(0.0, 0.0).excludes_zero and not Margin(-0.5, 0.5).excludes_zero
        assert Margin(-0.5, 0.4).excludes_zero

    def test_share_kept(self):
        np.testing.assert_allclose(share_kept([2.0, 0.5], [3.0, 2.0], 1.0), [0.5, -0.5])
        np.testing.assert_allclose(share_kept([2.0], [1.0], 1.0, least=0.5), [2.0])

    def test_effective_number(self):
        w = np.random.default_rng(0).random((3, 7))
        np.testing.assert_allclose(effective_number(np.log(w) + 900.0), w.sum(axis=1) ** 2 / (w**2).sum(axis=1))
        assert effective_number(np.zeros(5)) == pytest.approx(5.0)

    def test_late_weights_sum_to_one(self):
        curve = pd.DataFrame({"weight/a": [1.0, 0.2, 0.4], "weight/b": [0.0, 0.7, 0.5], "value/a": [9.0] * 3})
        np.testing.assert_allclose(late_weights(curve, ["a", "b"], n_steps=2), [1 / 3, 2 / 3])
