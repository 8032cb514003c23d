"""How a method's policy is made, branch by branch: stubs in the places of training and of models."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from maxmin_core.alignment.bargaining import Nash, Regret
from maxmin_core.alignment.welfare import Egalitarian, Utilitarian
from maxmin_core.lm import _making
from maxmin_core.lm._making import Beneath, Made, Making
from maxmin_core.lm.base import Ground
from maxmin_core.lm.prediction import Draws
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.texts import Texts
from maxmin_core.lm.train import METHODS

SMALL = find_profile("smoke", new_tokens=6)
POOL = Texts(["it"], [[1]], ["is"])


class Rewards:
    """Rewards of a few groups: a text is worth its number of words, times the group's number."""

    def __init__(self, *factors):
        self.factors, self.shares = np.array(factors, dtype=float), np.full(len(factors), 1 / len(factors))

    def __call__(self, prompts, completions):
        assert len(prompts) == len(completions)
        return self.factors[:, None] * np.array([float(len(text.split())) for text in completions])

    def of(self, groups):
        return Rewards(*self.factors[groups])


@pytest.fixture
def making(tmp_path):
    prompts = [f"p{k}" for k in range(300)]
    baseline = Texts(["a", "b", "c"], [[1], [2], [3]], ["x", "x y", "z"])
    rewards = {"single": Rewards(1.0), "mixture": Rewards(1.0, -1.0), "known": Rewards(2.0, 3.0)}
    found = Making(Ground(tmp_path / "reference", POOL, prompts, baseline), rewards, ("many", "few"), SMALL, 7)
    found._held.update(model="the reference", tokenizer=SimpleNamespace(save_pretrained=lambda folder: None))
    return found


@pytest.fixture
def trained(monkeypatch):
    """What was asked of `train`, and a loader that says from where."""
    asked = []

    def train(method, rewards, groups, prompts, reference, profile, folder, **more):
        asked.append({"method": method, "rewards": rewards, "groups": list(groups), "folder": folder, **more})
        assert (len(prompts), reference.name, profile) == (300, "reference", SMALL)

    monkeypatch.setattr(_making, "train", train)
    monkeypatch.setattr(_making, "load_policy", lambda folder, **how: ((folder.name, how), None))
    return asked


LOADED = {"cpu": True, "bf16": False}


