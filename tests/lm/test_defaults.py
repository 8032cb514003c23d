"""Numbers and switches that hold where nobody says otherwise: settings, too, though no profile names them.

A run is cached under its code, so that another default trains anew; that it is meant, this table says.
"""

import importlib
import inspect
from pathlib import Path

from maxmin_core import lm

DEFAULTS = {
    "_room.read_at_once": {"logits": False},
    "adapter_rewards.AdapterRewards.join": {"cpu": True, "bf16": False},
    "adapter_rewards.AdapterRewards.load": {"cpu": True, "bf16": False},
    "adapter_rewards.embed": {"n_features": 16, "cpu": True, "bf16": False, "batch": 32},
    "analysis.Runs.unsettled": {"n_steps": 10},
    "analysis.Results.matched": {"clipped": False},
    "annotators.compare": {"strength": 2.0},
    "annotators.ask": {"careless": 0.0},
    "combined.regret_weights": {"rate": 0.3, "n_steps": 20},
    "comparisons.as_row": {"weight": 1.0},
    "comparisons.split": {"share": 0.2, "seed": 0},
    "enumerable.make_reference": {"n_words": 4, "n_prompts": 4, "n_tokens": 4, "seed": 0},
    "enumerable.WordRewards.__init__": {"zero": 0.0, "unit": 1.0},
    "group_reward.GroupReward.__init__": {"per_response": False},
    "judges.ServerJudge.__init__": {"timeout": 60.0},
    "model_mixture.learn_models": {"n_rounds": 4},
    "people.thin": {"seed": 0},
    "plan.memory": {"gpus": 1, "groups": 2},
    "plan.disk": {"groups": 2},
    "policy.load_policy": {"cpu": True, "bf16": False},
    "policy.sample": {"batch": 256},
    "policy.log_probabilities": {"batch": 256},
    "recording.record_study": {"processes": 2},
    "reference.train_reference": {"seed": 0},
    "reward.Rewards.calibrated": {"common_unit": False},
    "reward.learn_single": {"l2": 1.0},
    "reward.learn_mixture": {"l2": 1.0, "seed": 0},
    "reward.learn_known": {"l2": 1.0},
    "reward_model.ModelRewards.load": {"cpu": True},
    "score_heads.load_scorer": {"bf16": False},
    "score_heads.load_adapters": {"cpu": True, "bf16": False},
    "score_heads.scores": {"batch": 256},
    "sources.load_comparisons": {"least": 2},
    "step.max_min_step": {"seed": 0},
}


def defined_in(module):
    """Functions of a module, and those of its classes: fields of records are pinned with the records."""
    for name, thing in vars(module).items():
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing):
            yield name, thing
        if inspect.isclass(thing) and not hasattr(thing, "_fields") and not hasattr(thing, "__dataclass_fields__"):
            for part, of in vars(thing).items():
                if inspect.isfunction(function := getattr(of, "__func__", of)):
                    yield f"{name}.{part}", function


def test_no_default_has_changed():
    found = {}
    for path in sorted(Path(lm.__file__).parent.glob("[a-z_]*.py")):
        if path.stem == "__init__":
            continue
        for name, function in defined_in(importlib.import_module(f"maxmin_core.lm.{path.stem}")):
            arguments = inspect.signature(inspect.unwrap(function)).parameters.values()
            given = {each.name: each.default for each in arguments if isinstance(each.default, bool | int | float)}
            if given:
                found[f"{path.stem}.{name}"] = given
    assert found == DEFAULTS
