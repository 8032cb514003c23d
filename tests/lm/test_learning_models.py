"""EM over reward models, with stubs that train: who trains, who is judged and who is moved can be counted."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from maxmin_core.lm import model_mixture
from maxmin_core.lm.model_mixture import learn_models
from maxmin_core.lm.profiles import find_profile

SMALL = find_profile("smoke", reward="model", n_annotators=4, n_per_annotator=3)


class Scores:
    """Rewards of a table."""

    def __init__(self, rows, shares, **how):
        self.rows, self.shares, self.how, self.forgotten = np.array(rows, dtype=float), np.asarray(shares), how, 0

    def __call__(self, prompts, completions):
        return self.rows

    def forget(self):
        self.forgotten += 1


class Joined(Scores):
    joined: list = []
    table: list = []

    @classmethod
    def join(cls, folders, share, **how):
        made = cls(cls.table[min(len(cls.joined), len(cls.table) - 1)], share, **how)
        made.folders = folders
        cls.joined.append(made)
        return made


@pytest.fixture
def em(monkeypatch, tmp_path, policy_folder):
    """Three annotators, interleaved, with four, five and three comparisons of three texts."""
    told = SimpleNamespace()

    def trained(reference, chosen, rejected, profile, folder, *, seed):
        told.trained.append((folder.relative_to(tmp_path).as_posix(), chosen, rejected, seed))
        return f"model {folder.name}", "tokenizer"

    def models(found, tokenizer, shares):
        made = Scores(told.table[min(len(told.made), len(told.table) - 1)], shares, models=found, tokenizer=tokenizer)
        told.made.append(made)
        return made

    monkeypatch.setattr(model_mixture, "train_reward_model", trained)
    monkeypatch.setattr(model_mixture, "ModelRewards", models)
    monkeypatch.setattr(model_mixture, "AdapterRewards", Joined)
    annotator = np.array([0, 1, 2, 1, 0, 1, 2, 0, 1, 0, 1, 2])
    # The first two prefer text 0 to 1, the third the other way round.
    winner = np.where(annotator == 2, 1, 0)
    choices = (winner, 1 - winner, annotator)

    def learn(table, assigned, profile=SMALL, n_groups=2, **how):
        told.table = Joined.table = table
        told.trained, told.made, Joined.joined = [], [], []
        texts = (["p"] * 3, ["a", "b", "c"])
        return (
            *learn_models(policy_folder, texts, choices, assigned, n_groups, profile, tmp_path, seed=9, **how),
            told,
        )

    return learn


RIGHT = [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]


class TestModels:
    def test_annotators_move_by_every_third_choice(self, em):
        # Whoever is in the wrong group moves in the first round; in the second nobody does; then all train.
        rewards, assigned, told = em([RIGHT], [0, 1, 1])
        assert assigned.tolist() == [0, 0, 1]
        names = [name for name, *_ in told.trained]
        assert names == [f"{turn}/group-{u}" for turn in ("round-0", "round-1", "all") for u in (0, 1)]
        # Of four choices two are judged, the first and the fourth; of five two, of three one. The others train.
        count = [len(chosen) for _, chosen, *_ in told.trained]
        assert count == [2, 3 + 2, 2 + 3, 2, 4 + 5, 3]
        _, chosen, rejected, seed = told.trained[-1]
        assert (set(chosen), set(rejected), seed) == ({"p b <end>"}, {"p a <end>"}, 9)
        assert rewards.how == {"models": ["model group-0", "model group-1"], "tokenizer": "tokenizer"}
        assert rewards.shares.tolist() == pytest.approx([2 / 3, 1 / 3])
        assert told.made[0].shares.tolist() == pytest.approx([1 / 3, 2 / 3])

    def test_shares_count_as_well_as_choices(self, em):
        # Rewards that tell nothing apart: everybody goes where most are, and EM ends before a group is empty.
        with pytest.warns(UserWarning, match="^round 0: a group would lose all annotators; EM stops before$") as warned:
            _, assigned, told = em([np.zeros((2, 3))], [0, 1, 1])
        assert assigned.tolist() == [0, 1, 1] and [t[0] for t in told.trained][2:] == ["all/group-0", "all/group-1"]
        assert warned[0].filename == __file__
        # By hand: log 1/3 + 2 log sigma(x) against log 2/3 + 2 log sigma(-x): the many win below x = log(2) / 2.
        with pytest.warns(UserWarning, match="would lose all annotators"):
            em([[[0.34, 0, 0], [-0.34, 0, 0]], RIGHT], [0, 1, 1], n_rounds=1)
        with pytest.warns(UserWarning, match="EM still moves 1 of 3"):
            assert em([[[0.35, 0, 0], [-0.35, 0, 0]], RIGHT], [0, 1, 1], n_rounds=1)[1].tolist() == [0, 0, 1]

    def test_rounds_that_are_too_few_are_said(self, em):
        with pytest.warns(UserWarning, match="^n_rounds: EM still moves 1 of 3 annotators after 1$") as told:
            em([RIGHT], [0, 1, 1], n_rounds=1)
        # Of the caller's line, not of the module's.
        assert told[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            em([RIGHT], [0, 0, 1], n_rounds=1)
            assert em([RIGHT], [0, 1, 1], n_rounds=0)[1].tolist() == [0, 1, 1]

    def test_four_rounds_are_the_most(self, em):
        # Rewards that change sides every round: nobody ever stays.
        flip = [RIGHT, RIGHT[::-1]] * 3
        with pytest.warns(UserWarning, match="EM still moves 3 of 3 annotators after 4$"):
            _, _, told = em(flip, [1, 1, 0])
        assert [name for name, *_ in told.trained][-3:] == ["round-3/group-1", "all/group-0", "all/group-1"]

    TELLS = np.array([[1.0], [0.0], [0.0]])

    def test_models_worse_than_linear_rewards_move_nobody(self, em):
        # One attribute tells text 0 from text 1; these models hold the one's taste for the many's, and a coin for his.
        told = "^round 0: models do not predict the choices left out clearly better than linear rewards do "
        with pytest.warns(UserWarning, match=told) as warned:
            _, assigned, made = em([[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]], [0, 0, 1], features=self.TELLS)
        assert assigned.tolist() == [0, 0, 1] and warned[0].filename == __file__
        assert [name for name, *_ in made.trained][2:] == ["all/group-0", "all/group-1"]
        # By hand: the five choices left out are likeliest under the models at the smallest scale, where all is a coin,
        # and under linear rewards at the largest, where nobody of a group ever errs.
        small = 1 / (1 + np.exp(np.exp(-5)))
        of_models = np.log([2 / 3 * small**2 + 1 / 12] * 2 + [2 / 3 * (1 - small) + 1 / 6])
        lead = of_models - np.log([2 / 3, 2 / 3, 1 / 3])
        numbers = lead.sum() / 5, 3**0.5 * lead.std(ddof=1) / 5
        by_hand = "({:+.3f} of log-likelihood a choice, standard error {:.3f})".format(*numbers)
        assert lead.sum() < 0 and by_hand in str(warned[0].message)

    def test_models_that_are_not_clearly_better_move_nobody(self, em):
        # Both models prefer text 0, as two of the three do: ahead of a coin, and behind it for the third.
        with pytest.warns(UserWarning, match="nobody is moved in this round, and EM ends$") as warned:
            _, assigned, _ = em([[[2.0, 0.0, 0.0], [0.2, 0.0, 0.0]]], [1, 0, 1], features=np.ones((3, 1)))
        assert assigned.tolist() == [1, 0, 1]
        # By hand, over a grid of scales.
        scale = np.exp(np.linspace(-5, 5, 20001))
        strong, weak = (1 / (1 + np.exp(-slope * scale)) for slope in (2.0, 0.2))
        of_many = np.log(strong**2 / 3 + 2 / 3 * weak**2) - 2 * np.log(0.5)
        of_one = np.log((1 - strong) / 3 + 2 / 3 * (1 - weak)) - np.log(0.5)
        best = (2 * of_many + of_one).argmax()
        lead = np.array([of_many[best], of_many[best], of_one[best]])
        numbers = lead.sum() / 5, 3**0.5 * lead.std(ddof=1) / 5
        by_hand = "({:+.3f} of log-likelihood a choice, standard error {:.3f})".format(*numbers)
        assert 0 < numbers[0] < numbers[1] and by_hand in str(warned[0].message)

    def test_nobody_asks_where_nobody_would_move(self, em, monkeypatch):
        monkeypatch.setattr(model_mixture, "learn_known", None)
        assert em([RIGHT], [0, 0, 1], features=self.TELLS)[1].tolist() == [0, 0, 1]

    def test_all_processes_go_by_the_first(self, em, monkeypatch):
        # Another process has found other groups to begin with, and other people to move.
        asked, first = [], [[np.array([0, 0, 1])], [np.array([0, 1, 1]), None], [np.array([0, 1, 1]), "it ends"]]
        monkeypatch.setattr(model_mixture, "broadcast_object_list", lambda given: asked.append(given) or first.pop(0))
        with pytest.warns(UserWarning, match="^round 1: it ends$"):
            assigned = em([RIGHT], [1, 1, 0])[1]
        assert assigned.tolist() == [0, 1, 1] and [x.tolist() for x, *_ in asked] == [[1, 1, 0], [0, 0, 1], [0, 0, 1]]

    def test_models_better_than_linear_rewards_go_on(self, em):
        # An attribute that is the same for all teaches nothing: a coin's likelihood, below the models'.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert em([RIGHT], [0, 1, 1], features=np.ones((3, 1)))[1].tolist() == [0, 0, 1]

    @pytest.mark.parametrize("bits", [{}, {"base_bf16": True}, {"reward_bf16": True}])
    def test_adapters_are_joined_and_forgotten(self, em, tmp_path, bits):
        onto = Joined(RIGHT, [1.0])
        found, _, told = em([RIGHT], [0, 1, 1], replace(SMALL, lora=4, cpu=False, **bits), onto=onto)
        how = {"cpu": False, "bf16": bool(bits), "onto": onto}
        names = [[f"{tmp_path.name}-{turn}-{u}" for u in (0, 1)] for turn in ("round-0", "round-1", "all")]
        assert [made.how for made in Joined.joined] == [{"names": each, **how} for each in names]
        assert [made.forgotten for made in Joined.joined] == [1, 1, 0] and not told.made
        assert found.folders == [tmp_path / "all" / f"group-{u}" for u in (0, 1)]
        em([RIGHT], [0, 1, 1], replace(SMALL, lora=4))
        assert Joined.joined[-2].forgotten == 0
