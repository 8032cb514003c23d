"""What a profile will need, before anything is downloaded or trained: models on the meta device, counted. Chapter 8."""

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Config, LlamaConfig

from .pretrained import PACKAGES
from .profiles import Profile
from .trainer import adapters

__all__ = ["plan"]

# The architecture of pretrained models, so that no hub is asked for a plan.
_KNOWN = {
    "openai-community/gpt2": GPT2Config(),
    "allenai/tulu-2-7b": LlamaConfig(max_position_embeddings=8192),
    **{f"package:{name}": package.config for name, package in PACKAGES.items()},
}


def plan(profile: Profile) -> list[tuple[str, float, str]]:
    """Return what training under a profile takes.

    Parameters are counted on the meta device. Memory: weights 4 bytes (2 for a frozen base in 16 bits), gradients 4 and
    Adam 8 for what is trained, the reference's weights 4 (none where it is the base without its adapter);
    activations are an estimate of 34 values of the width for every token and layer, one where they are recomputed, and
    three of the vocabulary for the logits, at 2 bytes with bf16 and 4 without.

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
    if profile.model is not None and profile.model not in _KNOWN:
        raise ValueError(f"profile: expected a model of {', '.join(_KNOWN)}, got {profile.model!r}")
    config = _KNOWN.get(profile.model or "") or GPT2Config(
        vocab_size=profile.vocabulary + 4,
        n_positions=profile.longest + 2,
        n_embd=profile.width,
        n_layer=profile.layers,
        n_head=profile.heads,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    n = sum(parameter.numel() for parameter in model.parameters())
    weights, trained, reference = 4 * n, n, 4 * n
    if profile.lora:
        with torch.device("meta"):
            trained = _adapters_of(model, adapters(profile, "CAUSAL_LM"))
        weights, reference = (2 if profile.base_bf16 else 4) * n + 4 * trained, 0
    rewards = []
    config.num_labels = 1
    if profile.reward == "model":
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config)
        each = sum(parameter.numel() for parameter in model.parameters())
        # One for all, two of the mixture, two of the known groups; on adapters each kind has a base of its own.
        memory = 5 * 4 * each
        if profile.lora:
            with torch.device("meta"):
                of_group = _adapters_of(model, adapters(profile, "SEQ_CLS", modules_to_save=["score"]))
            memory = 3 * (2 if profile.base_bf16 else 4) * each + 5 * 4 * of_group
        rewards = [
            ("reward model: parameters", each, ""),
            ("reward model: memory, five loaded for two groups", memory / 2.0**30, "GiB"),
            ("reward model: steps, each round and group", profile.reward_steps, ""),
        ]
    batch = profile.prompts_per_step * profile.samples_per_prompt
    length = 1 + profile.prompt_words + profile.new_tokens
    size = 2 if profile.bf16 else 4
    layers = config.num_hidden_layers * config.hidden_size * (1 if profile.gradient_checkpointing else 34)
    gib = 2.0**30
    return [
        ("parameters", n, ""),
        ("parameters that are trained", trained, ""),
        ("memory: weights", weights / gib, "GiB"),
        ("memory: gradients", 4 * trained / gib, "GiB"),
        ("memory: Adam", 8 * trained / gib, "GiB"),
        ("memory: reference", reference / gib, "GiB"),
        ("memory: activations (estimate)", size * batch * length * (layers + 3 * config.vocab_size) / gib, "GiB"),
        ("reference: steps", profile.reference_steps, ""),
        ("reference: tokens at most", profile.reference_steps * profile.reference_batch * (profile.longest + 2), ""),
        *rewards,
        ("policy: steps", profile.steps, ""),
        ("policy: texts a step", batch, ""),
        ("policy: tokens drawn at most", profile.steps * batch * profile.new_tokens, ""),
    ]


def _adapters_of(model, config):
    """Return how many parameters are trained once a model has adapters."""
    from peft import get_peft_model

    return sum(parameter.numel() for parameter in get_peft_model(model, config).parameters() if parameter.requires_grad)
