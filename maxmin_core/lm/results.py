"""Results of the language-model experiment: where every run lies, and what it measured. Imports no torch."""

import ast
import hashlib
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from .._files import read_json
from .profiles import find_profile, key
from .settings import SETTINGS, find_setting

__all__ = ["RUN_CODE", "at_divergence", "base_folder", "load_results", "run_folder", "seeds"]

_OF_BASE = ("corpus", "model", "revision", "n_reviews", "vocabulary", "layers", "width", "heads", "shortest", "longest")
_OF_BASE += ("reference_steps", "reference_batch", "reference_rate", "prompt_words", "new_tokens")
_OF_BASE += ("n_pairs", "n_prompts", "n_evaluation", "bf16")
# Numbers of two versions of these need not be the same.
_LIBRARIES = ("torch", "transformers", "trl", "accelerate", "tokenizers", "scikit-learn", "numpy", "scipy")
_LIBRARIES += ("vaderSentiment",)
# What a cached result depends on, beside its settings: the code that made it, comments and docstrings aside.
_BASE_CODE = ("lm/corpus", "lm/sentiment", "lm/policy", "lm/base", "lm/evaluate")
RUN_CODE = (*_BASE_CODE, "lm/experiment", "lm/annotators", "lm/reward", "lm/train", "alignment/welfare")
RUN_CODE += ("preferences/comparisons", "preferences/rewards", "preferences/_logistic", "preferences/mixture")
RUN_CODE += ("preferences/_em", "preferences/_counts")


def base_folder(profile, root):
    """Return where the parts that all runs of a profile share lie, for these settings and this code. Chapter 8."""
    settings = {name: getattr(profile, name) for name in _OF_BASE}
    return Path(root) / profile.name / f"base-{key(**settings, code=_code(_BASE_CODE), libraries=_libraries())}"


def run_folder(setting, seed, profile, root):
    """Return where the runs of a setting and seed lie, for these settings and this code. Chapter 8."""
    found = find_setting(setting)
    code = RUN_CODE if profile.reward == "linear" else (*RUN_CODE, "lm/reward_model")
    settings = {"profile": asdict(profile), "setting": asdict(found), "seed": seed, "code": _code(code)}
    # Whether vLLM drew the texts stands in the settings that are kept, not in the name: readers need not know.
    del settings["profile"]["vllm"]
    settings["libraries"] = _libraries()
    return Path(root) / profile.name / found.slug / f"seed{seed}-{key(**settings)}"


def seeds(setting, profile):
    """Return the seeds of a setting that a profile runs: from 20 on, as pilot runs used those before. Chapter 8."""
    n = min(find_setting(setting).seeds, 2) if profile.name == "smoke" else find_setting(setting).seeds
    return list(range(20, 20 + n))


def load_results(profile, root, settings=None):
    """Return what the runs of a profile measured, one row a method, setting and seed.

    Columns: setting, seed, method, beta, the metrics of `evaluate.evaluate`, groups, learned, samples, folder, and what
    the learned rewards got right (assigned_right, accuracy_single, ...).

    Raises
    ------
    ValueError
        On an unknown profile or setting, or a run that is missing: says which command makes it. Chapter 8.
    """
    profile, rows = find_profile(profile), []
    for setting in settings or SETTINGS:
        for seed in seeds(setting, profile):
            folder = run_folder(setting, seed, profile, root)
            for method in ("reference", *find_setting(setting).methods):
                there = folder / method / "result.json"
                if not there.exists():
                    raise ValueError(
                        f"profile: expected the run of {method}, {setting}, seed {seed}, got none; call "
                        f"`maxmin train --profile {profile.name} --setting {setting!r} --seed {seed}`, or make book"
                    )
                rows.append(read_json(there) | read_json(folder / "learned.json") | {"folder": there.parent})
    return pd.DataFrame(rows)


def at_divergence(target, kl, values, origin):
    """Return the values that a frontier has at a divergence, seed by seed: what a method gives at another's KL.

    Linear in the square root of the divergence, as values near the reference rise with it, between the points of the
    frontier and the reference.

    Parameters
    ----------
    target : (S,) float, nats, one a seed
    kl : (B, S) float, nats; values : (B, S, U) float, of runs at B strengths of KL
    origin : (U,) float, the values of the reference, at no divergence

    Returns
    -------
    (S, U) float

    Raises
    ------
    ValueError
        On a target beyond the frontier of its seed. An estimate of the divergence below zero counts as zero. Chapter 8.
    """
    found = np.empty(np.shape(values)[1:])
    for s, wanted in enumerate(np.sqrt(np.maximum(target, 0))):
        order = np.argsort(kl[:, s])
        root = np.sqrt(np.maximum(np.append(0, kl[order, s]), 0))
        if wanted > root[-1]:
            raise ValueError(f"target: expected at most {root[-1] ** 2:.3f} nats for seed {s}, got {wanted**2:.3f}")
        for u, zero in enumerate(origin):
            found[s, u] = np.interp(wanted, root, np.append(zero, values[order, s, u]))
    return found


def _libraries():
    return {name: version(name) for name in _LIBRARIES}


def _code(modules):
    """A fingerprint of modules of the package that comments, docstrings and layout do not change."""
    digest = hashlib.sha256()
    for module in modules:
        tree = ast.parse((Path(__file__).parents[1] / f"{module}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]
