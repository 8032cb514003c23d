"""A plan of a model so small that every byte can be counted: each part of each phase, and what a switch changes of it.

Words 96 and four special tokens, 20 positions, three blocks of width 8: 800 + 160 + 3 x 872 + 16 numbers. Texts of a
beginning, four words and five tokens; twelve a step.
"""

from dataclasses import replace

import pytest

from maxmin_core.lm.plan import disk, memory, plan
from maxmin_core.lm.profiles import Profile

GIB = 2**30
SMALL = Profile(
    "small",
    vocabulary=96,
    layers=3,
    width=8,
    heads=2,
    longest=18,
    reference_steps=7,
    reference_batch=3,
    prompt_words=4,
    new_tokens=5,
    prompts_per_step=3,
    samples_per_prompt=4,
    steps=9,
    reward="model",
    reward_steps=11,
    reward_batch=10,
)
# With a head of eight numbers; with adapters of rank 4 on four matrices of each block, 16 widths together.
POLICY, SCORER, TRAINED, OF_SCORER = 3592, 3600, 4 * 16 * 8 * 3, 4 * 16 * 8 * 3 + 8
ADAPTERS = replace(SMALL, lora=4)
WHOLE = {
    "rewards": {
        "model, gradient, Adam": 16 * SCORER,
        # One for all, two that EM finds, two of known groups.
        "rewards learned before": 5 * 4 * SCORER,
        # Ten pairs of ten tokens of width 8 in 32 bits; of each of three blocks 34 widths are kept.
        "activations (estimate)": 20 * 10 * 8 * 4 * 3 * 34,
    },
    "policy": {
        "model, gradient, Adam": 16 * POLICY,
        "reference": 4 * POLICY,
        "rewards: whole models": 5 * 4 * SCORER,
        "activations (estimate)": 12 * 10 * 8 * 4 * 3 * 34,
        "logits (estimate)": 3 * 4 * 12 * 5 * 100,
        # Keys and values of three blocks.
        "texts while they are drawn (estimate)": 12 * 10 * 2 * 3 * 8 * 4,
    },
    "judging": {
        "policy": 4 * POLICY,
        "reference": 4 * POLICY,
        "rewards: whole models": 5 * 4 * SCORER,
        "logits (estimate)": 4 * 2**28,
        # What a reward reads is more than what is drawn.
        "texts, drawn or read (estimate)": 256 * 10 * 34 * 8 * 4,
    },
}
DIVIDED = {
    "rewards": {
        "base": 4 * SCORER,
        "adapter, gradient, Adam": 16 * OF_SCORER,
        "base of rewards learned before": 4 * SCORER,
        "adapters learned before": 5 * 4 * OF_SCORER,
        "activations (estimate)": WHOLE["rewards"]["activations (estimate)"],
    },
    "policy": {
        "base": 4 * POLICY,
        "adapter, gradient, Adam": 16 * TRAINED,
        "rewards: base": 4 * SCORER,
        "rewards: adapters": 5 * 4 * OF_SCORER,
        **{part: number for part, number in WHOLE["policy"].items() if "estimate" in part},
    },
    "judging": {
        "policy": 4 * POLICY + 4 * TRAINED,
        "rewards: base": 4 * SCORER,
        "rewards: adapters": 5 * 4 * OF_SCORER,
        **{part: number for part, number in WHOLE["judging"].items() if "estimate" in part},
    },
}


def in_bytes(profile, **options):
    found = memory(profile, **options)
    return {phase: {part: pytest.approx(gib * GIB) for part, gib in parts.items()} for phase, parts in found.items()}


def changed(parts, **phases):
    return {phase: of | phases.get(phase, {}) for phase, of in parts.items()}


def test_whole_models():
    assert in_bytes(SMALL) == WHOLE


def test_adapters_on_a_base():
    assert in_bytes(ADAPTERS) == DIVIDED


def test_linear_rewards_take_nothing():
    found = in_bytes(replace(SMALL, reward="linear"))
    without = {"policy": WHOLE["policy"], "judging": WHOLE["judging"]}
    assert found == {k: {p: b for p, b in v.items() if "rewards" not in p} for k, v in without.items()}


def test_gpus_share_the_texts_but_each_has_a_pair():
    of = {part: number / 2 for part, number in WHOLE["policy"].items() if "estimate" in part}
    half = {"activations (estimate)": 10 * 10 * 8 * 4 * 3 * 34}
    assert in_bytes(SMALL, gpus=2) == changed(WHOLE, rewards=half, policy=of)
    assert memory(SMALL, gpus=12)["rewards"]["activations (estimate)"] * GIB == 2 * 10 * 8 * 4 * 3 * 34


def test_sixteen_bits():
    # While it computes, a model keeps half of what it would; weights that are trained stay in 32.
    half = {"activations (estimate)": WHOLE["rewards"]["activations (estimate)"] / 2}
    of_policy = {"activations (estimate)": WHOLE["policy"]["activations (estimate)"] / 2}
    assert in_bytes(replace(SMALL, bf16=True)) == changed(WHOLE, rewards=half, policy=of_policy)
    # A frozen base of two bytes: the rewards' alone, or both; what is drawn and read by them is halved, too.
    bases = {"base": 2 * SCORER, "base of rewards learned before": 2 * SCORER}
    reads = {"texts, drawn or read (estimate)": 256 * 10 * 34 * 8 * 2}
    rewards = {"rewards: base": 2 * SCORER}
    assert in_bytes(replace(ADAPTERS, reward_bf16=True)) == changed(
        DIVIDED, rewards=bases, policy=rewards, judging=rewards | reads
    )
    drawn = {"texts while they are drawn (estimate)": 12 * 10 * 2 * 3 * 8 * 2}
    assert in_bytes(replace(ADAPTERS, base_bf16=True)) == changed(
        DIVIDED,
        rewards=bases,
        policy=rewards | drawn | {"base": 2 * POLICY},
        judging=rewards | reads | {"policy": 2 * POLICY + 4 * TRAINED},
    )


