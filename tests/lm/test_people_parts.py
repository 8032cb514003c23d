"""People's comparisons, part by part, with a few rows and stubs for whatever is trained or drawn."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset

from maxmin_core.lm import _people_ground, _people_rewards
from maxmin_core.lm._people_rewards import learn_from_people
from maxmin_core.lm.base import Ground
from maxmin_core.lm.comparisons import Compared, as_row
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.texts import Texts

SMALL = find_profile("pretrained", em_rounds=3, new_tokens=5)
TEXTS = ["one", "one two", "one two three", "one two three four"]


def compared(who, groups, choices, weight=None):
    winner, loser, annotator = (np.array(side) for side in zip(*choices, strict=True))
    weight = np.ones(len(winner)) if weight is None else np.array(weight)
    return Compared(["p"] * 4, TEXTS, (winner, loser, annotator), who, groups, weight)


class Reward:
    """The first group likes long texts, the others short ones."""

    def __init__(self, name, n):
        self.name, self.n, self.order, self.over = name, n, list(range(n)), None

    def of(self, order):
        self.order = list(order)
        return self

    def calibrated(self, prompts, completions):
        self.over = prompts, completions
        return self

    def __call__(self, prompts, completions):
        n = np.array([float(len(text.split())) for text in completions])
        return np.array([n if u == 0 else -n for u in range(self.n)])


class TestRewards:
    GROUPS = ("a", "b")

    @pytest.fixture
    def learned(self, monkeypatch, tmp_path):
        asked, given = {}, {}

        def learn_models(reference, texts, choices, assigned, n, profile, folder, **how):
            asked[folder.name] = {"n": n, "texts": texts, "choices": choices, "assigned": list(assigned), **how}
            assert (reference, profile.name, folder.parent) == (tmp_path / "reference", "pretrained", tmp_path / "on")
            # EM over models moves the last annotator.
            found = [0, 1, 0, 1] if folder.name == "mixture" else assigned
            return Reward(folder.name, n), np.array(found)

        def fit_mixture(comparisons, n, **how):
            given.update(how, comparisons=comparisons, n=n)
            return SimpleNamespace(responsibilities=np.eye(2)[[1, 0, 1, 1]])

        def embed(reference, prompts, completions, **how):
            given.update(embedded=(reference, prompts, completions, how))
            return np.arange(4.0)[:, None]

        monkeypatch.setattr(_people_rewards, "learn_models", learn_models)
        monkeypatch.setattr(_people_rewards, "fit_mixture", fit_mixture)
        monkeypatch.setattr(_people_rewards, "embed", embed)
        parts = {
            "learning": compared(
                ["w0", "w1", "w2", "w3"],
                ["b", "a", "b", "b"],
                [(0, 1, 0), (2, 1, 1), (0, 3, 2), (1, 2, 3), (3, 2, 3)],
                [1, 2, 3, 4, 5],
            ),
            "heldout": compared(["w1", "x"], ["a", "b"], [(3, 0, 0), (0, 2, 1)]),
            # Two of group a, who like long texts once, and one of b, who likes the short one.
            "tried": compared(["w1", "w2"], ["a", "b"], [(3, 0, 0), (0, 2, 0), (0, 1, 1)], [1, 1, 1]),
        }
        base = Ground(tmp_path / "reference", Texts(["q"], [[1]], ["done"]), [], Texts([], [], []))

        def learn(profile=SMALL, groups=self.GROUPS):
            found = learn_from_people(parts, base, groups, profile, 6, tmp_path / "on")
            return *found, asked, given, parts

        return learn

    def test_named_groups(self, learned):
        rewards, report, asked, given, parts = learned()
        learning = parts["learning"]
        assert list(rewards) == ["single", "known", "mixture", "heldout"] == [r.name for r in rewards.values()]
        assert all(reward.over == (["q"], ["done"]) for reward in rewards.values())
        # EM begins on what the frozen model makes of the texts, each comparison with its weight.
        assert given["embedded"][1:] == (learning.prompts, TEXTS, {"cpu": True, "bf16": False})
        assert (given["n"], given["l2"], given["seed"]) == (2, 1.0, 6)
        of = given["comparisons"]
        assert of.weight.tolist() == [1, 2, 3, 4, 5] and of.annotator.tolist() == [0, 1, 2, 3, 3]
        assert {name: (each["n"], each["assigned"]) for name, each in asked.items()} == {
            "single": (1, [0, 0, 0, 0]),
            "known": (2, [1, 0, 1, 1]),
            "mixture": (2, [1, 0, 1, 1]),
            "heldout": (2, [0, 1]),
        }
        assert {name: (each["seed"], each["n_rounds"]) for name, each in asked.items()} == {
            "single": (6, 0),
            "known": (6, 0),
            "mixture": (6, 3),
            # Another head than the one it judges.
            "heldout": (1006, 0),
        }
        assert asked["heldout"]["choices"] is parts["heldout"].choices and "onto" not in asked["known"]
        # EM over models is told what linear rewards may weigh; where it has no round, nobody asks.
        assert {name for name in asked if "features" in asked[name]} == {"mixture"}
        assert asked["mixture"]["features"].ravel().tolist() == [0, 1, 2, 3]
        # EM's second group is a; the last annotator is in the wrong one, and the first guess was right.
        assert rewards["mixture"].order == [1, 0]
        assert report["found"] == {"w0": "b", "w1": "a", "w2": "b", "w3": "a"}
        assert (report["assigned_right"], report["begun_right"]) == (0.75, 1.0)
        assert (report["annotators"], report["comparisons"], report["groups"]) == (4, 5, ["a", "b"])
        # Half of a's choices are for the longer text; b's own reward ranks its one as b does, one for all does not.
        assert report["accuracy_known"] == [0.5, 1.0] and report["accuracy_single"] == [0.5, 0.0]

    def test_a_group_without_people_is_told_before_anything_is_trained(self, learned, monkeypatch):
        nobody = SimpleNamespace(responsibilities=np.eye(2)[[1, 1, 1, 1]])
        monkeypatch.setattr(_people_rewards, "fit_mixture", lambda *given, **how: nobody)
        monkeypatch.setattr(_people_rewards, "learn_models", None)
        with pytest.raises(ValueError, match=r"each of 2 groups, got \[0, 4\] in the linear mixture$"):
            learned()

    def test_adapters_share_a_base(self, learned, monkeypatch):
        monkeypatch.setattr(_people_rewards, "AdapterRewards", Reward)
        rewards, _, asked, given, _ = learned(replace(SMALL, base_bf16=True, cpu=False))
        assert all(asked[name]["onto"] is rewards["single"] for name in ("known", "mixture", "heldout"))
        assert "onto" not in asked["single"] and given["embedded"][3] == {"cpu": False, "bf16": True}
        assert learned(replace(SMALL, reward_bf16=True))[3]["embedded"][3] == {"cpu": True, "bf16": True}

    def test_groups_that_em_finds(self, learned):
        rewards, report, asked, _, _ = learned(replace(SMALL, n_groups=2), ("found 1", "found 2"))
        assert list(rewards) == ["single", "mixture", "heldout"] and "known" not in asked
        # As large as each other: the first stays the first.
        assert report["found"] == {"w0": "found 1", "w1": "found 2", "w2": "found 1", "w3": "found 2"}
        assert not {"assigned_right", "begun_right"} & set(report) and rewards["mixture"].order == [0, 1]
        # Whom EM has not seen is not in the held-out comparisons, either.
        winner, loser, annotator = asked["heldout"]["choices"]
        assert (winner.tolist(), loser.tolist(), annotator.tolist()) == ([3], [0], [0])
        assert asked["heldout"]["assigned"] == [1] and report["accuracy_heldout"] == [0.0, 0.5]

    def test_the_largest_found_group_is_the_first(self, learned, monkeypatch):
        real = _people_rewards.learn_models

        def other(*given, **how):
            reward, assigned = real(*given, **how)
            return reward, np.array([1, 1, 0, 1]) if given[6].name == "mixture" else assigned

        monkeypatch.setattr(_people_rewards, "learn_models", other)
        rewards, report, *_ = learned(replace(SMALL, n_groups=2), ("found 1", "found 2"))
        assert rewards["mixture"].order == [1, 0]
        assert report["found"] == {"w0": "found 1", "w1": "found 1", "w2": "found 2", "w3": "found 1"}

    def test_three_groups_go_round(self, learned, monkeypatch):
        # EM calls a what is b, b what is c, c what is a: the way back is another one than the way there.
        *_, parts = learned()
        who = ["w0", "w1", "w2", "w3"]
        parts["learning"] = compared(who, ["a", "b", "c", "c"], [(0, 1, k) for k in range(4)])
        turned = np.array([1, 2, 0, 0])

        def models(reference, texts, choices, assigned, n, profile, folder, **how):
            return Reward(folder.name, n), turned if folder.name == "mixture" else np.asarray(assigned)

        fit = SimpleNamespace(responsibilities=np.eye(3)[[1, 2, 0, 1]])
        monkeypatch.setattr(_people_rewards, "learn_models", models)
        monkeypatch.setattr(_people_rewards, "fit_mixture", lambda *given, **how: fit)
        rewards, report, *_ = learned(groups=("a", "b", "c"))
        assert rewards["mixture"].order == [1, 2, 0]
        assert report["found"] == dict(zip(who, "abcc", strict=True))
        assert (report["assigned_right"], report["begun_right"]) == (1.0, 0.75)

    def test_a_group_that_was_not_tried_has_no_accuracy(self, learned):
        *_, parts = learned()
        parts["tried"] = compared(["w1"], ["a"], [(3, 0, 0)])
        assert learned()[1]["accuracy_known"] == [1.0, None]


class Policy:
    """Remembers where it was saved; a token is a word."""

    config = SimpleNamespace(max_position_embeddings=12)

    def __init__(self):
        self.saved = []

    def num_parameters(self):
        return 2**28

    def save_pretrained(self, folder):
        self.saved.append(folder)

    def __call__(self, texts):
        return {"input_ids": [text.split() for text in texts]}


@pytest.fixture
def ground(monkeypatch, tmp_path):
    model, asked, said = Policy(), [], []

    def write(model, tokenizer, prompts, *, n_tokens, seed):
        asked.append((n_tokens, seed))
        return Texts(prompts, [[seed]] * len(prompts), ["done"] * len(prompts))

    def words(tokenizer, prompts):
        return [prompt[0]["content"].split() for prompt in prompts]

    loaded = []
    monkeypatch.setattr(_people_ground, "load_pretrained", lambda profile: (model, model))
    monkeypatch.setattr(
        _people_ground, "load_policy", lambda *given, **how: loaded.append((given, how)) or (model, model)
    )
    monkeypatch.setattr(_people_ground, "encode", words)
    monkeypatch.setattr(_people_ground, "write_texts", write)
    monkeypatch.setattr(_people_ground, "whole_text", lambda prompt, answer, t: f"{prompt[0]['content']} {answer}")
    free = SimpleNamespace(free=2 * 2**30)
    monkeypatch.setattr(_people_ground.shutil, "disk_usage", lambda folder: free)

    def make(rows, profile=SMALL):
        found = _people_ground.make_ground(Dataset.from_list(rows), profile, tmp_path / "new" / "g", said.append)
        return *found, SimpleNamespace(asked=asked, said=said, model=model, loaded=loaded, free=free)

    return make


def rows(n, words=3):
    return [as_row(f"{i:02} " + "w " * (words - 1), "yes", "no no", f"w{i % 5}", "a") for i in range(n)]


class TestGround:
    def test_everything_is_made_once(self, ground, tmp_path):
        parts, base, more = ground(rows(20), replace(SMALL, n_prompts=7, n_evaluation=3))
        # Half of twenty prompts, three tenths, two tenths.
        assert [len(parts[name].prompts) for name in ("learning", "heldout", "tried")] == [20, 12, 8]
        assert (len(base.train), len(base.baseline), len(base.pool)) == (7, 3, 7) and more.asked == [(5, 1), (5, 2)]
        assert base.pool.prompts == base.train and base.reference == tmp_path / "new" / "g" / "reference"
        assert more.said == ["[people] the model, in 32 bits", "[people] texts of the reference"]
        assert more.model.saved == [base.reference] * 2
        assert more.loaded == [((base.reference,), {"cpu": True, "bf16": False})]
        asked = {json.dumps(prompt, sort_keys=True) for prompt in parts["learning"].prompts}
        # Shuffled, by a seed that is the same for all runs.
        every = sorted(asked)
        found = [json.dumps(prompt, sort_keys=True) for prompt in base.train]
        assert found == [every[i] for i in np.random.default_rng(0).permutation(10)[:7]]
        again, same, _ = ground([], SMALL)
        assert same.train == base.train and more.asked == [(5, 1), (5, 2)] and again["tried"].annotators

    def test_what_does_not_fit_is_left_out(self, ground):
        # Twelve positions, five tokens to come: seven of a prompt; with the longer answer ten words are read whole.
        _, _, more = ground([*rows(12, 7), *(row for row in rows(30, 8)[12:])])
        assert more.said[1] == "[people] 18 of 30 comparisons are too long for the model, left out"

    def test_a_profile_may_want_shorter_ones(self, ground):
        message = "none: prompts of at most 2 tokens, with an answer at most 12$"
        with pytest.raises(ValueError, match=message):
            ground(rows(12), replace(SMALL, longest_prompt=2))
        assert ground(rows(12), replace(SMALL, longest_prompt=3))[1].train

    def test_an_answer_that_a_reward_would_cut_is_left_out(self, ground):
        long = [row | {"rejected": "no " * 9} for row in rows(30)]
        assert ground(long)[2].said[-1] == "[people] texts of the reference"

    def test_one_word_more_does_not_fit(self, ground):
        with pytest.raises(ValueError, match="with an answer at most 12$"):
            ground([row | {"rejected": "no " * 10} for row in rows(30)])

    def test_a_disk_that_is_too_full(self, ground, monkeypatch):
        # Elsewhere here a gibibyte of numbers, and one to spare, is enough; a byte less is too little.
        monkeypatch.setattr(_people_ground.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**31 - 1))
        with pytest.raises(ValueError, match="^disk: expected 2 GiB free for the reference in 32 bits, got 2.0 GiB in"):
            ground(rows(20))
