"""Several processes: each copies the model or holds a part of it; they judge together; who dies ends the others."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from maxmin_core.lm._devices import PATIENCE
from maxmin_core.lm.enumerable import WordRewards
from maxmin_core.lm.experiment import run_methods
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.results import run_folder
from maxmin_core.lm.train import METHODS, train

PROMPTS = ["p0", "p1 a", "p2", "p3 b c"]
SCORES = [[1.0, -0.5, 0.3, 0.0, 0.2, 0.1], [-0.6, 0.8, 0.3, 0.5, 0.0, -0.2]]
SMALL = find_profile(
    "smoke", steps=4, prompts_per_step=2, samples_per_prompt=4, new_tokens=5, rate=1e-2, lora=4, lora_alpha=8
)


def torchrun(script, *arguments, code=0):
    """Run a script in two processes; return its error stream."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, script, *arguments], check=False, env=environment, capture_output=True, text=True, timeout=240
    )
    assert (done.returncode == 0) == (code == 0), done.stderr[-4000:]
    return done.stderr


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def same(one, other):
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Whole, then cut twice; then with the second process killed at the third step, and gone on with.
TRAIN = """
import json, os, signal, sys
from dataclasses import replace
from pathlib import Path
from maxmin_core.lm import train as module
from maxmin_core.lm._devices import PATIENCE
from maxmin_core.lm.enumerable import WordRewards
from maxmin_core.lm.profiles import Profile

root, kinds, plan, rank = Path(sys.argv[1]), sys.argv[2].split(","), json.loads(sys.argv[3]), os.environ["RANK"]
kill, made, seen = len(sys.argv) > 4, module.make_trainer, {{}}

class Rewards(WordRewards):
    def __call__(self, *given):
        if kill:
            (root / f"process-{{rank}}").write_text(str(os.getpid()))
            seen["step"] = seen.get("step", 0) + 1
            if rank == "1" and seen["step"] == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(*given)

def watched(reward, *given, **more):
    trainer = made(reward, *given, **more)
    save = trainer.save_model
    def saved(*given, **more):
        parts = [p for n, p in trainer.model.named_parameters() if "q_proj.base_layer" in n]
        local = [list(p.to_local().shape) if hasattr(p, "to_local") else None for p in parts]
        log = {{"shape": list(parts[0].shape), "local": local[0], "weights": reward.log_weights.tolist()}}
        (root / f"{{trainer.accelerator.distributed_type.value}}-{{rank}}.json").write_text(json.dumps(log))
        save(*given, **more)
    trainer.save_model = saved
    return trainer

module.make_trainer = watched
for kind in kinds:
    for name, stops in plan.items():
        for stop in stops:
            profile = replace({profile!r}, fsdp=kind == "fsdp")
            given = (Rewards({scores!r}, [0.7, 0.3]), ["many", "few"], {prompts!r}, Path({base!r}), profile)
            module.train(module.METHODS["maxmin_fast"], *given, root / f"{{kind}}-{{name}}", seed=0, stop_at=stop)
"""


@pytest.fixture(scope="module")
def trained(llama_folder, tmp_path_factory):
    """By two processes: whole and cut, with copies of the model and with parts of it."""
    root = tmp_path_factory.mktemp("two")
    script = root / "train.py"
    given = {"scores": SCORES, "prompts": PROMPTS, "base": str(llama_folder), "profile": SMALL}
    script.write_text(TRAIN.format(**given))
    torchrun(script, root, "ddp,fsdp", json.dumps({"whole": [None], "cut": [1, 3, None]}))
    return root, script


@pytest.mark.parametrize(("kind", "named"), [("ddp", "MULTI_CPU"), ("fsdp", "FSDP")])
class TestTraining:
    def test_it_is_what_was_asked_for(self, trained, kind, named):
        found = [json.loads((trained[0] / f"{named}-{rank}.json").read_text()) for rank in (0, 1)]
        # Divided, every process holds half of the rows.
        assert [one["local"] for one in found] == [[8, 16] if kind == "fsdp" else None] * 2
        assert all(one["shape"] == [16, 16] for one in found)
        assert found[0]["weights"] == found[1]["weights"]
        assert json.loads((trained[0] / f"{kind}-whole" / "settings.json").read_text())["processes"] == 2

    def test_an_interrupted_run_resumes_to_the_bit(self, trained, kind, named):
        whole, cut = (trained[0] / f"{kind}-{name}" for name in ("whole", "cut"))
        assert lines(whole) == lines(cut) and [row["step"] for row in lines(whole)] == [1, 2, 3, 4]
        assert same(whole, cut) and lines(whole)[-1]["weight/many"] != 0.5 and lines(whole)[0]["kl"] == 0.0

    def test_the_adapter_is_saved_whole(self, trained, llama_folder, tmp_path, kind, named):
        rewards = WordRewards(SCORES, [0.7, 0.3])
        given = (rewards, ["many", "few"], PROMPTS, llama_folder, SMALL, tmp_path)
        train(METHODS["maxmin_fast"], *given, seed=0)
        alone, together = weights(tmp_path), weights(trained[0] / f"{kind}-whole")
        # One process draws other texts: the same names and shapes, not the same numbers.
        assert {n: v.shape for n, v in alone.items()} == {n: v.shape for n, v in together.items()}
        assert all(up.abs().max() > 0 for n, up in together.items() if "lora_B" in n)


