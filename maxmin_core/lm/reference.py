"""The reference policy: a word-level GPT-2 trained on sentences, or a pretrained model tuned on them. Chapter 8."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    PrinterCallback,
)

from .._files import read_json, write_json
from ._devices import see_one_gpu
from .corpus import from_hub
from .profiles import Profile

__all__ = [
    "BEGIN",
    "END",
    "PAD",
    "UNKNOWN",
    "last_checkpoint",
    "load_pretrained",
    "make_gpt2",
    "make_tokenizer",
    "train_reference",
]

see_one_gpu()

# What the word-level model knows beside words.
BEGIN, END, PAD, UNKNOWN = "<begin>", "<end>", "<pad>", "<unknown>"


def make_tokenizer(texts: Iterable[str], n_words: int) -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer of the most frequent words of texts; a text begins with ``<begin>``.

    Parameters
    ----------
    texts : iterable of str
        Words separated by blanks.
    n_words : int
        How many words to know; four special tokens come to these.

    Returns
    -------
    PreTrainedTokenizerFast
        Pads on the left.

    Examples
    --------
    >>> tokenizer = make_tokenizer(["the film", "the plot"], 2)
    >>> tokenizer.convert_ids_to_tokens(tokenizer("the plot")["input_ids"])
    ['<begin>', 'the', '<unknown>']
    """
    count = Counter(word for text in texts for word in text.split())
    vocabulary = [PAD, UNKNOWN, BEGIN, END, *(word for word, _ in count.most_common(n_words))]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def make_gpt2(
    tokenizer: PreTrainedTokenizerBase,
    *,
    positions: int,
    layers: int,
    width: int,
    heads: int,
    seed: int,
    **options: Any,
) -> GPT2LMHeadModel:
    """Return a GPT-2 of random weights for the words of a tokenizer, without dropout.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Whose vocabulary the model writes.
    positions : int
        Tokens of the longest text, prompt included.
    layers : int
        How many layers.
    width : int
        Numbers that stand for a token in each of them.
    heads : int
        Attention heads, a divisor of the width.
    seed : int
        Of the weights.
    **options
        Further settings of ``transformers.GPT2Config``.

    Returns
    -------
    GPT2LMHeadModel

    Examples
    --------
    >>> model = make_gpt2(make_tokenizer(["the film"], 2), positions=4, layers=1, width=8, heads=2, seed=0)
    >>> sum(parameter.numel() for parameter in model.parameters())
    968
    """
    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=positions,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            # GPT-2's own activation, as one operation of PyTorch instead of eight.
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **options,
        )
    )


