"""The profile gpu as it is, but for sizes and the processor: a small GPT-2 with byte pairs stands in for the hub's."""

import json
from dataclasses import replace

import huggingface_hub
import pytest
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from maxmin_core.lm.corpus import from_hub, load_reviews, sentences
from maxmin_core.lm.experiment import run_methods
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.reference import train_reference
from maxmin_core.lm.results import base_folder, run_folder
from maxmin_core.lm.reward_model import ModelRewards

END = "<|endoftext|>"


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """Tokens of several bytes, one token that begins, ends and pads: GPT-2 has them, the word-level model has not."""
    folder = tmp_path_factory.mktemp("hub")
    small = find_profile("gpu", corpus="movie-reviews", n_reviews=1000, model=str(folder), cpu=True)
    pairs = ByteLevelBPETokenizer()
    texts = sentences(load_reviews(n_reviews=1000), shortest=small.shortest, longest=small.longest)
    pairs.train_from_iterator(texts, vocab_size=500, special_tokens=[END], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pairs._tokenizer, bos_token=END, eos_token=END, unk_token=END)
    tokenizer.save_pretrained(folder)
    shape = {"n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    sizes = {"reference_steps": 30, "reference_batch": 16, "reference_rate": 3e-3}
    sizes |= {"n_pairs": 120, "n_prompts": 16, "prompts_per_step": 2, "samples_per_prompt": 4, "steps": 2}
    sizes |= {"n_annotators": 20, "n_per_annotator": 20, "reward_steps": 15, "reward_rate": 3e-3, "n_evaluation": 24}
    return replace(small, **sizes)


def test_the_whole_path(profile, tmp_path):
    # In bf16, with activations recomputed and whole models as rewards, as on a GPU.
    assert profile.bf16 and profile.gradient_checkpointing and profile.reward == "model"
    folders = run_methods("80:20", profile, tmp_path, seed=3, methods=["maxmin"])
    stored = json.loads((base_folder(profile, tmp_path) / "texts.json").read_text())
    assert any(ids[-1] == 0 for ids in stored["pool"]["ids"]), "no text of the reference ends"
    assert not any(END in text for text in stored["pool"]["completions"])
    result = json.loads((folders[1] / "result.json").read_text())
    assert result["kl"] != 0 and len(result["value"]) == 2 and result["empty"] < 1
    steps = [json.loads(line) for line in (folders[1] / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps] == [1, 2]
    used = json.loads((folders[1] / "settings.json").read_text())["rewards"]
    assert (
        used == ModelRewards.load(run_folder("80:20", profile, tmp_path, seed=3) / "rewards" / "mixture").fingerprint()
    )


class TestHub:
    def test_a_hub_out_of_reach_is_named(self, monkeypatch, tmp_path):
        # The libraries are told that there is no network: no test looks for one.
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        profile = find_profile("gpu", model="no-such/model")
        with pytest.raises(OSError, match="^no-such/model: expected to reach the hub, .*smoke and cpu need no hub"):
            train_reference(["a film"] * 50, profile, tmp_path)

    def test_a_full_disk_is_not_called_a_missing_hub(self):
        with pytest.raises(OSError, match="No space left"), from_hub("some/model"):
            raise OSError(28, "No space left on device")
