"""Rewards of all groups on one frozen base score as each would alone, and the base stays as it is."""

import dataclasses
import gc
import json
import shutil
import weakref

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, LlamaConfig, LlamaForCausalLM

from maxmin_core.lm import _room, reward_model, score_heads
from maxmin_core.lm._room import KEPT
from maxmin_core.lm.adapter_rewards import AdapterRewards, embed
from maxmin_core.lm.annotators import ask
from maxmin_core.lm.experiment import load_rewards
from maxmin_core.lm.model_mixture import learn_models
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.reference import make_tokenizer
from maxmin_core.lm.reward import learn_mixture
from maxmin_core.lm.reward_model import ModelRewards, train_reward_model
from maxmin_core.lm.score_heads import load_scorer

SMALL = find_profile(
    "smoke", reward="model", reward_steps=60, reward_rate=1e-2, lora=4, lora_alpha=8, steps=1, n_evaluation=8
)


@pytest.fixture(scope="module")
def base(tmp_path_factory, texts):
    """A tiny Llama."""
    folder = tmp_path_factory.mktemp("llama")
    tokenizer = make_tokenizer(texts, 60)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    config = LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=32, initializer_range=0.2, **shape, **special
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pairs(texts):
    """Texts that are pairwise compared: who likes 'good' and who likes it short; mixed up, so that pairs differ."""
    cut = [texts[i].split() for i in np.random.default_rng(0).permutation(len(texts))]
    prompts = ["the film" for _ in cut]
    completions = [" ".join(words[2:]) for words in cut]
    likes_good = np.array([("good" in words or "great" in words) * 1.0 for words in cut])
    likes_short = -np.array([len(words) for words in cut], dtype=float)
    values = np.array([likes_good, likes_short])
    values = (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)
    return (prompts, completions), 3 * values


@pytest.fixture(scope="module")
def trained(base, pairs, tmp_path_factory):
    """By EM from a first guess in which two of twelve annotators stand in the wrong group."""
    texts, values = pairs
    group, choices = ask(values, [0.5, 0.5], 12, 60, seed=0)
    guess = group.copy()
    wrong = [int(np.flatnonzero(group == u)[0]) for u in (0, 1)]
    guess[wrong] = 1 - guess[wrong]
    folder = tmp_path_factory.mktemp("adapters")
    rewards, assigned = learn_models(base, texts, choices, guess, 2, SMALL, folder, seed=0)
    return rewards, assigned, group, folder


def alone(base, folder, texts):
    """Every group's scores from a model of its own: base, adapter and head merged into one, without PEFT."""
    models = []
    for u in range(2):
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
        models.append(PeftModel.from_pretrained(model, folder / f"group-{u}").merge_and_unload().eval())
        models[-1].config.pad_token_id = 0
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="right")
    return ModelRewards(models, tokenizer, [0.5, 0.5])(*texts)


