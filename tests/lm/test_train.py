import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from maxmin_core.alignment import ChiSquare, CVaR, Egalitarian, Nash, Regret, Utilitarian
from maxmin_core.lm import train as training
from maxmin_core.lm.group_reward import GroupReward
from maxmin_core.lm.policy import load_policy
from maxmin_core.lm.reference import last_checkpoint
from maxmin_core.lm.train import METHODS, train

TEXTS = (["the film"] * 3, ["is good .", "was bad !", "is"])
PROMPTS = ["the film", "this movie", "a story", "the plot", "one scene"]


def fixed(values):
    return lambda prompts, completions: np.asarray(values, dtype=float)


def test_methods_that_change_one_thing_differ_in_nothing_else():
    """What is compared with a method shares everything with it but what its name says."""
    for one, other, change in (
        ("grpo", "grpo_scaled", {"trainer": "grpo_scaled"}),
        ("equal", "grpo", {"trainer": "grpo"}),
        ("maxmin_predicted", "maxmin_fixed", {"rate": 0.0}),
    ):
        assert replace(METHODS[one], name=other, **change) == METHODS[other]


class TestGroupReward:
    def test_the_worst_group_s_reward_is_what_trl_gets(self):
        reward = GroupReward(fixed([[3.0, 1.0, 2.0], [0.0, 5.0, 0.0]]), Egalitarian(), groups=["a", "b"])
        logged = {}
        assert reward(*TEXTS, log_metric=logged.__setitem__) == [0.0, 5.0, 0.0]
        assert (logged["weight/a"], logged["weight/b"]) == (0.0, 1.0)

    def test_not_the_minimum_text_by_text(self):
        # Means 1 and 0.9: the second group counts, also where it likes a text better than the first.
        reward = GroupReward(fixed([[3.0, 0.0, 0.0], [0.0, 0.0, 2.7]]), Egalitarian(), groups=["a", "b"])
        assert reward(*TEXTS) == [0.0, 0.0, 2.7]

    def test_shares_are_the_average_s_weights(self):
        reward = GroupReward(fixed([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), Utilitarian([0.8, 0.2]), groups=["a", "b"])
        np.testing.assert_allclose(reward(*TEXTS), [0.8, 0.2, 0.0])

    def test_exponentiated_gradient_by_hand(self):
        reward = GroupReward(fixed([[3.0, 3.0, 3.0], [1.0, 1.0, 1.0]]), Egalitarian(), 0.5, groups=["a", "b"])
        for step in (1, 2):
            got = reward(*TEXTS)
            weight = 1 / (1 + np.exp(-0.5 * 2.0 * step))
            np.testing.assert_allclose(got, 3.0 * (1 - weight) + 1.0 * weight)

    def test_other_welfares_move_down_their_own_dual(self):
        values = fixed([[3.0, 3.0, 3.0], [1.0, 1.0, 1.0]])
        # Regret counts from what each has alone: the first group is 1 short of its best, the second 3.
        reward = GroupReward(values, Regret([4.0, 4.0]), 0.5, groups=["a", "b"], start=[0.25, 0.75])
        reward(*TEXTS)
        by_hand = np.array([0.25 * np.exp(-0.5 * (3 - 4)), 0.75 * np.exp(-0.5 * (1 - 4))])
        np.testing.assert_allclose(np.exp(reward.log_weights), by_hand / by_hand.sum())
        # Nash: surplus - G eta / w, with G = .25 3 + .75 1 less what the divergence costs.
        reward = GroupReward(values, Nash([0.0, 0.0]), 0.5, groups=["a", "b"], start=[0.25, 0.75])
        reward.penalty = 0.3
        reward(*TEXTS)
        slope = np.array([3 - 1.2 * 0.5 / 0.25, 1 - 1.2 * 0.5 / 0.75])
        by_hand = np.array([0.25, 0.75]) * np.exp(-0.5 * slope)
        np.testing.assert_allclose(np.exp(reward.log_weights), by_hand / by_hand.sum())

    def test_a_rate_of_zero_keeps_the_weights(self):
        reward = GroupReward(
            fixed([[3.0, 3.0, 3.0], [1.0, 1.0, 1.0]]), Egalitarian(), 0.0, groups=["a", "b"], start=[0.2, 0.8]
        )
        for _ in range(3):
            np.testing.assert_allclose(reward(*TEXTS), 0.2 * 3 + 0.8 * 1)

    @pytest.mark.parametrize(
        ("welfare", "options", "message"),
        [
            (CVaR(0.5), {"rate": 0.1}, "^rate: expected None for CVaR, which binds its weights"),
            (CVaR(1.0), {"rate": 0.5}, "^rate: expected None for CVaR"),
            (ChiSquare(1.0), {"rate": 0.1}, "^rate: expected None for ChiSquare"),
            (CVaR(0.5), {"rate": 0.0}, "^rate: expected None for CVaR"),
            (Utilitarian([0.8, 0.2]), {"rate": 0.0}, "^rate: expected None for Utilitarian"),
            (Egalitarian(), {"rate": 0.1, "per_response": True}, "^rate: expected None with per_response"),
            (Utilitarian(), {"rate": 0.1}, "^rate: expected None for Utilitarian"),
            (Egalitarian(), {"rate": -0.1}, "^rate: expected a finite number of at least 0, got -0.1"),
            (Egalitarian(), {"rate": np.inf}, "^rate: expected a finite number"),
            (Egalitarian(), {"rate": 0.1, "start": [0.0, 1.0]}, "^start: expected weights above 0"),
            (Egalitarian(), {"rate": 0.1, "start": [0.2, 0.7]}, "^start: expected non-negative weights that sum to 1"),
            (Egalitarian(), {"start": [0.5, 0.5]}, "^start: expected None without a rate"),
            (Nash(), {"rate": 0.1}, "^disagreement: expected the groups' values without agreement, got None"),
            (Regret(), {"rate": 0.1}, "^best: expected every group's best value, got None"),
        ],
    )
    def test_what_a_rate_would_ignore_is_refused(self, welfare, options, message):
        with pytest.raises(ValueError, match=message):
            GroupReward(fixed([[1.0, 1.0, 1.0]] * 2), welfare, groups=["a", "b"], **options)(*TEXTS)

    def test_weights_that_overflow_stop_the_training(self):
        reward = GroupReward(fixed([[3.0, 3.0, 3.0], [1.0, 1.0, 1.0]]), Nash([0.0, 0.0]), 1e308, groups=["a", "b"])
        with np.errstate(all="ignore"), pytest.raises(ValueError, match="^rate: expected one at which weights stay"):
            for _ in range(3):
                reward(*TEXTS)

    def test_stable_at_large_rewards(self):
        values = 1e3 * np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, -0.9]])
        for rate in (None, 5.0):
            reward = GroupReward(fixed(values), Egalitarian(), rate, groups=["a", "b"])
            for _ in range(50):
                logged = {}
                assert np.isfinite(reward(*TEXTS, log_metric=logged.__setitem__)).all()
                assert logged["weight/a"] + logged["weight/b"] == pytest.approx(1.0)

    def test_a_weight_that_became_tiny_can_grow_again(self):
        values = 1e3 * np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
        rewards = {"now": values}
        reward = GroupReward(lambda p, c: rewards["now"], Egalitarian(), 1.0, groups=["a", "b"])
        logged = []
        for step in range(50):
            rewards["now"] = values if step < 20 else -values
            reward(*TEXTS, log_metric=lambda name, value: logged.append((name, value)))
        # Twenty steps for the second group, thirty for the first: it has the weight at the end.
        assert dict(logged[:4])["weight/b"] == 1.0 and dict(logged[-4:])["weight/a"] == 1.0

    def test_the_minimum_text_by_text_still_names_groups(self):
        logged = {}
        values = [[3.0, 1.0, 2.0], [0.0, 5.0, np.inf]]
        reward = GroupReward(fixed(values), Egalitarian(), groups=["a", "b"], per_response=True)
        with pytest.raises(ValueError, match="infinity for b"):
            reward(*TEXTS)
        values[1][2] = 7.0
        reward.rewards = fixed(values)
        assert reward(*TEXTS, log_metric=logged.__setitem__) == [0.0, 1.0, 2.0]
        np.testing.assert_allclose([logged["weight/a"], logged["value/b"]], [2 / 3, 4.0])

    @pytest.mark.parametrize("weights", [[-0.5, 1.5], [np.nan, 1.0], [0.0, 0.0], [1.0]])
    def test_a_welfare_whose_weights_are_none_stops(self, weights):
        class Wrong(Egalitarian):
            def weights(self, v):
                return np.array(weights)

        reward = GroupReward(fixed([[3.0, 1.0, 2.0], [0.0, 5.0, 0.0]]), Wrong(), groups=["a", "b"])
        with pytest.raises(ValueError, match="^welfare: expected Wrong.weights to be non-negative, finite"):
            reward(["p"] * 3, ["a", "b", "c"])

    def test_a_reward_that_is_not_finite_stops_with_group_and_step(self):
        class State:
            global_step = 7

        reward = GroupReward(fixed([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]]), Egalitarian(), groups=["a", "b"])
        with pytest.raises(ValueError, match="^rewards: expected finite rewards, got NaN or infinity for b at step 7"):
            reward(*TEXTS, trainer_state=State())

    def test_weights_and_values_are_logged_by_group(self):
        logged = {}
        reward = GroupReward(fixed([[1.0, 1.0, 1.0], [0.0, 0.0, 3.0]]), Egalitarian(), groups=["a", "b"])
        reward(*TEXTS, log_metric=logged.__setitem__)
        assert logged == {"weight/a": 0.5, "weight/b": 0.5, "value/a": 1.0, "value/b": 1.0}

    def test_trl_can_name_it(self):
        assert GroupReward(fixed([[0.0]]), Egalitarian(), groups=["a"]).__name__ == "group_reward"


