import ast
import json
import os
import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest
from packaging.requirements import Requirement

from maxmin_core import _closure, lm
from maxmin_core.lm import results
from maxmin_core.lm.profiles import find_profile


class TestLoadResults:
    def test_a_missing_run_names_the_command(self, tmp_path):
        with pytest.raises(ValueError, match=r"call `maxmin train --profile smoke --setting '80:20' --seed 20`"):
            results.load_results(find_profile("smoke"), tmp_path)

    def test_one_row_a_run(self, tmp_path):
        for seed in (20, 21):
            folder = results.run_folder("1:1", find_profile("smoke"), tmp_path, seed=seed)
            for method in ("reference", "single", "maxmin"):
                (folder / method).mkdir(parents=True)
                (folder / method / "result.json").write_text(json.dumps({"method": method, "seed": seed}))
            (folder / "learned.json").write_text(json.dumps({"assigned_right": 1.0}))
        table = results.load_results(find_profile("smoke"), tmp_path, ["1:1"])
        assert len(table) == 6 and set(table.method) == {"reference", "single", "maxmin"}
        assert (table.assigned_right == 1.0).all()


class TestTimeSpent:
    def test_runs_add_up_and_what_kept_no_time_is_counted(self, tmp_path):
        profile = find_profile("smoke")
        folders = [results.run_folder("80:20", profile, tmp_path, seed=seed) for seed in (20, 21)]
        for folder, method, seconds, trained in [
            (folders[0], "reference", 100.0, []),
            (folders[0], "single", 10.0, ["."]),
            (folders[0], "soup", 20.5, ["group-0", "group-1"]),
            (folders[1], "maxmin", None, ["."]),
            # Neither a method of the setting nor a run of it.
            (folders[1], "other", 7.0, []),
        ]:
            for part in trained:
                (folder / method / part).mkdir(parents=True)
                (folder / method / part / "done.json").write_text("{}")
            (folder / method).mkdir(parents=True, exist_ok=True)
            result = {"method": method} | ({} if seconds is None else {"seconds": seconds})
            (folder / method / "result.json").write_text(json.dumps(result))
        assert results.time_spent(profile, tmp_path) == results.Spent(runs=3, timed=2, policies=4, seconds=30.5)


class TestNames:
    def test_they_follow_settings_and_libraries(self, tmp_path, monkeypatch):
        profile = find_profile("smoke")
        here = results.run_folder("80:20", profile, tmp_path, seed=0)
        assert here != results.run_folder("80:20", profile, tmp_path, seed=1)
        assert here != results.run_folder("80:20", replace(profile, beta=0.2), tmp_path, seed=0)
        assert here == results.run_folder("80:20", replace(profile, vllm=True), tmp_path, seed=0)
        base = results.base_folder(profile, tmp_path)
        monkeypatch.setattr(results, "version", lambda name: "0.1")
        assert here != results.run_folder("80:20", profile, tmp_path, seed=0)
        assert base != results.base_folder(profile, tmp_path)

    @pytest.mark.parametrize(
        ("module", "base", "linear", "whole"),
        [
            ("lm.corpus", True, True, True),
            ("lm.reference", True, True, True),
            ("_files", True, True, True),
            ("lm.evaluate", False, True, True),
            ("lm.group_reward", False, True, True),
            ("alignment.welfare", False, True, True),
            ("preferences._em", False, True, True),
            ("_validation", False, True, True),
            ("lm.model_mixture", False, False, True),
            ("lm.reward_model", False, False, True),
            # Values of other profiles, how results are read and shown, and a step that no run takes.
            ("lm.profiles", False, False, False),
            ("lm.settings", False, False, False),
            ("lm.results", False, False, False),
            ("lm.analysis", False, False, False),
            ("lm.step", False, False, False),
            ("preferences._frames", False, False, False),
            ("preferences.tables", False, False, False),
            ("book.claims", False, False, False),
        ],
    )
    def test_they_follow_the_code_that_is_imported(self, tmp_path, monkeypatch, module, base, linear, whole):
        profile, tree = find_profile("smoke"), _closure._tree

        def names():
            _closure.fingerprint.cache_clear()
            models = replace(profile, reward="model")
            folders = [results.run_folder("80:20", p, tmp_path, seed=0) for p in (profile, models)]
            return results.base_folder(profile, tmp_path), *folders

        def changed(name):
            found = tree(name)
            if name == f"maxmin_core.{module}":
                found.body += ast.parse("ONE_MORE = 1").body
            return found

        before = names()
        with monkeypatch.context() as patch:
            patch.setattr(_closure, "_tree", changed)
            after = names()
        _closure.fingerprint.cache_clear()
        assert tuple(a != b for a, b in zip(before, after, strict=True)) == (base, linear, whole)

    def test_the_code_behind_a_run(self):
        """What retrains every policy when it changes. A module more here is a decision: it may be a wing by mistake."""
        base = "lm._devices lm.base lm.corpus lm.features lm.policy lm.reference lm.sentiment lm.texts _files"
        base += " lm._room lm.pretrained lm.prompts"
        run = (
            "lm.annotators lm.evaluate lm.experiment lm.group_reward lm.reward lm.scorers lm.train _newton _validation"
        )
        run += " _warnings alignment._parts alignment.welfare preferences._counts preferences._em preferences._logistic"
        run += " preferences._starts preferences.comparisons preferences.mixture preferences.rewards"
        run += " preferences._edges preferences._finish preferences._graph preferences._one_hot"
        # A choice among texts, weights from texts and regret solve an exact problem: the solver is code of the runs.
        run += " lm._judging lm._making lm._vllm lm.combined lm.prediction lm.trainer _precise alignment._barrier"
        run += " alignment._dual alignment.bargaining alignment.policies alignment.solution"
        expected = {f"maxmin_core.{name}" for name in base.split()}
        assert set(_closure.closure(results._BASE, without=results._NAMED)) == expected
        expected |= {f"maxmin_core.{name}" for name in run.split()}
        found = _closure.closure(results._RUN, without=results._without(find_profile("cpu")))
        assert set(found) == expected


