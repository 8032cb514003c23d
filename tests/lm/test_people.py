"""People's comparisons train policies: files of two personas in the public layout, a tiny Llama that chats."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from maxmin_core import cli
from maxmin_core.lm import _making, _people_rewards, commands
from maxmin_core.lm.people import PERSONAS, WISHES, run_people, thin
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.sources import load_comparisons

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = find_profile(
    "pretrained",
    n_prompts=12,
    n_evaluation=10,
    steps=2,
    rate=1e-2,
    new_tokens=8,
    reward_steps=40,
    reward_rate=1e-2,
    reward_batch=8,
    lora=8,
    lora_alpha=16,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder, special = tmp_path_factory.mktemp("chat"), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    pairs = ByteLevelBPETokenizer()
    texts = [f"Explain number {i} to me. it is a toy . the phenomenon necessitates elaboration" for i in range(100)]
    pairs.train_from_iterator(texts, vocab_size=400, special_tokens=special, show_progress=False)
    names = {"bos_token": special[1], "eos_token": special[2], "pad_token": special[2], "unk_token": special[0]}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pairs._tokenizer, padding_side="left", **names)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **shape, **ids)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """P1A prefers plain words, P1B learned ones, on the same requests; 75 rows stand for a person."""
    folder, rng = tmp_path_factory.mktemp("personas"), np.random.default_rng(0)
    plain, learned = ["it is a toy", "a toy", "it is so"], ["the phenomenon necessitates elaboration", "elaboration"]
    for name, (good, bad) in {"P1A": (plain, learned), "P1B": (learned, plain)}.items():
        rows = [
            {
                "user_input": f"Explain number {i % 150} to me.",
                "completion_a": " ".join(rng.choice(good, 2)) + f" {i % 7}",
                "completion_b": " ".join(rng.choice(bad, 2)) + f" {i % 5}",
            }
            for i in range(450)
        ]
        pd.DataFrame(rows).to_json(folder / f"{name}.json", orient="records")
    return folder


@pytest.fixture(scope="module")
def made(model, files, tmp_path_factory):
    data, _ = load_comparisons("personas", files, personas=["P1A", "P1B"])
    asked = []

    def judge(prompt, first, second, wish):
        asked.append(wish)
        return float(len(first) > len(second))

    root, profile = tmp_path_factory.mktemp("runs"), replace(SMALL, model=str(model), revision=None)
    given = (thin(data, {"P1A": 2, "P1B": 1}), "P1 2:1", profile, root)
    folders = run_people(*given, seed=3, methods=["single", "maxmin"], judge=judge)
    return folders, given, asked


class TestWholePath:
    def test_who_prefers_what_is_learned(self, made):
        learned = json.loads((made[0][0].parent / "learned.json").read_text())
        # Six people of one group, three of the other; EM, which sees no group, finds who is who.
        assert learned["annotators"] == 9 and learned["groups"] == ["P1A", "P1B"] and learned["assigned_right"] == 1.0
        for kind in ("known", "mixture", "heldout"):
            assert min(learned[f"accuracy_{kind}"]) > 0.9, kind
        # One reward for all is on the side of the many; it cannot rank as both do, who want the opposite.
        majority, minority = learned["accuracy_single"]
        assert majority > 0.6 > minority

    def test_prompts_are_divided(self, made):
        (ground,) = made[0][0].parents[1].glob("ground-*")
        parts = json.loads((ground / "comparisons.json").read_text())
        prompts = {name: {row["prompt"][0]["content"] for row in rows} for name, rows in parts.items()}
        assert [len(prompts[name]) for name in ("learning", "heldout", "tried")] == [75, 45, 30]
        assert not (prompts["learning"] & prompts["heldout"] or prompts["tried"] & prompts["heldout"])
        texts = json.loads((ground / "texts.json").read_text())
        assert {prompt[0]["content"] for prompt in texts["train"]} <= prompts["learning"]
        assert {prompt[0]["content"] for prompt in texts["baseline"]["prompts"]} <= prompts["tried"]
        assert len(texts["train"]) == 12 and len(texts["baseline"]["prompts"]) == 10

    def test_policies_are_trained_and_judged_by_held_out_rewards(self, made):
        folders, _, _ = made
        assert [folder.name for folder in folders] == ["reference", "single", "maxmin"]
        results = [json.loads((folder / "result.json").read_text()) for folder in folders]
        assert results[2]["groups"] == ["P1A", "P1B"] and len(results[2]["value"]) == 2
        assert results[0]["kl"] == 0 and results[2]["kl"] != 0
        used = json.loads((folders[2] / "settings.json").read_text())
        assert used["groups"] == ["P1A", "P1B"] and (folders[2] / "adapter_model.safetensors").exists()

    def test_the_judge_is_asked_of_every_group_with_its_wish_and_without(self, made):
        folders, _, asked = made
        for folder in folders[1:]:
            found = json.loads((folder / "asked.json").read_text())
            assert set(found) == {f"{group}, {how}" for group in ("P1A", "P1B") for how in ("with", "without")}
            assert all(set(numbers) == {"win", "kl", "words"} for numbers in found.values())
        # Two policies, two groups, with and without, ten prompts in both orders.
        assert len(asked) == 2 * 2 * 2 * 10 * 2 and set(asked) == {WISHES["P1A"], WISHES["P1B"]}

    def test_nothing_is_made_again(self, made, monkeypatch):
        folders, given, _ = made
        before = {path: path.stat().st_mtime_ns for path in folders[0].parent.rglob("*") if path.is_file()}
        monkeypatch.setattr(_people_rewards, "learn_models", None)
        assert run_people(*given, seed=3, methods=["single", "maxmin"]) == folders
        assert before == {path: path.stat().st_mtime_ns for path in folders[0].parent.rglob("*") if path.is_file()}


def test_a_policy_is_judged_without_a_second_copy_of_its_base(made, monkeypatch):
    folders, given, _ = made
    there, loaded = folders[2], []
    before = json.loads((there / "result.json").read_text())
    (there / "result.json").unlink()
    load = _making.load_policy
    monkeypatch.setattr(_making, "load_policy", lambda folder, **how: loaded.append(folder) or load(folder, **how))
    run_people(*given, seed=3, methods=["single", "maxmin"])
    assert loaded == [there]
    after = json.loads((there / "result.json").read_text())
    assert {**after, "seconds": 0} == {**before, "seconds": 0} and after["kl"] != 0


@pytest.fixture(scope="module")
def found(model, files, tmp_path_factory):
    """The same people in a table of their own, which does not say who they are."""
    data, _ = load_comparisons("personas", files, personas=["P1A", "P1B"])
    truth = dict(zip(data["annotator"], data["group"], strict=True))
    rows = [{name: value for name, value in row.items() if name != "group"} for row in data.to_list()]
    path = tmp_path_factory.mktemp("own") / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    root, said = tmp_path_factory.mktemp("runs"), []
    profile = replace(SMALL, model=str(model), revision=None, steps=1, n_groups=2)
    given = (load_comparisons("own", path)[0], "own", profile, root)
    return run_people(*given, seed=3, methods=["maxmin"], say=said.append), truth, said, given


class TestWithoutGroups:
    def test_em_s_groups_take_the_place_of_named_ones(self, found):
        folders, truth, said, _ = found
        learned = json.loads((folders[0].parent / "learned.json").read_text())
        assert learned["groups"] == ["found 1", "found 2"] and "assigned_right" not in learned
        # Who prefers the same is found together.
        for name in ("P1A", "P1B"):
            assert len({learned["found"][who] for who, group in truth.items() if group == name}) == 1
        assert min(learned["accuracy_heldout"]) > 0.9 and "accuracy_known" not in learned
        result = json.loads((folders[1] / "result.json").read_text())
        assert result["groups"] == ["found 1", "found 2"] and len(result["value"]) == 2
        assert set(result["learned"]) == {"single", "mixture"}
        assert any("the data name no groups, EM looks for 2" in line for line in said)

    def test_what_needs_names_is_refused(self, found):
        _, _, _, (data, setting, profile, root) = found
        for methods, options, change, message in (
            (["maxmin_known"], {}, {}, "^method: expected groups that the data name for maxmin_known, got none"),
            (["maxmin"], {"judge": lambda *_: 0.5}, {}, "^judge: expected groups that the data name"),
            (
                ["maxmin"],
                {},
                {"n_groups": None},
                "^group: expected a group for everybody, or how many EM shall look for",
            ),
        ):
            with pytest.raises(ValueError, match=message):
                run_people(data, setting, replace(profile, **change), root, seed=3, methods=methods, **options)


class TestShares:
    def test_fewer_people_of_the_minority(self, files):
        data, _ = load_comparisons("personas", files, personas=["P1A", "P1B"])
        for shares, people_of in (({"P1A": 1, "P1B": 1}, (6, 6)), ({"P1A": 3, "P1B": 1}, (6, 2))):
            kept = thin(data, shares)
            count = [len({w for w, g in zip(kept["annotator"], kept["group"], strict=True) if g == n}) for n in shares]
            assert tuple(count) == people_of and len(kept) == 75 * sum(people_of)
        assert {setting.ratio for setting in PERSONAS.values()} == {1, 2, 6, 10} and len(PERSONAS) == 12

    def test_too_few_are_named(self, files):
        data, _ = load_comparisons("personas", files, personas=["P1A", "P1B"])
        with pytest.raises(ValueError, match="^shares: expected at least two people of P1B, got 0 of 6"):
            thin(data, {"P1A": 10, "P1B": 1})
        with pytest.raises(ValueError, match="^group: expected people of P1A, P3A, got none of P3A"):
            thin(data, {"P1A": 1, "P3A": 1})


class TestBadInput:
    @pytest.fixture
    def asked(self, files, model):
        def ask(change=None, of=None, **options):
            data, _ = load_comparisons("personas", files, personas=["P1A", "P1B"])
            data = data if of is None else of(data)
            profile = replace(SMALL, **{"model": str(model), "revision": None, **(change or {})})
            return run_people(data, "P1", profile, options.pop("root"), seed=3, methods=["maxmin"], **options)

        return ask

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"reward": "linear"}, "^profile: expected adapters, reward models and an untrained reference"),
            ({"n_groups": 2}, "^n_groups: expected None where the data name groups, P1A, P1B, got 2"),
            ({"reference_steps": 5}, "^profile: expected adapters, reward models and an untrained reference"),
            ({"model": "allenai/tulu-2-7b"}, "^profile: expected a pinned revision of allenai/tulu-2-7b, got none"),
            ({"longest_prompt": 3}, "^data: expected comparisons whose prompts and answers fit the model, got none"),
            ({"new_tokens": 125}, "^data: expected comparisons whose prompts and answers fit the model, got none"),
        ],
    )
    def test_a_profile_that_does_not_fit_is_named(self, asked, tmp_path, change, message):
        with pytest.raises(ValueError, match=message):
            asked(change, root=tmp_path)

    def test_data_without_groups_are_named(self, asked, tmp_path):
        with pytest.raises(ValueError, match="^group: expected two groups or more, and one for everybody, got P1A"):
            asked(of=lambda data: data.filter(lambda row: row["group"] == "P1A"), root=tmp_path)

    def test_a_group_whose_wish_nobody_said_is_named(self, asked, tmp_path):
        with pytest.raises(ValueError, match="^wishes: expected what each group wants, got nothing for P1B"):
            asked(root=tmp_path, judge=lambda *_: 0.5, wishes={"P1A": "Be plain."})

    def test_a_model_without_a_chat_template_is_named(self, asked, model, tmp_path):
        shutil.copytree(model, tmp_path / "bare", ignore=shutil.ignore_patterns("chat_template*"))
        config = json.loads((tmp_path / "bare" / "tokenizer_config.json").read_text())
        config.pop("chat_template", None)
        (tmp_path / "bare" / "tokenizer_config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match="^prompts: expected words, as the tokenizer has no chat template"):
            asked({"model": str(tmp_path / "bare")}, root=tmp_path)

    def test_a_disk_without_room_for_a_model_that_no_plan_knows_is_named(self, asked, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
        with pytest.raises(ValueError, match="^disk: expected 1 GiB free for the reference in 32 bits, got 0.0 GiB"):
            asked(root=tmp_path)
        assert not list(tmp_path.rglob("*.safetensors"))

    def test_a_folder_without_safetensors_is_named(self, asked, tmp_path):
        (tmp_path / "pickled").mkdir()
        (tmp_path / "pickled" / "pytorch_model.bin").write_text("")
        with pytest.raises(ValueError, match="^profile: expected safetensors in .*pickled, got none"):
            asked({"model": str(tmp_path / "pickled")}, root=tmp_path)


class TestCommand:
    def test_the_documented_command(self, files, model, tmp_path, monkeypatch, capsys):
        (tmp_path / "book").mkdir()
        (tmp_path / "notebooks").mkdir()
        (tmp_path / "book" / "claims.yml").write_text("")
        monkeypatch.chdir(tmp_path)
        small = replace(SMALL, name="gpu-large", steps=1, reward_steps=5, em_rounds=0)
        monkeypatch.setattr(commands, "find_profile", lambda name: small)
        command = ["train", "--profile", "gpu-large", "--model", str(model), "--seed", "4", "--method", "single"]
        assert cli.main([*command, "--data", f"personas={files}", "--setting", "P1 2:1"]) == 0
        out = capsys.readouterr().out
        assert "[personas] 675 of 900 comparisons, by 9 people" in out and "2 results in" in out
        (result,) = (tmp_path / "_build" / "lm" / "gpu-large" / "people-personas-p1-2-1").glob(
            "seed4-*/single/result.json"
        )
        assert json.loads(result.read_text())["groups"] == ["P1A", "P1B"]

    def test_a_disk_without_room_for_the_reference_is_said(self, files, tmp_path, monkeypatch, capsys):
        for folder in ("book", "notebooks"):
            (tmp_path / folder).mkdir()
        (tmp_path / "book" / "claims.yml").write_text("")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=25 * 2**30))
        command = ["train", "--profile", "gpu-large", "--data", f"personas={files}", "--setting", "P1"]
        assert cli.main(command) == 1
        # By hand: 25.1 for 6.74 billion parameters; 2.1 for seven rewards of 40 million, twice; 1.3 for three
        # checkpoints of 12 bytes; 0.1 for a policy; and two to spare.
        assert "disk: expected 31 GiB free for models and checkpoints, got 25.0 GiB" in capsys.readouterr().err
        # A reference that lies there is not written again.
        there = tmp_path / "_build/lm/gpu-large/people-p1/ground-0/reference"
        there.mkdir(parents=True)
        (there / "config.json").write_text("{}")
        assert cli.main(command) == 1 and "pinned revision of allenai/tulu-2-7b" in capsys.readouterr().err

    def test_comparisons_of_one_s_own(self, files, model, tmp_path, monkeypatch, capsys):
        data, _ = load_comparisons("personas", files, personas=["P1A", "P1B"])
        rows = [row | {"taste": row["group"], "prompt": row["prompt"][0]["content"]} for row in data.to_list()]
        pd.DataFrame(rows).drop(columns=["group", "weight"]).to_csv(tmp_path / "mine.csv", index=False)
        for folder in ("book", "notebooks"):
            (tmp_path / folder).mkdir()
        (tmp_path / "book" / "claims.yml").write_text("")
        monkeypatch.chdir(tmp_path)
        small = replace(SMALL, name="gpu-large", steps=1, reward_steps=5, em_rounds=0)
        monkeypatch.setattr(commands, "find_profile", lambda name: small)
        command = ["train", "--profile", "gpu-large", "--model", str(model), "--method", "single", "--base-bf16"]
        assert cli.main([*command, "--data", "own=mine.csv", "--group", "taste", "--setting", "pilot"]) == 0
        assert "[own] 900 of 900 comparisons, by 12 people" in capsys.readouterr().out
        (result,) = (tmp_path / "_build/lm/gpu-large/people-own-pilot").glob("seed20-*/single/result.json")
        assert json.loads(result.read_text())["groups"] == ["P1A", "P1B"]
        noted = json.loads((result.parents[1] / "settings.json").read_text())
        assert noted["profile"]["base_bf16"] is True

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ([], "data: expected people's comparisons for gpu-large, such as personas=FOLDER, got none"),
            (["--data", "personas"], "data: expected NAME=FOLDER or NAME=FILE"),
            (
                ["--data", "personas=FILES", "--setting", "80:20"],
                "setting: expected one of P1, P1 2:1, P1 6:1",
            ),
            (["--data", "personas=FILES", "--setting", "P2"], "personas: expected files of P2A, P2B in"),
            (
                ["--data", "personas=FILES/none", "--setting", "P1"],
                "source: expected the folder of the personas",
            ),
            (["--data", "prism=FILES/P1A.json", "--setting", "all"], "source: expected the columns of prism, missing"),
            (
                ["--data", "personas=FILES", "--setting", "P1 10:1"],
                "shares: expected at least two people of P1B",
            ),
            (["--data", "personas=FILES", "--judge", "nowhere"], "judge: expected an address that begins with http"),
        ],
    )
    def test_bad_input_is_named(self, files, options, message, capsys):
        given = [option.replace("FILES", str(files)) for option in options]
        assert cli.main(["train", "--profile", "gpu-large", *given]) == 1
        assert message in capsys.readouterr().err