class TestPolicy:
    @pytest.mark.parametrize(
        ("name", "kind", "groups"),
        [
            ("single", "single", ["everybody"]),
            ("maxmin", "mixture", ["many", "few"]),
            ("maxmin_known", "known", ["many", "few"]),
        ],
    )
    def test_rewards_and_groups_are_those_of_the_method(self, making, trained, tmp_path, name, kind, groups):
        made = making.policy(name, 0.3, tmp_path / name, seed_of_texts=1)
        (asked,) = trained
        assert asked["method"] == METHODS[name] and asked["rewards"] is making.rewards[kind]
        assert asked["groups"] == groups and asked["folder"] == tmp_path / name
        assert (asked["seed"], asked["beta"], asked["welfare"], asked["start"]) == (7, 0.3, None, None)
        assert made == Made((name, LOADED), None, None)

    def test_the_reference_is_itself(self, making, trained, tmp_path):
        assert making.policy("reference", 0.3, tmp_path, seed_of_texts=1) == Made("the reference") and not trained

    def test_nash_bargains_from_the_reference(self, making, trained, tmp_path):
        making.policy("nash", 0.3, tmp_path / "nash", seed_of_texts=1)
        assert repr(trained[0]["welfare"]) == repr(Nash(np.zeros(2)))

    def test_regret_measures_from_the_groups_own_policies(self, making, trained, tmp_path, monkeypatch):
        monkeypatch.setattr(Making, "_best_values", lambda self, members, beta: np.array([len(members), beta]))
        making.policy("regret", 0.3, tmp_path / "regret", seed_of_texts=1)
        alone, other, last = trained
        assert repr(last["welfare"]) == repr(Regret(np.array([2.0, 0.3])))
        assert [each["folder"] for each in (alone, other)] == [tmp_path / "group-0@0.3", tmp_path / "group-1@0.3"]
        for u, (each, name) in enumerate(((alone, "many"), (other, "few"))):
            method = each["method"]
            assert (method.name, method.rewards, method.welfare, method.rate) == (
                f"only {name}",
                "mixture",
                Utilitarian,
                None,
            )
            assert each["groups"] == [name] and each["rewards"].factors.tolist() == [[1.0, -1.0][u]]

    def test_predicted_weights_begin_where_the_reference_s_texts_say(self, making, trained, tmp_path, monkeypatch):
        asked = []

        class Predicted:
            def solve(self, welfare, beta):
                asked.append((type(welfare), beta))
                return SimpleNamespace(weights=np.array([1.0, 0.0]))

        monkeypatch.setattr(
            Making, "_draws", lambda self, prompts, seed: asked.append((len(prompts), seed)) or Predicted()
        )
        making.policy("maxmin_predicted", 0.3, tmp_path / "x", seed_of_texts=1)
        assert asked == [(300, 7), (Egalitarian, 0.3)]
        assert trained[0]["start"].tolist() == pytest.approx([0.95, 0.05])

    def test_groups_that_em_found_have_names_of_their_own(self, making):
        making.rewards["mixture"] = Rewards(1.0, 2.0, 3.0)
        assert making.learned == ("learned 1", "learned 2", "learned 3")

    def test_what_is_loaded_is_loaded_once(self, making, monkeypatch, tmp_path):
        loaded = []
        monkeypatch.setattr(_making, "load_policy", lambda folder, **how: loaded.append((folder, how)) or ("m", None))
        monkeypatch.setattr(_making.AutoTokenizer, "from_pretrained", lambda f, **how: loaded.append((f, how)) or "t")
        making._held.clear()
        assert [making.reference, making.reference, making.tokenizer, making.tokenizer] == ["m", "m", "t", "t"]
        where = tmp_path / "reference"
        assert loaded == [(where, LOADED), (where, {"padding_side": "left"})]

    def test_a_gpu_has_no_room_for_two(self, making, monkeypatch, tmp_path):
        told = []
        monkeypatch.setattr(_making, "free", lambda: told.append(("free", len(gpu._held))))
        monkeypatch.setattr(_making, "train", lambda *given, **more: told.append(("train", len(gpu._held))))
        monkeypatch.setattr(_making, "load_policy", lambda folder, **how: (how, None))
        gpu = replace(making, profile=replace(SMALL, cpu=False, base_bf16=True, lora=4))
        assert gpu.policy("single", 0.3, tmp_path, seed_of_texts=1).model == {"cpu": False, "bf16": True}
        assert told == [("free", 0), ("train", 0), ("free", 0)]
        # A processor keeps what it has loaded.
        gpu._held.update(model="the reference")
        making.policy("single", 0.3, tmp_path, seed_of_texts=1)
        assert making._held == {"model": "the reference"} and told[3:] == [("train", 1)]


