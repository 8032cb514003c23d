"""A plan beside counts by hand, from the widths that the models' makers publish."""

import pytest

from maxmin_core import cli
from maxmin_core.lm.plan import memory, plan
from maxmin_core.lm.profiles import PROFILES, find_profile

GIB = 2**30


def parts(name, **changes):
    return {part: number for part, number, _ in plan(find_profile(name, **changes))}


class TestCounts:
    def test_gpt2(self):
        # Tokens, positions, twelve blocks, the last norm: the published 124 million.
        block = 4 * 768**2 + 4 * 768 + 8 * 768**2 + 5 * 768 + 4 * 768
        found = parts("gpu")
        assert found["parameters"] == 50257 * 768 + 1024 * 768 + 12 * block + 2 * 768
        assert found["reward model: parameters"] == found["parameters"] + 768
        assert found["policy: tokens drawn at most"] == 300 * 32 * 8 * 32
        # Four bytes a number: the model, its gradient, two of Adam; the reference is the model alone.
        of = memory(find_profile("gpu"))["policy"]
        assert of["model, gradient, Adam"] * GIB == 16 * found["parameters"]
        assert of["reference"] * GIB == 4 * found["parameters"]

    def test_smollm2(self):
        # Words once, for in- and output; thirty blocks: queries and answers 576 x 576, keys and values 576 x 192,
        # three matrices 576 x 1536, two norms; the last norm.
        found, block = parts("pretrained"), 2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536 + 2 * 576
        assert found["parameters"] == 49152 * 576 + 30 * block + 576 == 134515008
        # Adapters of rank 16 on all seven matrices of a block: 16 (in + out) each.
        adapter = 30 * 16 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))
        assert found["parameters that are trained"] == adapter
        of = memory(find_profile("pretrained"))["policy"]
        assert of["adapter, gradient, Adam"] * GIB == pytest.approx(16 * adapter) and "reference" not in of

    def test_an_unknown_model_is_named(self):
        with pytest.raises(ValueError, match="^profile: expected a model of openai-community/gpt2"):
            parts("gpu", model="other/model")


class TestLarge:
    """A Llama of seven billions: 32 blocks of width 4096, 11008 inside, 32000 words, in- and output apart."""

    BLOCK = 4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096
    POLICY = 2 * 32000 * 4096 + 32 * BLOCK + 4096
    ADAPTER = 32 * 16 * (4 * 2 * 4096 + 3 * (4096 + 11008))

    def test_by_hand(self):
        found = memory(find_profile("gpu-large", vllm=True), gpus=8, card=80)["policy"]
        assert parts("gpu-large")["parameters"] == self.POLICY
        scorer = self.POLICY - 32000 * 4096 + 4096
        by_hand = {
            "base": 4 * self.POLICY / GIB,
            "adapter, gradient, Adam": 16 * self.ADAPTER / GIB,
            "rewards: base": 2 * scorer / GIB,
            # One for all, two that EM finds, two of known groups, two that judge, each with a head.
            "rewards: adapters": 7 * 4 * (self.ADAPTER + 4096) / GIB,
            "vLLM": 0.3 * 80,
        }
        for part, gib in by_hand.items():
            assert found[part] == pytest.approx(gib, rel=1e-9), part
        # As it was estimated before anything was written: 25 and 12.6 GiB, a third of the card, 67 of 80 in all.
        assert found["base"] == pytest.approx(25, rel=0.02) and found["rewards: base"] == pytest.approx(12.3, rel=0.02)
        # Four texts at a time of 384 tokens: what 32 blocks hand on and one keeps, in 16 bits.
        assert found["activations (estimate)"] == pytest.approx((32 + 34) * 4096 * 4 * 384 * 2 / GIB, rel=0.02)
        assert sum(by_hand.values()) < sum(found.values()) < 67

    def test_what_judging_keeps(self):
        part = "texts, drawn or read (estimate)"
        found = memory(find_profile("gpu-large"), gpus=8)["judging"][part]
        # Keys and values: 32 blocks of width 4096, 384 tokens, in 32 bits; 8 GiB hold 21 texts. A reward reads more:
        # what one block makes of 80 texts in 16 bits.
        drawn, read = 21 * 384 * 2 * 32 * 4096 * 4, 80 * 384 * 34 * 4096 * 2
        assert drawn / GIB == pytest.approx(7.875)
        assert found == pytest.approx(max(drawn, read) / GIB, rel=0.02)
        small = find_profile("gpu", n_evaluation=64)
        # GPT-2, read whole by rewards of their own: 256 texts of 37 tokens, by count of what is kept of each.
        assert memory(small)["judging"][part] == pytest.approx(256 * 37 * 34 * 768 * 4 / GIB, rel=0.02)
        # Rewards of simulated annotators are judged by the annotators: no third kind.
        assert memory(small)["judging"]["rewards: whole models"] * GIB == pytest.approx(5 * 4 * 124440576, rel=1e-3)

    def test_what_gpus_share(self):
        one, eight = (memory(find_profile("gpu-large"), gpus=n)["policy"] for n in (1, 8))
        drawn = "texts while they are drawn (estimate)"
        # Keys and values of 128 texts of 384 tokens in 32 blocks, in 32 bits.
        assert one[drawn] == pytest.approx(2 * 32 * 4096 * 384 * 128 * 4 / GIB) == 8 * eight[drawn]
        assert one["base"] == eight["base"]
        divided = memory(find_profile("gpu-large", fsdp=True), gpus=8)["policy"]
        assert divided["base"] == pytest.approx(one["base"] / 8)
        assert divided["rewards: base"] == one["rewards: base"]

    def test_sixteen_bits_halve_a_base(self):
        whole, half = (memory(find_profile("gpu-large", base_bf16=b))["policy"] for b in (False, True))
        assert half["base"] == pytest.approx(whole["base"] / 2)

    def test_vllm_keeps_a_policy_as_precisely_as_it_computes(self):
        for bf16, width in ((True, 2), (False, 4)):
            profile = find_profile("gpu-large", vllm=True, bf16=bf16)
            # On a card so small that three tenths of it are less than the weights.
            assert memory(profile, card=1)["policy"]["vLLM"] == pytest.approx(width * self.POLICY / GIB)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"gpus": 3}, "^gpus: expected a number that divides 128 texts, 32 at a time, got 3"),
            ({"gpus": 64}, "^gpus: expected a number that divides 128 texts, 32 at a time, got 64"),
            ({"card": 0.0}, "^memory: expected GiB of a card, above 0, got 0"),
            ({"vllm": True}, "^memory: expected the card's GiB with vllm"),
            ({"vllm": True, "card": 80, "base_bf16": True}, "^profile: expected a base in 32 bits with vLLM"),
        ],
    )
    def test_bad_input_is_named(self, options, message):
        changes = {name: options.pop(name) for name in ("vllm", "base_bf16") if name in options}
        with pytest.raises(ValueError, match=message):
            memory(find_profile("gpu-large", **changes), **options)


