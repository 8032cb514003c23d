"""Max-min training of a text policy: TRL's RLOO with one reward callable, which asks a welfare for group weights."""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax
from transformers import PrinterCallback, TrainerCallback
from trl import RLOOConfig, RLOOTrainer

from .._files import read_json, write_json, write_whole
from ..alignment.welfare import Egalitarian, Utilitarian, Welfare
from .policy import last_checkpoint, load_policy, prompt_tokens
from .profiles import key

__all__ = ["METHODS", "GroupReward", "Method", "make_trainer", "train"]


@dataclass(frozen=True)
class Method:
    """Hold a way to train: which rewards, which welfare of the group means, and how its weights move. Chapter 8.

    rewards : 'single', 'mixture' (by EM) or 'known' (groups known)
    welfare : class of welfare; rate : float or None, None takes its weights as they are, a rate moves them by
    exponentiated gradient; per_response : bool, take the minimum over groups text by text instead; equal : bool, count
    every group once, whatever its share
    """

    name: str
    rewards: str
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


class GroupReward:
    """Reward a text by w_t @ r(text), where a welfare chooses the group weights w_t from the batch's group means.

    w_t = welfare.weights(means), or with a rate w_t proportional to w_{t-1} exp(-rate * means):
    exponentiated gradient on the dual of max-min. Means are over the batches of all processes, so that all choose the
    same weights. TRL subtracts beta KL itself. Chapter 8.

    Parameters
    ----------
    rewards : callable, (prompts, completions) -> (U, n) float, calibrated
    welfare : Welfare; weights=None in it means equal shares
    rate : float or None
    groups : list of str, names for errors and metrics
    per_response : bool, return the minimum over groups text by text instead; a group's weight is then how often it is
    the one

    Raises
    ------
    ValueError
        When called and a group's reward is not finite: names the group and the step.
    """

    __name__ = "group_reward"

    def __init__(self, rewards, welfare, rate=None, *, groups, per_response=False):
        self.rewards, self.welfare, self.rate, self.groups = rewards, welfare, rate, list(groups)
        self.per_response = per_response
        # Weights as logarithms: one that has become tiny can grow again.
        self.log_weights = np.full(len(self.groups), -np.log(len(self.groups)))

    def __call__(self, prompts, completions, *, log_metric=None, trainer_state=None, **_):
        """Return the weighted rewards as a list; move the weights; log weight and mean of every group."""
        values = np.asarray(self.rewards(prompts, completions), dtype=float)
        finite = np.isfinite(values).all(axis=1)
        # A reward that is not finite would train silently: the step's advantages become zero.
        if not finite.all():
            step = "?" if trainer_state is None else trainer_state.global_step
            bad = self.groups[finite.argmin()]
            raise ValueError(f"rewards: expected finite rewards, got NaN or infinity for {bad} at step {step}")
        means = _mean_over_processes(values)
        if self.per_response:
            weights = (values.argmin(axis=0) == np.arange(len(values))[:, None]).mean(axis=1)
        else:
            weights = self._move(means)
        if log_metric is not None:
            for name, weight, mean in zip(self.groups, weights, means, strict=True):
                log_metric(f"weight/{name}", float(weight))
                log_metric(f"value/{name}", float(mean))
        return (values.min(axis=0) if self.per_response else weights @ values).tolist()

    def _move(self, means):
        if self.rate is None:
            return self.welfare.weights(means)
        self.log_weights = log_softmax(self.log_weights - self.rate * means)
        return np.exp(self.log_weights)


def train(method, rewards, groups, prompts, reference, profile, folder, *, seed, beta=None, stop_at=None):
    """Train a policy from the reference and save it, with its metrics, in `folder`; resume there after an interruption.

    In every step: draw texts, score them for all groups, let the welfare weigh the groups, take a policy-gradient step
    on the weighted reward less beta KL to the reference.

    Parameters
    ----------
    method : Method; rewards : Rewards, calibrated; groups : list of str
    prompts : list of str, all of one length; reference : Path, a saved policy
    profile : Profile; folder : Path; seed : int; beta : float or None, the profile's
    stop_at : int or None, stop after that step as an interruption would: a checkpoint is kept, nothing is finished

    Returns
    -------
    Path of the saved policy, or None when stopped

    Raises
    ------
    ValueError
        When the folder holds a run of another configuration, prompts differ in length or leave no room, or a reward is
        not finite. Chapter 8.
    """
    beta = profile.beta if beta is None else beta
    settings = {"method": {**asdict(method), "welfare": method.welfare.__name__}, "profile": asdict(profile)}
    # Who draws the texts may change on the way.
    del settings["profile"]["vllm"]
    settings |= {"seed": seed, "beta": beta, "groups": list(groups), "rewards": rewards.fingerprint()}
    settings |= {"prompts": key(prompts=prompts), "processes": int(os.environ.get("WORLD_SIZE", "1"))}
    _claim(folder, settings)
    if (folder / "done.json").exists():
        return folder
    counted = method.welfare is Utilitarian and not method.equal
    welfare = Utilitarian(rewards.weights) if counted else method.welfare()
    reward = GroupReward(rewards, welfare, method.rate, groups=groups, per_response=method.per_response)
    trainer = make_trainer(
        reward, prompts, reference, profile, folder, seed=seed, beta=beta, callbacks=[_Memory(reward, folder, stop_at)]
    )
    # The weights are what a checkpoint gets last: one without them was cut off while it was written.
    trainer.train(resume_from_checkpoint=last_checkpoint(folder, "weights.safetensors"))
    if trainer.state.global_step < profile.steps:
        return None
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        write_json(folder / "done.json", {"steps": trainer.state.global_step})
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    trainer.accelerator.wait_for_everyone()
    return folder


def make_trainer(reward, prompts, reference, profile, folder, *, seed, beta=None, callbacks=()):
    """Return TRL's trainer for a reward, ready to train a policy from the reference; nothing is trained yet."""
    from datasets import Dataset

    model, tokenizer = load_policy(reference)
    prompt_tokens(model, tokenizer, prompts, profile.new_tokens)
    trainer = RLOOTrainer(
        model,
        reward,
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


def _mean_over_processes(values):
    """Return the mean of every group over all texts of all processes, (U,)."""
    total = torch.tensor([*values.sum(axis=1), values.shape[1]], dtype=torch.float64)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        total = total.to("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
        torch.distributed.all_reduce(total)
    total = total.cpu().numpy()
    return total[:-1] / total[-1]
