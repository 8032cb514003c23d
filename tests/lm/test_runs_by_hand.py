"""What runs measured, on a few rows: studies, results, margins, by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from maxmin_core.lm import recording, results, study
from maxmin_core.lm.analysis import Results, Runs, at_divergence
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.results import late_weights, load_results, read_curve, run_folder, seeds
from maxmin_core.lm.study import Part, Study, deviation
from maxmin_core.lm.summary import Margin, as_text, effective_number, least, separated, share_kept


class TestRuns:
    def test_a_study_s_run_is_made_before_it_is_compared(self, monkeypatch, tmp_path):
        part = Part("a", "1:1", ("single",), (50,), {"n_pairs": 200})
        asked = []
        monkeypatch.setattr(recording, "run_methods", lambda *given, **how: asked.append((given, how)))
        monkeypatch.setattr(
            Study, "row", lambda self, unit, method, profile, root: {"made": (unit.seed, method, profile)}
        )
        monkeypatch.setattr(recording, "deviation", lambda runs, made: (runs, made))
        (tmp_path / "studies").mkdir()
        (tmp_path / "studies" / "s.json").write_text('{"runs": [1]}')
        made, far = recording.rerun(Study("s", "?", (part,)), "smoke", "runs", tmp_path, commit="c")
        assert made == {"made": (50, "single", "smoke")} and far == ([1], made)
        assert asked == [(("1:1", find_profile("smoke", n_pairs=200), "runs"), {"seed": 50, "methods": ["single"]})]
        recording._run(next(Study("s", "?", (part,)).units()), ("a", "b"), "smoke", "there")
        assert asked[1] == (("1:1", find_profile("smoke", n_pairs=200), "there"), {"seed": 50, "methods": ("a", "b")})

    def test_a_commit_draws_by_its_digest(self):
        parts = (
            Part("long", "1:1", ("a",), (50,), {"steps": 301}),
            Part("other", "1:1", ("a",), (50,), {"reference_seed": 1}),
            Part("short", "1:1", ("b", "c"), (50, 51), {"steps": 300, "reference_seed": 0}),
            Part("plain", "1:1", ("d",), (50,)),
        )
        found = {}
        for k in range(60):
            digest = study.hashlib.sha256(f"s {k}".encode()).digest()
            unit, method = Study("s", "?", parts).drawn(str(k))
            found.setdefault(int.from_bytes(digest[:8], "big") % 5, set()).add((unit.part.label, unit.seed, method))
        kinds = [("short", 50, "b"), ("short", 50, "c"), ("short", 51, "b"), ("short", 51, "c"), ("plain", 50, "d")]
        assert found == {k: {kind} for k, kind in enumerate(kinds)}

    def test_a_row_of_a_study(self, tmp_path):
        result = {
            "method": "m",
            "beta": 0.123456789,
            "value": [1.0000049, 2.0],
            "kl": 1,
            "groups": ["b", "a"],
            "samples": 0,
        }
        result |= {"learned": {"mixture": [0.1234567], "single": [9.0]}}
        unit = next(Study("s", "?", (Part("l", "1:1", ("m",), (50,)),)).units())
        there = tmp_path / "m"
        there.mkdir()
        (there / "result.json").write_text(json.dumps(result))
        (tmp_path / "learned.json").write_text('{"assigned_right": 0.7777777, "begun_right": 0.5, "other": 1}')
        row = {"label": "l", "setting": "1:1", "seed": 50, "method": "m", "beta": 0.12346, "value": [1.0, 2.0], "kl": 1}
        row |= {"groups": ["b", "a"], "learned": [0.12346], "assigned_right": 0.77778, "begun_right": 0.5}
        assert study._row(unit, tmp_path, "m") == row
        # The mean of the last ten steps; names that are no groups stand in the order of the alphabet.
        lines = [{"weight/x": k / 100, "weight/w": 1 - k / 100, "z": 0} for k in range(12)]
        (there / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert study._row(unit, tmp_path, "m") == row | {"weights": [0.935, 0.065]}
        (there / "weights.json").write_text('{"weights": [0.3333333, 0.6666667]}')
        assert study._row(unit, tmp_path, "m") == row | {"weights": [0.33333, 0.66667]}

    def test_missing_runs_are_named(self, tmp_path):
        each = Study("s", "?", (Part("l", "1:1", ("m",), (50,)),))
        with pytest.raises(ValueError, match="^study: expected the run of reference, l, seed 50, got none$"):
            each.collect("smoke", tmp_path)
        short = Part("l", "1:1", ("m",), (50,), {"steps": 7, "beta": 0.3})
        unit = next(Study("s", "?", (short,)).units())
        assert unit.profile("cpu") == find_profile("cpu", steps=7, beta=0.3)
        # What would make a smoke run longer is left.
        assert unit.profile("smoke") == find_profile("smoke", beta=0.3)

    def test_one_recorded_run_is_no_spread(self):
        runs = [{"label": "a", "method": "m", "beta": 0.1, "value": [1.0, 2.0], "kl": 1.0}]
        with pytest.raises(ValueError, match="^made: expected a run of a recorded kind, got m in a$"):
            deviation(runs, runs[0])
        runs += [runs[0] | {"value": [3.0, 9.0], "kl": 3.0}, runs[0] | {"method": "reference", "kl": 99.0}]
        # Mean two, variance two; a new run less a mean of two.
        assert deviation(runs, runs[0] | {"value": [5.0, 4.0], "kl": 2.0}) == pytest.approx(2 / np.sqrt(2 * 1.5))


class TestResults:
    def test_seeds_of_a_setting(self):
        assert seeds("three", find_profile("cpu")) == [20, 21] == seeds("80:20", find_profile("smoke"))
        assert seeds("10:1", find_profile("gpu")) == [20, 21, 22]

    def test_rows_of_a_table(self, tmp_path):
        profile = find_profile("smoke")
        for seed in (20, 21):
            for method in ("reference", "equal", "maxmin"):
                there = run_folder("three compatible", profile, tmp_path, seed=seed) / method
                there.mkdir(parents=True)
                (there / "result.json").write_text(
                    json.dumps({"setting": "s", "seed": seed, "method": method, "beta": 0.15})
                )
                (there.parent / "learned.json").write_text('{"assigned_right": 0.5}')
        table = load_results(profile, tmp_path, ["three compatible"])
        assert (
            table["method"].tolist() == ["reference", "equal", "maxmin"] * 2
            and table["seed"].tolist() == [20] * 3 + [21] * 3
        )
        assert table["folder"].tolist()[2].name == "maxmin" and set(table["assigned_right"]) == {0.5}
        loaded = Results.load(profile, tmp_path, ["three compatible"])
        assert loaded.beta == 0.15 and loaded.methods("s") == ["reference", "equal", "maxmin"]
        assert run_folder("three compatible", replace(profile, reward="model"), tmp_path, seed=20) != there.parent
        assert results.time_spent(profile, tmp_path) == (4, 0, 0, 0.0)

    def test_late_weights(self, tmp_path):
        (tmp_path / "metrics.jsonl").write_text("".join(f'{{"weight/b": {k}, "weight/a": 1}}\n' for k in (9, 1, 5)))
        curve = read_curve(tmp_path)
        assert late_weights(curve, ["a", "b"], n_steps=2).tolist() == [0.25, 0.75]
        assert late_weights(curve, ["a", "b"], n_steps=9).tolist() == pytest.approx([1 / 6, 5 / 6])

    def test_how_far_weights_are_from_where_they_belong(self, tmp_path):
        lines = [f'{{"weight/a": {w}, "weight/b": {1 - w}}}\n' for w in [1.0] * 5 + [0.25] * 10]
        (tmp_path / "metrics.jsonl").write_text("".join(lines))
        row = {
            "folder": str(tmp_path),
            "groups": ["a", "b"],
            "learned": {"mixture": [3.0, 1.0]},
            "value": [[2.0, -1.0]],
        }
        runs = Runs(pd.DataFrame([row]))
        assert runs.unsettled().tolist() == [0.5] and runs.unsettled(n_steps=15).tolist() == [1.0]
        assert runs.learned("mixture").tolist() == [[3.0, 1.0]]

    def test_a_frontier_is_read_at_a_root(self):
        kl, values = [[4.0, 1.0], [1.0, 0.25]], [[[4.0], [0.0]], [[2.0], [8.0]]]
        found = at_divergence([2.25, -0.1], kl, values, [1.0])
        assert found.tolist() == [[3.0], [1.0]] and at_divergence([4.0, 1.0], kl, values, [1.0]).tolist() == [
            [4.0],
            [0.0],
        ]
        assert at_divergence([0.25, 0.0], kl, values, [1.0]).tolist() == [[1.5], [1.0]]
        with pytest.raises(ValueError, match="^target: expected at most 1.000 nats for seed 1, got 1.210$"):
            at_divergence([4.0, 1.21], kl, values, [1.0])


def test_what_was_not_run_is_named():
    table = pd.DataFrame({"setting": ["t", "s"], "method": ["m", "n"], "beta": [0.1, 0.25], "seed": [1, 1]})
    with pytest.raises(ValueError, match="^method: expected one of none, got x at 0.1 in r$"):
        Results(table, 0.1).of("r", "x")
    with pytest.raises(ValueError, match="^method: expected one of n at 0.25, got n at 0.1 in s$"):
        Results(table, 0.1).of("s", "n")


class TestSummary:
    def test_to_the_letter(self):
        def text(draws, form):
            return [each.replace("\u00a0", " ") for each in as_text(draws, form)]

        assert text([[-0.001], [0.0]], "+.1f") == ["+0.0 ± 0.0"] and text([[-0.001], [-0.001]], ".1f") == ["0.0"]
        assert text([1.0, 1.0], "+.2f") == ["+1.00"] and text([[0.0, 1.0], [0.0, 3.0]], ".2f") == [
            "0.00",
            "2.00 ± 12.71",
        ]

    def test_margins(self):
        margins = {"a": Margin(0.2, 0.2), "b": Margin(-0.3, 0.1), "c": Margin(0.3, 0.1), "d": Margin(0.1, 0.5)}
        assert separated(margins) == (["c"], ["a", "d"], ["b"])
        assert least(margins) == ("b", -0.3, (pytest.approx(-0.4), pytest.approx(-0.2)))
        del margins["b"]
        assert least(margins) == ("d", 0.1, (-0.4, 0.6))

    def test_shares_and_numbers(self):
        assert share_kept([2.0, 3.0], [3.0, 1.1], 1.0, least=0.5).tolist() == [0.5, 4.0]
        assert share_kept([2.0], [0.0], 1.0).tolist() == [-1.0]
        assert effective_number(np.log([[3.0, 1.0], [1.0, 1.0]])) == pytest.approx([16 / 10, 2.0])
