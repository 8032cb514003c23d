"""How rewards are learned, part by part: stubs train, so that what each learns from can be counted."""

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from maxmin_core.alignment import Egalitarian, Utilitarian
from maxmin_core.lm import experiment
from maxmin_core.lm.group_reward import GroupReward
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.results import run_folder
from maxmin_core.lm.settings import find_setting
from maxmin_core.lm.texts import Texts

SMALL = find_profile("smoke", reward="model", n_annotators=4, n_per_annotator=3)


class Learned:
    def __init__(self, name, n, log):
        self.name, self.n, self.log, self.order = name, n, log, None

    def of(self, order):
        self.order = list(order)
        return self

    def calibrated(self, prompts, completions, **how):
        self.over, self.how = (prompts, completions), how
        return self

    def __call__(self, prompts, completions):
        value = np.arange(float(len(completions)))
        return np.array([value, -value][: self.n])

    def save(self, folder):
        self.log.append((self.name, folder))


class TestRewards:
    GOLD = np.array([[5.0, 1, 5, 1, 0, 1, 2, 2, 1, 0], [1.0, 5, 1, 5, 1, 0, 3, 4, 5, 6]])

    @pytest.fixture
    def base(self, tmp_path):
        pool = Texts([f"p{k // 2}" for k in range(10)], [[k] for k in range(10)], [f"t{k}" for k in range(10)])
        return SimpleNamespace(
            pool=pool, reference=tmp_path / "reference", features=lambda p, c: np.arange(10.0)[:, None], gold=None
        )

    @pytest.fixture
    def learn(self, base, monkeypatch, tmp_path):
        asked = {}

        def learn_models(reference, texts, choices, assigned, n, profile, folder, **how):
            asked[folder.name] = {"n": n, "assigned": list(assigned), "choices": choices, **how}
            # Whole models read only what annotators compared: the first two of five pairs.
            assert reference == base.reference and folder.parent == tmp_path
            assert texts == (base.pool.prompts[:4], base.pool.completions[:4])
            found = 1 - np.asarray(assigned) if folder.name == "mixture" else assigned
            return Learned(folder.name, n, []), found

        monkeypatch.setattr(experiment, "learn_models", learn_models)
        group = experiment.ask(self.GOLD, (3, 1), 4, 3, seed=2)[0]
        fit = SimpleNamespace(responsibilities=np.eye(2)[group], parameters=np.ones((2, 1)), weights=[0.5, 0.5])
        monkeypatch.setattr(experiment, "learn_mixture", lambda *given, **how: asked.update(em=(given, how)) or fit)

        def call(profile=SMALL, folder=tmp_path):
            found = experiment.learn_rewards(base, lambda p, c: self.GOLD, (3, 1), profile, seed=2, folder=folder)
            return *found, asked, group

        return call

    def test_whole_models(self, learn, base):
        rewards, report, asked, group = learn()
        (psi, choices, n), how = asked.pop("em")
        # Five pairs: annotators see the first two.
        assert psi.ravel().tolist() == [0, 1, 2, 3] and n == 2 and how == {"seed": 2} and len(choices[0]) == 12
        known = group.tolist()
        assert {name: (each["n"], each["assigned"]) for name, each in asked.items()} == {
            "single": (1, [0] * 4),
            "known": (2, known),
            "mixture": (2, known),
        }
        rounds = {name: (each["n_rounds"], each["seed"]) for name, each in asked.items()}
        assert rounds == {"single": (0, 2), "known": (0, 2), "mixture": (4, 2)}
        # EM over models is told what linear rewards may weigh, and begins with the groups that these have found.
        assert asked["mixture"]["features"].ravel().tolist() == [0, 1, 2, 3] and "features" not in asked["known"]
        assert "onto" not in asked["single"] and asked["known"]["onto"] is asked["mixture"]["onto"] is None
        # The mixture's groups came out the other way round.
        assert rewards["mixture"].order == [1, 0] and report["annotators"] == 4
        assert (report["assigned_right"], report["begun_right"]) == (1.0, 1.0)
        assert all(reward.over == base.pool.pair and reward.how == {} for reward in rewards.values())
        # Three fresh pairs, (4, 5), (6, 7), (8, 9): the later text is better for the first row, worse for the second.
        # The first group prefers 5, nothing, 8; the second 4, 7, 9.
        assert report["accuracy_single"] == [0.5, pytest.approx(2 / 3)]
        assert report["accuracy_known"] == [0.5, pytest.approx(1 / 3)]

    @pytest.mark.parametrize("bits", [{}, {"base_bf16": True}, {"reward_bf16": True}])
    def test_adapters_begin_with_what_their_base_makes_of_the_texts(self, learn, base, monkeypatch, bits):
        def embed(reference, prompts, completions, **how):
            assert reference == base.reference and (prompts, completions) == (
                base.pool.pair[0][:4],
                base.pool.pair[1][:4],
            )
            assert how == {"cpu": False, "bf16": bool(bits)}
            return np.array([[7.0], [8], [9], [6]])

        monkeypatch.setattr(experiment, "embed", embed)
        asked = learn(replace(SMALL, lora=4, cpu=False, **bits))[2]
        assert asked["em"][0][0].ravel().tolist() == asked["mixture"]["features"].ravel().tolist() == [7, 8, 9, 6]
        # Rewards that are linear in attributes are no adapters, whatever the policy is.
        monkeypatch.setattr(experiment, "Rewards", lambda *given: Learned("linear", 2, []))
        assert learn(replace(SMALL, lora=4, reward="linear"))[2]["em"][0][0].ravel().tolist() == [0, 1, 2, 3]

    def test_a_group_without_people_is_told_before_anything_is_trained(self, learn, monkeypatch):
        nobody = SimpleNamespace(responsibilities=np.eye(2)[[1, 1, 1, 1]])
        monkeypatch.setattr(experiment, "learn_mixture", lambda *given, **how: nobody)
        monkeypatch.setattr(experiment, "learn_models", None)
        with pytest.raises(ValueError, match=r"each of 2 groups, got \[0, 4\] in the linear mixture$"):
            learn()

    def test_adapters_share_a_base(self, learn, monkeypatch):
        monkeypatch.setattr(experiment, "AdapterRewards", Learned)
        rewards, _, asked, _ = learn()
        assert asked["known"]["onto"] is asked["mixture"]["onto"] is rewards["single"]

    @pytest.mark.parametrize(
        ("changes", "options", "message"),
        [
            ({}, {"folder": None}, "^folder: expected where to train reward models, got none$"),
            ({"n_groups": 3}, {}, "^profile: expected linear rewards for another number of groups or one unit"),
            ({"common_unit": True}, {}, "^profile: expected linear rewards for another number of groups or one unit"),
        ],
    )
    def test_what_models_do_not_know(self, learn, changes, options, message):
        with pytest.raises(ValueError, match=message):
            learn(replace(SMALL, **changes), **options)

    @pytest.mark.parametrize("main", [True, False])
    def test_one_process_keeps_what_all_have_learned(self, base, monkeypatch, tmp_path, main):
        waited, asked, log, folder = [], [], [], tmp_path / "seed"
        (folder / "reward-models").mkdir(parents=True)
        state = SimpleNamespace(is_main_process=main, wait_for_everyone=lambda: waited.append(1))

        def learn(*given, seed, folder):
            asked.append((given[2], seed, folder))
            return {name: Learned(name, 1, log) for name in ("single", "known")}, {"annotators": 4}

        monkeypatch.setattr(experiment, "learn_rewards", learn)
        monkeypatch.setattr(experiment, "load_rewards", lambda folder, profile: ("loaded", folder, profile))
        setting = find_setting("80:20")
        given = (base, None, setting, replace(SMALL, annotator_seed=0), 5, folder, state)
        assert experiment._kept_rewards(*given) == ("loaded", folder, given[3])
        assert asked == [((0.8, 0.2), 0, folder / "reward-models")] and len(waited) == 2
        assert log == ([(name, folder / "rewards" / name) for name in ("single", "known")] if main else [])
        assert (folder / "reward-models").exists() != main and (folder / "settings.json").exists() == main
        if main:
            noted = json.loads((folder / "settings.json").read_text())
            assert noted == {"profile": asdict(given[3]), "setting": json.loads(json.dumps(asdict(setting))), "seed": 5}
            assert experiment._kept_rewards(*given)[0] == "loaded" and len(asked) == 1 and len(waited) == 3
            (folder / "learned.json").unlink()
        experiment._kept_rewards(*given[:3], SMALL, *given[4:])
        assert asked[-1][1] == 5

    def test_what_is_loaded_is_what_a_profile_learned(self, monkeypatch):
        def loader(kind):
            return SimpleNamespace(load=lambda folder, **how: (kind, folder, how))

        for name in ("Rewards", "AdapterRewards", "ModelRewards"):
            monkeypatch.setattr(experiment, name, loader(name))
        at = Path("here")
        found = experiment.load_rewards(at, find_profile("smoke"))
        assert found == {name: ("Rewards", at / "rewards" / name, {}) for name in ("single", "mixture", "known")}
        found = experiment.load_rewards(at, replace(SMALL, cpu=False), ["single"])
        assert found == {"single": ("ModelRewards", at / "rewards" / "single", {"cpu": False})}
        for bits in ({}, {"base_bf16": True}, {"reward_bf16": True}):
            found = experiment.load_rewards(at, replace(SMALL, lora=4, **bits), ["single", "known"])
            how = {"cpu": True, "bf16": bool(bits)}
            assert found["single"] == ("AdapterRewards", at / "rewards" / "single", how | {"onto": None})
            assert found["known"][2] == how | {"onto": found["single"]}

    @pytest.mark.parametrize("main", [True, False])
    def test_a_run_begins_with_its_base(self, base, monkeypatch, tmp_path, main):
        said, told, setting = [], {}, find_setting("80:20")
        state = SimpleNamespace(is_main_process=main, main_process_first=contextlib.nullcontext)
        base.gold = "what they want"
        monkeypatch.setattr(experiment, "join", lambda cpu: told.update(cpu=cpu) or state)
        monkeypatch.setattr(experiment, "prepare", lambda profile, root, say: say("prepared") or base)
        monkeypatch.setattr(experiment, "Gold", lambda *given: given)
        monkeypatch.setattr(experiment, "_kept_rewards", lambda *given: told.update(kept=given) or {"single": 1})
        monkeypatch.setattr(experiment, "make_all", lambda *given, say: [given])
        ((making, gold, folder, name, methods),) = experiment.run_methods(
            "80:20", SMALL, tmp_path, seed=3, say=said.append
        )
        assert said == (["prepared"] if main else []) and told["cpu"] is True and name == "80:20"
        assert folder == run_folder("80:20", SMALL, tmp_path, seed=3) and methods == setting.methods
        assert gold == ("what they want", setting.tastes, *base.pool.pair)
        assert told["kept"] == (base, gold, setting, SMALL, 3, folder, state)
        assert (making.groups, making.seed, making.rewards) == (("majority", "minority"), 3, {"single": 1})
        found = experiment.run_methods("80:20", SMALL, tmp_path, seed=3, methods=[])
        assert found[0][4] == ()