@pytest.fixture
def setup(policy_folder, rewards, tiny):
    def run(folder, method="maxmin", seed=0, profile=tiny, **options):
        names = ["everybody"] if METHODS[method].rewards == "single" else ["majority", "minority"]
        return train(METHODS[method], rewards, names, PROMPTS, policy_folder, profile, folder, seed=seed, **options)

    return run


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


class TestTrain:
    @pytest.mark.parametrize("method", ["average", "equal", "maxmin", "maxmin_hard", "per_response"])
    def test_every_method_trains(self, setup, tmp_path, policy_folder, method):
        assert setup(tmp_path / "run", method) == tmp_path / "run"
        rows = lines(tmp_path / "run")
        assert [row["step"] for row in rows] == [1, 2, 3, 4]
        weights = [sum(v for k, v in row.items() if k.startswith("weight/")) for row in rows]
        np.testing.assert_allclose(weights, 1.0, atol=1e-6)
        before, after = (load_policy(f)[0].state_dict() for f in (policy_folder, tmp_path / "run"))
        assert any(not torch.equal(before[name], after[name]) for name in before)
        assert not list(tmp_path.rglob("pytorch_model.bin"))

    def test_an_interrupted_run_resumes_and_ends_the_same(self, setup, tmp_path):
        # Two prompts a step of five: the second stop is in what would be another epoch.
        setup(tmp_path / "whole")
        for stop in (1, 3):
            assert setup(tmp_path / "cut", stop_at=stop) is None
            assert not (tmp_path / "cut" / "done.json").exists()
        setup(tmp_path / "cut")
        assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
        one, other = (load_policy(tmp_path / name)[0].state_dict() for name in ("whole", "cut"))
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)

    def test_a_checkpoint_that_was_cut_off_is_passed_over(self, setup, tmp_path):
        setup(tmp_path / "whole")
        setup(tmp_path / "cut", stop_at=2)
        # A kill while the next checkpoint is written, and in the middle of a line.
        (tmp_path / "cut" / "checkpoint-3").mkdir()
        with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
            file.write('{"step": 3, "lo')
        setup(tmp_path / "cut")
        assert lines(tmp_path / "cut") == lines(tmp_path / "whole")

    def test_a_killed_run_goes_on_and_ends_the_same(self, setup, tmp_path, policy_folder, rewards, tiny):
        # The system's SIGKILL, some steps past a checkpoint.
        profile = replace(tiny, steps=60)
        setup(tmp_path / "whole", profile=profile)
        rewards.save(tmp_path / "rewards")
        script = tmp_path / "train.py"
        script.write_text(
            "from pathlib import Path\n"
            "from maxmin_core.lm.profiles import Profile\n"
            "from maxmin_core.lm.reward import Rewards\n"
            "from maxmin_core.lm.train import METHODS, train\n"
            f"rewards = Rewards.load(Path({str(tmp_path / 'rewards')!r}))\n"
            f"policy = Path({str(policy_folder)!r})\n"
            f"train(METHODS['maxmin'], rewards, ['majority', 'minority'], {PROMPTS!r}, policy, "
            f"{profile!r}, Path({str(tmp_path / 'cut')!r}), seed=0)\n"
        )
        metrics = tmp_path / "cut" / "metrics.jsonl"
        child = subprocess.Popen([sys.executable, "-W", "ignore", script], stderr=subprocess.PIPE, text=True)
        late = time.monotonic() + 120
        try:
            while child.poll() is None and time.monotonic() < late:
                if metrics.exists() and len(metrics.read_text().splitlines()) >= 33:
                    break
                time.sleep(0.001)
        finally:
            child.kill()
            said = child.communicate()[1]
        assert child.returncode == -9, said[-2000:]
        begun = last_checkpoint(tmp_path / "cut", "weights.safetensors")
        assert begun.endswith("checkpoint-30") and not (tmp_path / "cut" / "done.json").exists()
        setup(tmp_path / "cut", profile=profile)
        assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
        one, other = (load_policy(tmp_path / name)[0].state_dict() for name in ("whole", "cut"))
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)

    @pytest.mark.parametrize("what", ["save_file", "write_json"])
    def test_a_disk_that_fills_up_loses_nothing(self, setup, tmp_path, monkeypatch, what):
        # The weights of a checkpoint, or the note that the run is done, cannot be written: the next call goes on.
        setup(tmp_path / "whole")
        setup(tmp_path / "cut", stop_at=1)

        def full(first, *_):
            if not str(first).endswith("settings.json"):
                raise OSError(28, "No space left on device")

        assert last_checkpoint(tmp_path / "cut", "weights.safetensors").endswith("checkpoint-1")
        with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full|No space left"):
            patch.setattr(training, what, full)
            setup(tmp_path / "cut")
        assert not (tmp_path / "cut" / "done.json").exists()
        # What was reached before is still there.
        assert last_checkpoint(tmp_path / "cut", "weights.safetensors") is not None
        setup(tmp_path / "cut")
        assert lines(tmp_path / "cut") == lines(tmp_path / "whole")

    def test_a_finished_run_is_not_run_again(self, setup, tmp_path):
        setup(tmp_path / "run")
        stamp = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
        setup(tmp_path / "run")
        assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == stamp

    @pytest.mark.parametrize(("change", "name"), [({"seed": 1}, "seed"), ({"beta": 0.5}, "beta")])
    def test_another_configuration_is_refused(self, setup, tmp_path, change, name):
        setup(tmp_path / "run", stop_at=1)
        with pytest.raises(ValueError, match=f"^folder: expected a run with the same settings, got others in {name}"):
            setup(tmp_path / "run", **change)

    def test_another_profile_is_refused(self, setup, tmp_path, tiny):
        setup(tmp_path / "run", stop_at=1)
        with pytest.raises(ValueError, match="others in profile"):
            setup(tmp_path / "run", profile=replace(tiny, steps=9))

    def test_a_prompt_that_leaves_no_room_is_refused(self, tmp_path, policy_folder, rewards, tiny):
        # GPT-2 has no more positions than it was made with.
        given = (rewards, ["a", "b"], ["the film", "the film is good and"], policy_folder, replace(tiny, new_tokens=7))
        with pytest.raises(ValueError, match="^prompts: expected at most 5 tokens, to leave room for 7, got 6"):
            train(METHODS["maxmin"], *given, tmp_path, seed=0)

    def test_the_group_minimum_rises(self, setup, tmp_path, rewards, tiny):
        profile = replace(tiny, steps=40, rate=2e-2, prompts_per_step=4, samples_per_prompt=8)
        setup(tmp_path / "run", "maxmin", profile=profile, beta=0.02)
        rows = lines(tmp_path / "run")
        worst = [min(v for k, v in row.items() if k.startswith("value/")) for row in rows]
        assert np.mean(worst[-10:]) > np.mean(worst[:10]) + 0.2
