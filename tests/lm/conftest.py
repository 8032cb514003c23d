import itertools

import numpy as np
import pytest


def pytest_collection_modifyitems(items):
    # The trainers of other libraries warn of their own deprecations.
    for item in items:
        if "/lm/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def tiny():
    """A profile for tests: seconds for everything."""
    from maxmin_core.lm.profiles import find_profile

    return find_profile(
        "smoke", vocabulary=60, width=16, steps=4, prompts_per_step=2, samples_per_prompt=4, new_tokens=6, longest=10
    )


@pytest.fixture(scope="session")
def texts():
    """A small language: 5 x 4 x 5 x 3 sentences."""
    parts = [
        ["the film", "this movie", "a story", "the plot", "one scene"],
        ["is", "was", "seems", "looks"],
        ["good", "bad", "great", "awful , no", "not great"],
        [".", "!", "and long and slow ."],
    ]
    return [" ".join(words) for words in itertools.product(*parts)]


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory, texts):
    """A random GPT-2 that was never trained, with its tokenizer."""
    from maxmin_core.lm.reference import make_gpt2, make_tokenizer

    folder = tmp_path_factory.mktemp("policy")
    tokenizer = make_tokenizer(texts, 60)
    make_gpt2(tokenizer, positions=12, layers=1, width=16, heads=2, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sentiment(texts):
    from maxmin_core.lm.sentiment import Sentiment

    labels = [int(("good" in text or "great" in text) and "not" not in text) for text in texts]
    return Sentiment.fit(texts, labels)


@pytest.fixture(scope="session")
def rewards(sentiment, texts):
    """Rewards of two groups: one likes positive texts, one short ones."""
    from maxmin_core.lm.features import FEATURES, TextFeatures
    from maxmin_core.lm.reward import Rewards

    prompts = [" ".join(text.split()[:2]) for text in texts]
    completions = [" ".join(text.split()[2:]) for text in texts]
    parameters = np.zeros((2, len(FEATURES)))
    parameters[0, 0], parameters[1, 1] = 1.0, -1.0
    features = TextFeatures.fit(sentiment, prompts, completions)
    return Rewards(features, parameters, [0.8, 0.2]).calibrated(prompts, completions)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory):
    """A tiny Llama of random weights, with its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from maxmin_core.lm.reference import make_tokenizer

    folder = tmp_path_factory.mktemp("llama")
    tokenizer = make_tokenizer(["a b c d e f", "p0 p1 p2 p3"], 10)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    config = LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=16, initializer_range=0.2, **shape, **special
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory, rewards):
    """Folders as runs leave them, with numbers that nobody computed; the rewards are real ones."""
    import json

    from maxmin_core.lm import archive, results
    from maxmin_core.lm.profiles import find_profile

    root, profile = tmp_path_factory.mktemp("own") / "lm", find_profile("smoke")
    for k, (name, path) in enumerate(archive._files(profile).items()):
        there = root / path
        there.parent.mkdir(parents=True, exist_ok=True)
        setting = next((s.name for s in archive.SETTINGS.values() if name.startswith(f"{s.slug}/")), "base")
        method, _, beta = there.parent.name.partition("@")
        seed = int(name.split("/")[1].removeprefix("seed")) if setting != "base" else 0
        run = {"setting": setting, "method": method, "beta": float(beta or profile.beta), "seed": seed}
        told = {
            "result.json": run | {"value": [k, 0.5]},
            "learned.json": {"assigned_right": k / 1000},
            "gold.json": [[k, 1.5], [0.25, -k]],
            "metrics.jsonl": {"step": 1, "weight/majority": k / 1000},
        }.get(there.name, {"of": setting, "file": there.name})
        there.write_text(json.dumps(told) + "\n")
        # Read by nobody, and not packed.
        (there.parent / "events.out").write_text(name)
    for seed in results.seeds("80:20", profile):
        for kind in ("single", "mixture", "known"):
            rewards.save(results.run_folder("80:20", profile, root, seed=seed) / "rewards" / kind)
    return root


@pytest.fixture(scope="session")
def packed(made, tmp_path_factory):
    """The archive of these runs, and its hash."""
    from maxmin_core.lm.archive import pack_results

    from .archives import ABOUT, SMOKE

    target = tmp_path_factory.mktemp("packed") / "results.zip"
    return target, pack_results(SMOKE, made, target, **ABOUT)
