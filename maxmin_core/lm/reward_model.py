"""Full reward models: a language model with one output, trained by TRL's RewardTrainer; the mixture by hard EM."""

import hashlib
import os
import sys
import warnings

import numpy as np
import torch
from accelerate import PartialState
from scipy.special import log_expit
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback

from .._files import read_json, write_json
from .policy import END
from .reward import Rewards

__all__ = ["ModelRewards", "learn_models", "train_reward_model"]


class ModelRewards(Rewards):
    """Score texts for every group by its own reward model: r_u = (score_u - zero_u) / unit_u. Chapter 8.

    models : list of U models with one output; tokenizer; weights, zero, unit : (U,) float, as in Rewards
    """

    def __init__(self, models, tokenizer, weights, zero=None, unit=None):
        super().__init__(None, np.zeros((len(models), 0)), weights, zero, unit)
        self.models, self.tokenizer = list(models), tokenizer

    def _raw(self, prompts, completions):
        texts = [_whole(p, c, self.tokenizer) for p, c in zip(prompts, completions, strict=True)]
        return np.array([_scores(model, self.tokenizer, texts) for model in self.models])

    def _rescaled(self, zero, unit):
        return ModelRewards(self.models, self.tokenizer, self.weights, zero, unit)

    def of(self, groups):
        """Return the rewards of these groups, a list of int, in this order; their shares sum to one."""
        weights = self.weights[groups] / self.weights[groups].sum()
        return ModelRewards(
            [self.models[u] for u in groups], self.tokenizer, weights, self.zero[groups], self.unit[groups]
        )

    def fingerprint(self):
        """Return a short name that changes with anything that changes a score."""
        digest = hashlib.sha256()
        for name in ("weights", "zero", "unit"):
            digest.update(np.ascontiguousarray(getattr(self, name), dtype=float).tobytes())
        for model in self.models:
            for name, value in sorted(model.state_dict().items()):
                digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder):
        """Write every model, head included, and the scales into `folder`."""
        for u, model in enumerate(self.models):
            model.save_pretrained(folder / f"group-{u}")
        self.tokenizer.save_pretrained(folder / "tokenizer")
        scales = {name: np.asarray(getattr(self, name)).tolist() for name in ("weights", "zero", "unit")}
        write_json(folder / "scales.json", scales)

    @classmethod
    def load(cls, folder, *, cpu=True):
        """Return the rewards saved in `folder`: they score every text as before."""
        scales = {name: np.array(value) for name, value in read_json(folder / "scales.json").items()}
        models = [_load(folder / f"group-{u}", cpu=cpu) for u in range(len(scales["weights"]))]
        return cls(models, AutoTokenizer.from_pretrained(folder / "tokenizer", padding_side="right"), **scales)


