"""Adapters on a frozen base, on a tiny Llama: the reference is the base itself, and a run resumes to the bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from maxmin_core.lm._making import Beneath
from maxmin_core.lm.combined import best_soup, room_for_soup, stir
from maxmin_core.lm.enumerable import WordRewards
from maxmin_core.lm.group_reward import GroupReward
from maxmin_core.lm.policy import load_policy, log_probabilities, sample
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.train import METHODS, train
from maxmin_core.lm.trainer import make_trainer

PROMPTS = ["p0", "p1 a", "p2", "p3 b c"]
REWARDS = WordRewards([[1.0, -0.5, 0.3, 0.0, 0.2, 0.1], [-0.6, 0.8, 0.3, 0.5, 0.0, -0.2]], [0.7, 0.3])
SMALL = find_profile(
    "smoke", steps=4, prompts_per_step=2, samples_per_prompt=4, new_tokens=5, rate=1e-2, lora=4, lora_alpha=8
)


@pytest.fixture(scope="module")
def base(llama_folder):
    return llama_folder


def run(base, folder, profile=SMALL, method="maxmin_fast", seed=0, **options):
    return train(METHODS[method], REWARDS, ["many", "few"], PROMPTS, base, profile, folder, seed=seed, **options)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    run(base, folder)
    return folder


@pytest.fixture(scope="module")
def members(base, trained, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    run(base, other, method="maxmin_hard", seed=5)
    return [load_policy(folder)[0] for folder in (trained, other)]


class TestTraining:
    def test_only_an_adapter_is_trained_and_kept(self, base, trained):
        kept = weights(trained)
        assert {value.dtype for value in kept.values()} == {torch.float32} and all(".lora_" in name for name in kept)
        # Seven linear layers in each of two blocks, two matrices each; none of them still as it began.
        ups = [value for name, value in kept.items() if "lora_B" in name]
        assert len(kept) == 28 and len(ups) == 14 and all(up.abs().max() > 0 for up in ups)
        assert not [p for p in trained.rglob("*") if p.suffix in (".bin", ".pt", ".pkl")]
        model, _ = load_policy(trained)
        before = load_file(base / "model.safetensors")
        frozen = {name.replace(".base_layer", ""): value for name, value in model.get_base_model().state_dict().items()}
        assert all(torch.equal(frozen[name], value) for name, value in before.items())

    def test_the_reference_is_the_base_without_the_adapter(self, base, tmp_path):
        trainer = make_trainer(lambda p, c, **_: [0.0] * len(p), PROMPTS, base, SMALL, tmp_path, seed=0)
        assert trainer.ref_model is None
        frozen = [name for name, p in trainer.model.named_parameters() if not p.requires_grad]
        assert frozen and not any("lora_" in name for name in frozen)

    def test_there_is_no_divergence_before_the_first_step(self, trained):
        rows = lines(trained)
        assert rows[0]["kl"] == 0.0 and rows[0]["grad_norm"] > 0 and rows[-1]["kl"] > 0

    def test_the_logged_divergence_is_the_saved_policy_s(self, base, tmp_path, monkeypatch):
        # What TRL logs at the second step beside our own, by the checkpoint of the first, on the tokens that it drew.
        drawn, call = [], GroupReward.__call__

        def watched(reward, prompts, completions, **more):
            drawn.append((prompts, more["completion_ids"]))
            return call(reward, prompts, completions, **more)

        monkeypatch.setattr(GroupReward, "__call__", watched)
        run(base, tmp_path, stop_at=1)
        policy, tokenizer = load_policy(tmp_path / "checkpoint-1")
        run(base, tmp_path, stop_at=2)
        reference, _ = load_policy(base)
        apart = [log_probabilities(model, tokenizer, *drawn[1]) for model in (policy, reference)]
        expected = (apart[0] - apart[1]).sum() / sum(map(len, drawn[1][1]))
        assert lines(tmp_path)[1]["kl"] == pytest.approx(expected, abs=1e-5) and abs(expected) > 1e-3

    @pytest.mark.parametrize("change", [{}, {"base_bf16": True, "bf16": True}, {"gradient_checkpointing": True}])
    def test_an_interrupted_run_resumes_to_the_bit(self, base, tmp_path, change):
        profile = replace(SMALL, **change)
        run(base, tmp_path / "whole", profile)
        for stop in (1, 3):
            assert run(base, tmp_path / "cut", profile, stop_at=stop) is None
        run(base, tmp_path / "cut", profile)
        assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
        one, other = weights(tmp_path / "whole"), weights(tmp_path / "cut")
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        assert {value.dtype for value in one.values()} == {torch.float32}
        assert all(row["grad_norm"] > 0 for row in lines(tmp_path / "whole"))

    @pytest.mark.parametrize(("lora", "steps", "every"), [(4, 300, 10), (4, 4, 2), (0, 300, 150), (4, 1, 1)])
    def test_adapters_are_saved_often_and_few_are_kept(self, base, tmp_path, lora, steps, every):
        profile = replace(SMALL, lora=lora, steps=steps)
        args = make_trainer(lambda **_: [], PROMPTS, base, profile, tmp_path, seed=0).args
        # The older of two goes only when the newer is whole.
        assert (args.save_steps, args.save_total_limit) == (every, 2)

    def test_beneath_a_policy_lies_its_reference_to_the_bit(self, base, trained):
        (policy, tokenizer), (reference, _) = load_policy(trained), load_policy(base)
        beneath, how = Beneath(policy), {"n_tokens": 5, "seed": 1}
        ids = sample(reference, tokenizer, PROMPTS * 5, **how)
        assert sample(beneath, tokenizer, PROMPTS * 5, **how) == ids != sample(policy, tokenizer, PROMPTS * 5, **how)
        found, there, here = (log_probabilities(m, tokenizer, PROMPTS * 5, ids) for m in (beneath, reference, policy))
        np.testing.assert_array_equal(found, there)
        # And switched on again afterwards.
        assert np.abs(here - there).max() > 0.01

    def test_the_seed_draws_the_adapters_first_weights(self, base, tmp_path):
        first = {}
        for name, seed, before in (("one", 0, 1), ("again", 0, 2), ("other", 1, 1)):
            torch.manual_seed(before)
            trainer = make_trainer(lambda p, c, **_: [0.0] * len(p), PROMPTS, base, SMALL, tmp_path / name, seed=seed)
            first[name] = next(p for n, p in trainer.model.named_parameters() if "lora_A" in n).detach()
        assert torch.equal(first["one"], first["again"]) and not torch.equal(first["one"], first["other"])

    def test_a_few_texts_at_a_time_are_the_same_step(self, base, tmp_path):
        # Weights, values and texts are those of the whole batch; the mean of parts differs by rounding.
        for name, at_once in (("whole", None), ("parts", 2)):
            run(base, tmp_path / name, replace(SMALL, texts_at_once=at_once))
        whole, parts = lines(tmp_path / "whole"), lines(tmp_path / "parts")
        assert len(whole) == len(parts) == 4
        for name in ("weight/many", "value/few", "grad_norm", "kl"):
            np.testing.assert_allclose([r[name] for r in parts], [r[name] for r in whole], rtol=2e-4, atol=1e-6)
        one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
        assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-4

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"lora": 0, "base_bf16": True}, "^profile: expected adapters .* on a base in 16 bits"),
            ({"base_bf16": True, "vllm": True}, "^profile: expected a base in 32 bits with vLLM"),
            ({"texts_at_once": 3}, "^profile: expected texts_at_once to divide 8 texts a step"),
        ],
    )
    def test_settings_that_do_not_fit_together_are_named(self, base, tmp_path, change, message):
        with pytest.raises(ValueError, match=message):
            run(base, tmp_path, replace(SMALL, **change))

    def test_an_adapter_is_no_reference(self, trained, tmp_path):
        with pytest.raises(ValueError, match="^reference: expected a whole model, got the adapter in"):
            run(trained, tmp_path)


class TestLoading:
    def test_a_folder_with_an_adapter_is_a_policy(self, base, trained):
        model, tokenizer = load_policy(trained)
        ids = sample(model, tokenizer, PROMPTS, n_tokens=5, seed=0)
        found = log_probabilities(model, tokenizer, PROMPTS, ids)
        merged = model.merge_and_unload()
        np.testing.assert_allclose(log_probabilities(merged, tokenizer, PROMPTS, ids), found, atol=1e-5)
        reference, _ = load_policy(base)
        assert np.abs(log_probabilities(reference, tokenizer, PROMPTS, ids) - found).max() > 1e-3

    def test_a_base_that_is_gone_is_named(self, trained, tmp_path):
        config = json.loads((trained / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = str(tmp_path / "gone")
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match="^folder: expected the base of the adapter in .* got none there"):
            load_policy(tmp_path)


class TestMerging:
    """vLLM is given the policy with its adapter merged into the base; then it is taken out again, step after step."""

    @pytest.fixture
    def merged(self, trained):
        def after(n, bf16):
            model, _ = load_policy(trained, bf16=bf16)
            frozen = {name: p.detach().clone() for name, p in model.named_parameters() if "base_layer" in name}
            for _ in range(n):
                model.merge_adapter()
                model.unmerge_adapter()
            return [(p - frozen[name]).abs() for name, p in model.named_parameters() if name in frozen]

        return after

    def test_a_base_in_32_bits_stays(self, merged):
        assert max(apart.max().item() for apart in merged(100, False)) < 2e-6

    def test_a_base_in_16_bits_does_not(self, merged):
        # Why that is refused with vLLM: the sum is rounded to 8 bits, and the difference is not what was there.
        apart = torch.cat([one.flatten() for one in merged(100, True)])
        assert (apart > 0).float().mean() > 0.05 and apart.max() > 1e-3


class TestSoup:
    def test_what_the_adapters_add_is_averaged(self, base, members, tmp_path):
        soup = room_for_soup(load_policy(base)[0], members)
        stir(soup, members, (0.3, 0.7))
        soup.save_pretrained(tmp_path)
        tokenizer = load_policy(base)[1]
        tokenizer.save_pretrained(tmp_path)
        reloaded, _ = load_policy(tmp_path)
        merged = reloaded.merge_and_unload().state_dict()
        # By another route: whole models, each with its adapter merged, averaged parameter by parameter.
        whole = []
        for u, member in enumerate(members):
            member.save_pretrained(tmp_path / f"member-{u}")
            copy = type(member).from_pretrained(load_policy(base)[0], tmp_path / f"member-{u}")
            whole.append(copy.merge_and_unload().state_dict())
        assert len(merged) == len(whole[0])
        for name, value in merged.items():
            torch.testing.assert_close(value, 0.3 * whole[0][name] + 0.7 * whole[1][name], atol=1e-6, rtol=0)

    def test_one_of_them_alone_is_that_one(self, base, members):
        soup, ids = room_for_soup(load_policy(base)[0], members), torch.tensor([[2, 4, 5]])
        for u, mix in enumerate([(1.0, 0.0), (0.0, 1.0)]):
            stir(soup, members, mix)
            torch.testing.assert_close(soup(ids).logits, members[u](ids).logits, atol=1e-5, rtol=0)

    def test_the_best_mix_is_found(self, base, members):
        soup, ids = room_for_soup(load_policy(base)[0], members), torch.tensor([[2, 4, 5]])
        with torch.no_grad():
            stir(soup, members, (0.4, 0.6))
            aim = soup(ids).logits.clone()
            mix, _ = best_soup(soup, members, lambda model: -np.abs((model(ids).logits - aim).numpy()).ravel())
        assert mix == (0.4, 0.6)

    def test_other_layers_are_refused(self, base, members):
        from peft import LoraConfig, get_peft_model

        narrow = get_peft_model(load_policy(base)[0], LoraConfig(r=2, target_modules=["q_proj"]))
        with pytest.raises(ValueError, match="^members: expected adapters on the same layers in all, got others in nu"):
            stir(room_for_soup(load_policy(base)[0], members), [members[0], narrow], (0.5, 0.5))
