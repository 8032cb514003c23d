import json
import multiprocessing
import threading

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from maxmin_core.book import claims
from maxmin_core.book.claims import METRICS_VARIABLE, Claim, failed, judge, load_ledger, record
from maxmin_core.intervals import mean_interval


def claim(**change):
    fields = {"id": "a.b", "chapter": "01", "statement": "s", "source": "t", "page": "p", "expect": {"at_least": 1}}
    return Claim(**(fields | change))


def run(value=None, interval=None, profile="cpu", claim_id="a.b"):
    return {
        "chapter": "01",
        "profile": profile,
        "claims": {} if value is None else {claim_id: {"value": value, "interval": interval}},
    }


class TestRecord:
    def test_writes_and_replaces(self, tmp_path, monkeypatch):
        path = tmp_path / "claims.json"
        monkeypatch.setenv(METRICS_VARIABLE, str(path))
        record("a.b", 1, (0, 2))
        record("a.c", 3)
        record("a.b", 2)
        assert json.loads(path.read_text()) == {
            "a.b": {"value": 2, "interval": None},
            "a.c": {"value": 3, "interval": None},
        }

    @pytest.mark.parametrize("kind", [multiprocessing.get_context("fork").Process, threading.Thread])
    def test_several_at_once_lose_nothing(self, tmp_path, monkeypatch, kind):
        # In a folder that the first of them makes.
        path = tmp_path / "new" / "claims.json"
        monkeypatch.setenv(METRICS_VARIABLE, str(path))
        others = [kind(target=lambda k=k: [record(f"a.{k}.{i}", k) for i in range(25)]) for k in range(8)]
        for other in others:
            other.start()
        while any(other.is_alive() for other in others):
            # Whoever looks meanwhile reads a whole file.
            assert not path.exists() or json.loads(path.read_text())
        known = json.loads(path.read_text())
        assert {name: entry["value"] for name, entry in known.items()} == {
            f"a.{k}.{i}": k for k in range(8) for i in range(25)
        }
        assert [left.name for left in path.parent.iterdir()] == ["claims.json"]

    def test_a_process_that_was_killed_while_it_recorded_stops_nobody(self, tmp_path, monkeypatch):
        monkeypatch.setenv(METRICS_VARIABLE, str(tmp_path / "claims.json"))
        monkeypatch.setattr("maxmin_core.book._recording._KILLED", 0.05)
        (tmp_path / "claims.json.lock").touch()
        record("a.b", 1)
        assert [left.name for left in tmp_path.iterdir()] == ["claims.json"]

    def test_without_a_run_nothing_is_written(self, tmp_path, monkeypatch):
        monkeypatch.delenv(METRICS_VARIABLE, raising=False)
        monkeypatch.chdir(tmp_path)
        record("a.b", 1)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            (("", 1), "claim_id"),
            ((3, 1), "claim_id"),
            (("a", "x"), "value"),
            (("a", float("nan")), "value"),
            (("a", 1, (2, 1)), "interval"),
            (("a", 1, 5), "interval"),
            (("a", 1, (0, float("inf"))), "interval"),
        ],
    )
    def test_bad_arguments_are_named(self, arguments, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            record(*arguments)


class TestJudge:
    @pytest.mark.parametrize(
        ("expect", "value", "interval", "status"),
        [
            ({"equals": [10, 0.5]}, 10.5, None, "reproduced"),
            ({"equals": [10, 0.5]}, 10.6, None, "refuted"),
            ({"between": [1, 2]}, 1.0, None, "reproduced"),
            ({"between": [1, 2]}, 2.1, None, "refuted"),
            ({"equals": [10, 0.5]}, 10.51, None, "refuted"),
            ({"interval_above": 0}, 1.0, [0.0, 2], "refuted"),
            ({"interval_below": 0}, -1.0, [-2, 0.0], "refuted"),
            ({"at_least": 1}, 0.9, None, "refuted"),
            ({"at_most": 1}, 1.0, None, "reproduced"),
            ({"at_most": 1}, 1.1, None, "refuted"),
            ({"interval_above": 0}, 1.0, [0.1, 2], "reproduced"),
            ({"interval_above": 0}, 1.0, [-0.1, 2], "refuted"),
            ({"interval_above": 0}, 1.0, None, "refuted"),
            ({"interval_below": 0}, -1.0, [-2, -0.1], "reproduced"),
            ({"interval_below": 0}, -1.0, [-2, 0.1], "refuted"),
        ],
    )
    def test_conditions(self, expect, value, interval, status):
        judged = judge([claim(expect=expect)], [run(value, interval)])
        assert judged.status[0] == status
        assert len(failed(judged)) == (status != "reproduced")

    def test_direction_only(self):
        ledger = [claim(expect={"equals": [10, 1]}, direction={"interval_above": 0})]
        assert judge(ledger, [run(3, [1, 5])]).status[0] == "direction only"
        assert judge(ledger, [run(3, [-1, 5])]).status[0] == "refuted"

    def test_an_honest_refutation_passes_with_its_diagnosis(self):
        judged = judge([claim(accepted="refuted", diagnosis="too few people")], [run(0)])
        assert (judged.status[0], judged.diagnosis[0], len(failed(judged))) == ("refuted", "too few people", 0)
        # ... and a claim that holds against the ledger's word fails, too: the page would tell a falsehood.
        assert len(failed(judge([claim(accepted="refuted", diagnosis="d")], [run(2)]))) == 1

    def test_two_statuses_may_pass_where_a_processor_decides(self):
        on_the_edge = claim(
            expect={"interval_above": 0.0},
            direction={"at_least": 0.0},
            accepted=["direction only", "reproduced"],
            diagnosis="the interval ends near zero",
        )
        for value, interval, status, n_failed in [
            (0.1, (-0.1, 0.3), "direction only", 0),
            (0.2, (0.1, 0.3), "reproduced", 0),
            (-0.1, (-0.3, 0.1), "refuted", 1),
        ]:
            judged = judge([on_the_edge], [run(value, interval)])
            assert (judged.status[0], len(failed(judged))) == (status, n_failed)
            assert judged.accepted[0] == "direction only or reproduced"

    @pytest.mark.parametrize(
        ("needs", "profile", "status"),
        [
            ("cpu", "smoke", "not run (needs the cpu profile)"),
            ("gpu", "cpu", "not run (needs a GPU)"),
            ("smoke", "cpu", "reproduced"),
            ("cpu", "gpu", "reproduced"),
        ],
    )
    def test_profiles(self, needs, profile, status):
        judged = judge([claim(needs=needs)], [run(2, profile=profile)])
        assert judged.status[0] == status
        assert len(failed(judged)) == 0

    def test_without_its_data_a_claim_is_not_judged_and_with_them_it_is(self):
        ledger = [claim(data="llmfao")]
        assert judge(ledger, [run() | {"lacks": ["llmfao"]}]).status[0] == "not run (needs the data)"
        # Where the data are there, silence is a failure; so it is of a claim that needs none.
        assert judge(ledger, [run() | {"lacks": []}]).status[0] == judge(ledger, [run()]).status[0] == "not recorded"
        assert judge([claim()], [run() | {"lacks": ["llmfao"]}]).status[0] == "not recorded"
        assert judge(ledger, [run(2)]).status[0] == "reproduced"

    def test_what_a_kept_study_measured_is_judged_where_it_is_shown(self):
        of_study = claim(needs="gpu", study="pretrained")
        assert judge([of_study], [run(2, profile="smoke")]).status[0] == "reproduced"
        nothing = run(2, profile="cpu") | {"claims": {}}
        judged = judge([of_study], [nothing])
        assert judged.status[0] == "not run (needs a GPU)" and len(failed(judged)) == 0

    def test_not_recorded_fails(self):
        judged = judge([claim()], [run()])
        assert (judged.status[0], judged.value[0], len(failed(judged))) == ("not recorded", None, 1)

    def test_no_run_at_all(self):
        assert judge([claim(needs="smoke")], []).status[0] == "not run (needs chapter 01)"

    def test_a_stray_record_is_named(self):
        with pytest.raises(ValueError, match=r"chapter 01: recorded the claim 'x\.y'"):
            judge([claim()], [run(1, claim_id="x.y")])

    def test_an_empty_ledger(self):
        assert len(judge([], [])) == len(failed(judge([], []))) == 0


class TestLedger:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"expect": {"equals": [1.0, 0.6]}}, "at most half the value"),
            ({"expect": {"equals": [0.0, 0.1]}}, "at most half the value"),
            ({"expect": {"between": [-1, 2]}}, "at most half the value"),
            ({"expect": {"equals": [1.0, 0.0]}}, "above 0"),
            ({"expect": {"about": 1}}, "expect: expected one of"),
            ({"expect": {"at_least": 1, "at_most": 2}}, "expect: expected one of"),
            ({"expect": {"at_least": "x"}}, "finite number"),
            ({"direction": {"x": 1}}, "direction: expected one of"),
            ({"needs": "tpu"}, "needs: expected one of"),
            ({"data": "secret"}, "data: expected one of llmfao, got 'secret'"),
            ({"accepted": "maybe"}, "accepted: expected"),
            ({"accepted": []}, "accepted: expected"),
            ({"accepted": 3}, "accepted: expected"),
            ({"accepted": ["refuted", "maybe"], "diagnosis": "d"}, "accepted: expected"),
            ({"accepted": "refuted"}, "diagnosis: expected a reason"),
            ({"accepted": ["reproduced", "refuted"]}, "diagnosis: expected a reason"),
            ({"chapter": 1}, "chapter: expected a text"),
        ],
    )
    def test_bad_entries_are_named(self, change, message):
        with pytest.raises(ValueError, match=f"^claim a.b: .*{message}"):
            claim(**change)

    def test_files(self, tmp_path):
        entry = '- {id: a, chapter: "01", statement: s, source: t, page: p, expect: {at_least: 1}%s}\n'
        path = tmp_path / "claims.yml"
        path.write_text(entry % "")
        assert load_ledger(path)[0].expected == "at least 1"
        path.write_text(entry % "" + entry % "")
        with pytest.raises(ValueError, match="claim a: expected every id once"):
            load_ledger(path)
        for damaged in ("- {id: a", "- text\n"):
            path.write_text(damaged)
            with pytest.raises(ValueError, match="claims.yml: expected"):
                load_ledger(path)
        path.write_text(entry % ", colour: red")
        with pytest.raises(ValueError, match="claim 'a': .*colour"):
            load_ledger(path)

    def test_the_books_ledger_points_to_places_that_exist(self, root):
        for entry in load_ledger(root / "book" / "claims.yml"):
            page, _, anchor = entry.page.partition("#")
            assert f"({anchor})=" in (root / f"{page}.ipynb").read_text(encoding="utf-8"), entry.id


class TestMeanInterval:
    def test_it_is_student_s_interval(self):
        draws = np.random.default_rng(0).normal(size=(7, 3))
        centre, half = mean_interval(draws)
        other = ttest_1samp(draws, 0).confidence_interval(0.95)
        np.testing.assert_allclose([centre - half, centre + half], [other.low, other.high])

    def test_one_draw_has_no_interval(self):
        with pytest.raises(ValueError, match="^draws: expected at least two, got 1"):
            mean_interval([1.0])

    def test_what_is_returned_is_recorded(self, tmp_path, monkeypatch):
        monkeypatch.setenv(claims.METRICS_VARIABLE, str(tmp_path / "claims.json"))
        centre, half = claims.record_mean("a.b", [1.0, 2.0, 4.0])
        kept = json.loads((tmp_path / "claims.json").read_text())["a.b"]
        assert kept == {"value": centre, "interval": [centre - half, centre + half]}
