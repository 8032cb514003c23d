"""What the commands train and plan hand on: parsed as on the command line, with stubs where anything would be made."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from maxmin_core import cli
from maxmin_core.lm import commands
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.results import base_folder
from maxmin_core.lm.settings import SETTINGS


def parsed(*words):
    return cli._parser().parse_args([*words])


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Everything that would be made or read, in the order in which it was asked for."""
    made, runs = [], tmp_path / "_build" / "lm"
    data = {"annotator": ["a", "b", "b"]}

    class Data:
        def __len__(self):
            return 3

        def __getitem__(self, column):
            return data[column]

    def run_methods(*given, **more):
        made.append(("run_methods", given, {k: v for k, v in more.items() if k != "say"}))
        return [runs / "cpu" / "x" / name for name in ("reference", "maxmin")]

    def run_people(*given, **more):
        made.append(("run_people", given, {k: v for k, v in more.items() if k != "say"}))
        return [runs / "people" / "reference"]

    def load(*given, **more):
        made.append(("load", given, more))
        return Data(), SimpleNamespace(votes=5, dropped={"ties": 2})

    def prepare(profile, where, *, say):
        say("prepared")
        made.append(("prepare", (profile, where), {}))

    for name, stub in (("run_methods", run_methods), ("run_people", run_people), ("load_comparisons", load)):
        monkeypatch.setattr(commands, name, stub)
    monkeypatch.setattr(commands, "thin", lambda found, shares: made.append(("thin", shares)) or found)
    monkeypatch.setattr(commands, "prepare", prepare)
    monkeypatch.setattr(commands.shutil, "disk_usage", lambda where: SimpleNamespace(free=2 * 2**30))
    for name in ("WORLD_SIZE", "RANK", "MAXMIN_JUDGE_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "_build").mkdir()
    said = []

    def call(*words):
        made.clear()
        said.clear()
        commands.train_runs(parsed("train", *words), tmp_path, said.append)
        return made, said, runs

    return call


class TestTrain:
    def test_the_book_s_first_run_is_meant(self, called):
        made, said, runs = called()
        assert made == [("run_methods", ("80:20", find_profile("cpu"), runs), {"seed": 20, "methods": None})]
        assert said == ["[80:20] seed 20: 2 results in _build/lm/cpu/x"]

    def test_what_is_named_is_handed_on(self, called):
        words = ("--profile", "smoke", "--setting", "1:1", "--seed", "3", "--method", "soup", "--method", "single@0.4")
        made, _, runs = called(*words, "--steps", "1")
        profile = find_profile("smoke", steps=1)
        assert made == [("run_methods", ("1:1", profile, runs), {"seed": 3, "methods": ["soup", "single@0.4"]})]

    def test_all_is_every_setting_and_seed(self, called):
        made, said, _ = called("--all", "--setting", "base")
        seeds = {"80:20": 5, "three": 2, "compatible": 3, "1:1": 3, "10:1": 3, "three compatible": 3}
        expected = [(name, 20 + k) for name, n in seeds.items() for k in range(n)]
        assert [(given[0], more["seed"]) for _, given, more in made] == expected and len(said) == 19

    def test_the_base_alone(self, called):
        made, said, runs = called("--setting", "base")
        assert made == [("prepare", (find_profile("cpu"), runs), {})] and said == ["prepared"]

    def test_one_process_speaks(self, called, monkeypatch, tmp_path):
        monkeypatch.setenv("RANK", "1")
        assert called()[1] == []

    def test_several_processes_want_a_base(self, called, monkeypatch, tmp_path):
        monkeypatch.setenv("WORLD_SIZE", "2")
        with pytest.raises(ValueError, match="call `maxmin train --profile cpu --setting base` first$"):
            called()
        ready = base_folder(find_profile("cpu"), tmp_path / "_build" / "lm") / "texts.json"
        ready.parent.mkdir(parents=True)
        ready.touch()
        assert len(called()[0]) == 1
        ready.unlink()
        monkeypatch.setenv("WORLD_SIZE", "1")
        assert len(called()[0]) == 1

    def test_what_cannot_be_is_said_first(self, called):
        for words, message in (
            (("--steps", "0"), "^steps: expected a number of at least 1, got 0$"),
            (("--groups", "0"), "^groups: expected at least 1, got 0$"),
            (("--profile", "gpu-large"), "^data: expected people's comparisons for gpu-large"),
            (("--data", "personas"), "^data: expected NAME=FOLDER or NAME=FILE, .* got 'personas'$"),
            (("--data", "personas="), "^data: expected NAME=FOLDER or NAME=FILE, .* got 'personas='$"),
            (("--data", "personas=x"), "^setting: expected one of P1, P1 2:1, .*, got '80:20'$"),
        ):
            with pytest.raises(ValueError, match=message):
                called(*words)

    def test_the_disk_of_a_processor_needs_two_gib(self, called, monkeypatch):
        monkeypatch.setattr(commands.shutil, "disk_usage", lambda where: SimpleNamespace(free=2 * 2**30 - 1))
        with pytest.raises(ValueError, match="^disk: expected 2 GiB free for models and checkpoints, got 2.0 GiB$"):
            called()


class TestDisk:
    def needed(self, monkeypatch, runs, profile):
        looked = []
        free = SimpleNamespace(free=2**29)
        monkeypatch.setattr(commands.shutil, "disk_usage", lambda where: looked.append(where) or free)
        with pytest.raises(ValueError, match="^disk: .* got 0.5 GiB$") as told:
            commands._check_disk(profile, runs)
        return int(re.search(r"expected (\d+) GiB", str(told.value))[1]), looked

    def test_parts_are_added_up_once(self, monkeypatch, tmp_path):
        runs, profile = tmp_path / "_build" / "lm", find_profile("gpu-large")
        parts, asked = {"reference": 20.4, "rewards": 1.1}, []
        monkeypatch.setattr(commands, "disk", lambda p, groups: asked.append(groups) or dict(parts))
        # Where no runs are yet, the disk of the project.
        assert self.needed(monkeypatch, runs, profile) == (2 + 22, [tmp_path])
        assert self.needed(monkeypatch, runs, replace(profile, n_groups=3))[0] == 24 and asked == [2, 3]
        there = runs / "gpu-large" / "people-x" / "ground-1" / "reference"
        there.mkdir(parents=True)
        (there / "config.json").touch()
        # The reference lies there already.
        assert self.needed(monkeypatch, runs, profile) == (2 + 2, [runs])
        assert self.needed(monkeypatch, runs, replace(profile, name="other"))[0] == 24

    def test_a_model_that_no_plan_knows(self, monkeypatch, tmp_path):
        assert self.needed(monkeypatch, tmp_path / "a" / "b", find_profile("gpu", model="some/model"))[0] == 20
        # On a processor nothing is counted.
        assert self.needed(monkeypatch, tmp_path / "a" / "b", find_profile("gpu", model="some/model", cpu=True))[0] == 2


class TestPeople:
    def test_personas(self, called):
        made, said, runs = called("--data", "personas=there", "--setting", "P2 6:1")
        assert made[0] == ("load", ("personas", "there"), {"personas": ("P2A", "P2B")})
        assert made[1] == ("thin", {"P2A": 6, "P2B": 1})
        (_, (_, *given), more) = made[2]
        assert given == ["personas P2 6:1", find_profile("cpu"), runs]
        assert more == {"seed": 20, "methods": ("single", "equal", "maxmin"), "judge": None, "wishes": None}
        assert said == [
            "[personas] 3 of 5 comparisons, by 2 people",
            "[personas] left out: 2 ties",
            f"[personas P2 6:1] seed 20: 1 results in {runs / 'people'}",
        ]

    def test_a_table_of_one_s_own(self, called, monkeypatch):
        words = ("--data", "own=a=b.csv", "--group", "country", "--people", "p.csv", "--groups", "3", "--seed", "4")
        made, said, _ = called(*words, "--method", "nash", "--wish", "a=be brief", "--wish", "b=x=y")
        # A path may have a sign of its own in it.
        assert made[0] == ("load", ("own", "a=b.csv"), {"group": "country", "people": "p.csv"})
        (_, (_, *given), more) = made[1]
        # A simulated setting's name says nothing of people.
        assert given[:2] == ["own", replace(find_profile("cpu"), n_groups=3)]
        assert more["methods"] == ["nash"] and more["wishes"] == {"a": "be brief", "b": "x=y"} and more["seed"] == 4
        assert len(said) == 3
        monkeypatch.setenv("RANK", "1")
        assert called("--data", "own=x", "--setting", "mine")[1] == []
        assert called("--data", "own=x", "--setting", "mine")[0][1][1][1] == "own mine"

    def test_a_judge_gets_its_key_from_the_environment(self, called, monkeypatch):
        monkeypatch.setenv("MAXMIN_JUDGE_KEY", "secret")
        monkeypatch.setattr(commands.ServerJudge, "try_out", lambda judge: None)
        for words, model in (((), "default"), (("--judge-model", "other"), "other")):
            made, _, _ = called("--data", "own=x", "--judge", "http://here/v1", *words)
            judge = made[-1][2]["judge"]
            assert (judge.address, judge.model, judge.key, judge.timeout) == ("http://here/v1", model, "secret", 60.0)

    def test_a_judge_that_does_not_answer_is_told_before_anything_is_trained(self, called, monkeypatch):
        def no_answer(judge, *_):
            raise ValueError("judge: expected an answer")

        monkeypatch.setattr(commands, "run_people", None)
        monkeypatch.setattr(commands.ServerJudge, "__call__", no_answer)
        with pytest.raises(ValueError, match="^judge: expected an answer$"):
            called("--data", "own=x", "--judge", "http://here/v1")
        # The first process asks for all.
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setattr(commands, "run_people", lambda *_, **__: [])
        called("--data", "own=x", "--judge", "http://here/v1")

    @pytest.mark.parametrize("words", [("--data", "own=x"), (), ("--setting", "base", "--all")])
    def test_processes_that_cannot_share_a_batch_are_told_before_anything_is_trained(self, called, monkeypatch, words):
        monkeypatch.setenv("WORLD_SIZE", "3")
        with pytest.raises(
            ValueError, match="^profile: expected 64 texts a step to divide among the processes, got 3$"
        ):
            called(*words)

    def test_the_disk_is_looked_at(self, called, monkeypatch):
        monkeypatch.setattr(commands.shutil, "disk_usage", lambda where: SimpleNamespace(free=0))
        with pytest.raises(ValueError, match="^disk: expected 2 GiB"):
            called("--data", "own=x")


class TestChosen:
    def test_switches_change_one_setting_each(self):
        large = ("plan", "--profile", "gpu-large")
        for words, change in (
            ((), {}),
            (("--vllm",), {"vllm": True}),
            (("--fsdp",), {"fsdp": True}),
            (("--base-bf16",), {"base_bf16": True}),
            (("--groups", "1"), {"n_groups": 1}),
            (("--model", "a/b"), {"model": "a/b", "revision": None}),
            (("--model", "a/b", "--revision", "c"), {"model": "a/b", "revision": "c"}),
            (("--revision", "c"), {"revision": "c"}),
        ):
            assert commands._chosen(parsed(*large, *words)) == replace(find_profile("gpu-large"), **change)
        # Another model has not the commit of the profile's.
        assert commands._chosen(parsed("plan", "--profile", "gpu", "--model", "a/b")).revision is None


class TestPlan:
    @pytest.fixture
    def lines(self, monkeypatch):
        phases = {"rewards": {"base": 1.0, "more": 0.5}, "policy": {"base": 0.25, "logits": 2.0}}
        asked = []

        def memory(profile, **more):
            asked.append(more)
            return phases

        monkeypatch.setattr(commands, "memory", memory)
        monkeypatch.setattr(commands, "plan", lambda profile: [("steps", 1234567, ""), ("time", 2.5, "h")])

        def call(*words):
            said = []
            fits = commands.say_plan(parsed("plan", *words), said.append)
            return fits, [" ".join(line.split()) for line in said], said, asked[-1]

        return call

    def test_without_a_card(self, lines):
        fits, said, whole, asked = lines()
        assert fits and asked == {"gpus": 1, "card": None, "groups": 2}
        assert said == [
            "steps 1,234,567",
            "time 2.500 h",
            "rewards: base 1.000 GiB a GPU",
            "rewards: more 0.500 GiB a GPU",
            "rewards: together 1.500 GiB a GPU",
            "policy: base 0.250 GiB a GPU",
            "policy: logits 2.000 GiB a GPU",
            "policy: together 2.250 GiB a GPU",
        ]
        # Numbers stand under each other.
        assert {len(line.removesuffix(" GiB a GPU").removesuffix(" h")) for line in map(str.rstrip, whole)} == {61}

    def test_one_phase_that_does_not_fit_is_enough(self, lines):
        fits, said, _, asked = lines("--memory", "2", "--gpus", "4", "--groups", "3")
        assert not fits and asked == {"gpus": 4, "card": 2.0, "groups": 3}
        assert said[4] == "rewards: together 1.500 GiB a GPU, fits 2"
        assert said[-1] == "policy: together 2.250 GiB a GPU, DOES NOT FIT 2; largest: logits"
        # What fills a card to its end fits, and what does not fit first is not forgotten.
        assert lines("--memory", "2.25")[0] and not lines("--memory", "1")[0]


def test_settings_of_the_command_line_are_those_of_the_book():
    options = parsed("train")
    assert (options.setting, options.seed, options.profile) == ("80:20", 20, "cpu") and "80:20" in SETTINGS
    assert not (options.all or options.vllm or options.fsdp or options.base_bf16) and options.steps is None
