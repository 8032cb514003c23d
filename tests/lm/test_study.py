import json

import numpy as np
import pytest

from maxmin_core import cli
from maxmin_core.lm import studies, study
from maxmin_core.lm.experiment import load_rewards, run_methods
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.recording import _apart, record_study, rerun
from maxmin_core.lm.results import run_folder
from maxmin_core.lm.settings import SETTINGS
from maxmin_core.lm.studies import STUDIES, find_study, load_study
from maxmin_core.lm.study import Part, Study, Unit, deviation

SMALL = Study(
    "small",
    "Is it made?",
    (
        Part("as it is", "1:1", ("maxmin", "choice"), (50,), {"n_pairs": 200}),
        Part("three instead of two", "1:1", ("equal", "maxmin"), (50,), {"n_pairs": 200, "n_groups": 3}),
        Part("careless", "1:1", ("equal",), (50, 51), {"n_pairs": 200, "careless": 0.5, "common_unit": True}),
    ),
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    said = []
    path = record_study(SMALL, "smoke", folder / "lm", folder, about={"commit": "abc"}, processes=1, say=said.append)
    return folder, path, said


class TestRecordStudy:
    def test_every_run_has_its_numbers(self, recorded):
        _, path, said = recorded
        kept = json.loads(path.read_text())
        assert (kept["study"], kept["question"], kept["profile"], kept["commit"]) == (
            "small",
            "Is it made?",
            "smoke",
            "abc",
        )
        assert len(kept["runs"]) == 3 + 3 + 2 + 2 and said[-1].endswith("(6 of 6)") and len(said) == 1 + 4 + 6
        for run in kept["runs"]:
            assert np.isfinite([*run["value"], run["kl"], run["seconds"]]).all() and run["setting"] == "1:1"
            assert ("weights" in run) == (run["method"] != "reference")
            # Two groups are there, and as many learned rewards as EM was asked for.
            learned = 3 if run["label"] == "three instead of two" else 2
            assert (
                len(run["value"]) == 2
                and len(run["learned"]) == learned
                and ("assigned_right" in run) == (learned == 2) == ("accuracy_mixture" in run)
            )

    def test_methods_that_share_policies_are_made_one_after_the_other(self):
        made = ("equal", "soup", "maxmin", "product@0.3", "regret", "choice")
        assert _apart(made) == [("equal",), ("maxmin",), ("choice",), ("soup", "product@0.3", "regret")]
        assert _apart(("single",)) == [("single",)]

    def test_the_numbers_are_those_of_the_runs(self, recorded):
        folder, path, _ = recorded
        kept = next(run for run in json.loads(path.read_text())["runs"] if run["method"] == "maxmin")
        there = run_folder("1:1", find_profile("smoke", n_pairs=200), folder / "lm", seed=50) / "maxmin"
        result = json.loads((there / "result.json").read_text())
        np.testing.assert_allclose([*kept["value"], kept["kl"]], [*result["value"], result["kl"]], atol=1e-5)
        last = [json.loads(line) for line in (there / "metrics.jsonl").read_text().splitlines()]
        by_hand = [np.mean([row[f"weight/{group}"] for row in last]) for group in ("majority", "minority")]
        np.testing.assert_allclose(kept["weights"], by_hand, atol=1e-5)

    def test_a_run_that_fails_ends_the_others(self, recorded):
        folder, _, _ = recorded
        # One annotator cannot be of two groups; the other seeds could be made.
        broken = Part("too few", "1:1", ("equal",), (50,), {"n_pairs": 200, "n_annotators": 1})
        sound = Part("sound", "1:1", ("equal",), tuple(range(60, 66)), {"n_pairs": 200})
        with pytest.raises(ValueError, match="^n_annotators: expected at least one for each of 2 groups, got 1"):
            record_study(Study("b", "?", (broken, sound)), "smoke", folder / "lm", folder, about={}, processes=1)
        last = run_folder("1:1", find_profile("smoke", n_pairs=200), folder / "lm", seed=65)
        assert not last.exists() and not (folder / "studies" / "b.json").exists()

    def test_what_was_written_stands_beside_them(self, recorded):
        folder, path, _ = recorded
        unit, written = next(SMALL.units()), json.loads(path.read_text())["written"]
        assert list(written) == ["reference", *unit.part.methods]
        of_seed = run_folder(unit.part.setting, unit.profile("smoke"), folder / "lm", seed=unit.seed)
        for method, texts in written.items():
            assert texts == json.loads((of_seed / method / "result.json").read_text())["samples"][:3] and texts
        # The same prompts for all.
        assert len({json.dumps([prompt for prompt, _ in texts]) for texts in written.values()}) == 1

    def test_weights_stand_in_the_order_of_the_groups(self, tmp_path):
        # As in the setting of three groups, whose names are not in the order of the alphabet, which the log has.
        there = tmp_path / "maxmin"
        there.mkdir()
        lines = [{"weight/concise": 0.5, "weight/detailed": 0.3, "weight/positive": 0.2}]
        (there / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
        result = {"groups": ["positive", "detailed", "concise"], "learned": {"mixture": [0.0] * 3}, "method": "maxmin"}
        (there / "result.json").write_text(json.dumps(result))
        (tmp_path / "learned.json").write_text("{}")
        unit = Unit(Part("three", "three", ("maxmin",), (50,)), 50)
        assert study._row(unit, tmp_path, "maxmin")["weights"] == [0.2, 0.3, 0.5]

    def test_recorded_again_it_is_the_same(self, recorded):
        folder, path, _ = recorded
        before = path.read_text()
        record_study(SMALL, "smoke", folder / "lm", folder, about={"commit": "abc"}, processes=1)
        assert path.read_text() == before

    def test_asked_as_other_runs_are(self, recorded, monkeypatch):
        folder, path, _ = recorded
        monkeypatch.setitem(studies.STUDIES, "small", SMALL)
        results = load_study(folder, "small", "careless")
        assert results.of("1:1", "equal").table["seed"].tolist() == [50, 51]
        worst = [min(run["value"]) for run in json.loads(path.read_text())["runs"] if run["label"] == "careless"]
        np.testing.assert_allclose(results.of("1:1", "equal").worst, worst[1::2])
        with pytest.raises(
            ValueError, match="^label: expected one of as it is, three instead of two, careless, got 'x'"
        ):
            load_study(folder, "small", "x")

    def test_the_same_annotators_teach_the_same_rewards(self, recorded):
        folder, _, _ = recorded
        own, fixed = find_profile("smoke", n_pairs=200), find_profile("smoke", n_pairs=200, annotator_seed=50)
        run_methods("1:1", fixed, folder / "lm", seed=51, methods=["equal"])
        learned = [
            load_rewards(run_folder("1:1", profile, folder / "lm", seed=seed), profile)["mixture"].parameters
            for profile, seed in ((own, 50), (fixed, 51))
        ]
        np.testing.assert_array_equal(*learned)

    def test_a_run_is_made_again(self, recorded):
        folder, _, _ = recorded
        for commit in ("0", "3"):
            unit, method = SMALL.drawn(commit)
            made, far = rerun(SMALL, "smoke", folder / "lm", folder, commit=commit)
            assert (made["label"], made["seed"], made["method"]) == ("careless", unit.seed, method)
            # On this machine it is one of the two that were recorded: half of their distance from their mean.
            np.testing.assert_allclose(far, np.sqrt(1 / 3))
        with pytest.raises(ValueError, match="^made: expected a run of a recorded kind, got .* in as it is"):
            rerun(SMALL, "smoke", folder / "lm", folder, commit="2")


class TestDeviation:
    @pytest.fixture()
    def kept(self):
        rng = np.random.default_rng(0)
        return [
            {"label": label, "method": method, "beta": 0.1, "value": [v, v + 1], "kl": kl}
            for label in ("a", "b")
            for method, centre in (("equal", 0.0), ("maxmin", 5.0))
            for v, kl in rng.normal(centre, (0.1, 2.0), size=(4, 2))
        ]

    def test_by_hand(self, kept):
        own = np.array(
            [[run["value"][0], run["kl"]] for run in kept if run["label"] == "b" and run["method"] == "maxmin"]
        )
        other = np.array(
            [[run["value"][0], run["kl"]] for run in kept if run["label"] == "b" and run["method"] == "equal"]
        )
        spread = np.sqrt((own.var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / 2 * 1.25)
        made = kept[-1] | {"value": [9.0, own[:, 0].mean() + 2 * spread[0]], "kl": own[:, 1].mean() - 3 * spread[1]}
        np.testing.assert_allclose(deviation(kept, made), 3.0)
        made["kl"] = own[:, 1].mean()
        np.testing.assert_allclose(deviation(kept, made), 2.0)

    def test_a_changed_result_is_noticed_and_another_seed_is_not(self, kept):
        assert deviation(kept, kept[0] | {"value": [0.08, 1.0], "kl": 1.0}) < 3
        assert deviation(kept, kept[0] | {"value": [1.0, 1.2], "kl": 1.0}) > 4
        with pytest.raises(ValueError, match="^made: expected a run of a recorded kind, got soup in a"):
            deviation(kept, kept[0] | {"method": "soup"})


class TestStudies:
    def test_a_commit_draws_one_run_and_another_another(self):
        drawn = [STUDIES["rivals"].drawn(f"{k:040x}") for k in range(200)]
        assert drawn[0] == STUDIES["rivals"].drawn("0" * 40)
        assert len({(unit.part.label, unit.seed, method) for unit, method in drawn}) > 60

    def test_what_takes_long_is_not_drawn(self):
        for each in STUDIES.values():
            for k in range(100):
                unit, _ = each.drawn(str(k))
                assert unit.part.changes.get("steps", 0) <= 300 and not unit.part.changes.get("reference_seed")

    @pytest.mark.parametrize("name", sorted(STUDIES))
    def test_every_part_can_be_made(self, name):
        for part in find_study(name).parts:
            assert part.setting in SETTINGS and part.methods and len(set(part.seeds)) == len(part.seeds)
            # Pilot runs had the seeds below 46, the book's own runs 20 to 24.
            assert min(part.seeds) >= 46 and Unit(part, part.seeds[0]).profile("cpu").steps in (100, 300, 1000)
        assert len({part.label for part in STUDIES[name].parts}) == len(STUDIES[name].parts)

    def test_unknown_names_are_listed(self, capsys):
        with pytest.raises(ValueError, match="^study: expected one of rivals, steps"):
            find_study("x")
        assert cli.main(["study", "x"]) == 1 and "study: expected one of rivals" in capsys.readouterr().err


class TestCareless:
    def test_they_toss_coins_and_the_others_answer_as_before(self):
        from maxmin_core.lm.annotators import ask

        values = np.tile([3.0, -3.0], (2, 1000))
        _, (winner, _, annotator) = ask(values, [0.5, 0.5], 40, 200, seed=0, careless=0.25)
        first = np.array([(winner[annotator == i] % 2 == 0).mean() for i in range(40)])
        assert abs(first[:10].mean() - 0.5) < 0.05 and (first[10:] > 0.99).all()
        _, (all_care, _, _) = ask(values, [0.5, 0.5], 40, 200, seed=0)
        np.testing.assert_array_equal(winner[annotator >= 10], all_care[annotator >= 10])
        with pytest.raises(ValueError, match="^careless: expected a share, between 0 and 1, got 1.5"):
            ask(values, [0.5, 0.5], 40, 200, seed=0, careless=1.5)
