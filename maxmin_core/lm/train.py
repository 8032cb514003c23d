"""Max-min training of a text policy: TRL's RLOO with one reward callable, which asks a welfare for group weights.

Chapters 8 and 9.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from safetensors.numpy import load_file, save_file
from transformers import TrainerCallback

from .._files import read_json, write_json, write_whole
from ..alignment.bargaining import Nash, Regret
from ..alignment.welfare import Egalitarian, Utilitarian, Welfare
from ._vllm import end_vllm
from .group_reward import GroupReward
from .profiles import Profile, key
from .prompts import Prompt
from .reference import last_checkpoint
from .scorers import GroupRewards
from .trainer import make_trainer

__all__ = ["METHODS", "Method", "train"]


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
    predicted : bool
        Whether the weights begin where the reference's texts say that they will end (`prediction`), instead of equal.
    trainer : {'rloo', 'grpo', 'grpo_scaled'}
        TRL's RLOO; its GRPO, given the groups' rewards one by one, with advantages as they are; the same with every
        group's advantages divided by their spread on the prompt.

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
    predicted: bool = False
    trainer: Literal["rloo", "grpo", "grpo_scaled"] = "rloo"


METHODS = {
    method.name: method
    for method in (
        Method("single", "single", Utilitarian),
        Method("average", "mixture", Utilitarian),
        Method("equal", "mixture", Utilitarian, equal=True),
        Method("maxmin", "mixture", rate=0.05),
        Method("maxmin_slow", "mixture", rate=0.01),
        Method("maxmin_fast", "mixture", rate=0.15),
        Method("maxmin_hard", "mixture"),
        Method("maxmin_known", "known", rate=0.05),
        Method("per_response", "mixture", per_response=True),
        Method("maxmin_predicted", "mixture", rate=0.05, predicted=True),
        Method("maxmin_fixed", "mixture", rate=0.0, predicted=True),
        Method("regret", "mixture", Regret, rate=0.05),
        Method("nash", "mixture", Nash, rate=0.05),
        Method("grpo", "mixture", Utilitarian, equal=True, trainer="grpo"),
        Method("grpo_scaled", "mixture", Utilitarian, equal=True, trainer="grpo_scaled"),
    )
}


def train(
    method: Method,
    rewards: GroupRewards,
    groups: Sequence[str],
    prompts: Sequence[Prompt],
    reference: Path,
    profile: Profile,
    folder: Path,
    *,
    seed: int,
    beta: float | None = None,
    stop_at: int | None = None,
    welfare: Welfare | None = None,
    start: ArrayLike | None = None,
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
    prompts : sequence of Prompt
        Words or chats.
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
    welfare : Welfare or None
        The method's welfare with its parameters, such as the best values of a `Regret`; None makes it without any.
    start : array_like, shape (U,), or None
        Where the group weights begin; None is equal weights.

    Returns
    -------
    Path or None
        The folder, or None when stopped.

    Raises
    ------
    ValueError
        When the folder holds a run of another configuration, prompts leave no room, or a reward is not finite.

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
    noted |= {"welfare": repr(welfare), "start": None if start is None else np.asarray(start).tolist()}
    noted |= {"prompts": key(prompts=prompts), "processes": int(os.environ.get("WORLD_SIZE", "1"))}
    _claim(folder, noted)
    if (folder / "done.json").exists():
        return folder
    if welfare is None:
        counted = method.welfare is Utilitarian and not method.equal
        welfare = Utilitarian(rewards.shares) if counted else method.welfare()
    reward = GroupReward(rewards, welfare, method.rate, groups=groups, per_response=method.per_response, start=start)
    trainer = make_trainer(
        reward,
        prompts,
        reference,
        profile,
        folder,
        seed=seed,
        beta=beta,
        callbacks=[_Memory(reward, beta, folder, stop_at)],
        kind=method.trainer,
    )
    # As the trainer tells training from evaluation.
    reward.evaluating = lambda: not trainer.model.training
    # The weights are what a checkpoint gets last: one without them was cut off while it was written.
    trainer.train(resume_from_checkpoint=last_checkpoint(folder, "weights.safetensors"))
    if profile.vllm:
        end_vllm(trainer)
    if trainer.state.global_step < profile.steps:
        return None
    tokenizer: Any = trainer.processing_class
    # By all processes: where the model is divided among them, one alone has only its part.
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        # Not safetensors, and nothing here reads it.
        (folder / "training_args.bin").unlink(missing_ok=True)
        tokenizer.save_pretrained(folder)
        write_json(folder / "done.json", {"steps": trainer.state.global_step})
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    trainer.accelerator.wait_for_everyone()
    return folder


class _Memory(TrainerCallback):
    """Write the metrics as JSON lines, and the group weights beside every checkpoint; read them when a run resumes."""

    def __init__(self, reward, beta, folder, stop_at):
        self.reward, self.beta, self.folder, self.stop_at = reward, beta, folder, stop_at

    def on_train_begin(self, args, state, control, **_):
        metrics = self.folder / "metrics.jsonl"
        if state.global_step:
            saved = load_file(self.folder / f"checkpoint-{state.global_step}" / "weights.safetensors")
            self.reward.log_weights, self.reward.penalty = saved["log_weights"], float(saved["penalty"])
        if not state.is_world_process_zero:
            return
        # What was logged after the checkpoint will be logged again; a last line may be torn.
        kept = metrics.read_text().splitlines()[: state.global_step] if metrics.exists() else []
        with write_whole(metrics) as partial:
            partial.write_text("".join(line + "\n" for line in kept))

    def on_log(self, args, state, control, logs=None, **_):
        if "kl" in logs and "completions/mean_length" in logs:
            # TRL's is a mean over tokens; the objective counts texts.
            self.reward.penalty = self.beta * logs["kl"] * logs["completions/mean_length"]
        if state.is_world_process_zero and "loss" in logs:
            numbers = {k: v for k, v in logs.items() if isinstance(v, int | float) and "time" not in k}
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({"step": state.global_step, **numbers}) + "\n")

    def on_save(self, args, state, control, **_):
        if state.is_world_process_zero:
            with write_whole(self.folder / f"checkpoint-{state.global_step}" / "weights.safetensors") as partial:
                kept = {"log_weights": self.reward.log_weights, "penalty": np.array(self.reward.penalty)}
                save_file(kept, partial)

    def on_step_end(self, args, state, control, **_):
        if self.stop_at == state.global_step:
            control.should_save = control.should_training_stop = True


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