def train_reward_model(reference, chosen, rejected, profile, folder, *, seed):
    """Train a reward model on pairs of texts with TRL's RewardTrainer, from the reference with a new head; save it.

    Minimises -mean log sigma(score(chosen) - score(rejected)). What stands in `folder` already is loaded.

    Parameters
    ----------
    reference : Path, a saved policy; chosen, rejected : lists of str, whole texts with their end-of-text token
    profile : Profile; folder : Path; seed : int, of the head and of the order of the pairs

    Returns
    -------
    (model, tokenizer)

    Raises
    ------
    ValueError
        On no pairs. Chapter 8.
    """
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    if not chosen:
        raise ValueError("chosen: expected at least one pair of texts, got none")
    tokenizer = AutoTokenizer.from_pretrained(reference, padding_side="right")
    if not (folder / "done.json").exists():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(reference, num_labels=1, use_safetensors=True)
        trainer = RewardTrainer(
            model,
            RewardConfig(
                output_dir=str(folder),
                max_steps=profile.reward_steps,
                per_device_train_batch_size=max(1, 32 // int(os.environ.get("WORLD_SIZE", "1"))),
                learning_rate=profile.reward_rate,
                lr_scheduler_type="linear",
                max_length=None,
                disable_dropout=True,
                save_strategy="no",
                report_to="none",
                logging_steps=max(1, profile.reward_steps // 10),
                disable_tqdm=not sys.stderr.isatty(),
                bf16=profile.bf16,
                use_cpu=profile.cpu,
                activation_checkpointing=profile.gradient_checkpointing,
                seed=seed,
            ),
            # Token ids, so that training and scoring read the same: as many tokens as the model has positions.
            train_dataset=Dataset.from_dict(
                {
                    f"{side}_ids": _tokens(tokenizer, texts, model)["input_ids"]
                    for side, texts in (("chosen", chosen), ("rejected", rejected))
                }
            ),
            processing_class=tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        if trainer.is_world_process_zero():
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
            write_json(folder / "done.json", {"pairs": len(chosen), "steps": trainer.state.global_step})
        trainer.accelerator.wait_for_everyone()
    return _load(folder, cpu=profile.cpu), tokenizer


def learn_models(reference, texts, choices, assigned, n_groups, profile, folder, *, seed, rounds=4):
    """Return ModelRewards of a mixture by hard EM over annotators, and every annotator's group.

    Starting from `assigned`: train a model for every group on two thirds of its annotators' comparisons; then give
    every annotator the group under which their other choices are likeliest, shares counted,
    argmax_u log share_u + sum_i log sigma(r_u(winner_i) - r_u(loser_i)). A model knows the choices that it was trained
    on: judged by those nobody would move. Stop when nobody does, or warn after the last round; then train on all.

    Parameters
    ----------
    reference : Path, a saved policy; texts : (prompts, completions); choices : (winner, loser, annotator), (n,) int
    assigned : (A,) int, a first guess, such as that of the linear mixture; zeros with n_groups=1 for a single reward
    n_groups, seed : int; rounds : int, zero trains on the first guess; profile : Profile; folder : Path

    Raises
    ------
    ValueError
        When a group has no annotators in the first guess. Should it lose them later, EM stops before, and warns.
        Chapter 8.
    """
    winner, loser, annotator = choices
    assigned = np.asarray(assigned)
    prompts, completions = texts
    tokenizer = AutoTokenizer.from_pretrained(reference)
    whole = [_whole(p, c, tokenizer) for p, c in zip(prompts, completions, strict=True)]

    def fit(used, name):
        count = np.bincount(assigned, minlength=n_groups)
        if not count.all():
            raise ValueError(
                f"assigned: expected annotators in each of {n_groups} groups, got {count.tolist()} in {name}"
            )
        models = []
        for u in range(n_groups):
            of_group = used & (assigned[annotator] == u)
            pairs = [[whole[i] for i in side[of_group]] for side in (winner, loser)]
            models.append(train_reward_model(reference, *pairs, profile, folder / name / f"group-{u}", seed=seed))
        return ModelRewards([model for model, _ in models], models[0][1], count / count.sum())

    order = np.argsort(annotator, kind="stable")
    of_annotator = np.empty_like(order)
    of_annotator[order] = np.arange(len(order)) - np.searchsorted(annotator[order], annotator[order])
    judged = of_annotator % 3 == 0
    n_moved = 0
    for turn in range(rounds):
        rewards = fit(~judged, f"round-{turn}")
        score = rewards(prompts, completions)
        joint = np.tile(np.log(rewards.weights), (len(assigned), 1))
        margin = score[:, winner[judged]] - score[:, loser[judged]]
        np.add.at(joint, annotator[judged], log_expit(margin).T)
        moved = joint.argmax(axis=1)
        PartialState().wait_for_everyone()
        if len(np.unique(moved)) < n_groups:
            warnings.warn(f"round {turn}: a group would lose all annotators; EM stops before", stacklevel=2)
            n_moved = 0
            break
        n_moved = (moved != assigned).sum()
        assigned = moved
        if not n_moved:
            break
    if n_moved:
        warnings.warn(f"rounds: EM still moves {n_moved} of {len(assigned)} annotators after {rounds}", stacklevel=2)
    return fit(np.ones_like(judged), "all"), assigned


def _whole(prompt, completion, tokenizer):
    """The text that a reward model reads, with its end-of-text token."""
    if tokenizer.eos_token == END:
        return f"{prompt} {completion} {END}"
    # Tokens of a pretrained model bring the blank between words along.
    return prompt + completion + tokenizer.eos_token


def _tokens(tokenizer, texts, model, **options):
    return tokenizer(texts, truncation=True, max_length=model.config.max_position_embeddings, **options)


def _load(folder, *, cpu):
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True).eval()
    return model.to("cpu" if cpu else "cuda")


@torch.inference_mode()
def _scores(model, tokenizer, texts, batch=256):
    """The output at the last token that is no padding, (n,); padding stands on the right, where nothing sees it."""
    scores = []
    for start in range(0, len(texts), batch):
        rows = _tokens(tokenizer, texts[start : start + batch], model, return_tensors="pt", padding=True)
        scores.append(model(**rows.to(model.device)).logits[:, 0].float().cpu().numpy())
    return np.concatenate(scores).astype(float)
