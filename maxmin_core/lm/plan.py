"""What a profile will need, before anything is downloaded or trained: models on the meta device, counted.

Chapters 8 and 10.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    LlamaConfig,
)

from ._room import KEPT, MOST_LOGITS, drawn_at_once, keys_of, read_at_once
from .pretrained import MODELS
from .profiles import Profile
from .trainer import adapters

__all__ = ["VLLM_SHARE", "disk", "memory", "plan"]

# The architecture of pretrained models, so that no hub is asked for a plan.
_KNOWN = {
    "openai-community/gpt2": GPT2Config(),
    "allenai/tulu-2-7b": LlamaConfig(max_position_embeddings=8192),
    **{f"package:{name}": package.config for name, package in MODELS.items()},
}
# What vLLM keeps of a card, as TRL asks it to.
VLLM_SHARE = 0.3
_GIB = 2.0**30


class _Sizes(NamedTuple):
    """Parameters: of the policy, of what is trained in it, of a model with one output, of what is trained there."""

    config: Any
    policy: int
    trained: int
    scorer: int
    scorer_trained: int


def memory(
    profile: Profile, *, gpus: int = 1, card: float | None = None, groups: int = 2
) -> dict[str, dict[str, float]]:
    """Return what lies on every GPU, part by part: while rewards are learned, the policy is trained, and judged.

    Parameters are counted. Weights take 4 bytes, 2 where a frozen base is kept in 16 bits; what is trained takes 4 more
    for its gradient and 8 for Adam. Processes copy the model, or divide it where the profile says ``fsdp``; all divide
    the texts. Activations, logits and what is kept while texts are drawn are estimates. To judge, a process draws as
    many texts at a time as one draws of the reference, which alone takes less than this phase.

    Parameters
    ----------
    profile : Profile
        What would be trained.
    gpus : int
        How many share every batch.
    card : float or None
        GiB of a card, of which vLLM keeps its share; None where vLLM is not used.
    groups : int
        How many groups have a reward.

    Returns
    -------
    dict of str to dict of str to float
        Phase to part to GiB a GPU.

    Raises
    ------
    ValueError
        On a model whose architecture is not known here, GPUs that do not divide a batch, or vLLM on no card.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> memory(find_profile("gpu-large"), gpus=8)["policy"]["base"].__round__(1)
    25.1
    """
    texts, at_once = profile.prompts_per_step * profile.samples_per_prompt, profile.texts_at_once
    if gpus < 1 or texts % gpus or (at_once or texts) % gpus:
        raise ValueError(
            f"gpus: expected a number that divides {texts} texts, {at_once or texts} at a time, got {gpus}"
        )
    if card is not None and not card > 0:
        raise ValueError(f"memory: expected GiB of a card, above 0, got {card}")
    if profile.vllm and card is None:
        raise ValueError("memory: expected the card's GiB with vllm, which keeps a share of it, got none")
    if profile.vllm and profile.base_bf16:
        # As the trainer says.
        adapters(profile, "CAUSAL_LM")
    size = _sizes(profile)
    length = (profile.longest_prompt or 1 + profile.prompt_words) + profile.new_tokens
    divided, bits = gpus if profile.fsdp else 1, 2 if profile.bf16 else 4
    frozen = 2 if profile.base_bf16 else 4
    of_rewards = 2 if profile.base_bf16 or profile.reward_bf16 else 4
    kinds = _kinds(profile, groups)

    def kept(n_texts, config):
        layer = config.hidden_size * n_texts * length * bits
        rows = config.num_hidden_layers + KEPT if profile.gradient_checkpointing else config.num_hidden_layers * KEPT
        return layer * rows

    rewards: dict[str, float] = {}
    learning: dict[str, float] = {}
    if profile.reward == "model":
        pairs = max(1, profile.reward_batch // gpus)
        if profile.lora:
            rewards = {"rewards: base": of_rewards * size.scorer, "rewards: adapters": kinds * 4 * size.scorer_trained}
            learning = {"base": of_rewards * size.scorer, "adapter, gradient, Adam": 16 * size.scorer_trained}
            learning["base of rewards learned before"] = of_rewards * size.scorer
            learning["adapters learned before"] = kinds * 4 * size.scorer_trained
        else:
            rewards = {"rewards: whole models": kinds * 4 * size.scorer}
            learning = {"model, gradient, Adam": 16 * size.scorer, "rewards learned before": 4 * kinds * size.scorer}
        learning["activations (estimate)"] = kept(2 * pairs, size.config)
    policy: dict[str, float] = {}
    if profile.lora:
        policy["base"] = frozen * size.policy / divided
        policy["adapter, gradient, Adam"] = 16 * size.trained / divided
    else:
        policy |= {"model, gradient, Adam": 16 * size.policy / divided, "reference": 4 * size.policy / divided}
    if profile.fsdp:
        policy["blocks that are put together (estimate)"] = 2 * frozen * size.policy / size.config.num_hidden_layers
    policy |= rewards
    n_at_once = (at_once or texts) // gpus
    policy["activations (estimate)"] = kept(n_at_once, size.config)
    policy["logits (estimate)"] = 3 * 4 * n_at_once * profile.new_tokens * size.config.vocab_size
    if profile.vllm and card is not None:
        policy["vLLM"] = max(VLLM_SHARE * card * _GIB, bits * size.policy)
    else:
        policy["texts while they are drawn (estimate)"] = keys_of(size.config, frozen) * length * texts / gpus
    whole = frozen * size.policy + (4 * size.trained if profile.lora else 0)
    # The reference is the policy with its adapter switched off, or else a second model.
    judged = {"policy": whole, **({} if profile.lora else {"reference": 4 * size.policy}), **rewards}
    judged["logits (estimate)"] = 4 * MOST_LOGITS
    drawn = drawn_at_once(size.config, frozen, length, 256) * length * keys_of(size.config, frozen)
    read = read_at_once(size.config, of_rewards, length, 256) * length * KEPT * size.config.hidden_size * of_rewards
    # One after the other.
    judged["texts, drawn or read (estimate)"] = max(drawn, read)
    phases = {"rewards": learning, "policy": policy, "judging": judged}
    return {phase: {part: b / _GIB for part, b in parts.items()} for phase, parts in phases.items() if parts}


def plan(profile: Profile) -> list[tuple[str, float, str]]:
    """Return what training under a profile takes: parameters, steps, tokens; `memory` says what lies on a GPU.

    Parameters
    ----------
    profile : Profile
        What would be trained.

    Returns
    -------
    list of tuple
        Part, number and unit of each.

    Raises
    ------
    ValueError
        On a model whose architecture is not known here.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> plan(find_profile("cpu"))[0]
    ('parameters', 751488, '')
    """
    size = _sizes(profile)
    rewards: list[tuple[str, float, str]] = []
    if profile.reward == "model":
        rewards = [
            ("reward model: parameters", size.scorer, ""),
            ("reward model: parameters that are trained", size.scorer_trained, ""),
            ("reward model: steps, each round and group", profile.reward_steps, ""),
        ]
    batch = profile.prompts_per_step * profile.samples_per_prompt
    return [
        ("parameters", size.policy, ""),
        ("parameters that are trained", size.trained, ""),
        ("reference: steps", profile.reference_steps, ""),
        ("reference: tokens at most", profile.reference_steps * profile.reference_batch * (profile.longest + 2), ""),
        *rewards,
        ("policy: steps", profile.steps, ""),
        ("policy: texts a step", batch, ""),
        ("policy: tokens drawn at most", profile.steps * batch * profile.new_tokens, ""),
    ]


def disk(profile: Profile, *, groups: int = 2) -> dict[str, float]:
    """Return what a run writes, part by part: the reference in 32 bits, rewards, checkpoints, the policy.

    Rewards lie there twice while they are learned; of the policy's checkpoints two are kept while a third is written,
    each with 12 bytes for what is trained.

    Parameters
    ----------
    profile : Profile
        What would be trained.
    groups : int
        How many groups have a reward.

    Returns
    -------
    dict of str to float
        Part to GiB.

    Raises
    ------
    ValueError
        On a model whose architecture is not known here.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> round(disk(find_profile("gpu-large"))["reference"], 1)
    25.1
    """
    size = _sizes(profile)
    of_rewards = _kinds(profile, groups) * 4 * size.scorer_trained if profile.reward == "model" else 0
    parts = {"reference": 4 * size.policy, "rewards": 2 * of_rewards, "checkpoints": 3 * 12 * size.trained}
    return {part: b / _GIB for part, b in (parts | {"policy": 4 * size.trained}).items()}


def _kinds(profile, groups):
    """One for all, those that EM finds, those of known groups; of people also those that judge, from other prompts."""
    return 1 + (3 if profile.longest_prompt else 2) * groups


def _sizes(profile):
    """Count parameters on the meta device: nothing is allocated."""
    known: Any = _KNOWN.get(profile.model or "")
    if profile.model is not None and Path(profile.model).is_dir():
        known = AutoConfig.from_pretrained(profile.model)
    elif profile.model is not None and known is None:
        raise ValueError(f"profile: expected a model of {', '.join(_KNOWN)}, got {profile.model!r}")
    config = deepcopy(known) or GPT2Config(
        vocab_size=profile.vocabulary + 4,
        n_positions=profile.longest + 2,
        n_embd=profile.width,
        n_layer=profile.layers,
        n_head=profile.heads,
        bos_token_id=None,
        eos_token_id=None,
    )
    config.num_labels = 1
    counts = []
    for kind, task, more in (
        (AutoModelForCausalLM, "CAUSAL_LM", {}),
        (AutoModelForSequenceClassification, "SEQ_CLS", {"modules_to_save": ["score"]}),
    ):
        with torch.device("meta"):
            model = kind.from_config(config)
            n = sum(parameter.numel() for parameter in model.parameters())
            counts += [n, _adapters_of(model, adapters(profile, task, **more)) if profile.lora else n]
    return _Sizes(config, *counts)


def _adapters_of(model, config):
    """Return how many parameters are trained once a model has adapters."""
    from peft import get_peft_model

    return sum(parameter.numel() for parameter in get_peft_model(model, config).parameters() if parameter.requires_grad)