class TestGroupReward:
    VALUES = np.array([[3.0, 1.0, 2.0], [0.0, 2.0, 1.0]])

    def reward(self, *given, **more):
        return GroupReward(lambda p, c: self.VALUES, *given, groups=["a", "b"], **more)

    def test_weights_move_once_a_step(self):
        reward, step = self.reward(Egalitarian(), 0.5), SimpleNamespace(global_step=1)
        # From even weights by the means, two and one.
        first = np.exp([-1.0, -0.5]) / np.exp([-1.0, -0.5]).sum()
        for _ in range(2):
            assert reward(["p"] * 3, ["t"] * 3, trainer_state=step) == pytest.approx((first @ self.VALUES).tolist())
        step.global_step = 2
        second = np.exp([-2.0, -1.0]) / np.exp([-2.0, -1.0]).sum()
        assert reward(["p"] * 3, ["t"] * 3, trainer_state=step) == pytest.approx((second @ self.VALUES).tolist())
        # Without a step every call is one; while texts are only judged none is.
        reward(["p"] * 3, ["t"] * 3)
        assert np.exp(reward.log_weights) == pytest.approx(np.exp([-3, -1.5]) / np.exp([-3, -1.5]).sum())
        reward.evaluating = lambda: True
        before = reward.log_weights.copy()
        reward(["p"] * 3, ["t"] * 3)
        assert (reward.log_weights == before).all() and reward.scored is not None and reward.penalty == 0.0

    def test_what_is_logged(self):
        for more, weights in (({}, [0.0, 1.0]), ({"per_response": True}, [1 / 3, 2 / 3])):
            reward, logged = self.reward(Egalitarian(), **more), {}
            found = reward(["p"] * 3, ["t"] * 3, log_metric=logged.__setitem__)
            assert list(logged) == ["weight/a", "value/a", "weight/b", "value/b"]
            assert list(logged.values()) == pytest.approx([weights[0], 2.0, weights[1], 1.0])
            assert found == ([0.0, 1.0, 1.0] if more else [0.0, 2.0, 1.0])

    def test_what_does_not_go_together(self):
        for given, more, message in (
            ((Egalitarian(),), {"start": [0.5, 0.5]}, "^start: expected None without a rate"),
            ((Egalitarian(), 0.1), {"start": [1.0, 0.0]}, "^start: expected weights above 0"),
            ((Egalitarian(), -0.1), {}, "^rate: expected a finite number of at least 0, got -0.1$"),
            ((Egalitarian(), np.inf), {}, "^rate: expected a finite number of at least 0, got inf$"),
            ((Egalitarian(), 0.0), {"per_response": True}, "^rate: expected None with per_response"),
            ((Utilitarian(), 0.1), {}, "^rate: expected None for Utilitarian, which binds its weights"),
        ):
            with pytest.raises(ValueError, match=message):
                self.reward(*given, **more)
        assert self.reward(Egalitarian(), 0.0).log_weights.tolist() == [-np.log(2)] * 2
