"""What TRL's trainer of a policy is given: every field beside the profile, without any training.

Fields that TRL sets itself today are looked at, too: its next version may set others.
"""

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from maxmin_core.lm import trainer
from maxmin_core.lm.profiles import find_profile

from .handed_over import ODD, recorded


@pytest.fixture
def configurations(monkeypatch):
    monkeypatch.setattr(trainer, "RLOOConfig", recorded("rloo"))
    monkeypatch.setattr(trainer, "GRPOConfig", recorded("grpo"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    def make(profile=ODD, kind="rloo", rewards="ab", seed=7, beta=0.5):
        return trainer._configuration(profile, "runs/here", seed, beta, kind, rewards)

    return make


class TestPolicy:
    AS_EVER = {
        "output_dir": "runs/here",
        "max_steps": 50,
        "per_device_train_batch_size": 12,
        "gradient_accumulation_steps": 1,
        "num_generations": 4,
        "max_completion_length": 6,
        "temperature": 1.0,
        "top_k": 0,
        "learning_rate": 0.002,
        "lr_scheduler_type": "linear",
        "beta": 0.5,
        "disable_dropout": True,
        "logging_steps": 1,
        "save_steps": 25,
        "save_total_limit": 2,
        "seed": 7,
        "shuffle_dataset": False,
        "report_to": "tensorboard",
        "disable_tqdm": True,
        "bf16": False,
        "use_cpu": True,
        "ddp_backend": None,
        "activation_checkpointing": False,
        "use_vllm": False,
        "vllm_mode": "colocate",
    }

    @pytest.fixture(autouse=True)
    def without_a_terminal(self, monkeypatch):
        monkeypatch.setattr(trainer.sys, "stderr", SimpleNamespace(isatty=lambda: False, write=lambda text: None))

    def test_field_by_field(self, configurations):
        assert configurations() == ("rloo", self.AS_EVER)

    @pytest.mark.parametrize(
        ("changes", "fields"),
        [
            ({"cpu": False, "bf16": True}, {"use_cpu": False, "bf16": True}),
            ({"gradient_checkpointing": True}, {"activation_checkpointing": True}),
            ({"vllm": True}, {"use_vllm": True}),
            # Four of twelve texts at a time: three times, and one step.
            ({"texts_at_once": 4}, {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3}),
            # Adapters are small: a checkpoint every ten steps, or twice where there are fewer than twenty.
            ({"lora": 4}, {"save_steps": 10}),
            ({"lora": 4, "steps": 8}, {"save_steps": 4, "max_steps": 8}),
            ({"steps": 1}, {"save_steps": 1, "max_steps": 1}),
        ],
    )
    def test_what_a_profile_changes(self, configurations, changes, fields):
        assert configurations(replace(ODD, **changes)) == ("rloo", self.AS_EVER | fields)

    def test_a_terminal_has_a_bar(self, configurations, monkeypatch):
        monkeypatch.setattr(trainer.sys, "stderr", SimpleNamespace(isatty=lambda: True))
        assert configurations()[1]["disable_tqdm"] is False

    @pytest.mark.parametrize(("kind", "order"), [("grpo", "sum_then_normalize"), ("grpo_scaled", "normalize_then_sum")])
    def test_grpo_weighs_the_groups_alike(self, configurations, kind, order):
        more = {"loss_type": "dr_grpo", "scale_rewards": "none", "reward_weights": [0.25] * 4}
        found = configurations(kind=kind, rewards="abcd")
        assert found == ("grpo", self.AS_EVER | more | {"multi_objective_aggregation": order})

    def test_processes_share_the_batch(self, configurations, monkeypatch):
        monkeypatch.setenv("WORLD_SIZE", "2")
        found = configurations()[1]
        assert found == self.AS_EVER | {"per_device_train_batch_size": 6, "ddp_backend": "gloo"}
        # NCCL is asked for by nobody: a GPU's processes find it.
        assert configurations(replace(ODD, cpu=False))[1]["ddp_backend"] is None
        found = configurations(replace(ODD, texts_at_once=4, lora=4, fsdp=True))[1]
        assert (found["per_device_train_batch_size"], found["gradient_accumulation_steps"]) == (2, 3)
        assert found["fsdp"] is True
        assert found["fsdp_config"] == {"version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}

    @pytest.mark.parametrize(
        ("processes", "changes", "message"),
        [
            (5, {}, "^profile: expected 12 texts a step to divide among the processes, got 5$"),
            (1, {"texts_at_once": 5}, "^profile: expected texts_at_once to divide 12 texts a step, and 1 .*got 5$"),
            (2, {"texts_at_once": 3}, "^profile: expected texts_at_once to divide 12 .*and 2 processes .* got 3$"),
            (
                4,
                {"reward": "model", "reward_batch": 6},
                "^profile: expected 6 pairs of a reward model's step to divide among the processes, got 4$",
            ),
            (2, {"fsdp": True}, r"^profile: expected adapters \(lora above 0\) on a base in 32 bits with fsdp$"),
            (1, {"fsdp": True, "lora": 4}, "^profile: expected several processes for fsdp, .* got one$"),
        ],
    )
    def test_what_does_not_fit_together_is_named(self, configurations, monkeypatch, processes, changes, message):
        monkeypatch.setenv("WORLD_SIZE", str(processes))
        with pytest.raises(ValueError, match=message):
            configurations(replace(ODD, **changes))

    def test_prompts_stand_shuffle_after_shuffle(self):
        # Fifty steps of three: each of the seven comes again only when all have come, and the last round is cut off.
        found = trainer._in_order(list("abcdefg"), ODD, 3)
        assert len(found) == 150 and all(sorted(found[k : k + 7]) == list("abcdefg") for k in range(0, 147, 7))
        rng = np.random.default_rng(3)
        assert found[:14] == ["abcdefg"[i] for _ in range(2) for i in rng.permutation(7)]
        assert len(trainer._in_order(list("abcde"), replace(ODD, steps=5), 0)) == 15

    @pytest.mark.parametrize("kind", ["rloo", "grpo"])
    def test_the_trainer_s_own_arguments(self, policy_folder, monkeypatch, kind):
        made = {}

        class Stub:
            ref_model = None

            def __init__(self, model, rewards, configuration, **more):
                made.update(more, model=model, rewards=rewards, configuration=configuration, kind=type(self).__name__)

            def remove_callback(self, callback):
                made["removed"] = callback.__name__

        monkeypatch.setattr(trainer, "RLOOTrainer", type("Rloo", (Stub,), {}))
        monkeypatch.setattr(trainer, "GRPOTrainer", type("Grpo", (Stub,), {}))
        monkeypatch.setattr(trainer, "_configuration", lambda *given: given)

        class Reward:
            groups = ("a", "b")

            def __call__(self, prompts, completions, **more):
                self.scored = np.array([[1.0, 2.0], [3.0, 4.0]])
                return more["told"]

        reward, told, prompts = Reward(), object(), ["the film", "a story"]
        profile = replace(ODD, lora=4)
        options = {"seed": 5, "callbacks": [told], "kind": kind}
        trainer.make_trainer(reward, prompts, policy_folder, profile, "out", **options)
        assert (
            made["kind"] == kind.capitalize() and made["callbacks"] == [told] and made["removed"] == "PrinterCallback"
        )
        assert list(made["train_dataset"]["prompt"]) == trainer._in_order(prompts, profile, 5)
        assert made["processing_class"].padding_side == "left" and made["peft_config"].r == 4
        assert made["configuration"] == (profile, "out", 5, 0.25, kind, made["rewards"])
        if kind == "rloo":
            assert made["rewards"] is reward
        else:
            # The first scores for all groups, the others say what it found.
            first, second = made["rewards"]
            assert (first.__name__, second.__name__) == ("a", "b")
            assert first([], [], told=None) == [1.0, 2.0] and second([], [], untold=None) == [3.0, 4.0]
        trainer.make_trainer(reward, prompts, policy_folder, ODD, "out", **options, beta=0.0)
        # A strength of none is meant, too.
        assert made["configuration"][3] == 0.0

    def test_what_several_processes_and_vllm_need(self, policy_folder, monkeypatch):
        told, reference = [], object()

        class Stub:
            def __init__(self, *_, **__):
                kind = SimpleNamespace(value="MULTI_CPU")
                self.ref_model = "wrapped"
                self.accelerator = SimpleNamespace(
                    is_fsdp2=divided, distributed_type=kind, unwrap_model=lambda model: (model, reference)
                )

            def remove_callback(self, callback):
                pass

        monkeypatch.setattr(trainer, "RLOOTrainer", Stub)
        monkeypatch.setattr(trainer, "_configuration", lambda *given: "configuration")
        monkeypatch.setattr(trainer, "_divide_on_processors", lambda given: told.append(("divided", given)))
        monkeypatch.setattr(trainer, "set_seed", lambda seed, **how: told.append(("seed", seed, how)))
        monkeypatch.setattr(trainer, "vllm_like_the_policy", lambda profile: contextlib.nullcontext())

        def make(**changes):
            told.clear()
            with monkeypatch.context() as patch:
                # A trainer's own copy of the reference counts by the mask, as the policy does.
                patch.setattr(trainer, "count_by_mask", lambda model: told.append(("counts", model)))
                trainer.make_trainer(len, ["the film"], policy_folder, replace(ODD, **changes), "out", seed=5)
            return told

        divided = True
        counts = ("counts", ("wrapped", reference))
        assert make() == [counts]
        assert make(fsdp=True, lora=4) == [("divided", "configuration"), counts]
        assert make(fsdp=True, lora=4, cpu=False) == [counts]
        # Every process draws texts of its own.
        assert make(vllm=True) == [("seed", 5, {"device_specific": True}), counts]
        divided = False
        with pytest.raises(ValueError, match=r"^profile: expected a model that is divided .* \(fsdp\), got MULTI_CPU$"):
            make(fsdp=True, lora=4)

    def test_adapters_stand_on_every_linear_layer(self):
        found = trainer.adapters(replace(ODD, lora=6), "SEQ_CLS", modules_to_save=["score"])
        assert (found.r, found.lora_alpha, found.lora_dropout, found.bias) == (6, 24, 0.0, "none")
        assert (found.target_modules, found.task_type, found.modules_to_save) == ("all-linear", "SEQ_CLS", ["score"])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"base_bf16": True}, r"^profile: expected adapters \(lora above 0\) on a base in 16 bits"),
            ({"reward_bf16": True}, r"^profile: expected adapters \(lora above 0\) on a base in 16 bits"),
            ({"base_bf16": True, "lora": 4, "vllm": True}, "^profile: expected a base in 32 bits with vLLM"),
            ({"base_bf16": True, "lora": 4, "fsdp": True}, "^profile: expected adapters .* in 32 bits with fsdp$"),
        ],
    )
    def test_adapters_that_cannot_be(self, changes, message):
        with pytest.raises(ValueError, match=message):
            trainer.adapters(replace(ODD, **changes), "CAUSAL_LM")

    def test_what_nothing_is_merged_into_may_have_sixteen_bits(self):
        for changes in ({"vllm": True}, {"fsdp": True}):
            assert trainer.adapters(replace(ODD, lora=4, reward_bf16=True, **changes), "CAUSAL_LM").r == 4

    def test_an_adapter_is_no_reference(self, tmp_path):
        (tmp_path / "adapter_config.json").write_text("{}")
        with pytest.raises(ValueError, match=f"^reference: expected a whole model, got the adapter in {tmp_path}$"):
            trainer.make_trainer(None, ["a"], tmp_path, ODD, tmp_path, seed=0)


def test_profiles_reach_the_trainer_as_they_are(configurations):
    found = configurations(find_profile("gpu-large", cpu=True))[1]
    assert (found["per_device_train_batch_size"], found["gradient_accumulation_steps"]) == (32, 4)
    assert found["bf16"] and found["activation_checkpointing"] and found["save_steps"] == 10