class TestScores:
    def test_they_are_those_of_each_loaded_alone(self, trained, base, pairs):
        rewards, _, _, folder = trained
        assert isinstance(rewards, AdapterRewards)
        found = rewards(*pairs[0])
        np.testing.assert_allclose(found, alone(base, folder / "all", pairs[0]), atol=1e-5)
        # One by one without merging, too: to the bit.
        for u in range(2):
            single = AdapterRewards.join([folder / "all" / f"group-{u}"], [1.0])
            np.testing.assert_array_equal(single(*pairs[0])[0], found[u])
        assert np.abs(found[0] - found[1]).max() > 0.1

    def test_groups_are_found_and_ranked(self, trained, pairs):
        rewards, assigned, group, _ = trained
        assert (assigned == group).all()
        score, values = rewards(*pairs[0]), pairs[1]
        for u in range(2):
            assert np.corrcoef(score[u], values[u])[0, 1] > 0.7

    def test_memory_grows_by_adapters_alone(self, trained, base):
        rewards = trained[0]
        whole = sum(p.numel() for p in load_scorer(base).parameters())
        of_adapters = [
            sum(v.numel() for v in load_file(trained[3] / "all" / f"group-{u}" / "adapter_model.safetensors").values())
            for u in range(2)
        ]
        assert sum(p.numel() for p in rewards.model.parameters()) == whole + sum(of_adapters)

    def test_two_bases_at_a_time_while_rewards_are_learned(self, base, pairs, tmp_path, monkeypatch):
        made, alive = [], []

        def watched(load):
            def loaded(*given, **more):
                gc.collect()
                alive.append(sum(one() is not None for one in made))
                model = load(*given, **more)
                made.append(weakref.ref(model))
                return model

            return loaded

        for module in (reward_model, score_heads):
            monkeypatch.setattr(module, "load_scorer", watched(module.load_scorer))
        group, choices = ask(pairs[1], [0.5, 0.5], 4, 12, seed=0)
        given, how = (base, pairs[0], choices), {"seed": 0, "n_rounds": 0}
        short = dataclasses.replace(SMALL, reward_steps=1)
        single, _ = learn_models(*given, 0 * group, 1, short, tmp_path / "single", **how)
        learn_models(*given, group, 2, short, tmp_path / "known", onto=single, **how)
        # The rewards' own, and the one that is trained: what the plan counts.
        assert len(made) >= 6 and max(alive) == 1

    def test_a_large_model_reads_as_many_texts_as_there_is_room_for(self, trained, monkeypatch):
        model, tokenizer, sizes = trained[0].model, trained[0].tokenizer, []
        monkeypatch.setattr(_room, "MOST_BYTES", 2 * 4 * KEPT * 32 * 4)
        hook = model.get_base_model().model.register_forward_hook(
            lambda module, given, more, out: sizes.append((len(given[0]), out.past_key_values)),
            with_kwargs=True,
        )
        score_heads.scores(model, tokenizer, ["the film <end>"] * 9)
        hook.remove()
        # Four tokens a text; no keys and values are kept where nothing is drawn.
        assert sizes == [(2, None)] * 4 + [(1, None)]

    def test_the_base_stays(self, trained, base):
        before = load_file(base / "model.safetensors")
        now = trained[0].model.get_base_model().state_dict()
        now = {name.replace(".base_layer", ""): value for name, value in now.items()}
        assert all(torch.equal(value, now[name]) for name, value in before.items() if "lm_head" not in name)

    def test_reloaded_renamed_and_calibrated(self, trained, pairs, tmp_path):
        rewards = trained[0].calibrated(*pairs[0])
        np.testing.assert_allclose(rewards(*pairs[0]).mean(axis=1), 0, atol=1e-6)
        swapped = rewards.of([1, 0])
        np.testing.assert_array_equal(swapped(*pairs[0]), rewards(*pairs[0])[::-1])
        for name, some in (("both", rewards), ("swapped", swapped), ("second", rewards.of([1]))):
            some.save(tmp_path / "rewards" / name)
            again = AdapterRewards.load(tmp_path / "rewards" / name)
            np.testing.assert_array_equal(again(*pairs[0]), some(*pairs[0]))
            assert again.fingerprint() == some.fingerprint()
        assert len({r.fingerprint() for r in (rewards, swapped, rewards.of([1]), trained[0])}) == 4

    def test_a_run_loads_them(self, trained, pairs, tmp_path):
        for name in ("single", "mixture", "known"):
            trained[0].save(tmp_path / "rewards" / name)
        # Three kinds of rewards on one base: as far as adapters go they know nothing of each other.
        with pytest.raises(ValueError, match="^names: expected other names than those on the base, got .*all-0"):
            load_rewards(tmp_path, SMALL)
        for name in ("single", "mixture", "known"):
            shutil.rmtree(tmp_path / "rewards" / name)
            some = trained[0].of([1, 0] if name == "known" else [0, 1])
            folders = [trained[3] / "all" / f"group-{u}" for u in ((1, 0) if name == "known" else (0, 1))]
            named = AdapterRewards.join(folders, some.shares, names=[f"{name}-{u}" for u in range(2)])
            named.save(tmp_path / "rewards" / name)
        found = load_rewards(tmp_path, SMALL)
        for name, rewards in found.items():
            order = [1, 0] if name == "known" else [0, 1]
            np.testing.assert_array_equal(rewards(*pairs[0]), trained[0].of(order)(*pairs[0]))
            assert rewards.model is found["single"].model
            assert rewards.fingerprint() == trained[0].of(order).fingerprint()
        assert len(found["single"].model.peft_config) == 6
        found["known"].forget()
        assert len(found["single"].model.peft_config) == 4
        np.testing.assert_array_equal(found["mixture"](*pairs[0]), trained[0](*pairs[0]))

    def test_adapters_of_two_bases_are_refused(self, trained, base, tmp_path):
        shutil.copytree(trained[3] / "all" / "group-1", tmp_path / "other")
        config = json.loads((tmp_path / "other" / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "elsewhere"
        (tmp_path / "other" / "adapter_config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match="^folders: expected adapters on one base, got .*, elsewhere"):
            AdapterRewards.join([trained[3] / "all" / "group-0", tmp_path / "other"], [0.5, 0.5])
        with pytest.raises(ValueError, match="^folders: expected the adapters' base at elsewhere, got none there"):
            AdapterRewards.join([tmp_path / "other"], [1.0])


class TestSixteenBits:
    def test_adapters_and_heads_have_32_on_a_base_of_16(self, base, pairs, tmp_path):
        profile = dataclasses.replace(SMALL, base_bf16=True, bf16=True, reward_steps=3, reward_rate=1e-6)
        pair = (["the film is good . <end>"] * 8, ["the film was bad ! <end>"] * 8)
        model, _ = train_reward_model(base, *pair, profile, tmp_path / "one", seed=0)
        kept = load_file(tmp_path / "one" / "adapter_model.safetensors")
        assert {value.dtype for value in kept.values()} == {torch.float32}
        types = {name: p.dtype for name, p in model.named_parameters()}
        assert {t for name, t in types.items() if "lora_" in name or "score.modules" in name} == {torch.float32}
        assert types["base_model.model.model.embed_tokens.weight"] == torch.bfloat16
        # The head moves at a rate that 16 bits would not see.
        first = find_head(base, profile, pair, tmp_path / "none")
        apart = (kept["base_model.model.score.weight"] - first).abs()
        assert 0 < apart.max() < 1e-5 and (apart > 0).float().mean() > 0.9
        whole = AdapterRewards.join([tmp_path / "one"], [1.0])(*pairs[0])
        np.testing.assert_allclose(
            AdapterRewards.join([tmp_path / "one"], [1.0], bf16=True)(*pairs[0]), whole, atol=0.05 * whole.std() + 0.05
        )

    def test_a_base_of_32_bears_a_hundred_merges(self, base, trained):
        # vLLM's weights are made so: merged in place, and taken out again. 16 bits lose what 32 keep.
        worst = {}
        for dtype in (torch.float32, torch.bfloat16):
            model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=dtype)
            model = PeftModel.from_pretrained(model, trained[3] / "all" / "group-0")
            before = {name: p.detach().clone() for name, p in model.named_parameters() if "base_layer" in name}
            for _ in range(100):
                model.merge_adapter()
                model.unmerge_adapter()
            now = dict(model.named_parameters())
            worst[dtype] = max(((now[n] - p).abs().max() / p.abs().max()).item() for n, p in before.items())
        assert worst[torch.float32] < 2e-6 < 1e-3 < worst[torch.bfloat16]


def find_head(base, profile, pair, folder):
    """The head as training finds it, by training at a rate of nothing."""
    train_reward_model(base, *pair, dataclasses.replace(profile, reward_rate=0.0, reward_steps=1), folder, seed=0)
    return load_file(folder / "adapter_model.safetensors")["base_model.model.score.weight"]


class TestEmbed:
    def test_by_hand(self, base, pairs):
        prompts, completions = (side[:12] for side in pairs[0])
        found = embed(base, prompts, completions, n_features=3, batch=5)
        model = LlamaForCausalLM.from_pretrained(base).eval()
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base)
        means = []
        for p, c in zip(prompts, completions, strict=True):
            with torch.no_grad():
                ids = tokenizer(f"{p} {c} <end>", return_tensors="pt")["input_ids"]
                means.append(model.model(ids).last_hidden_state[0].mean(0).numpy())
        centred = np.array(means) - np.mean(means, axis=0)
        _, direction = np.linalg.eigh(centred.T @ centred)
        expected = centred @ direction[:, ::-1][:, :3]
        expected /= np.sqrt((expected**2).mean(axis=0))
        signs = np.sign((found * expected).sum(axis=0))
        np.testing.assert_allclose(found * signs, expected, atol=2e-3)

    def test_em_can_begin_there(self, base, pairs):
        texts, values = pairs
        group, choices = ask(values, [0.5, 0.5], 12, 60, seed=0)
        fit = learn_mixture(embed(base, *texts, n_features=16), choices, 2, seed=0)
        right = (fit.responsibilities.argmax(axis=1) == group).mean()
        assert max(right, 1 - right) > 0.8
