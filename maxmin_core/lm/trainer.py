"""TRL's trainer of a policy, configured: RLOO, or GRPO with the groups' rewards one by one. Chapter 8."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import PartialState
from accelerate.utils import DistributedType, set_seed
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from ._vllm import vllm_like_the_policy
from .policy import count_by_mask, load_policy, prompt_tokens
from .profiles import Profile
from .prompts import Prompt

__all__ = ["adapters", "make_trainer", "texts_of_process"]


def make_trainer(
    reward: Callable[..., list[float]],
    prompts: Sequence[Prompt],
    reference: Path,
    profile: Profile,
    folder: Path,
    *,
    seed: int,
    beta: float | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    kind: Literal["rloo", "grpo", "grpo_scaled"] = "rloo",
) -> RLOOTrainer | GRPOTrainer:
    """Return TRL's trainer of a policy, which begins as the reference; nothing is trained yet.

    Parameters
    ----------
    reward : callable, (prompts, completions, **more) -> list of float
        Such as a `GroupReward`.
    prompts : sequence of Prompt
        Words or chats.
    reference : Path
        A saved policy.
    profile : Profile
        How many texts a step, how many steps, at which learning rate.
    folder : Path
        Where the trainer writes.
    seed : int
        Of the order of the prompts and of the texts that are drawn.
    beta : float or None
        KL strength; None is the profile's.
    callbacks : sequence of TrainerCallback
        Are told of every step.
    kind : {'rloo', 'grpo', 'grpo_scaled'}
        Which trainer, as `Method.trainer` says; GRPO asks `reward` for its groups one by one.

    Returns
    -------
    trl.RLOOTrainer or trl.GRPOTrainer

    Raises
    ------
    ValueError
        When prompts leave no room, or are chats without a template; when the reference is an adapter, or the profile's
        settings of adapters, of texts at once or of a divided model do not fit together.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> from maxmin_core.lm.enumerable import make_reference
    >>> import tempfile
    >>> def reward(prompts, completions, **_):
    ...     return [float(len(text)) for text in completions]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prompts = make_reference(Path(folder), n_prompts=2, n_tokens=3)
    ...     small = find_profile("smoke", steps=1, prompts_per_step=2, samples_per_prompt=2, new_tokens=3)
    ...     trainer = make_trainer(reward, prompts, Path(folder), small, Path(folder) / "run", seed=0)
    >>> trainer.args.max_steps, trainer.args.beta
    (1, 0.15)
    """
    from datasets import Dataset

    if profile.base_bf16:
        adapters(profile, "CAUSAL_LM")
    if (reference / "adapter_config.json").exists():
        raise ValueError(f"reference: expected a whole model, got the adapter in {reference}")
    model, tokenizer = load_policy(reference, bf16=profile.base_bf16)
    # Too long a prompt, or a chat without a template, is told here.
    prompt_tokens(model, tokenizer, prompts, profile.new_tokens)
    called: Any = reward
    if kind != "rloo":
        called = [_OfGroup(called, u) for u in range(len(called.groups))]
    options: dict[str, Any] = {}
    if profile.lora:
        options["peft_config"] = adapters(profile, "CAUSAL_LM")
    configuration = _configuration(profile, folder, seed, profile.beta if beta is None else beta, kind, called)
    if profile.fsdp and profile.cpu:
        _divide_on_processors(configuration)
    with vllm_like_the_policy(profile):
        trainer: Any = (RLOOTrainer if kind == "rloo" else GRPOTrainer)(
            model,
            called,
            configuration,
            train_dataset=Dataset.from_dict({"prompt": _in_order(prompts, profile, seed)}),
            processing_class=tokenizer,
            callbacks=[*callbacks],
            **options,
        )
    if profile.vllm:
        # vLLM has set a seed of its own, the same for every run.
        set_seed(seed, device_specific=True)
    if profile.fsdp and not trainer.accelerator.is_fsdp2:
        found = trainer.accelerator.distributed_type.value
        raise ValueError(f"profile: expected a model that is divided among processes (fsdp), got {found}")
    if trainer.ref_model is not None:
        # The trainer has loaded it by itself.
        count_by_mask(trainer.accelerator.unwrap_model(trainer.ref_model))
    trainer.remove_callback(PrinterCallback)
    return trainer


def adapters(profile: Profile, task: str, **options: Any) -> Any:
    """Return what PEFT needs to know of the adapters: on every linear layer, without dropout.

    Parameters
    ----------
    profile : Profile
        Their rank and strength.
    task : str
        As PEFT names it, such as ``CAUSAL_LM``.
    **options
        Further settings of ``peft.LoraConfig``.

    Returns
    -------
    peft.LoraConfig

    Raises
    ------
    ValueError
        On a base in 16 bits without adapters, which would be trained itself, divided among processes, or with vLLM: it
        merges adapters into the base in place, where 16 bits lose them.

    References
    ----------
    Hu et al. (2022), LoRA: Low-rank adaptation of large language models.

    Examples
    --------
    >>> adapters(Profile("small", lora=16), "CAUSAL_LM").r
    16
    """
    from peft import LoraConfig

    if (profile.base_bf16 or profile.reward_bf16) and not profile.lora:
        raise ValueError("profile: expected adapters (lora above 0) on a base in 16 bits, as nothing is trained there")
    if profile.base_bf16 and profile.vllm:
        raise ValueError("profile: expected a base in 32 bits with vLLM, which merges adapters into it, got base_bf16")
    if profile.base_bf16 and profile.fsdp:
        raise ValueError("profile: expected adapters (lora above 0) on a base in 32 bits with fsdp")
    return LoraConfig(
        r=profile.lora, lora_alpha=profile.lora_alpha, target_modules="all-linear", task_type=task, **options
    )


def _divide_on_processors(configuration):
    """Let processes without a GPU divide the model, too, so that it can be tried: unasked, they would each copy it."""
    # Only asked for its device, the configuration joins the processes.
    _ = configuration.device
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


class _OfGroup:
    """Reward a text by what it is worth to one group: GRPO is given the groups one by one."""

    def __init__(self, reward, u):
        self.reward, self.u, self.__name__ = reward, u, reward.groups[u]

    def __call__(self, prompts, completions, **more):
        # The first group scores for all, and logs.
        if self.u == 0:
            self.reward(prompts, completions, **more)
        return self.reward.scored[self.u].tolist()


def _processes():
    return int(os.environ.get("WORLD_SIZE", "1"))


def texts_of_process(profile: Profile) -> tuple[int, int]:
    """Divide a step's texts, and a reward model's pairs, among the processes that torchrun has started.

    Parameters
    ----------
    profile : Profile
        The batch is the whole one, however many processes share it.

    Returns
    -------
    at_once : int
        Texts that pass through the model at a time in each process.
    pieces : int
        How often they do in a step.

    Raises
    ------
    ValueError
        On a batch that the processes do not divide, or on fsdp without adapters or without several processes.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> texts_of_process(find_profile("cpu", texts_at_once=16))
    (16, 4)
    """
    texts, processes = profile.prompts_per_step * profile.samples_per_prompt, _processes()
    if texts % processes:
        raise ValueError(f"profile: expected {texts} texts a step to divide among the processes, got {processes}")
    at_once = profile.texts_at_once or texts
    if texts % at_once or at_once % processes:
        raise ValueError(
            f"profile: expected texts_at_once to divide {texts} texts a step, and {processes} processes to divide it, "
            f"got {at_once}"
        )
    if profile.reward == "model" and profile.reward_batch % processes:
        raise ValueError(
            f"profile: expected {profile.reward_batch} pairs of a reward model's step to divide among the processes, "
            f"got {processes}"
        )
    if profile.fsdp and not profile.lora:
        raise ValueError("profile: expected adapters (lora above 0) on a base in 32 bits with fsdp")
    if profile.fsdp and processes == 1:
        raise ValueError("profile: expected several processes for fsdp, started by torchrun, got one")
    return at_once // processes, texts // at_once


def _configuration(profile, folder, seed, beta, kind, rewards):
    at_once, pieces = texts_of_process(profile)
    options: dict[str, Any] = {}
    if profile.fsdp:
        # Blocks as the model's makers name them.
        options |= {"fsdp": True, "fsdp_config": {"version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}}
    if kind != "rloo":
        # The sum over a text's tokens, as RLOO has it, up to a factor that the optimiser divides out.
        options |= {"loss_type": "dr_grpo", "scale_rewards": "none"}
        options["reward_weights"] = [1 / len(rewards)] * len(rewards)
        options["multi_objective_aggregation"] = "normalize_then_sum" if kind == "grpo_scaled" else "sum_then_normalize"
    return (RLOOConfig if kind == "rloo" else GRPOConfig)(
        **options,
        output_dir=str(folder),
        max_steps=profile.steps,
        per_device_train_batch_size=at_once,
        # All texts of a step are drawn and scored together, however few pass through the model at a time.
        gradient_accumulation_steps=pieces,
        num_generations=profile.samples_per_prompt,
        max_completion_length=profile.new_tokens,
        temperature=1.0,
        top_k=0,
        learning_rate=profile.rate,
        lr_scheduler_type="linear",
        beta=beta,
        # Else texts would be drawn and scored under dropout.
        disable_dropout=True,
        logging_steps=1,
        # An adapter and its moments are small; a whole model is not.
        save_steps=max(1, min(profile.steps // 2, 10) if profile.lora else profile.steps // 2),
        # The older one goes only when the newer is whole.
        save_total_limit=2,
        seed=seed,
        shuffle_dataset=False,
        report_to="tensorboard",
        disable_tqdm=not sys.stderr.isatty(),
        bf16=profile.bf16,
        use_cpu=profile.cpu,
        ddp_backend="gloo" if profile.cpu and _processes() > 1 else None,
        activation_checkpointing=profile.gradient_checkpointing,
        use_vllm=profile.vllm,
        vllm_mode="colocate",
    )


def _in_order(prompts, profile, seed):
    """Return the prompts of all steps, shuffle after shuffle: no epochs, whose order a resumed run forgets."""
    rng, needed = np.random.default_rng(seed), profile.steps * profile.prompts_per_step
    return [prompts[i] for _ in range(-(-needed // len(prompts))) for i in rng.permutation(len(prompts))][:needed]