class TestCommand:
    def test_a_card_that_is_too_small_ends_with_one(self, capsys):
        command = ["plan", "--profile", "gpu-large", "--gpus", "8", "--vllm"]
        assert cli.main([*command, "--memory", "80"]) == 0
        assert "DOES NOT FIT" not in capsys.readouterr().out
        assert cli.main([*command, "--memory", "48"]) == 1
        out = capsys.readouterr().out
        assert "policy: together" in out and "DOES NOT FIT 48; largest: base" in out
        assert cli.main(["plan", "--profile", "gpu-large", "--gpus", "3"]) == 1
        assert "gpus: expected a number that divides" in capsys.readouterr().err

    def test_a_base_in_sixteen_bits_by_one_switch(self, capsys):
        command = ["plan", "--profile", "gpu-large", "--gpus", "8", "--base-bf16"]
        assert cli.main([*command, "--memory", "40"]) == 0
        assert cli.main([*command[:-1], "--memory", "40"]) == 1
        capsys.readouterr()
        for name, more in (("plan", []), ("train", ["--data", "own=none.csv"])):
            assert cli.main([name, *command[1:3], "--base-bf16", "--vllm", *more]) == 1
            assert "expected a base in 32 bits with vLLM" in capsys.readouterr().err
            assert cli.main([name, *command[1:3], "--base-bf16", "--fsdp", *more]) == 1
            assert "on a base in 32 bits with fsdp" in capsys.readouterr().err
        assert cli.main(["plan", "--profile", "cpu", "--base-bf16"]) == 1
        assert "expected adapters (lora above 0) on a base in 16 bits" in capsys.readouterr().err

    def test_another_group_costs_three_adapters(self, capsys):
        lines = []
        for n in ("2", "3"):
            assert cli.main(["plan", "--profile", "gpu-large", "--gpus", "8", "--groups", n]) == 0
            (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("judging: rewards: adapters")]
            lines.append(float(line.split()[-4]))
        assert lines[1] / lines[0] == pytest.approx(10 / 7, rel=0.01)
        assert cli.main(["plan", "--profile", "gpu-large", "--groups", "0"]) == 1

    @pytest.mark.parametrize("name", sorted(PROFILES))
    def test_every_profile_has_a_plan(self, name, capsys):
        assert cli.main(["plan", "--profile", name, "--memory", "80", "--gpus", "1"]) in (0, 1)
        assert "policy: together" in capsys.readouterr().out
