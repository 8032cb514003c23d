"""Prompts of different lengths, chats, padding on the left: what is computed is what the text alone would give."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from maxmin_core.lm.combined import Product
from maxmin_core.lm.enumerable import WordRewards
from maxmin_core.lm.policy import load_policy, log_probabilities, prompt_tokens, sample
from maxmin_core.lm.prompts import encode, is_chat, plain
from maxmin_core.lm.reference import make_gpt2, make_tokenizer
from maxmin_core.lm.score_heads import whole_text
from maxmin_core.lm.step import log_probability
from maxmin_core.lm.train import METHODS, train
from maxmin_core.lm.trainer import make_trainer

MIXED = ["the film", "a", "this movie is good and long and", "the plot was"]
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}assistant{% endif %}"
)
CHATS = [
    [{"role": "user", "content": "the film"}],
    [{"role": "system", "content": "is good"}, {"role": "user", "content": "this movie was long and"}],
]


@pytest.fixture(scope="module")
def tokenizer(texts):
    found = make_tokenizer([*texts, "user assistant system"] * 2, 60)
    found.chat_template = TEMPLATE
    return found


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request, tokenizer):
    """Weights large enough that a text which begins later is another text."""
    if request.param == "gpt2":
        shape = {"positions": 32, "layers": 2, "width": 32, "heads": 2}
        return make_gpt2(tokenizer, seed=0, initializer_range=0.2, **shape).eval()
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **shape, **special)
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def folder(model, tokenizer, tmp_path_factory):
    there = tmp_path_factory.mktemp("mixed")
    model.save_pretrained(there)
    tokenizer.save_pretrained(there)
    return there


@pytest.fixture(scope="module", params=["words", "chats"])
def prompts(request):
    return MIXED if request.param == "words" else CHATS


@torch.no_grad()
def alone(model, prompt_ids, completion):
    """Log-probability of a text without any padding, token by token."""
    logits = model(torch.tensor([prompt_ids + completion])).logits[0].log_softmax(-1)
    return sum(logits[len(prompt_ids) + k - 1, token].item() for k, token in enumerate(completion))


class TestPrompts:
    def test_words_and_chats(self, tokenizer):
        assert plain(CHATS[1]) == "is good\n\nthis movie was long and"
        assert encode(tokenizer, MIXED) == [tokenizer(text)["input_ids"] for text in MIXED]
        said = [tokenizer.decode(ids) for ids in encode(tokenizer, CHATS)]
        assert said[0].removeprefix("<begin> ") == "user the film <end> assistant"

    @pytest.mark.parametrize(
        ("prompts", "message"),
        [
            (["the film", CHATS[0]], "^prompts: expected all words or all chats, got both"),
            ([[{"role": "user"}]], "^prompts: expected words, or messages with role and content, got {'role': 'user'}"),
            ([[]], "^prompts: expected words, or at least one message, got none"),
            ([[7]], "^prompts: expected words, or messages with role and content, got 7"),
        ],
    )
    def test_what_is_neither_is_refused(self, tokenizer, prompts, message):
        with pytest.raises(ValueError, match=message):
            encode(tokenizer, prompts)

    def test_a_chat_without_a_template_is_named(self, policy_folder):
        model, tokenizer = load_policy(policy_folder)
        with pytest.raises(ValueError, match="^prompts: expected words, as the tokenizer has no chat template"):
            sample(model, tokenizer, CHATS, n_tokens=2, seed=0)

    def test_no_prompts_are_named(self, policy_folder):
        with pytest.raises(ValueError, match="^prompts: expected at least one prompt"):
            sample(*load_policy(policy_folder), [], n_tokens=2, seed=0)

    def test_a_reward_model_reads_a_chat_as_the_template_writes_it(self, tokenizer):
        text = whole_text(CHATS[0], "was good", tokenizer)
        assert text == "user the film <end> assistant was good <end>"
        assert is_chat(CHATS[0]) and tokenizer(text)["input_ids"].count(tokenizer.bos_token_id) == 1


class TestDifferentLengths:
    def test_log_probabilities_are_those_of_the_text_alone(self, folder, prompts):
        model, tokenizer = load_policy(folder)
        ids = prompt_tokens(model, tokenizer, prompts, 4)
        completions = [tokenizer.encode(text, add_special_tokens=False) for text in ("is good .", "was", "!", "a")]
        completions = completions[: len(prompts)]
        expected = [alone(model, p, c) for p, c in zip(ids, completions, strict=True)]
        np.testing.assert_allclose(
            log_probabilities(model, tokenizer, prompts, completions), expected, atol=1e-5, rtol=0
        )
        with torch.no_grad():
            np.testing.assert_allclose(log_probability(model, ids, completions), expected, atol=1e-5, rtol=0)

    def test_as_trl_asks_for_them(self, folder, prompts, tmp_path):
        # TRL pads on the left and passes a mask, but no positions: policy and reference.
        small = profile(steps=1, prompts_per_step=2, samples_per_prompt=2, new_tokens=4)
        trainer = make_trainer(zero, prompts, folder, small, tmp_path, seed=0)
        tokenizer = trainer.processing_class
        ids = prompt_tokens(trainer.model, tokenizer, prompts, 4)
        width = max(map(len, ids))
        assert len({len(row) for row in ids}) > 1
        completion = tokenizer.encode("is good .", add_special_tokens=False)
        rows = torch.tensor([[tokenizer.pad_token_id] * (width - len(row)) + row + completion for row in ids])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * (len(row) + len(completion)) for row in ids])
        for model in (trainer.model.eval(), trainer.ref_model):
            expected = [alone(model, row, completion) for row in ids]
            with torch.no_grad():
                found, *_ = trainer._get_per_token_logps_and_entropies(model, rows, mask, len(completion))
            np.testing.assert_allclose(found.sum(1), expected, atol=1e-5, rtol=0)

    def test_what_is_drawn_is_what_each_prompt_alone_would_draw(self, folder, prompts):
        # The chances of the first token, of every prompt, beside the model's own; by the policy and by a product.
        model, tokenizer = load_policy(folder)
        ids = prompt_tokens(model, tokenizer, prompts, 1)
        n = 6000
        for policy in (model, Product([model, model], [0.3, 0.7])):
            drawn = sample(policy, tokenizer, [p for p in prompts for _ in range(n)], n_tokens=1, seed=1, batch=n + 1)
            for u, row in enumerate(ids):
                count = np.bincount([t[0] for t in drawn[u * n : (u + 1) * n]], minlength=len(tokenizer)) / n
                with torch.no_grad():
                    chance = model(torch.tensor([row])).logits[0, -1].softmax(-1).numpy()
                assert np.abs(count - chance).sum() / 2 < 0.04

    def test_later_tokens_too(self, folder, prompts):
        # The likeliest text of every prompt: alone, and padded beside the others.
        model, tokenizer = load_policy(folder)
        sharp = {name: value for name, value in model.state_dict().items() if name.endswith("lm_head.weight")}
        with torch.no_grad():
            next(iter(sharp.values())).mul_(1e4)
        together = sample(model, tokenizer, prompts, n_tokens=4, seed=0)
        product = sample(Product([model], [1.0]), tokenizer, prompts, n_tokens=4, seed=0)
        each = [sample(model, tokenizer, [prompt], n_tokens=4, seed=0)[0] for prompt in prompts]
        assert together == each == product

    def test_a_model_s_own_settings_of_drawing_do_not_count(self, folder):
        # Instruction models recommend a temperature and leave unlikely tokens out.
        model, tokenizer = load_policy(folder)
        before = sample(model, tokenizer, ["the film"] * 200, n_tokens=3, seed=0)
        for name, value in {"temperature": 0.1, "top_p": 0.5, "top_k": 2, "repetition_penalty": 1.5}.items():
            setattr(model.generation_config, name, value)
        assert sample(model, tokenizer, ["the film"] * 200, n_tokens=3, seed=0) == before

    def test_training(self, folder, prompts, tmp_path):
        rewards = WordRewards([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5])
        small = profile(steps=2, prompts_per_step=2, samples_per_prompt=4, new_tokens=4)
        train(METHODS["maxmin"], rewards, ["a", "b"], prompts, folder, small, tmp_path / "run", seed=0)
        rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-6) and rows[0]["grad_norm"] > 0
        load_policy(tmp_path / "run")


def zero(prompts, completions, **_):
    return [0.0 for _ in completions]


def profile(**changes):
    from maxmin_core.lm.profiles import find_profile

    return dataclasses.replace(find_profile("smoke"), **changes)
