import time

import numpy as np
import pytest

from maxmin_core.alignment import Egalitarian
from maxmin_core.lm.features import FEATURES, TextFeatures
from maxmin_core.lm.group_reward import GroupReward
from maxmin_core.lm.reward import Rewards
from maxmin_core.lm.sentiment import Sentiment


@pytest.fixture(scope="module")
def world():
    """Sixty-four texts of fourteen words, as a step has them, and rewards of three groups on them."""
    rng = np.random.default_rng(0)
    words = np.array([f"{a}{b}" for a in "bcdfghklmnprst" for b in ("a", "e", "i", "o", "u", "an", "en", "in")])
    draw = [" ".join(rng.choice(words, size=14)) for _ in range(2000)]
    sentiment = Sentiment.fit(draw, [int("ba" in text.split()) for text in draw])
    prompts, texts = ["ba be bi"] * 64, draw[:64]
    features = TextFeatures.fit(sentiment, prompts, texts)
    rewards = Rewards(features, rng.normal(size=(3, len(FEATURES))), np.ones(3) / 3).calibrated(prompts, texts)
    return rewards, prompts, texts


def test_what_the_welfare_costs_a_step(world, benchmark):
    benchmark.extra_info["promised"] = "at most 2% of a step over plain weighted rewards"
    # A step of the cpu profile takes about 230 ms.
    rewards, prompts, texts = world
    reward = GroupReward(rewards, Egalitarian(), 0.05, groups=["a", "b", "c"])
    benchmark.pedantic(reward, args=(prompts, texts), rounds=50, warmup_rounds=5)
    plain = []
    for _ in range(50):
        begun = time.perf_counter()
        (np.full(3, 1 / 3) @ rewards(prompts, texts)).tolist()
        plain.append(time.perf_counter() - begun)
    extra = benchmark.stats.stats.median - np.median(plain)
    benchmark.extra_info["percent of a step"] = 100 * extra / 0.23
    print(f"\nthe welfare: {1e3 * extra:.3f} ms a step, {100 * extra / 0.23:.3f}% of 230 ms")


# TRL and transformers warn of their own deprecations.
@pytest.mark.filterwarnings("default")
def test_a_whole_step_beside_fixed_weights(world, benchmark, tmp_path):
    """Median step of TRL on a model of the cpu profile, in turns: the welfare, fixed weights, and TRL's own weights."""
    benchmark.extra_info["promised"] = "no slower than fixed weights, and than weights that TRL applies"
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import RLOOConfig, RLOOTrainer

    from maxmin_core.lm.policy import load_policy
    from maxmin_core.lm.reference import make_gpt2, make_tokenizer

    rewards, prompts, texts = world
    tokenizer = make_tokenizer(texts + prompts, 1200)
    shape = {"layers": 3, "width": 128, "heads": 4}
    make_gpt2(tokenizer, positions=20, seed=0, **shape).save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.begun = time.perf_counter()

        def on_step_end(self, *_, **__):
            self.seconds.append(time.perf_counter() - self.begun)

    def fixed_weights(prompts, completions, **_):
        return (np.full(3, 1 / 3) @ rewards(prompts, completions)).tolist()

    def of_group(u):
        only = rewards.of([u])

        def reward(prompts, completions, **_):
            return only(prompts, completions)[0].tolist()

        reward.__name__ = f"group_{u}"
        return reward

    def steps(reward, **weights):
        clock = Clock()
        clock.seconds = []
        model, tokenizer = load_policy(tmp_path / "policy")
        options = {
            "max_steps": 12,
            "per_device_train_batch_size": 64,
            "num_generations": 8,
            "max_completion_length": 14,
        }
        options |= {"beta": 0.15, "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no"}
        options |= {"output_dir": str(tmp_path / "run"), "disable_tqdm": True, "activation_checkpointing": False}
        options |= weights
        data = Dataset.from_dict({"prompt": prompts * 12})
        RLOOTrainer(
            model, reward, RLOOConfig(**options), train_dataset=data, processing_class=tokenizer, callbacks=[clock]
        ).train()
        return clock.seconds[2:]

    seconds = {"welfare": [], "fixed": [], "TRL's": []}

    def both():
        seconds["fixed"] += steps(fixed_weights)
        seconds["welfare"] += steps(GroupReward(rewards, Egalitarian(), 0.05, groups=["a", "b", "c"]))
        # A reward function for each group, weighed by TRL: each reads the text anew.
        seconds["TRL's"] += steps([of_group(u) for u in range(3)], reward_weights=[1 / 3] * 3)

    benchmark.pedantic(both, rounds=3)
    median = {name: np.median(found) for name, found in seconds.items()}
    for name in ("fixed", "TRL's"):
        benchmark.extra_info[f"percent over {name}"] = 100 * (median["welfare"] / median[name] - 1)
    print("\nmedian step: " + ", ".join(f"{name} {1e3 * found:.1f} ms" for name, found in median.items()))
