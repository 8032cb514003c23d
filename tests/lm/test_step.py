from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import TrainerCallback
from trl import RLOOTrainer

from maxmin_core.alignment import Egalitarian, Utilitarian
from maxmin_core.lm import trainer as training
from maxmin_core.lm.group_reward import GroupReward
from maxmin_core.lm.policy import load_policy, log_probabilities
from maxmin_core.lm.step import log_probability, max_min_step
from maxmin_core.lm.trainer import make_trainer

PROMPTS = ["the film", "this movie", "a story", "the plot", "one scene"]
GROUPS = ["majority", "minority"]
WAYS = {
    "exponentiated gradient": lambda rewards: GroupReward(rewards, Egalitarian(), 0.5, groups=GROUPS),
    "hard": lambda rewards: GroupReward(rewards, Egalitarian(), groups=GROUPS),
    "average": lambda rewards: GroupReward(rewards, Utilitarian([0.8, 0.2]), groups=GROUPS),
    "per response": lambda rewards: GroupReward(rewards, Egalitarian(), groups=GROUPS, per_response=True),
}


class Watched(RLOOTrainer):
    """TRL's trainer, which keeps its texts, and loss and gradients as they leave the loss: before they are clipped."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = []

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids):
        self.drawn = (prompts, completion_ids)
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids)

    def training_step(self, model, inputs, num_items_in_batch):
        loss = super().training_step(model, inputs, num_items_in_batch)
        gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        self.seen.append((*self.drawn, loss.item(), gradients))
        return loss


@pytest.fixture
def both(policy_folder, rewards, tiny, tmp_path, monkeypatch):
    """Steps of TRL's trainer, and the same steps on the same texts by the plain function."""

    def run(way, steps=3, beta=0.4, rate=1e-2, prompts_per_step=3, reward_scale=1.0):
        def scaled(prompts, completions):
            return reward_scale * rewards(prompts, completions)

        profile = replace(tiny, steps=steps, rate=rate, prompts_per_step=prompts_per_step)
        monkeypatch.setattr(training, "RLOOTrainer", Watched)
        logged = Logged()
        trainer = make_trainer(
            WAYS[way](scaled), PROMPTS, policy_folder, profile, tmp_path, seed=0, beta=beta, callbacks=[logged]
        )
        trainer.train()
        (model, tokenizer), (reference, _) = load_policy(policy_folder), load_policy(policy_folder)
        optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.0)
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
        reward, ours = WAYS[way](scaled), []
        for prompts, drawn, *_ in trainer.seen:
            k = profile.samples_per_prompt
            assert prompts == [p for p in prompts[::k] for _ in range(k)]
            options = {"n_samples": k, "n_tokens": profile.new_tokens, "beta": beta, "drawn": drawn}
            # What was there before must not count: the step starts from no gradient.
            metrics = max_min_step(model, reference, tokenizer, prompts[::k], reward, optimizer, **options)
            # Scaled back: the function leaves the clipped gradient.
            length = max(metrics["grad_norm"], 1.0)
            gradients = {name: parameter.grad * length for name, parameter in model.named_parameters()}
            falling.step()
            ours.append((metrics, gradients))
        return trainer, logged.rows, ours, model, tokenizer

    return run


class Logged(TrainerCallback):
    def __init__(self):
        self.rows = []

    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in logs:
            self.rows.append(dict(logs))


class TestBesideTRL:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("reward_scale", [0.1, 30.0])
    def test_the_same_loss_and_gradient(self, both, way, reward_scale):
        # Scaled up, the gradient is longer than 1, and clipped.
        trainer, logged, ours, *_ = both(way, reward_scale=reward_scale)
        lengths = [row["grad_norm"] for row in logged]
        assert min(lengths) > 1.0 if reward_scale > 1 else max(lengths) < 1.0
        for (*_, loss, gradients), row, (metrics, found) in zip(trainer.seen, logged, ours, strict=True):
            largest = max(gradient.abs().max().item() for gradient in gradients.values())
            assert gradients.keys() == found.keys()
            for name, gradient in gradients.items():
                assert (gradient - found[name]).abs().max().item() <= 1e-5 * largest, name
            # Both losses are zero up to rounding, in units of the advantages.
            assert abs(loss - metrics["loss"]) <= 1e-5 * max(reward_scale, 1.0)
            assert row["grad_norm"] == pytest.approx(metrics["grad_norm"], rel=1e-4)
            for name in ("weight/majority", "weight/minority", "value/majority", "value/minority"):
                assert row[name] == pytest.approx(metrics[name], abs=1e-5)

    def test_the_same_policy_after_ten_steps(self, both, policy_folder):
        trainer, _, _, model, tokenizer = both("exponentiated gradient", steps=10)
        prompts, drawn, *_ = trainer.seen[-1]
        start, here, there = (
            log_probabilities(m, tokenizer, prompts, drawn)
            for m in (load_policy(policy_folder)[0], model, trainer.model.eval())
        )
        # Not parameter by parameter: attention's key biases change no probability, and Adam enlarges their rounding.
        assert np.abs(here - start).max() > 0.5
        np.testing.assert_allclose(here, there, atol=1e-3)


