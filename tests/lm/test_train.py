import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from maxmin_core.lm import train as training
from maxmin_core.lm.policy import load_policy, make_prompts
from maxmin_core.lm.train import METHODS, GroupReward, train
from maxmin_core.welfare import Egalitarian, Utilitarian

TEXTS = (["the film"] * 3, ["is good .", "was bad !", "is"])


def fixed(values):
    return lambda prompts, completions: np.asarray(values, dtype=float)


class TestGroupReward:
    def test_the_worst_group_s_reward_is_what_trl_gets(self):
        reward = GroupReward(fixed([[3.0, 1.0, 2.0], [0.0, 5.0, 0.0]]), Egalitarian(), groups=["a", "b"])
        assert reward(*TEXTS) == [0.0, 5.0, 0.0]
        assert reward.weights.tolist() == [0.0, 1.0]

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
            reward(*TEXTS)
            np.testing.assert_allclose(reward.weights[1], 1 / (1 + np.exp(-0.5 * 2.0 * step)))

    def test_stable_at_large_rewards(self):
        values = 1e3 * np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, -0.9]])
        for rate in (None, 5.0):
            reward = GroupReward(fixed(values), Egalitarian(), rate, groups=["a", "b"])
            for _ in range(50):
                assert np.isfinite(reward(*TEXTS)).all() and np.isfinite(reward.weights).all()
            np.testing.assert_allclose(reward.weights.sum(), 1.0)

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
def setup(policy_folder, texts, rewards, tiny):
    _, tokenizer = load_policy(policy_folder)
    prompts = make_prompts(texts, tokenizer, 2, 5, seed=0)

    def run(folder, method="maxmin", seed=0, profile=tiny, **options):
        names = ["everybody"] if METHODS[method].rewards == "single" else ["majority", "minority"]
        return train(METHODS[method], rewards, names, prompts, policy_folder, profile, folder, seed=seed, **options)

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

    @pytest.mark.parametrize("what", ["save_file", "write_json"])
    def test_a_disk_that_fills_up_loses_nothing(self, setup, tmp_path, monkeypatch, what):
        # The weights of a checkpoint, or the note that the run is done, cannot be written: the next call goes on.
        setup(tmp_path / "whole")
        setup(tmp_path / "cut", stop_at=1)

        def full(first, *_):
            if not str(first).endswith("settings.json"):
                raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full|No space left"):
            patch.setattr(training, what, full)
            setup(tmp_path / "cut")
        assert not (tmp_path / "cut" / "done.json").exists()
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

    def test_the_group_minimum_rises(self, setup, tmp_path, rewards, tiny):
        profile = replace(tiny, steps=40, rate=2e-2, prompts_per_step=4, samples_per_prompt=8)
        setup(tmp_path / "run", "maxmin", profile=profile, beta=0.02)
        rows = lines(tmp_path / "run")
        worst = [min(v for k, v in row.items() if k.startswith("value/")) for row in rows]
        assert np.mean(worst[-10:]) > np.mean(worst[:10]) + 0.2
