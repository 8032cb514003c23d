"""Max-min training of a text policy: TRL's RLOO with one reward callable, which asks a welfare for group weights.

Chapters 8 and 9.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import load_file, save_file
from transformers import PrinterCallback, TrainerCallback
from trl import RLOOConfig, RLOOTrainer

from .._files import read_json, write_json, write_whole
from ..alignment.welfare import Egalitarian, Utilitarian, Welfare
from .group_reward import GroupReward
from .policy import load_policy, prompt_tokens
from .profiles import Profile, key
from .reference import last_checkpoint
from .scorers import GroupRewards

__all__ = ["METHODS", "Method", "make_trainer", "train"]


@dataclass(frozen=True)
class Method:
    """Hold a way to train: which rewards, which welfare of the group means, and how its weights move.

    Parameters
    ----------
    name : str
        How the method is called everywhere.
    rewards : {'single', 'mixture', 'known'}
        One reward for all, a mixture by EM, or rewards of groups that are known.
    welfare : subclass of Welfare
        Turns group means into group weights.
    rate : float or None
        None takes the welfare's weights as they are; a rate moves weights by exponentiated gradient. (The learning rate
        of the policy is ``Profile.rate``.)
    per_response : bool
        Whether to take the minimum over groups text by text instead.
    equal : bool
        Whether to count every group once, whatever its share.

    Examples
    --------
    >>> METHODS["maxmin"].rate, Method("slow", "mixture", rate=0.01).welfare.__name__
    (0.05, 'Egalitarian')
    """

    name: str
    rewards: Literal["single", "mixture", "known"]
    welfare: type[Welfare] = Egalitarian
    rate: float | None = None
    per_response: bool = False
    equal: bool = False


METHODS = {
    method.name: method
    for method in (
        Method("single", "single", Utilitarian),
        Method("average", "mixture", Utilitarian),
        Method("equal", "mixture", Utilitarian, equal=True),
        Method("maxmin", "mixture", rate=0.05),
        Method("maxmin_hard", "mixture"),
        Method("maxmin_known", "known", rate=0.05),
        Method("per_response", "mixture", per_response=True),
    )
}


def train(
    method: Method,
    rewards: GroupRewards,
    groups: Sequence[str],
    prompts: Sequence[str],
    reference: Path,
    profile: Profile,
    folder: Path,
    *,
    seed: int,
    beta: float | None = None,
    stop_at: int | None = None,
) -> Path | None:
    """Train a policy from the reference and save it, with its metrics; resume after an interruption.

    In every step: draw texts, score them for all groups, let the welfare weigh the groups, take a policy-gradient step
    on the weighted reward less ``beta`` KL to the reference. (`step.max_min_step` is that step in plain PyTorch.)

    Parameters
    ----------
    method : Method
        Which welfare, and how its weights move.
    rewards : GroupRewards
        Calibrated.
    groups : sequence of str, length U
        Names of the groups.
    prompts : sequence of str
        All of one length in tokens.
    reference : Path
        A saved policy.
    profile : Profile
        How many texts a step, how many steps, at which learning rate.
    folder : Path
        Where the policy is saved, with its checkpoints on the way.
    seed : int
        Of the order of the prompts and of the texts that are drawn.
    beta : float or None
        KL strength; None is the profile's.
    stop_at : int or None
        Stop after that step as an interruption would: a checkpoint is kept, nothing is finished.

    Returns
    -------
    Path or None
        The folder, or None when stopped.

    Raises
    ------
    ValueError
        When the folder holds a run of another configuration, prompts differ in length or leave no room, or a reward is
        not finite.

    References
    ----------
    Ahmadian et al. (2024), Back to basics: revisiting REINFORCE-style optimization for learning from human feedback.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> from maxmin_core.lm.enumerable import WordRewards, make_reference
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prompts = make_reference(Path(folder), n_prompts=2, n_tokens=3)
    ...     rewards = WordRewards([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5])
    ...     small = find_profile("smoke", steps=1, prompts_per_step=2, samples_per_prompt=2, new_tokens=3)
    ...     run = Path(folder) / "run"
    ...     done = train(METHODS["maxmin"], rewards, ["a", "b"], prompts, Path(folder), small, run, seed=0)
    ...     sorted(path.name for path in done.glob("*.safetensors"))
    ['model.safetensors']
    """
    beta = profile.beta if beta is None else beta
    noted: dict[str, Any] = {
        "method": {**asdict(method), "welfare": method.welfare.__name__},
        "profile": asdict(profile),
    }
    # Who draws the texts may change on the way.
    del noted["profile"]["vllm"]
    noted |= {"seed": seed, "beta": beta, "groups": list(groups), "rewards": rewards.fingerprint()}
    noted |= {"prompts": key(prompts=prompts), "processes": int(os.environ.get("WORLD_SIZE", "1"))}
    _claim(folder, noted)
    if (folder / "done.json").exists():
        return folder
    counted = method.welfare is Utilitarian and not method.equal
    welfare = Utilitarian(rewards.shares) if counted else method.welfare()
    reward = GroupReward(rewards, welfare, method.rate, groups=groups, per_response=method.per_response)
    trainer = make_trainer(
        reward, prompts, reference, profile, folder, seed=seed, beta=beta, callbacks=[_Memory(reward, folder, stop_at)]
    )
    # The weights are what a checkpoint gets last: one without them was cut off while it was written.
    trainer.train(resume_from_checkpoint=last_checkpoint(folder, "weights.safetensors"))
    if trainer.state.global_step < profile.steps:
        return None
    tokenizer: Any = trainer.processing_class
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / "done.json", {"steps": trainer.state.global_step})
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    trainer.accelerator.wait_for_everyone()
    return folder


def make_trainer(
    reward: Callable[..., list[float]],
    prompts: Sequence[str],
    reference: Path,
    profile: Profile,
    folder: Path,
    *,
    seed: int,
    beta: float | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> RLOOTrainer:
    """Return TRL's trainer of a policy, which begins as the reference; nothing is trained yet.

    Parameters
    ----------
    reward : callable, (prompts, completions, **more) -> list of float
        Such as a `GroupReward`.
    prompts : sequence of str
        All of one length in tokens.
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

    Returns
    -------
    trl.RLOOTrainer

    Raises
    ------
    ValueError
        When prompts differ in length or leave no room.

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

    model, tokenizer = load_policy(reference)
    prompt_tokens(model, tokenizer, prompts, profile.new_tokens)
    called: Any = reward
    trainer = RLOOTrainer(
        model,
        called,
        _configuration(profile, folder, seed, profile.beta if beta is None else beta),
        train_dataset=Dataset.from_dict({"prompt": _in_order(prompts, profile, seed)}),
        processing_class=tokenizer,
        callbacks=[*callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


class _Memory(TrainerCallback):
    """Write the metrics as JSON lines, and the group weights beside every checkpoint; read them when a run resumes."""

    def __init__(self, reward, folder, stop_at):
        self.reward, self.folder, self.stop_at = reward, folder, stop_at

    def on_train_begin(self, args, state, control, **_):
        metrics = self.folder / "metrics.jsonl"
        if state.global_step:
            saved = load_file(self.folder / f"checkpoint-{state.global_step}" / "weights.safetensors")
            self.reward.log_weights = saved["log_weights"]
        if not state.is_world_process_zero:
            return
        # What was logged after the checkpoint will be logged again; a last line may be torn.
        kept = metrics.read_text().splitlines()[: state.global_step] if metrics.exists() else []
        with write_whole(metrics) as partial:
            partial.write_text("".join(line + "\n" for line in kept))

    def on_log(self, args, state, control, logs=None, **_):
        if state.is_world_process_zero and "loss" in logs:
            numbers = {k: v for k, v in logs.items() if isinstance(v, int | float) and "time" not in k}
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({"step": state.global_step, **numbers}) + "\n")

    def on_save(self, args, state, control, **_):
        if state.is_world_process_zero:
            with write_whole(self.folder / f"checkpoint-{state.global_step}" / "weights.safetensors") as partial:
                save_file({"log_weights": self.reward.log_weights}, partial)

    def on_step_end(self, args, state, control, **_):
        if self.stop_at == state.global_step:
            control.should_save = control.should_training_stop = True


def _configuration(profile, folder, seed, beta):
    # The batch is the whole one, however many processes share it.
    texts, processes = profile.prompts_per_step * profile.samples_per_prompt, int(os.environ.get("WORLD_SIZE", "1"))
    if texts % processes:
        raise ValueError(f"profile: expected {texts} texts a step to divide among the processes, got {processes}")
    return RLOOConfig(
        output_dir=str(folder),
        max_steps=profile.steps,
        per_device_train_batch_size=texts // processes,
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
        save_steps=max(1, profile.steps // 2),
        # The older one goes only when the newer is whole.
        save_total_limit=2,
        seed=seed,
        shuffle_dataset=False,
        report_to="tensorboard",
        disable_tqdm=not sys.stderr.isatty(),
        bf16=profile.bf16,
        use_cpu=profile.cpu,
        ddp_backend="gloo" if profile.cpu and processes > 1 else None,
        activation_checkpointing=profile.gradient_checkpointing,
        use_vllm=profile.vllm,
    )


def _in_order(prompts, profile, seed):
    """Return the prompts of all steps, shuffle after shuffle: no epochs, whose order a resumed run forgets."""
    rng, needed = np.random.default_rng(seed), profile.steps * profile.prompts_per_step
    return [prompts[i] for _ in range(-(-needed // len(prompts))) for i in rng.permutation(len(prompts))][:needed]


def _claim(folder, settings):
    """Note the settings in `folder`; refuse a folder that was begun with others."""
    noted = folder / "settings.json"
    if noted.exists() and (found := read_json(noted)) != settings:
        different = sorted(name for name in settings if found.get(name) != settings[name])
        raise ValueError(
            f"folder: expected a run with the same settings, got others in {', '.join(different)}: {folder}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(noted, settings)
