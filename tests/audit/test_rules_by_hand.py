"""The rules of the search and its words at their thresholds, on held-out scores, votes and models that are given."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from maxmin_core.audit import _groups
from maxmin_core.audit._groups import CrossFit, apart, verdict_on_groups
from maxmin_core.audit._limits import cannot_tell, votes_needed
from maxmin_core.audit._space import Votes


def votes(person, winner, loser, shown=None, weight=None, items=3, people=None):
    shown, weight = (np.ones(len(person)) if one is None else np.array(one, float) for one in (shown, weight))
    person = np.array(person)
    people = people or person.max() + 1
    return Votes(np.eye(items), people, person, np.array(winner), np.array(loser), shown, weight)


class TestVerdictInWords:
    """The scores are +-0.1 about their means in a hundred people: half of an interval is 0.02."""

    noise = np.tile([0.1, -0.1], 50)
    clear = (
        {"agreement": [0.8, 0.7, 0.9], "ahead": [[0.0] * 3, [1.0, 0.5, 1.5]]},
        {"agreement": [0.8, 0.7, 0.9], "ahead": [[1.0, 0.5, 1.5], [0.0] * 3]},
    )

    def fit(self, *gains, one=-1.0, coin=-9.0):
        scores = {1: np.zeros(100)} | {k: gain + (-1) ** k * self.noise for k, gain in enumerate(gains, start=2)}
        return CrossFit(np.zeros(100), np.full(100, coin) + self.noise, np.full(100, one), scores, {})

    def said(self, fit, chosen, real=clear, would=0.3):
        return verdict_on_groups(fit, chosen, real, {0.1: (9.0, 0.0), 0.2: (would, 0.01), 0.3: (-9.0, 0.0)})

    def test_yes(self):
        assert self.said(self.fit(0.2, 0.5), 2) == (
            True,
            "2 groups predict people who were held out better than individual tastes without groups do, by 0.20 nats a "
            "person (95% interval 0.18 to 0.22).",
        )

    def test_no_and_by_which_number_of_groups(self):
        # Of two and three groups the better one is spoken of.
        assert self.said(self.fit(-0.5, -0.05), 1) == (
            False,
            "3 groups predict people who were held out no better than individual tastes without groups do (95% "
            "interval -0.07 to -0.03 nats a person), and one person in five with another ranking would have gained "
            "0.30.",
        )
        assert self.said(self.fit(-0.05, -0.5), 1)[1].startswith("2 groups")
        assert self.said(self.fit(0.27), 1)[0] is False and self.said(self.fit(0.29), 1)[0] is None

    def test_neither(self):
        text = (
            "2 groups gain 0.27 to 0.31 nats a person over individual tastes (95% interval), and one person in five "
            "with another ranking would gain 0.30: these data cannot tell groups from individual tastes."
        )
        assert self.said(self.fit(0.29), 1) == (None, text)
        # Chosen, told apart, and yet not sure to be ahead: of the null, or of one reward.
        assert self.said(self.fit(0.01), 2) == (None, text.replace("0.27 to 0.31", "-0.01 to 0.03"))
        assert self.said(self.fit(0.29, one=0.28), 2) == (None, text)
        assert self.said(self.fit(0.29, one=0.26), 2)[0] is True

    def test_no_two_are_told_apart(self):
        behind = [self.clear[0], self.clear[1] | {"ahead": [[0.1, 0.0, 0.4], [0.0] * 3]}]
        assert self.said(self.fit(0.5), 2, behind) == (
            None,
            "2 groups predict best (95% interval 0.48 to 0.52 nats a person), but no two of them are told apart: "
            "nowhere do the people of both follow their own group's reward better than the other's. They may differ in "
            "how reliably they vote alone.",
        )

    def test_no_ranking(self):
        text = (
            "One reward predicts people who were held out no better than a coin does: these votes follow no common "
            "ranking, or are too few to show one."
        )
        assert self.said(self.fit(-0.05, coin=-1.01), 1) == (None, text)
        assert self.said(self.fit(-0.05, coin=-1.03), 1)[0] is False
        # Groups that are established need no common ranking.
        assert self.said(self.fit(0.5, coin=-1.0), 2)[0] is True

    def test_too_few(self):
        text = "100 people are too few to look for groups (at least 40 are needed)."
        assert self.said(self.fit(), 1) == (None, text)

    def test_thresholds_of_being_told_apart(self):
        for change, sure in (
            ({}, True),
            ({"agreement": [0.8, 0.5, 0.9]}, False),
            ({"ahead": [[0.0] * 3, [1.0, 0.0, 1.5]]}, False),
            ({"ahead": []}, False),
        ):
            told = [self.clear[0] | change, self.clear[1]]
            assert apart(told, 0, 1) is apart(told, 1, 0) is apart(told, 0, 1, both=False) is sure
            assert apart(told, 1, 0, both=False) is True


class TestNumberOfGroups:
    def test_the_smallest_within_one_standard_error(self):
        behind = np.tile([0.0, 0.2], 8)  # mean 0.1, standard error 0.1033 / 4
        error = behind.std(ddof=1) / 4
        for lead, chosen in ((0.99, 1), (1.01, 2)):
            scores = {2: behind - 0.1 + lead * error, 1: np.zeros(16)}
            assert CrossFit(np.zeros(16), np.zeros(16), np.zeros(16), scores, {}).chosen() == chosen

        # Exactly one standard error is within one.
        scores = {1: np.zeros(2), 2: np.array([0.0, 2.0])}
        assert CrossFit(np.zeros(2), np.zeros(2), np.zeros(2), scores, {}).chosen() == 1

    def test_of_some_people(self):
        scores = {1: np.array([0.0, 0, 5, 5]), 2: np.array([1.0, 1, 0, 0])}
        fit = CrossFit(np.zeros(4), np.zeros(4), np.zeros(4), scores, {})
        assert fit.chosen(np.array([0, 1])) == 2 and fit.chosen(np.array([2, 3])) == 1
        found = fit.frequencies(0)
        assert found[1] + found[2] == pytest.approx(1.0) and found[1] == pytest.approx(round(found[1] * 500) / 500)

    @pytest.mark.parametrize(
        ("people", "gains", "tried"),
        [
            (39, {}, [1]),
            (40, {}, [1, 2]),
            (79, {}, [1, 2, 3]),
            (200, {1: 3.0}, [1, 2, 3]),
            (200, {2: 3.0}, [1, 2, 3]),
            (200, {3: 3.0}, [1, 2, 3, 4]),
            (200, {4: 3.0, 3: 2.0}, [1, 2, 3, 4, 5]),
            (200, {3: 1.0, 4: 2.0, 5: 3.0, 6: 4.0}, [1, 2, 3, 4, 5, 6]),
        ],
    )
    def test_more_are_tried_as_long_as_more_are_better(self, people, gains, tried, monkeypatch):
        asked = []

        def fit(train, space, n_groups, *, spread, seed):
            asked.append((n_groups, spread, train.n_people, seed))
            worth = gains.get(n_groups, 0.0) if spread else -1.0
            return SimpleNamespace(joint=lambda test, seed: np.full((test.n_people, 2), worth - np.log(2)))

        monkeypatch.setattr(_groups, "fit_tastes", fit)
        monkeypatch.setattr(_groups, "make_space", lambda train: None)
        some = votes(np.arange(people), np.zeros(people, int), np.ones(people, int), weight=np.arange(people))
        found = _groups.cross_fit(some, 6)
        assert list(found.scores) == list(found.models) == tried
        assert found.scores[tried[-1]] == pytest.approx(np.full(people, gains.get(tried[-1], 0.0)))
        assert found.one == pytest.approx(np.full(people, -1.0))
        assert found.coin == pytest.approx(-np.log(2) * np.arange(people))
        assert np.bincount(found.fold).tolist() == [people // 5 + (f < people % 5) for f in range(5)]
        assert asked[:5] == [(1, False, people - n, 6) for n in np.bincount(found.fold)]
        assert all(spread for _, spread, _, _ in asked[5:]) and len(asked) == 5 * (1 + len(tried))

    def test_four_people_are_four_folds(self, monkeypatch):
        fitted = SimpleNamespace(joint=lambda test, seed: np.zeros((test.n_people, 2)))
        monkeypatch.setattr(_groups, "fit_tastes", lambda *a, **k: fitted)
        monkeypatch.setattr(_groups, "make_space", lambda train: None)
        assert sorted(_groups.cross_fit(votes(range(4), [0] * 4, [1] * 4), 0).fold) == [0, 1, 2, 3]


class TestLimits:
    """What these votes cannot tell, sentence by sentence."""

    always = (
        "other people",
        None,
        "Shares are those of the people who voted here. Other people, other items, and tastes that change with time "
        "are not in these data.",
    )

    def said(
        self,
        more=False,
        gains=(0.01, 0.02, 0.03),
        dropped=(),
        ties=(0, 0),
        refused=(),
        order=False,
        models=False,
        never=False,
        asked=4,
        rewards=((1, 0, -1), (-1, 0, 1)),
    ):
        given = votes([0, 0, 0, 1, 1, 2, 3], [0, 1, 2, 0, 1, 0, 1], [1, 2, 0, 1, 0, 1, 0], people=6)
        if never:
            given = votes([0, 0, 0, 1, 1, 2, 3], [0] * 5 + [2, 4], [1] * 5 + [3, 5], items=8)
        scores = {1: np.zeros(4), 2: np.array([0.1, -0.1, 0.1, -0.1]), 3: 9 * np.array([0.1, -0.1, 0.1, -0.1])}
        # The standard error of two groups' gain is 0.0577; 2.6 of them are 0.1501.
        search = SimpleNamespace(
            more_than_one=more,
            model=SimpleNamespace(rewards=np.array(rewards, float)),
            planted=dict(zip((0.1, 0.2, 0.3), ((gain, 0.0) for gain in gains), strict=True)),
            best=1,
            why="Why not.",
            people=np.arange(asked),
            fit=SimpleNamespace(scores=scores, gain=lambda k, than: scores[k] - than),
        )
        report = SimpleNamespace(ties=ties[0], both_bad=ties[1], dropped=dict(dropped))
        pairs = np.array([[0, 0, 1], [1, 2, 2]])
        labels = list("abcdefgh")[: given.features.shape[0]]
        found = cannot_tell(search, given, report, labels, dict(refused), pairs, order, models)
        assert found[-1]["what"] == "other people"
        return [tuple(one.values()) for one in found]

    def test_nothing_but_what_always_holds(self):
        tried = ("small groups", 0.1, "Groups of fewer than 10% were not tried for.")
        assert self.said(gains=(0.16, 0.2, 0.3)) == [tried, self.always]

    def test_small_groups(self):
        text = (
            "A group of {} of the people with another ranking of the same strength could be there, and would not be "
            "told from individual tastes in these votes."
        )
        assert self.said(gains=(0.14, 0.16, 0.3))[0] == ("small groups", 0.1, text.format("10%"))
        assert self.said(gains=(0.14, 0.149, 0.151))[0] == ("small groups", 0.2, text.format("20%"))
        further = self.said(more=True)[1]
        assert further == ("small groups", 0.3, text.format("30%").replace("A group", "A further group"))

    def test_votes_that_are_needed(self):
        need = votes_needed(np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]), np.array([[0, 0, 1], [1, 2, 2]]))
        p, q = expit([1, 2, 1]), expit([-1, -2, -1])
        rho = (np.sqrt(p * q) + np.sqrt((1 - p) * (1 - q))).mean()
        assert 0.5 * rho**need <= 0.1 < 0.5 * rho ** (need - 1)
        assert self.said(more=True)[0] == (
            "who is in which group",
            need,
            f"About {need} decided votes a person put somebody into the right one of the two closest groups nine times "
            "out of ten; the median person cast 2, and 100% cast fewer than needed. Groups are therefore shares and "
            "tendencies here, not labels of persons.",
        )
        # Two groups of one reward are told apart by no number of votes, and the sentence is left out.
        assert self.said(more=True, rewards=((1, 0, -1), (1, 0, -1)))[0][0] == "small groups"
        # Of three groups the two that are closest decide, and the certainty that is asked for.
        close = np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0], [-1.2, 0.0, 1.2]])
        pairs = np.array([[0, 0, 1], [1, 2, 2]])
        assert votes_needed(close, pairs) == votes_needed(close[1:], pairs) > votes_needed(close[:2], pairs)
        assert votes_needed(close, pairs, 0.5) == 0
        assert votes_needed(close, pairs, 0.99) == pytest.approx(
            votes_needed(close, pairs) * np.log(50) / np.log(5), 0.01
        )

    def test_ties(self):
        assert self.said(ties=(1000, 234))[1] == (
            "ties",
            1234,
            "1,234 votes for neither are counted, but groups and rewards are read from decided votes alone: somebody "
            "who finds everything alike and somebody who does not look cannot be told apart by ties.",
        )
        assert self.said(ties=(1, 0))[1][:2] == ("ties", 1) and self.said(ties=(0, 2))[1][:2] == ("ties", 2)
        dropped = {"ties": 1000, "ties that called both bad": 2, "without an annotator": 5}
        assert self.said(dropped=dropped)[1] == ("dropped ties", 1002, "1,002 ties were dropped before this audit.")
        assert self.said(dropped={"without an annotator": 5})[1:] == [self.always]

    def test_places_models_refused_columns_and_what_is_open(self):
        found = self.said(more=None, order=True, models=True, refused={"remark": "too long"})[1:]
        assert [one[:2] for one in found] == [
            ("groups or individual tastes", None),
            ("place", None),
            ("answers", None),
            ("trait remark", None),
            ("other people", None),
        ]
        assert found[0][2] == "Why not." and found[3][2] == "The column remark was not compared: too long."
        assert found[2][2].startswith("The items are models. Two votes") and "(--items response)" in found[2][2]

    def test_items_that_were_always_or_never_chosen_and_parts(self):
        found = self.said(never=True)[1:]
        assert found[0] == (
            "items always or never chosen",
            8,
            "How far a, b, c, d, e and 3 more stand from the others is set by the penalty (l2 = 1), not by the votes: "
            "always chosen, or never.",
        )
        # Pairs (a, b), (c, d), (e, f), and two items alone.
        assert found[1] == ("unconnected items", 5, "The compared pairs fall into 5 parts, which cannot be compared.")

    def test_a_search_among_some(self):
        text = "Groups were looked for among 3 people drawn at random; everybody was assigned after."
        assert self.said(asked=3)[1:] == [("the search", 3, text), self.always]
        assert self.said(asked=4)[1:] == [self.always]
