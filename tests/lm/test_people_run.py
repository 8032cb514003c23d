"""A run on people's comparisons from outside: what it is kept under, who is asked what, and what is left alone."""

import hashlib
import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from datasets import Dataset

from maxmin_core._closure import fingerprint
from maxmin_core.lm import people
from maxmin_core.lm.comparisons import as_row
from maxmin_core.lm.people import WISHES, run_people, thin
from maxmin_core.lm.profiles import find_profile, key

PROFILE = find_profile("pretrained", new_tokens=5)


def table(groups="AABBBB", each=2):
    """Six people, each with so many comparisons."""
    names = {"A": "P1A", "B": "P1B", "C": "else", "-": None}
    made = [as_row(f"q{k}", "yes", "no", f"w{i}", names[g]) for i, g in enumerate(groups) for k in range(each)]
    return Dataset.from_list(made)


class TestThin:
    def people_of(self, kept):
        found = set(zip(kept["annotator"], kept["group"], strict=True))
        return sum(g == "P1A" for _, g in found), sum(g == "P1B" for _, g in found)

    @pytest.mark.parametrize(
        ("groups", "shares", "left"),
        [
            ("AABBBB", (1, 1), (2, 2)),
            ("AABBBB", (1, 2), (2, 4)),
            ("AAABBBBBB", (2, 3), (3, 4)),
            # Three tenths are no whole number of people in floating point: ten for three is ten for three.
            ("AAA" + "B" * 10, (3, 10), (3, 10)),
            ("A" * 11 + "BBBBBB", (10, 6), (10, 6)),
        ],
    )
    def test_as_many_as_the_rarest_allows(self, groups, shares, left):
        kept = thin(table(groups), dict(zip(("P1A", "P1B"), shares, strict=True)))
        assert self.people_of(kept) == left and len(kept) == 2 * sum(left)

    def test_a_seed_says_who_stays_and_nobody_else_does(self):
        data = table("AA" + "B" * 8 + "C")
        first, same, other = (thin(data, {"P1A": 1, "P1B": 1}, seed=s)["annotator"] for s in (0, 0, 1))
        assert list(first) == list(same) != list(other) and "w10" not in first
        # Rows stay where they stand.
        assert list(first) == sorted(first) and list(thin(data, {"P1A": 1, "P1B": 1})["annotator"]) == list(first)

    def test_two_are_the_least(self):
        with pytest.raises(ValueError, match="^shares: expected at least two people of P1A, got 1 of 2$"):
            thin(table("AABBB"), {"P1A": 1, "P1B": 2})


