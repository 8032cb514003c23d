"""What a pretrained model brings along stays right: its weights' type, its padding; and zero steps train nothing."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from maxmin_core.lm.enumerable import WordRewards, make_reference
from maxmin_core.lm.group_reward import GroupReward
from maxmin_core.lm.policy import load_policy
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.reference import train_reference
from maxmin_core.lm.reward_model import train_reward_model
from maxmin_core.lm.train import METHODS, train


@pytest.fixture(scope="module")
def sixteen(policy_folder, tmp_path_factory):
    """The small policy as a hub would give it: its file holds 16-bit numbers."""
    folder = tmp_path_factory.mktemp("sixteen")
    AutoModelForCausalLM.from_pretrained(policy_folder).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(policy_folder).save_pretrained(folder)
    assert {value.dtype for value in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    return folder


def moved(before, after):
    """Share of the parameters that are others."""
    one, other = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert {value.dtype for value in other.values()} == {torch.float32}
    apart = [(one[name].float() != other[name]).flatten() for name in one if name in other]
    return torch.cat(apart).float().mean().item()


class TestSteps:
    def test_no_steps_leave_the_model_as_it_is(self, tiny, texts, policy_folder, tmp_path):
        short = [text for text in texts if len(text.split()) <= 10]
        profile = dataclasses.replace(tiny, model=str(policy_folder), revision="main", reference_steps=0)
        assert train_reference(short, profile, tmp_path) > 1
        one, other = (load_file(folder / "model.safetensors") for folder in (policy_folder, tmp_path))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class TestSixteenBits:
    # At these rates a step is smaller than what 16 bits can tell of a weight; in 32 bits nearly every weight moves.
    # (Adam moves a weight by about the rate; a 16-bit weight of .02 stands on a grid of .0001.)

    def test_the_reference_is_tuned_in_32(self, tiny, texts, sixteen, tmp_path):
        short = [text for text in texts if len(text.split()) <= 10]
        small = {"reference_steps": 10, "reference_rate": 1e-6}
        for bf16 in (False, True):
            profile = dataclasses.replace(tiny, model=str(sixteen), revision="main", bf16=bf16, **small)
            train_reference(short, profile, tmp_path / str(bf16))
            assert moved(sixteen, tmp_path / str(bf16)) > 0.5

    def test_the_policy_is_trained_in_32(self, tiny, sixteen, tmp_path):
        profile = dataclasses.replace(tiny, steps=6, rate=1e-6, bf16=True)

        def one_sided(prompts, completions):
            n = np.array([float(len(text)) for text in completions])
            return np.array([n, 0.1 * n])

        one_sided.shares, one_sided.fingerprint = np.array([0.5, 0.5]), lambda: "one-sided"
        prompts = ["the film", "this movie"]
        train(METHODS["equal"], one_sided, ["a", "b"], prompts, sixteen, profile, tmp_path / "run", seed=0)
        assert moved(sixteen, tmp_path / "run") > 0.5

    def test_the_reward_model_too(self, tiny, sixteen, tmp_path):
        profile = dataclasses.replace(tiny, reward_steps=6, reward_rate=1e-6)
        pair = (["the film is good . <end>"] * 4, ["the film was bad ! <end>"] * 4)
        model, _ = train_reward_model(sixteen, *pair, profile, tmp_path / "model", seed=0)
        assert model.dtype == torch.float32 and moved(sixteen, tmp_path / "model") > 0.5

    def test_a_frozen_base_may_stay_in_16(self, sixteen):
        assert load_policy(sixteen)[0].dtype == torch.float32
        assert load_policy(sixteen, bf16=True)[0].dtype == torch.bfloat16


class TestPadding:
    def test_an_existing_pad_token_is_kept(self, tiny, texts, policy_folder, tmp_path):
        profile = dataclasses.replace(tiny, model=str(policy_folder), revision="main", reference_steps=0)
        short = [text for text in texts if len(text.split()) <= 10]
        before = AutoTokenizer.from_pretrained(policy_folder)
        train_reference(short, profile, tmp_path)
        after = AutoTokenizer.from_pretrained(tmp_path)
        assert after.pad_token == before.pad_token != after.eos_token

    def test_where_there_is_none_the_end_pads(self, tiny, texts, policy_folder, tmp_path):
        there, short = tmp_path / "pretrained", [text for text in texts if len(text.split()) <= 10]
        tokenizer = AutoTokenizer.from_pretrained(policy_folder)
        tokenizer.pad_token = None
        load_policy(policy_folder)[0].save_pretrained(there)
        tokenizer.save_pretrained(there)
        profile = dataclasses.replace(tiny, model=str(there), revision="main", reference_steps=0)
        train_reference(short, profile, tmp_path / "tuned")
        assert AutoTokenizer.from_pretrained(tmp_path / "tuned").pad_token == tokenizer.eos_token


class TestWeights:
    """Group weights move once a step of training, and never in evaluation."""

    def reward(self):
        from maxmin_core.alignment import Egalitarian

        values = lambda prompts, completions: np.array([[3.0] * len(prompts), [1.0] * len(prompts)])  # noqa: E731
        return GroupReward(values, Egalitarian(), 0.5, groups=["a", "b"])

    def test_evaluation_judges_with_the_weights_of_the_moment(self):
        reward = self.reward()
        reward(["p"], ["t"])
        weights = reward.log_weights.copy()
        reward.evaluating = lambda: True
        expected = np.exp(weights) @ [3.0, 1.0]
        for _ in range(3):
            assert reward(["p"], ["t"]) == [pytest.approx(expected)]
        np.testing.assert_array_equal(reward.log_weights, weights)
        reward.evaluating = lambda: False
        reward(["p"], ["t"])
        assert reward.log_weights[1] > weights[1]

    def test_once_a_step_however_often_it_is_asked(self):
        class State:
            global_step = 4

        reward, once = self.reward(), self.reward()
        once(["p"], ["t"])
        for _ in range(3):
            reward(["p"], ["t"], trainer_state=State())
        np.testing.assert_array_equal(reward.log_weights, once.log_weights)
        State.global_step = 5
        reward(["p"], ["t"], trainer_state=State())
        assert reward.log_weights[1] > once.log_weights[1]

    def test_an_evaluation_between_two_steps_changes_no_training(self, tmp_path, monkeypatch):
        # TRL's own evaluation, after the second of four steps: what is logged of the steps stays the same.
        from datasets import Dataset
        from trl import RLOOTrainer

        from maxmin_core.lm import train as training

        prompts = make_reference(tmp_path / "policy", n_prompts=4, n_tokens=3)
        small = find_profile("smoke", steps=4, prompts_per_step=2, samples_per_prompt=2, new_tokens=3)
        rewards, make, logs = WordRewards([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5]), training.make_trainer, {}
        seen = []

        def with_evaluation(reward, *args, **options):
            trainer = make(reward, *args, **options)
            trainer.eval_dataset = Dataset.from_dict({"prompt": prompts})
            step = RLOOTrainer.training_step

            def and_judge(trainer, *more):
                if trainer.state.global_step == 2:
                    state = torch.get_rng_state()
                    before = reward.log_weights.copy()
                    trainer.model.eval()
                    trainer.evaluate()
                    trainer.model.train()
                    seen.append((before, reward.log_weights.copy()))
                    torch.set_rng_state(state)
                return step(trainer, *more)

            monkeypatch.setattr(RLOOTrainer, "training_step", and_judge)
            return trainer

        for name in ("plain", "judged"):
            if name == "judged":
                monkeypatch.setattr(training, "make_trainer", with_evaluation)
            run = tmp_path / name
            train(METHODS["maxmin_fast"], rewards, ["a", "b"], prompts, tmp_path / "policy", small, run, seed=0)
            rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            logs[name] = [[row[f"weight/{group}"] for group in "ab"] for row in rows if "loss" in row]
        np.testing.assert_array_equal(*seen[0])
        assert len(seen) == 1 and logs["judged"] == logs["plain"]