def test_parts_of_the_model_train_as_copies_do(trained):
    copies, parts = (trained[0] / f"{kind}-whole" for kind in ("ddp", "fsdp"))
    for name in ("loss", "grad_norm", "kl", "weight/many", "value/few"):
        np.testing.assert_allclose([r[name] for r in lines(parts)], [r[name] for r in lines(copies)], atol=1e-6)
    one, other = weights(copies), weights(parts)
    assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-5


def test_a_process_that_dies_ends_the_others_and_the_run_resumes(trained):
    root, script = trained
    began = time.monotonic()
    told = torchrun(script, root, "ddp", json.dumps({"killed": [None]}), "kill", code=1)
    assert "Signal 9 (SIGKILL)" in told and time.monotonic() - began < 120
    for rank in (0, 1):
        with pytest.raises(ProcessLookupError):
            os.kill(int((root / f"process-{rank}").read_text()), 0)
    assert not (root / "ddp-killed" / "done.json").exists()
    assert [path.name for path in (root / "ddp-killed").glob("checkpoint-*")] == ["checkpoint-2"]
    torchrun(script, root, "ddp", json.dumps({"killed": [None]}))
    assert lines(root / "ddp-killed") == lines(root / "ddp-whole")
    assert same(root / "ddp-killed", root / "ddp-whole")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "^profile: expected several processes for fsdp, started by torchrun, got one"),
        ({"lora": 0}, r"^profile: expected adapters \(lora above 0\) on a base in 32 bits with fsdp"),
        ({"base_bf16": True}, r"^profile: expected adapters \(lora above 0\) on a base in 32 bits with fsdp"),
    ],
)
def test_what_cannot_be_divided_is_named(llama_folder, tmp_path, change, message):
    given = (["many", "few"], PROMPTS, llama_folder, replace(SMALL, fsdp=True, **change), tmp_path)
    with pytest.raises(ValueError, match=message):
        train(METHODS["maxmin"], WordRewards(SCORES, [0.7, 0.3]), *given, seed=0)


def test_a_batch_that_does_not_divide_among_processes_is_named(llama_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    given = (["many", "few"], PROMPTS, llama_folder, SMALL, tmp_path)
    with pytest.raises(ValueError, match="^profile: expected 8 texts a step to divide among the processes, got 3"):
        train(METHODS["maxmin"], WordRewards(SCORES, [0.7, 0.3]), *given, seed=0)


JUDGE = """
import os, signal, sys
from pathlib import Path
import torch
from maxmin_core.lm import _judging
from maxmin_core.lm.experiment import run_methods
from maxmin_core.lm.profiles import Profile

root, rank, measure = Path(sys.argv[1]), os.environ["RANK"], _judging.log_probabilities

def watched(model, tokenizer, prompts, ids):
    if len(sys.argv) > 2 and rank == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    group = torch.distributed.distributed_c10d._get_default_group()
    limit = group._get_backend(torch.device("cpu")).options._timeout
    (root / f"limit-{{rank}}").write_text(str(limit.total_seconds()))
    with (root / f"judged-{{rank}}").open("a") as file:
        file.write(f"{{len(prompts)}}\\n")
    return measure(model, tokenizer, prompts, ids)

_judging.log_probabilities = watched
run_methods("1:1", {profile!r}, root, seed=3, methods=["maxmin"])
"""


def test_all_processes_judge(tmp_path):
    profile = find_profile("smoke", steps=2, reference_steps=20, n_evaluation=33)
    (alone,) = run_methods("1:1", profile, tmp_path, seed=3, methods=[])
    by_one = json.loads((alone / "result.json").read_text())
    (alone / "result.json").unlink()
    script = tmp_path / "judge.py"
    script.write_text(JUDGE.format(profile=profile))
    # A process that dies while it judges ends the others, and leaves no result.
    assert "Signal 9 (SIGKILL)" in torchrun(script, tmp_path, "kill", code=1)
    assert not (alone / "result.json").exists()
    torchrun(script, tmp_path)
    # Two policies, each asked of 33 texts in two parts: of the reference and of max-min, as policy and as reference.
    judged = [[int(n) for n in (tmp_path / f"judged-{rank}").read_text().split()] for rank in (0, 1)]
    assert judged[0][-4:] == [17] * 4 and judged[1][-4:] == [16] * 4
    # Who waits while another works alone, waits for hours, not for the ten minutes of NCCL.
    limits = [float((tmp_path / f"limit-{rank}").read_text()) for rank in (0, 1)]
    assert limits == [PATIENCE.total_seconds()] * 2 and min(limits) >= 12 * 3600
    by_two = json.loads((alone / "result.json").read_text())
    for name in ("value", "win", "judge", "kl", "perplexity", "words", "distinct", "empty", "samples"):
        assert by_two[name] == (by_one[name] if name == "samples" else pytest.approx(by_one[name], rel=1e-5, abs=1e-7))
    for name, means in by_one["learned"].items():
        np.testing.assert_allclose(by_two["learned"][name], means, atol=1e-9)
    made = json.loads((run_folder("1:1", profile, tmp_path, seed=3) / "maxmin" / "result.json").read_text())
    assert made["kl"] != 0 and np.isfinite(made["value"]).all()