class TestWithoutTraining:
    @pytest.fixture
    def texts(self, monkeypatch):
        """A policy writes as many words as its name has letters; every text costs two nats more than the reference."""
        asked = []

        def write(model, tokenizer, prompts, *, n_tokens, seed):
            asked.append((model, len(prompts), n_tokens, seed))
            return Texts(prompts, [[1]] * len(prompts), [" ".join("w" * 4)] * len(prompts))

        monkeypatch.setattr(_making, "write_texts", write)

        def likely(model, tokenizer, prompts, ids):
            return np.full(len(ids), -3.0 if model == "the reference" else -1.0)

        monkeypatch.setattr(_making, "log_probabilities", likely)
        return asked

    def test_the_best_values_are_own_values_less_what_they_cost(self, making, texts):
        found = making._best_values(["one", "two"], 0.25)
        # Four words, and two nats at a quarter each.
        assert found.tolist() == [4.0 - 0.5, -4.0 - 0.5]
        assert texts == [("one", 300, 6, 7), ("two", 300, 6, 7)]

    def test_the_product(self, making, trained, texts, monkeypatch, tmp_path):
        seen = {}

        def weights(expected, best):
            seen["value"], seen["best"] = expected(np.array([0.5, 0.5]), 3), best
            return np.array([0.25, 0.75])

        monkeypatch.setattr(_making, "regret_weights", weights)
        monkeypatch.setattr(_making, "Product", lambda members, weights: ("product", len(members), weights.tolist()))
        made = making.policy("product", 0.5, tmp_path / "product", seed_of_texts=1)
        assert made.model == ("product", 2, [0.25, 0.75])
        # Mirror descent asks on 256 prompts, each step with texts of its own; both groups' means over them.
        assert texts[-1] == (("product", 2, [0.5, 0.5]), 256, 6, 7003) and seen["value"].tolist() == [4.0, -4.0]
        kept = json.loads((tmp_path / "product" / "weights.json").read_text())
        assert kept == {"groups": ["many", "few"], "weights": [0.25, 0.75], "best": seen["best"].tolist()}

    @pytest.mark.parametrize("lora", [0, 4])
    def test_the_soup(self, making, texts, monkeypatch, tmp_path, lora):
        saved, told = [], {}
        model = SimpleNamespace(save_pretrained=saved.append)

        def best(stirred, members, value):
            told.update(model=stirred, members=members, value=value("soup").tolist())
            return (0.25, 0.75), 1.5

        monkeypatch.setattr(_making, "best_soup", best)
        monkeypatch.setattr(
            _making, "room_for_soup", lambda base, members: SimpleNamespace(save_pretrained=saved.append)
        )
        monkeypatch.setattr(Making, "_members", lambda self, beta, folder: [beta, folder])
        monkeypatch.setattr(Making, "_load", lambda self, folder: model)
        making = replace(making, profile=replace(SMALL, lora=lora))
        made = making.policy("soup", 0.5, tmp_path / "soup", seed_of_texts=1).model
        assert made is told["model"] and (made is model) == (not lora) and saved == [tmp_path / "soup"]
        assert told["members"] == [0.5, tmp_path] and told["value"] == [4.0, -4.0] and texts == [("soup", 300, 6, 7)]
        kept = json.loads((tmp_path / "soup" / "mix.json").read_text())
        assert kept == {"groups": ["many", "few"], "mix": [0.25, 0.75], "worst": 1.5}

    def test_the_choice(self, making, monkeypatch, tmp_path):
        asked = []

        def draw(model, tokenizer, prompts, rewards, **more):
            asked.append((model, prompts, more))
            # The two groups want different texts of two.
            texts = Texts(["a", "a"], [[1], [2]], ["x", "y"])
            return Draws(texts, np.array([[[4.0, 0.0]], [[0.0, 4.0]]]))

        monkeypatch.setattr(_making, "draw", draw)
        made = making.policy("choice", 0.5, tmp_path / "choice", seed_of_texts=11)
        assert asked == [("the reference", ["a", "b", "c"], {"n_samples": 16, "n_tokens": 6, "seed": 11})]
        kept = json.loads((tmp_path / "choice" / "weights.json").read_text())
        assert kept["weights"] == pytest.approx([0.5, 0.5], abs=1e-4) and kept["gap"] < 1e-6
        # The even choice is the best, and costs nothing.
        assert made.divergence == pytest.approx([0.0], abs=1e-4) and made.model == "the reference"
        assert len(made.texts) == 1 and made.texts.completions[0] in ("x", "y")


class TestBeneath:
    def test_the_base_answers_with_the_adapters_off(self):
        class Model:
            off, device = 0, "here"

            def disable_adapter(self):
                return self

            def __enter__(self):
                self.off += 1

            def __exit__(self, *_):
                self.off -= 1

            def __call__(self, *given, **more):
                return self.off, given, more

            generate = __call__

        base = Beneath(model := Model())
        assert base(1, a=2) == (1, (1,), {"a": 2}) and base.generate(3, b=4) == (1, (3,), {"b": 4})
        assert base.device == "here" and model.off == 0
