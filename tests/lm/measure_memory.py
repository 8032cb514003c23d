"""Measure what steps of RLOO take on one GPU, at the size of `gpu-large`, with random weights and no vLLM.

``.venv/bin/python tests/lm/measure_memory.py FOLDER [--base-bf16] [--tiny]`` writes FOLDER/memory.json, in the form of
book/measured/memory_7b.json, and a model of 25 GiB that a second call reads again. It is no test: it needs 64 GiB of
memory, a GPU and some minutes; --tiny tries it on a processor.
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback

from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.reference import make_tokenizer
from maxmin_core.lm.trainer import make_trainer

TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


class Clock(TrainerCallback):
    def __init__(self):
        self.seconds, self.kl = [], None

    def on_step_begin(self, args, state, control, **_):
        self.began = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        self.seconds.append(round(time.perf_counter() - self.began, 2))

    def on_log(self, args, state, control, logs=None, **_):
        self.kl = logs.get("kl") if self.kl is None else self.kl


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base-bf16", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--prompt-tokens", type=int, default=256)
    options = parser.parse_args()
    settings = {"prompts_per_step": 16, "samples_per_prompt": 4, "texts_at_once": 16, "new_tokens": 64, "steps": 4}
    profile = find_profile("gpu-large", **settings, base_bf16=options.base_bf16, cpu=options.tiny)
    words, base = [f"w{i}" for i in range(60 if options.tiny else 31996)], options.folder / "base"
    if not (base / "tokenizer.json").exists():
        tokenizer, special = make_tokenizer([" ".join(words)], len(words)), {}
        for name in ("pad", "bos", "eos"):
            special[f"{name}_token_id"] = getattr(tokenizer, f"{name}_token_id")
        shape = TINY if options.tiny else {}
        config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=8192, **shape, **special)
        LlamaForCausalLM(config).save_pretrained(base)
        tokenizer.save_pretrained(base)
    # One token is the beginning; all prompts are as long as the longest that the profile allows.
    length = options.prompt_tokens - 1
    prompts = [" ".join(words[(i + k) % len(words)] for k in range(length)) for i in range(16)]
    clock, gpu = Clock(), torch.cuda.is_available() and not options.tiny
    reward = lambda completions, **_: [float(len(text)) for text in completions]  # noqa: E731
    trainer = make_trainer(reward, prompts, base, profile, options.folder / "run", seed=0, callbacks=[clock])
    sizes = {"loaded_gib": torch.cuda.memory_allocated() if gpu else 0}
    trainer.train()
    sizes |= {
        f"peak_{name}_gib": getattr(torch.cuda, f"max_memory_{name}")() if gpu else 0
        for name in ("allocated", "reserved")
    }
    made = {"base": "bf16" if options.base_bf16 else "fp32", **{n: round(b / 2**30, 3) for n, b in sizes.items()}}
    made |= {"prompt_tokens": options.prompt_tokens, "seconds_of_steps": clock.seconds, "kl_at_step_1": clock.kl}
    path = options.folder / "memory.json"
    kept = json.loads(path.read_text()) if path.exists() else {"models": []}
    kept |= {"machine": torch.cuda.get_device_name() if gpu else "a processor", "settings": settings}
    kept["libraries"] = {name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")}
    kept["models"].append(made)
    path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