def train_reference(texts: Sequence[str], profile: Profile, folder: Path, *, seed: int = 0) -> float:
    """Train the reference policy on sentences with TRL's SFTTrainer, or tune the profile's model; save it.

    Each sentence counts once; one with a word outside of the vocabulary is left out. What was interrupted goes on from
    its last checkpoint. With no steps the model is saved as it is.

    Parameters
    ----------
    texts : sequence of str
        Sentences, words separated by blanks.
    profile : Profile
        Which model, how large, how long.
    folder : Path
        Where it is saved, with its checkpoints on the way.
    seed : int
        Of the weights and of the order of the sentences.

    Returns
    -------
    float
        Perplexity per token on a twentieth of the sentences, which training does not see.

    Raises
    ------
    ValueError
        Where the vocabulary leaves nothing to train on, or a hub model is not pinned.
    OSError
        When the hub is out of reach.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> train_reference(["the film is good ."], find_profile("smoke"), Path("reference"))
    Traceback (most recent call last):
    ValueError: texts: expected at least 40 sentences within the vocabulary, got 1
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    texts = list(dict.fromkeys(texts))
    tokenizer: Any
    model: Any
    if profile.model is None:
        tokenizer = make_tokenizer(texts, profile.vocabulary)
        known = set(tokenizer.get_vocab())
        texts = [text for text in texts if known.issuperset(text.split())]
        shape = {"layers": profile.layers, "width": profile.width, "heads": profile.heads}
        model = make_gpt2(tokenizer, positions=1 + profile.longest + 1, seed=seed, **shape)
    else:
        model, tokenizer = load_pretrained(profile)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if len(texts) < 40:
        raise ValueError(f"texts: expected at least 40 sentences within the vocabulary, got {len(texts)}")
    order = np.random.default_rng(seed).permutation(len(texts))
    data = [{"text": texts[i] + (f" {END}" if profile.model is None else tokenizer.eos_token)} for i in order]
    heldout = len(data) // 20
    trainer = SFTTrainer(
        model,
        SFTConfig(
            output_dir=str(folder),
            max_steps=profile.reference_steps,
            per_device_train_batch_size=profile.reference_batch,
            per_device_eval_batch_size=4 * profile.reference_batch,
            learning_rate=profile.reference_rate,
            lr_scheduler_type="cosine",
            warmup_steps=min(100, profile.reference_steps // 10),
            # A word can be several tokens of a pretrained model: nothing is cut there.
            max_length=1 + profile.longest + 1 if profile.model is None else None,
            packing=False,
            # The data are shuffled already; a sampler's own shuffle is forgotten by a run that resumes.
            train_sampling_strategy="sequential",
            save_steps=max(1, profile.reference_steps // 5),
            # The older one goes only when the newer is whole.
            save_total_limit=2,
            report_to="none",
            logging_steps=max(1, profile.reference_steps // 20),
            disable_tqdm=not sys.stderr.isatty(),
            bf16=profile.bf16,
            use_cpu=profile.cpu,
            activation_checkpointing=profile.gradient_checkpointing,
            seed=seed,
        ),
        train_dataset=Dataset.from_list(data[heldout:]),
        eval_dataset=Dataset.from_list(data[:heldout]),
        processing_class=tokenizer,
    )
    # Without a terminal there is no progress bar, and the numbers of every step are in nobody's way.
    trainer.remove_callback(PrinterCallback)
    # A trainer that is told zero steps takes one.
    if profile.reference_steps:
        trainer.train(resume_from_checkpoint=last_checkpoint(folder, "trainer_state.json"))
    perplexity = float(np.exp(trainer.evaluate()["eval_loss"]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "reference.json", {"perplexity": perplexity, "sentences": len(data)})
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    return perplexity


def load_pretrained(profile: Profile) -> tuple[Any, Any]:
    """Load the pretrained model of a profile: a package's, one of the hub at a commit, or one in a folder.

    Parameters
    ----------
    profile : Profile
        With a model.

    Returns
    -------
    model : PreTrainedModel
        In 32 bits, whatever the file holds: in 16 a step of training is mostly rounded away.
    tokenizer : PreTrainedTokenizerBase
        Pads on the left, by a token of its own or else the end-of-text token.

    Raises
    ------
    ValueError
        Where there is no model, a hub model is not pinned, or has no safetensors.
    OSError
        When the hub is out of reach.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> load_pretrained(find_profile("gpu-large"))
    Traceback (most recent call last):
    ValueError: profile: expected a pinned revision of allenai/tulu-2-7b, got none
    """
    if profile.model is None:
        raise ValueError(f"profile: expected one with a pretrained model, got {profile.name}")
    local = Path(profile.model).is_dir()
    if profile.revision is None and not local:
        raise ValueError(f"profile: expected a pinned revision of {profile.model}, got none")
    tokenizer: Any
    model: Any
    if profile.model.startswith("package:"):
        from .pretrained import from_package

        model, tokenizer = from_package(profile.model.removeprefix("package:"), str(profile.revision))
    else:
        if local and not list(Path(profile.model).glob("*.safetensors")):
            raise ValueError(f"profile: expected safetensors in {profile.model}, got none")
        with from_hub(profile.model):
            tokenizer = AutoTokenizer.from_pretrained(profile.model, revision=profile.revision, padding_side="left")
            how: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32}
            try:
                model = AutoModelForCausalLM.from_pretrained(profile.model, revision=profile.revision, **how)
            except OSError as error:
                if "safetensors" not in str(error):
                    raise
                told = f"profile: expected safetensors of {profile.model} at {profile.revision}, got none"
                raise ValueError(told) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def last_checkpoint(folder: Path, written_last: str) -> str | None:
    """Return the newest checkpoint of a trainer that is whole.

    Parameters
    ----------
    folder : Path
        Where the trainer writes.
    written_last : str
        Name of the file that a checkpoint gets last: one without it, or with a torn one, was cut off.

    Returns
    -------
    str or None
        Its folder; None where there is no checkpoint to go on from.

    Examples
    --------
    >>> last_checkpoint(Path("no-such-folder"), "trainer_state.json") is None
    True
    """
    found = [path for path in folder.glob("checkpoint-*") if _is_whole(path / written_last)]
    return str(max(found, key=lambda path: int(path.name.split("-")[1]))) if found else None


def _is_whole(path):
    try:
        return path.exists() and (path.suffix != ".json" or bool(read_json(path)))
    except ValueError:
        return False