class TestByItself:
    def test_log_probability_is_that_of_the_evaluation(self, policy_folder):
        model, tokenizer = load_policy(policy_folder)
        prompts = ["the film", "this movie", "a story"]
        completions = [tokenizer.encode(text, add_special_tokens=False) for text in ("is good .", "was", "seems bad")]
        found = log_probability(model, tokenizer(prompts)["input_ids"], completions).tolist()
        np.testing.assert_allclose(found, log_probabilities(model, tokenizer, prompts, completions), atol=1e-5)

    def test_the_gradient_by_hand(self, policy_folder, rewards):
        # Two texts on a prompt: half the difference of their scores times that of their log probabilities' gradients.
        (model, tokenizer), (reference, _) = load_policy(policy_folder), load_policy(policy_folder)
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter.mul_(1.1)
        texts, beta = ["is great .", "was awful , no !"], 0.7
        drawn = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        log_policy = log_probability(model, tokenizer(["the film"] * 2)["input_ids"], drawn)
        log_reference = log_probabilities(reference, tokenizer, ["the film"] * 2, drawn)
        values = rewards(["the film"] * 2, texts)
        score = values[values.mean(axis=1).argmin()] - beta * (log_policy.detach().numpy() - log_reference)
        (log_policy[0] - log_policy[1]).mul(-(score[0] - score[1]) / 2).backward()
        expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        size = torch.sqrt(sum((gradient**2).sum() for gradient in expected.values())).item()
        optimizer = torch.optim.SGD(model.parameters(), 0.0)
        reward = WAYS["hard"](rewards)
        options = {"n_samples": 2, "n_tokens": 6, "beta": beta, "drawn": drawn}
        metrics = max_min_step(model, reference, tokenizer, ["the film"], reward, optimizer, **options)
        assert metrics["grad_norm"] == pytest.approx(size, rel=1e-4)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, expected[name] / max(size, 1.0), atol=1e-6, rtol=1e-4)

    def test_steps_of_its_own_raise_the_worst_group(self, policy_folder, rewards):
        (model, tokenizer), (reference, _) = load_policy(policy_folder), load_policy(policy_folder)
        optimizer = torch.optim.AdamW(model.parameters(), 2e-2, weight_decay=0.0)
        reward, worst = GroupReward(rewards, Egalitarian(), 0.05, groups=GROUPS), []
        for seed in range(40):
            options = {"n_samples": 8, "n_tokens": 6, "beta": 0.02, "seed": seed}
            metrics = max_min_step(model, reference, tokenizer, PROMPTS[:4], reward, optimizer, **options)
            worst.append(min(metrics["value/majority"], metrics["value/minority"]))
        assert np.mean(worst[-10:]) > np.mean(worst[:10]) + 0.2
        assert metrics["kl"] > 0

    def test_the_texts_are_the_policy_s_own(self, policy_folder, rewards):
        # The same seed draws the same texts; another, others.
        (model, tokenizer), (reference, _) = load_policy(policy_folder), load_policy(policy_folder)
        frozen, found = torch.optim.SGD(model.parameters(), 0.0), []
        for seed in (0, 0, 1):
            options = {"n_samples": 4, "n_tokens": 6, "beta": 0.1, "seed": seed}
            found.append(max_min_step(model, reference, tokenizer, PROMPTS, WAYS["hard"](rewards), frozen, **options))
        assert found[0] == found[1] != found[2]
