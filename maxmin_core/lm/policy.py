"""The reference policy: a word-level GPT-2 trained on sentences, or a pretrained model; sampling and scoring."""

import shutil
import sys
from collections import Counter

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
)

from .._files import read_json, write_json
from .corpus import from_hub

__all__ = [
    "last_checkpoint",
    "load_policy",
    "log_probabilities",
    "make_gpt2",
    "make_prompts",
    "make_tokenizer",
    "prompt_tokens",
    "sample",
    "train_reference",
]

BEGIN, END, PAD, UNKNOWN = "<begin>", "<end>", "<pad>", "<unknown>"


def make_tokenizer(texts, size):
    """Return a word-level tokenizer of the `size` most frequent words; a text begins with <begin>. Chapter 8."""
    count = Counter(word for text in texts for word in text.split())
    vocabulary = [PAD, UNKNOWN, BEGIN, END, *(word for word, _ in count.most_common(size))]
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


def make_gpt2(tokenizer, *, positions, layers, width, heads, seed, **options):
    """Return a GPT-2 of random weights for the words of a tokenizer, without dropout. Chapters 8 and 9."""
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


def train_reference(texts, profile, folder, seed=0):
    """Train the reference policy on sentences with TRL's SFTTrainer, or fine-tune the profile's model; save it.

    Each sentence counts once; one with a word outside of the vocabulary is left out. Returns the perplexity per token
    on a twentieth of the sentences, which training does not see. What was interrupted goes on from its last checkpoint.
    ValueError where the vocabulary leaves nothing to train on, or a hub model is not pinned. Chapter 8.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    if profile.model is not None and profile.revision is None:
        raise ValueError(f"profile: expected a pinned revision of {profile.model}, got none")
    texts = list(dict.fromkeys(texts))
    if profile.model is None:
        tokenizer = make_tokenizer(texts, profile.vocabulary)
        known = set(tokenizer.get_vocab())
        texts = [text for text in texts if known.issuperset(text.split())]
        shape = {"layers": profile.layers, "width": profile.width, "heads": profile.heads}
        model = make_gpt2(tokenizer, positions=1 + profile.longest + 1, seed=seed, **shape)
    else:
        with from_hub(profile.model):
            tokenizer = AutoTokenizer.from_pretrained(profile.model, revision=profile.revision, padding_side="left")
            model = AutoModelForCausalLM.from_pretrained(profile.model, revision=profile.revision, use_safetensors=True)
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
    trainer.train(resume_from_checkpoint=last_checkpoint(folder, "trainer_state.json"))
    perplexity = float(np.exp(trainer.evaluate()["eval_loss"]))
    trainer.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "reference.json", {"perplexity": perplexity, "sentences": len(data)})
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    return perplexity


def last_checkpoint(folder, written_last):
    """Return the newest checkpoint in `folder` whose last file is there and not torn, as str, or None. Chapter 8."""
    found = [path for path in folder.glob("checkpoint-*") if _is_whole(path / written_last)]
    return str(max(found, key=lambda path: int(path.name.split("-")[1]))) if found else None


def _is_whole(path):
    try:
        return path.exists() and (path.suffix != ".json" or bool(read_json(path)))
    except ValueError:
        return False


def load_policy(folder, *, cpu=True):
    """Return (model, tokenizer) of a policy saved in `folder`, safetensors only; ValueError on none. Chapter 8."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"folder: expected a saved policy (config.json, model.safetensors), got {folder}")
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True).eval()
    return model.to("cpu" if cpu else "cuda"), AutoTokenizer.from_pretrained(folder, padding_side="left")


def make_prompts(texts, tokenizer, n_words, n_prompts, seed):
    """Return distinct beginnings of `n_words` words of these texts, all of the same number of tokens, in random order.

    Prompts of one length need no padding, and padding changes the positions that GPT-2 sees. ValueError where the
    texts have fewer. Chapter 8.
    """
    found = sorted({" ".join(text.split()[:n_words]) for text in texts if len(text.split()) > n_words})
    length = np.array([len(ids) for ids in tokenizer(found)["input_ids"]])
    known = [tokenizer.unk_token is None or tokenizer.unk_token_id not in ids for ids in tokenizer(found)["input_ids"]]
    usual = np.bincount(length).argmax()
    found = [text for text, ok, size in zip(found, known, length, strict=True) if ok and size == usual]
    if len(found) < n_prompts:
        raise ValueError(
            f"n_prompts: expected at most {len(found)}, the distinct beginnings of the texts, got {n_prompts}"
        )
    return [found[i] for i in np.random.default_rng(seed).permutation(len(found))[:n_prompts]]


def prompt_tokens(model, tokenizer, prompts, n_tokens):
    """Return the token ids of prompts that a policy can go on from without padding, (n, length) nested lists.

    ValueError on prompts of different lengths, or too long to leave room for `n_tokens`. Chapter 8.
    """
    ids = tokenizer(prompts)["input_ids"]
    lengths = sorted({len(row) for row in ids})
    if len(lengths) != 1:
        raise ValueError(f"prompts: expected the same number of tokens in all, got {lengths}")
    if lengths[0] > (room := getattr(model.config, "max_position_embeddings", np.inf) - n_tokens):
        raise ValueError(f"prompts: expected at most {room} tokens, to leave room for {n_tokens}, got {lengths[0]}")
    return ids


@torch.inference_mode()
def sample(model, tokenizer, prompts, *, n_tokens, seed, batch=256):
    """Draw one completion for every prompt at temperature one; return their token ids, up to the end-of-text token.

    Repeat a prompt to draw several. ValueError on prompts of different lengths, or too long for the model. Chapter 8.
    """
    ids_of_prompts = prompt_tokens(model, tokenizer, prompts, n_tokens)
    torch.manual_seed(seed)
    end, drawn = tokenizer.eos_token_id, []
    for start in range(0, len(prompts), batch):
        ids = torch.tensor(ids_of_prompts[start : start + batch], device=model.device)
        made = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_k=0,
            max_new_tokens=n_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )[:, ids.shape[1] :].tolist()
        drawn += [row[: row.index(end) + 1] if end in row else row for row in made]
    return drawn


@torch.inference_mode()
def log_probabilities(model, tokenizer, prompts, completions, batch=256):
    """Return log pi(completion | prompt), in nats, the end-of-text token included where it was drawn.

    Completions are token ids. Positions are given explicitly, so that padding changes no value. Chapter 8.
    """
    prompt_ids = tokenizer(prompts)["input_ids"]
    values = np.empty(len(prompts))
    for start in range(0, len(prompts), batch):
        part = slice(start, start + batch)
        rows = [p + c for p, c in zip(prompt_ids[part], completions[part], strict=True)]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), tokenizer.pad_token_id)
        counted = torch.zeros(len(rows), width, dtype=torch.bool)
        for i, (row, prompt) in enumerate(zip(rows, prompt_ids[part], strict=True)):
            ids[i, : len(row)] = torch.tensor(row)
            counted[i, len(prompt) : len(row)] = True
        inside = torch.arange(width) < torch.tensor([[len(row)] for row in rows])
        positions = torch.arange(width).expand(len(rows), -1) * inside
        ids, counted, inside, positions = (x.to(model.device) for x in (ids, counted, inside, positions))
        logits = model(ids, attention_mask=inside.long(), position_ids=positions).logits[:, :-1].float()
        each = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        values[part] = (each * counted[:, 1:]).sum(-1).double().cpu().numpy()
    return values
