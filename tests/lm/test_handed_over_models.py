"""What TRL's trainers of a reference and of reward models are given, field by field, without any training."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import trl

from maxmin_core.lm import reference, reward_model

from .handed_over import ODD, recorded


class Stub:
    """A trainer of another library that trains nothing, and keeps what it was given."""

    made: dict

    def __init__(self, model, configuration, **more):
        type(self).made = {"model": model, "configuration": configuration, "steps": [], **more}
        self.model, self.state = model, SimpleNamespace(global_step=35)
        self.accelerator = SimpleNamespace(wait_for_everyone=lambda: None)

    def train(self, **how):
        self.made["steps"].append(how)

    def evaluate(self):
        return {"eval_loss": np.log(3.0)}

    def remove_callback(self, callback):
        self.made["removed"] = callback.__name__

    def save_model(self, folder):
        self.model.save_pretrained(folder)

    def is_world_process_zero(self):
        return True


class TestReference:
    @pytest.fixture
    def made(self, monkeypatch, texts, tmp_path):
        monkeypatch.setattr(trl, "SFTConfig", recorded("sft"))
        monkeypatch.setattr(trl, "SFTTrainer", Stub)
        monkeypatch.setattr(reference.sys, "stderr", SimpleNamespace(isatty=lambda: False))

        def make(profile=ODD, **how):
            (tmp_path / "checkpoint-3").mkdir()
            return reference.train_reference([*texts, texts[0]], profile, tmp_path, **how), Stub.made, tmp_path

        return make

    def test_field_by_field(self, made, texts):
        perplexity, given, folder = made(seed=9)
        assert perplexity == pytest.approx(3.0) and given["removed"] == "PrinterCallback"
        assert given["configuration"] == (
            "sft",
            {
                "output_dir": str(folder),
                "max_steps": 70,
                "per_device_train_batch_size": 6,
                "per_device_eval_batch_size": 24,
                "learning_rate": 0.004,
                "lr_scheduler_type": "cosine",
                "warmup_steps": 7,
                # A token begins, one ends.
                "max_length": 13,
                "packing": False,
                "train_sampling_strategy": "sequential",
                "save_steps": 14,
                "save_total_limit": 2,
                "report_to": "none",
                "logging_steps": 3,
                "disable_tqdm": True,
                "bf16": False,
                "use_cpu": True,
                "activation_checkpointing": False,
                "seed": 9,
            },
        )
        # Each sentence once, in an order by the seed, with its end; a twentieth is held out.
        order = [f"{texts[i]} <end>" for i in np.random.default_rng(9).permutation(len(texts))]
        held = len(texts) // 20
        assert list(given["eval_dataset"]["text"]) == order[:held]
        assert list(given["train_dataset"]["text"]) == order[held:]
        shape = given["model"].config
        assert (shape.n_positions, shape.n_embd, shape.n_layer, shape.n_head) == (13, 16, 1, 2)
        assert given["steps"] == [{"resume_from_checkpoint": None}] and not (folder / "checkpoint-3").exists()
        kept = json.loads((folder / "reference.json").read_text())
        assert kept == {"perplexity": pytest.approx(3.0), "sentences": len(texts)}

    def test_long_trainings_warm_up_for_a_hundred_steps(self, made):
        fields = made(replace(ODD, reference_steps=2500, bf16=True, gradient_checkpointing=True))[1]["configuration"][1]
        assert (fields["warmup_steps"], fields["save_steps"], fields["logging_steps"]) == (100, 500, 125)
        assert fields["bf16"] and fields["activation_checkpointing"] and fields["seed"] == 0

    def test_with_no_steps_nothing_is_trained(self, made):
        _, given, folder = made(replace(ODD, reference_steps=0))
        assert given["steps"] == [] and (folder / "model.safetensors").exists()
        fields = given["configuration"][1]
        assert (fields["warmup_steps"], fields["save_steps"], fields["logging_steps"]) == (0, 1, 1)

    def test_a_pretrained_model_cuts_nothing(self, made, policy_folder, texts):
        _, given, _ = made(replace(ODD, model=str(policy_folder)))
        assert given["configuration"][1]["max_length"] is None
        # Its own end, right behind the text.
        assert set(given["eval_dataset"]["text"]) <= {text + "<end>" for text in texts}

    def test_forty_sentences_are_enough(self, made, texts, tmp_path):
        for n, enough in ((39, False), (40, True)):
            if enough:
                assert reference.train_reference(texts[:n], ODD, tmp_path) == pytest.approx(3.0)
            else:
                with pytest.raises(ValueError, match="^texts: expected at least 40 sentences .*, got 39$"):
                    reference.train_reference(texts[:n], ODD, tmp_path)

    def test_the_newest_whole_checkpoint_is_gone_on_from(self, tmp_path):
        for step, text in ((9, "{}"), (10, '{"a": 1}'), (100, ""), (20, None)):
            (tmp_path / f"checkpoint-{step}").mkdir()
            if text is not None:
                (tmp_path / f"checkpoint-{step}" / "state.json").write_text(text)
        (tmp_path / "checkpoint-2").mkdir()
        (tmp_path / "checkpoint-2" / "state.json").write_text('{"a": 1}')
        # By number, not by the alphabet; neither a torn file nor an empty one is whole.
        assert reference.last_checkpoint(tmp_path, "state.json") == str(tmp_path / "checkpoint-10")
        (tmp_path / "checkpoint-20" / "w.bin").touch()
        assert reference.last_checkpoint(tmp_path, "w.bin") == str(tmp_path / "checkpoint-20")


class TestRewardModel:
    @pytest.fixture
    def made(self, monkeypatch, policy_folder, tmp_path):
        monkeypatch.setattr(trl, "RewardConfig", recorded("reward"))
        monkeypatch.setattr(trl, "RewardTrainer", Stub)
        monkeypatch.setattr(reward_model.sys, "stderr", SimpleNamespace(isatty=lambda: False))
        monkeypatch.delenv("WORLD_SIZE", raising=False)

        def make(profile=ODD):
            pair = (["the film is good <end>", "a story <end>"], ["the film was bad <end>", "the plot <end>"])
            found = reward_model.train_reward_model(policy_folder, *pair, profile, tmp_path, seed=4)
            return found, Stub.made, tmp_path

        return make

    def test_field_by_field(self, made):
        (model, tokenizer), given, folder = made()
        fields = {
            "output_dir": str(folder),
            "max_steps": 35,
            "per_device_train_batch_size": 10,
            "learning_rate": 0.003,
            "lr_scheduler_type": "linear",
            "max_length": None,
            "disable_dropout": True,
            "save_strategy": "no",
            "report_to": "none",
            "logging_steps": 3,
            "disable_tqdm": True,
            "bf16": False,
            "use_cpu": True,
            "activation_checkpointing": False,
            "seed": 4,
        }
        assert given["configuration"] == ("reward", fields) and given["removed"] == "PrinterCallback"
        assert given["steps"] == [{}] and "peft_config" not in given and not model.training
        data = given["train_dataset"]
        read = [tokenizer.decode(ids) for ids in (data["chosen_ids"][1], data["rejected_ids"][1])]
        assert read == ["<begin> a story <end>", "<begin> the plot <end>"] and tokenizer.padding_side == "right"
        assert json.loads((folder / "done.json").read_text()) == {"pairs": 2, "steps": 35}

    def test_processes_share_the_pairs_but_each_has_one(self, made, monkeypatch, tmp_path):
        sizes = []
        for processes in ("4", "64"):
            monkeypatch.setenv("WORLD_SIZE", processes)
            sizes.append(made(replace(ODD, reward_steps=5))[1]["configuration"][1])
            (tmp_path / "done.json").unlink()
        assert [fields["per_device_train_batch_size"] for fields in sizes] == [2, 1] and sizes[0]["logging_steps"] == 1

    def test_adapters_bring_a_head_of_their_own(self, made, monkeypatch):
        loaded = []
        monkeypatch.setattr(reward_model, "load_adapters", lambda *given, **how: loaded.append((given, how)))
        for reward_bf16 in (False, True):
            _, given, folder = made(replace(ODD, lora=4, reward_bf16=reward_bf16))
            (folder / "done.json").unlink()
            asked = given["peft_config"]
            assert (asked.r, asked.task_type, asked.modules_to_save) == (4, "SEQ_CLS", ["score"])
            kept = str(next(given["model"].transformer.parameters()).dtype)
            assert kept == ("torch.bfloat16" if reward_bf16 else "torch.float32")
            assert loaded.pop() == (([folder], ["default"]), {"cpu": True, "bf16": reward_bf16})