class Kept:
    def __init__(self, name, saved):
        self.name, self.saved = name, saved

    def save(self, folder):
        self.saved.append((self.name, folder))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Stubs for all that takes time; what they were given."""
    told = SimpleNamespace(saved=[], learned=[], loaded=[], judged=[], said=[], made=[])
    base = SimpleNamespace(baseline=SimpleNamespace(prompts=["q0", "q1"]))

    def make_ground(data, profile, folder, say):
        told.ground = folder
        return "parts", base

    def learn(*given):
        told.learned.append(given)
        (given[-1]).mkdir(parents=True)
        return {name: Kept(name, told.saved) for name in ("single", "heldout")}, {"annotators": 6}

    def load(folder, profile, kinds):
        told.loaded.append((folder, kinds))
        return dict.fromkeys(kinds, "a reward") | {"heldout": "what judges"}

    def make_all(making, gold, folder, setting, methods, *, say):
        told.made.append((making, gold, folder, setting, methods))
        there = [folder / name for name in ("reference", *methods)]
        for each in there:
            each.mkdir(parents=True, exist_ok=True)
        for each in there[:3]:
            (each / "adapter_config.json").touch()
        return there

    def judge_policy(*given, **how):
        told.judged.append((given, how))
        return {"asked": 1}

    for name, stub in (
        ("make_ground", make_ground),
        ("learn_from_people", learn),
        ("load_rewards", load),
        ("make_all", make_all),
        ("judge_policy", judge_policy),
        ("load_policy", lambda folder, **how: (f"policy of {folder.name} {how}", None)),
    ):
        monkeypatch.setattr(people, name, stub)
    monkeypatch.setattr(people.Making, "beside", lambda self, model: "beside it")
    monkeypatch.setattr(people.Making, "tokenizer", "its tokenizer")

    def call(data=None, profile=PROFILE, setting="P1 2:1", methods=("single", "maxmin"), **more):
        options = {"seed": 3, "methods": methods, "say": told.said.append, **more}
        return run_people(table() if data is None else data, setting, profile, tmp_path, **options), told

    return call


def settings(profile, data):
    rows = hashlib.sha256(json.dumps(data.to_list(), sort_keys=True).encode()).hexdigest()
    of = {name: value for name, value in asdict(profile).items() if name != "vllm"}
    return {"profile": of, "rows": rows, "code": fingerprint("maxmin_core.lm.people")}


class TestRun:
    def test_it_is_kept_under_what_it_depends_on(self, run, tmp_path):
        folders, told = run()
        kept, at = settings(PROFILE, table()), tmp_path / "pretrained" / "people-p1-2-1"
        assert told.ground == at / f"ground-{key(**kept)}"
        folder = at / f"seed3-{key(**kept, seed=3)}"
        assert folders == [folder / name for name in ("reference", "single", "maxmin")]
        noted = json.loads((folder / "settings.json").read_text())
        assert noted == {**kept, "setting": "P1 2:1", "seed": 3}
        assert json.loads((folder / "learned.json").read_text()) == {"annotators": 6}
        assert told.saved == [(name, folder / "rewards" / name) for name in ("single", "heldout")]
        assert told.learned[0][0] == "parts" and told.learned[0][2:] == (
            ("P1A", "P1B"),
            PROFILE,
            3,
            folder / "training",
        )
        assert not (folder / "training").exists() and told.loaded == [
            (folder, ("single", "mixture", "known", "heldout"))
        ]
        making, gold, *rest = told.made[0]
        assert gold == "what judges" and rest == [folder, "P1 2:1", ("single", "maxmin")] and not told.judged
        assert (
            making.groups == ("P1A", "P1B")
            and making.seed == 3
            and list(making.rewards)
            == [
                "single",
                "mixture",
                "known",
            ]
        )
        # Who draws the texts is no other run; what was learned is not learned again.
        again, told = run(profile=replace(PROFILE, vllm=True))
        assert again == folders and len(told.learned) == 1 and not told.said

    def test_the_judge_is_asked_of_what_was_trained(self, run):
        folders, told = run(judge="somebody", methods=["single", "maxmin", "choice"])
        seen = [given[0] for given, _ in told.judged]
        # The reference and what has no model of its own are not judged.
        how = {"cpu": True, "bf16": False}
        assert seen == [f"policy of {name} {how}" for name in ("single", "maxmin")]
        wishes = {name: WISHES[name] for name in ("P1A", "P1B")}
        given, how = told.judged[0]
        assert given[1:] == ("beside it", "its tokenizer", ["q0", "q1"], wishes, "somebody")
        assert how == {"n_tokens": 5, "seed": 3} and told.said[0] == "[P1 2:1] seed 3, single: the judge is asked"
        assert json.loads((folders[1] / "asked.json").read_text()) == {"asked": 1}
        # Once is enough; a whole model is one, too.
        (folders[3] / "config.json").touch()
        run(judge="somebody", methods=["single", "maxmin", "choice"])
        assert len(told.judged) == 3 and told.judged[2][0][0].startswith("policy of choice")

    def test_other_wishes(self, run):
        _, told = run(judge="somebody", wishes={"P1A": "a", "P1B": "b", "P9": "c"})
        assert told.judged[0][0][4] == {"P1A": "a", "P1B": "b"}
        with pytest.raises(ValueError, match="^wishes: expected what each group wants, got nothing for P1A, P1B$"):
            run(judge="somebody", wishes={})

    def test_groups_that_em_finds(self, run):
        _, told = run(table("------"), replace(PROFILE, n_groups=3))
        assert told.loaded[0][1] == ("single", "mixture", "heldout") and told.learned[0][2] == (
            "found 1",
            "found 2",
            "found 3",
        )
        assert len(told.said) == 1 and "EM looks for 3: no rewards of named groups" in told.said[0]

    @pytest.mark.parametrize(
        ("groups", "changes", "methods", "message"),
        [
            ("AABBBB", {"lora": 0}, ["single"], "^profile: expected adapters, reward models and an untrained ref"),
            ("AAAAAA", {}, ["single"], "^group: expected two groups or more, and one for everybody, got P1A$"),
            ("AABBB-", {}, ["single"], "^group: expected two groups or more, .* got P1A, P1B$"),
            ("AABBBB", {"n_groups": 2}, ["single"], "^n_groups: expected None .*, P1A, P1B, got 2$"),
            ("------", {}, ["single"], "^group: expected a group for everybody, or how many EM shall look for"),
            (
                "------",
                {"n_groups": 2},
                ["single", "maxmin_known", "soup", "maxmin_known@0.3"],
                "^method: expected groups that the data name for maxmin_known, maxmin_known@0.3, got none$",
            ),
        ],
    )
    def test_what_does_not_fit_together_is_named(self, run, groups, changes, methods, message):
        with pytest.raises(ValueError, match=message):
            run(table(groups), replace(PROFILE, **changes), methods=methods)