def test_activations_computed_again():
    # What three blocks hand on, and what one keeps.
    rows = 3 + 34
    found = in_bytes(replace(SMALL, gradient_checkpointing=True, texts_at_once=4))
    more = {"activations (estimate)": 4 * 10 * 8 * 4 * rows, "logits (estimate)": 3 * 4 * 4 * 5 * 100}
    assert found == changed(WHOLE, rewards={"activations (estimate)": 20 * 10 * 8 * 4 * rows}, policy=more)


def test_a_policy_in_parts():
    found = in_bytes(replace(ADAPTERS, fsdp=True), gpus=2)["policy"]
    assert found["base"] == 2 * POLICY and found["adapter, gradient, Adam"] == 8 * TRAINED
    assert found["blocks that are put together (estimate)"] == 2 * 4 * POLICY / 3
    # Whole it would be divided with its reference.
    found = in_bytes(replace(SMALL, fsdp=True), gpus=2)["policy"]
    assert (found["model, gradient, Adam"], found["reference"]) == (8 * POLICY, 2 * POLICY)


def test_vllm_keeps_its_share_or_the_weights():
    profile = replace(SMALL, vllm=True)
    found = in_bytes(profile, card=10.0)["policy"]
    assert found["vLLM"] == 3 * GIB and "texts while they are drawn (estimate)" not in found
    assert in_bytes(profile, card=1e-9)["policy"]["vLLM"] == 4 * POLICY
    # A card that is named is no vLLM.
    assert in_bytes(SMALL, card=10.0) == WHOLE


def test_people_have_longer_prompts_and_rewards_that_judge():
    found = in_bytes(replace(SMALL, longest_prompt=15), groups=3)
    # One for all; found, known and judging ones of three groups; texts of 20 tokens.
    assert found["policy"]["rewards: whole models"] == 10 * 4 * SCORER
    assert found["policy"]["activations (estimate)"] == 12 * 20 * 8 * 4 * 3 * 34
    assert in_bytes(SMALL, groups=3)["rewards"]["rewards learned before"] == 7 * 4 * SCORER


def test_a_small_share_of_a_card_is_a_card():
    with pytest.raises(ValueError, match="^memory: expected GiB of a card, above 0, got 0$"):
        memory(SMALL, card=0)
    with pytest.raises(ValueError, match="^gpus: expected a number that divides 12 texts, 12 at a time, got 0$"):
        memory(SMALL, gpus=0)
    with pytest.raises(ValueError, match="^gpus: expected a number that divides 12 texts, 4 at a time, got 6$"):
        memory(replace(SMALL, texts_at_once=4), gpus=6)


def test_disk():
    def on_disk(*given, **more):
        return {part: pytest.approx(gib * GIB) for part, gib in disk(*given, **more).items()}

    rewards = 2 * 5 * 4 * OF_SCORER
    kept = {"reference": 4 * POLICY, "rewards": rewards, "checkpoints": 3 * 12 * TRAINED, "policy": 4 * TRAINED}
    assert on_disk(ADAPTERS) == kept
    assert on_disk(ADAPTERS, groups=3) == kept | {"rewards": 2 * 7 * 4 * OF_SCORER}
    assert on_disk(replace(ADAPTERS, reward="linear"))["rewards"] == 0
    assert on_disk(SMALL)["checkpoints"] == 3 * 12 * POLICY and on_disk(SMALL)["policy"] == 4 * POLICY


def test_steps_and_tokens():
    rewards = [
        ("reward model: parameters", SCORER, ""),
        ("reward model: parameters that are trained", OF_SCORER, ""),
        ("reward model: steps, each round and group", 11, ""),
    ]
    lines = [
        ("parameters", POLICY, ""),
        ("parameters that are trained", TRAINED, ""),
        ("reference: steps", 7, ""),
        # Eighteen words, a beginning and an end.
        ("reference: tokens at most", 7 * 3 * 20, ""),
        *rewards,
        ("policy: steps", 9, ""),
        ("policy: texts a step", 12, ""),
        ("policy: tokens drawn at most", 9 * 12 * 5, ""),
    ]
    assert plan(ADAPTERS) == lines
    assert plan(replace(ADAPTERS, reward="linear")) == [line for line in lines if line not in rewards]


def test_a_folder_is_asked_for_its_architecture(policy_folder):
    # Sixty words and four tokens, twelve positions, one block of width 16.
    found = dict((part, number) for part, number, _ in plan(replace(SMALL, model=str(policy_folder))))
    vocabulary = found["parameters"] - 12 * 16 - (12 * 256 + 13 * 16) - 2 * 16
    assert vocabulary % 16 == 0 and 20 < vocabulary / 16 <= 64