# The modules that are read without torch.
LIGHT = ("prompts", "results", "analysis", "summary", "profiles", "settings", "annotators", "corpus", "scorers")


def imported(modules, environment=None):
    """What the environment and the loaded modules are in a fresh interpreter that has imported these."""
    script = "import json, os, sys, importlib\n"
    script += f"for name in {modules!r}: importlib.import_module('maxmin_core.lm.' + name)\n"
    script += "print(json.dumps([dict(os.environ), sorted({name.partition('.')[0] for name in sys.modules})]))"
    given = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "WORLD_SIZE")}
    given |= environment or {}
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True)
    after, loaded = json.loads(done.stdout)
    return {k: v for k, v in after.items() if given.get(k) != v}, set(loaded)


class TestImports:
    def test_what_needs_no_torch_sets_nothing(self):
        changed, loaded = imported(LIGHT)
        assert not changed
        heavy = {"torch", "transformers", "trl", "accelerate", "datasets", "tokenizers"}
        assert not loaded & heavy
        # Linear rewards score without torch, too; scikit-learn sets variables of its own.
        assert not imported(["reward", "features"])[1] & heavy

    @pytest.mark.parametrize("module", ["policy", "reference", "reward_model"])
    def test_what_trains_lets_a_process_see_one_gpu(self, module):
        # TRL refuses one process that sees several.
        changed, loaded = imported([module])
        assert "torch" in loaded and changed["CUDA_VISIBLE_DEVICES"] == "0"

    @pytest.mark.parametrize("environment", [{"CUDA_VISIBLE_DEVICES": "2,3"}, {"WORLD_SIZE": "2"}])
    def test_unless_told_otherwise(self, environment):
        changed, _ = imported(["reference", "policy"], environment)
        assert "CUDA_VISIBLE_DEVICES" not in changed


class TestRequire:
    def test_the_packages_are_the_extra_s(self, root):
        extra = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["lm"]
        assert {Requirement(text).name for text in extra} == set(lm.PACKAGES)
        lm.require_lm()

    def test_what_is_missing_is_named(self, monkeypatch):
        monkeypatch.setattr(lm, "PACKAGES", (*lm.PACKAGES, "no-such-package", "nor-this-one"))
        with pytest.raises(
            ValueError, match=r'none of no-such-package, nor-this-one; .*`pip install "maxmin-core\[lm\]"`'
        ):
            lm.require_lm()

    def test_nothing_is_imported(self):
        _, loaded = imported(["annotators"])
        assert "torch" not in loaded
        script = "import sys; from maxmin_core.lm import require_lm; require_lm(); sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
