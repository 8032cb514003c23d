"""How a policy is judged, and all methods of a setting in order: stubs in the places of training and of models."""

import json
from dataclasses import replace

import numpy as np
import pytest

from maxmin_core.lm import _judging, _making
from maxmin_core.lm._making import Made, Making
from maxmin_core.lm.base import Ground
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.texts import Texts

SMALL = find_profile("smoke", new_tokens=6)


def worth(*factors):
    """A text is worth its number of words, times the group's number."""

    def rewards(prompts, completions):
        return np.array(factors)[:, None] * np.array([float(len(text.split())) for text in completions])

    return rewards


@pytest.fixture
def making(tmp_path):
    baseline = Texts(["a", "b", "c"], [[1], [2], [3]], ["x", "x y", "z"])
    rewards = {"single": worth(1.0), "mixture": worth(1.0, -1.0), "known": worth(2.0, 3.0)}
    base = Ground(tmp_path / "reference", Texts(["it"], [[1]], ["is"]), ["p0"], baseline)
    found = Making(base, rewards, ("many", "few"), SMALL, 7)
    found._held.update(model="the reference", tokenizer="its tokenizer")
    return found


class TestJudge:
    IDENTITY = {"setting": "s", "seed": 7, "method": "maxmin", "beta": 0.15, "groups": ["many", "few"]}

    @pytest.fixture
    def judged(self, making, monkeypatch, tmp_path):
        given = []

        def evaluate(model, reference, tokenizer, texts, baseline, gold, *, likely):
            given.append((model, reference, texts, likely))
            return {"kl": 0.5, "kl_error": 0.1, "value": gold(*texts.pair).mean(axis=1).tolist()}

        monkeypatch.setattr(_judging, "evaluate", evaluate)
        likely = {"policy": -1.0, "the reference": -3.0}
        monkeypatch.setattr(_judging, "log_probabilities", lambda m, t, prompts, ids: likely[m] * np.arange(len(ids)))
        wrote = []

        def write(model, tokenizer, prompts, *, n_tokens, seed):
            wrote.append((model, list(prompts), n_tokens, seed))
            return Texts(prompts, [[1]] * len(prompts), [f"{prompt} w w" for prompt in prompts])

        monkeypatch.setattr(_making, "write_texts", write)

        def gold(prompts, completions):
            return np.array([[1 / 3 * len(text.split()) for text in completions]])

        def call(made, method="maxmin"):
            identity = self.IDENTITY | {"method": method}
            return _judging.judge(made, making, gold, tmp_path / "out", identity, 2**31 + 5), given, wrote

        return call

    def test_a_policy_writes_on_every_prompt(self, judged, tmp_path):
        result, given, wrote = judged(Made("policy"))
        # Seeds of torch end at two to the thirty-first.
        assert wrote == [("policy", ["a", "b", "c"], 6, 5)]
        model, reference, texts, likely = given[0]
        assert (model, reference) == ("policy", "the reference") and texts.completions == ["a w w", "b w w", "c w w"]
        assert [each.tolist() for each in likely] == [[0, -1, -2], [0, -3, -6]]
        assert result["learned"] == {"single": [3.0], "mixture": [3.0, -3.0], "known": [6.0, 9.0]}
        assert result["samples"] == [(p, f"{p} w w") for p in "abc"] and result["kl"] == 0.5
        assert {name: result[name] for name in self.IDENTITY} == self.IDENTITY
        assert json.loads((tmp_path / "out" / "gold.json").read_text()) == [[1.0, 1.0, 1.0]]

    def test_the_reference_is_judged_by_the_baseline(self, judged, tmp_path):
        result, given, wrote = judged(Made("the reference"), "reference")
        assert not wrote and given[0][2].completions == ["x", "x y", "z"]
        assert json.loads((tmp_path / "out" / "gold.json").read_text()) == [[0.3333, 0.6667, 0.3333]]
        assert result["learned"]["single"] == pytest.approx([4 / 3])

    def test_a_choice_brings_its_texts_and_its_price(self, judged):
        texts = Texts(["a", "b", "c"], [[1], [2], [3]], ["q", "q q", "q"])
        result, given, wrote = judged(Made("the reference", texts, np.array([0.0, 1.0, 2.0])))
        assert not wrote and given[0][2].completions == ["q", "q q", "q"]
        assert (result["kl"], result["kl_error"]) == (1.0, pytest.approx(np.sqrt(2 / 3) / np.sqrt(3)))

    def test_eight_samples_are_kept(self, judged, making):
        many = Texts([f"p{k}" for k in range(10)], [[1]] * 10, ["x"] * 10)
        object.__setattr__(making, "base", making.base._replace(baseline=many))
        assert len(judged(Made("the reference"), "reference")[0]["samples"]) == 8

    def test_all_are_made_in_order_and_once(self, making, monkeypatch, tmp_path):
        asked, said = [], []

        def policy(self, name, beta, there, *, seed_of_texts):
            asked.append((name, beta, there))
            return seed_of_texts

        def judge(made, making, gold, there, identity, seed):
            # The texts of a choice are drawn by the seed by which others are judged.
            return {"same": made == seed, "seed of texts": seed, "gold": gold, **identity}

        monkeypatch.setattr(Making, "policy", policy)
        monkeypatch.setattr(_judging, "judge", judge)
        options = (making, "gold", tmp_path, "here", ("maxmin", "soup@0.4"))
        names = ["reference", "maxmin", "soup@0.4"]
        folders = _judging.make_all(*options, say=said.append)
        assert folders == [tmp_path / name for name in names]
        assert asked == [("reference", 0.15, folders[0]), ("maxmin", 0.15, folders[1]), ("soup", 0.4, folders[2])]
        assert said == [f"[here] seed 7, {name}" for name in names]
        results = [json.loads((folder / "result.json").read_text()) for folder in folders]
        for result, name, beta in zip(results, ("reference", "maxmin", "soup"), (0.15, 0.15, 0.4), strict=True):
            identity = {"setting": "here", "seed": 7, "method": name, "beta": beta, "groups": ["many", "few"]}
            assert {key: result[key] for key in identity} == identity
            assert result["same"] and result["gold"] == "gold" and 0 <= result["seconds"] < 60
        # Texts of two methods share no random numbers.
        assert len({result["seed of texts"] for result in results}) == 3
        (folders[1] / "result.json").unlink()
        assert _judging.make_all(*options) == folders and asked[3:] == [("maxmin", 0.15, folders[1])]

    def test_seeds_of_texts_are_as_ever(self):
        # Another number here would draw other texts for every run that was recorded.
        assert _judging._seed_of_texts({"method": "maxmin", "seed": 7}) == 864752044

    @pytest.mark.parametrize(
        ("method", "found"),
        [("soup", ("soup", None)), ("single@0.4", ("single", 0.4)), ("reference", ("reference", None))],
    )
    def test_a_method_and_its_strength(self, method, found):
        assert _judging.method_and_beta(method) == found

    def test_one_group_has_no_rule_for_groups(self):
        one = replace(SMALL, n_groups=1)
        assert _judging.check_methods(iter(["single", "maxmin_known", "reference"]), one) == (
            "single",
            "maxmin_known",
            "reference",
        )
        for name in ("equal", "choice", "maxmin@0.3"):
            with pytest.raises(ValueError, match="^n_groups: expected at least two learned groups for .*, got 1$"):
                _judging.check_methods([name], one)
            assert _judging.check_methods([name], replace(SMALL, n_groups=2)) == (name,)
        with pytest.raises(ValueError, match="^method: expected a KL strength above 0 after '@', got 0$"):
            _judging.method_and_beta("single@0")
