"""Small cases whose answers can be worked out by hand: shares, intervals, thresholds, who is left out."""

import hashlib
import hmac
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from maxmin_core.audit import _names, _people
from maxmin_core.audit._found import _pairs, described, gain_of, given_traits, over, worst_off
from maxmin_core.audit._groups import CrossFit
from maxmin_core.audit._people import agreement, circles, ratio, repeats, with_others
from maxmin_core.audit._space import Space, Votes
from maxmin_core.audit._tastes import Tastes


def votes(person, winner, loser, shown=None, weight=None, items=3, people=None):
    n = len(person)
    shown, weight = (np.ones(n) if one is None else np.array(one, float) for one in (shown, weight))
    person = np.array(person)
    return Votes(np.eye(items), people or person.max() + 1, person, np.array(winner), np.array(loser), shown, weight)


class TestVoting:
    def test_a_ratio_and_its_interval(self):
        # One of two, and three of four: 4/6; who has nothing counts for nothing.
        rest = (np.array([1, 3]) - 4 / 6 * np.array([2, 4])) / 3
        for level, t in ((0.95, stdtrit(1, 0.975)), (0.5, 1.0)):
            half = t * np.sqrt(((rest - rest.mean()) ** 2).sum()) / np.sqrt(2)
            found = ratio([1, 3, 0], np.array([2, 4, 0]), level)
            assert found == pytest.approx([4 / 6, max(4 / 6 - half, 0), min(4 / 6 + half, 1)])
        assert ratio([1, 3], np.array([2, 4]))[1:] == [0.0, 1.0]
        assert ratio([0, 1, 0], np.array([3, 3, 3]))[1] == 0.0
        assert ratio([1], np.array([1])) == [1.0, None, None] and ratio([0, 0], np.array([0, 0])) is None

    def test_others_on_the_same_pair(self):
        # Three people on pair (0, 1), of whom the third voted twice; pair (1, 2) has one person alone, twice.
        person, winner, loser = np.array([[0, 0, 1], [1, 1, 0], [2, 0, 1], [2, 1, 0], [3, 1, 2], [3, 2, 1]]).T
        found = with_others(person, winner, loser, 4)
        # 0: the others say 1, 0, 1 net 1 for the other; 1: others net for 0; 2: others tie; 3: nobody else.
        np.testing.assert_array_equal(found, [0, 0, np.nan, np.nan, np.nan, np.nan])
        parts, wholes = agreement(person, winner, loser, 5)
        assert parts.tolist() == [0] * 5 and wholes.tolist() == [1, 1, 0, 0, 0]
        # An item of a high number is no other pair: (0, 5) and (5, 0) are one, (0, 5) and (1, 4) two.
        assert with_others(*np.array([[0, 0, 5], [1, 0, 5], [2, 1, 4]]).T, 3)[:2].tolist() == [1, 1]

    def test_answers_given_again(self):
        person, winner, loser = np.array([[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 2, 1], [1, 2, 1]]).T
        assert [one.tolist() for one in repeats(person, winner, loser, 3)] == [[1, 1, 0], [2, 1, 0]]

    def test_circles_and_whole_triples(self):
        round_ = [[0, 0, 1], [0, 1, 2], [0, 2, 0]]
        line = [[1, 0, 1], [1, 1, 2], [1, 0, 2]]
        # Two wins to one are a win; one to one is none; two items make no triple.
        more = [[2, 0, 1], [2, 0, 1], [2, 1, 0], [2, 1, 2], [2, 2, 0], [3, 0, 1], [3, 1, 0], [3, 1, 2], [3, 2, 0]]
        person, winner, loser = np.array([*round_, *line, *more, [4, 0, 1]]).T
        cyclic, whole = circles(person, winner, loser, 6)
        assert cyclic.tolist() == [1, 0, 1, 0, 0, 0] and whole.tolist() == [1, 1, 1, 0, 0, 0]

    def test_circles_of_four_items(self):
        # 0 beats 1, 1 beats 2, 2 beats 0, and 3 loses to all: four triples, one of them a circle.
        winner, loser = np.array([[0, 1], [1, 2], [2, 0], [0, 3], [1, 3], [2, 3]]).T
        assert [one.tolist() for one in circles(np.zeros(6, int), winner, loser, 1)] == [[1], [4]]

    def test_circles_are_counted_up_to_400_items_and_3000_people(self, monkeypatch):
        for items, triples in ((400, 1), (401, 0)):
            winner, loser = np.append(0, np.arange(items - 1)), np.append(2, np.arange(1, items))
            assert circles(np.zeros(items, int), winner, loser, 1)[1].tolist() == [triples]
        monkeypatch.setattr(_people, "_MOST_PEOPLE", 1)
        person, winner, loser = np.array([[k, i, (i + 1) % 3] for k in range(2) for i in range(3)]).T
        assert circles(person, winner, loser, 2)[1].tolist() == [1, 0]


class TestWorstOff:
    group = {"described": True, "real": True, "share_first": [0.6], "agreement_with_its_own_reward": [0.8]}

    def told(self, often=40, more=True, **change):
        gaps = np.tile([0.1, 0.5], (40, 1))
        gaps[often:] = [0.2, 0.1]
        return worst_off(SimpleNamespace(more_than_one=more), [self.group, self.group | change], gaps)

    def test_a_group_is_named_from_19_resamples_of_20_on(self):
        assert self.told() == (2, "Group 2 loses most by one reward, in 100% of the resamples of people.")
        assert self.told(38) == (2, "Group 2 loses most by one reward, in 95% of the resamples of people.")
        assert self.told(37) == (
            None,
            "Group 2 loses most, but only in 92% of the resamples of people: which group is worst off these data "
            "cannot tell.",
        )

    def test_why_none_is_named(self):
        for more in (False, None):
            why = "No worst-off group is named, as more than one group is not established."
            assert self.told(more=more) == (None, why)
        assert self.told(described=False) == (None, "No worst-off group is named: it would have fewer than 5 people.")
        why = (
            "Group 2 would be worst off, but how reliably its people vote explains that as well as a taste of their "
            "own: their votes do not follow the group's reward better than another group's."
        )
        assert self.told(real=False) == self.told(real=None) == (None, why)

    def test_a_place_explains_as_much_as_a_reward_or_less(self):
        assert self.told(share_first=None)[0] == 2
        for first, own, named in (
            (0.75, 0.75, None),
            (0.25, 0.75, None),
            (0.25, 0.8, 2),
            (0.7, 0.75, 2),
            (0.9, 0.8, None),
        ):
            found, why = self.told(share_first=[first], agreement_with_its_own_reward=[own])
            assert found == named
            if named is None:
                assert why == (
                    "Group 2 would be worst off, but where an item stood explains its votes as well as its reward "
                    f"does: {first:.0%} of its choices were the item shown first."
                )


def test_an_interval_over_resamples():
    half = stdtrit(3, 0.975) * np.std([1, 2, 3, 4], ddof=1)
    assert over(2.0, [1, 2, 3, 4]) == pytest.approx([2.0, 2 - half, 2 + half])
    assert over(0.5, [0, 1, 0, 1], (0.0, 1.0)) == [0.5, 0.0, 1.0]


def test_pairs_are_counted_once_whichever_way():
    found = _pairs(votes([0, 0, 0], [2, 1, 0], [1, 2, 1], items=4))
    assert found.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("best", "scores", "k"), [(1, (1,), 1), (1, (1, 2, 3), 2), (2, (1, 2, 3), 2), (3, (1, 2, 3), 3)]
)
def test_the_gain_is_that_of_the_best_number_and_of_two_where_that_is_one(best, scores, k):
    one = np.array([0.0, 0.1, 0.2])
    fit = CrossFit(np.zeros(3), one, one, {j: one + j**2 + one * j for j in scores}, {})
    found = gain_of(SimpleNamespace(fit=fit, best=best))
    assert found["groups"] == k
    assert found["against_one_group"][0] == pytest.approx(k**2 + 0.1 * k)
    assert found["against_null"][0] == pytest.approx(k**2 - 1 + 0.1 * (k - 1))


class TestTraits:
    said = {"side": ["l"] * 10 + ["r"] * 10, "same": ["x"] * 20, "none": [None] * 20, "odd": list("abcde" * 4)}

    def test_tests_and_their_correction(self):
        home, agrees = np.repeat([0, 1], 10), np.tile([0.4, 0.5, 0.6, 0.5], 5)
        tests, refused = given_traits(self.said, home, agrees, 0)
        assert [(one["trait"], one["of"], one["levels"]) for one in tests] == [
            ("side", "group", 2),
            ("side", "agreement with one reward", 2),
        ]
        assert tests[0]["p"] == pytest.approx(0.001) and tests[0]["p_holm"] == pytest.approx(0.002)
        assert tests[1]["p_holm"] == tests[1]["p"] > 0.5
        assert refused == dict.fromkeys(["same", "none", "odd"], "fewer than two values of 5 people or more")

    def test_the_corrected_p_never_falls_and_stays_below_one(self, monkeypatch):
        given = iter([0.4, 0.39, 0.01, 0.9])
        monkeypatch.setattr(
            "maxmin_core.audit._found.permutation_test", lambda *a, **k: SimpleNamespace(p_value=next(given))
        )
        said = {"side": self.said["side"], "turned": self.said["side"][::-1]}
        tests, _ = given_traits(said, np.tile([0, 1], 10), np.arange(20.0), 0)
        assert [one["p_holm"] for one in tests] == pytest.approx([1.0, 1.0, 0.04, 1.0])

    def test_who_is_in_no_group_or_unknown_is_left_out(self, monkeypatch):
        asked = []

        def test(statistic, level, n_resamples, seed):
            asked.append((level.tolist(), statistic(level), n_resamples, seed))
            return SimpleNamespace(p_value=0.5)

        monkeypatch.setattr("maxmin_core.audit._found.permutation_test", test)
        side = ["l"] * 5 + ["r"] * 5 + [None] * 2
        home = np.array([0, 0, 0, 0, -1, 1, 1, 1, 1, 2, 2, 2])
        agrees = np.array([0.5, 0.5, 0.5, 0.5, np.nan, 0.7, 0.7, 0.7, 0.7, 0.7, 1, 1])
        given_traits({"empty": [None] * 12, "side": side}, home, agrees, 3)
        (first, one, many, seed), (second, other, *_) = asked
        assert first == second == [0] * 4 + [1] * 5 and many == 999 and seed == [3, 6, 0]
        # Group by group: 4^2 / 4 left; 4^2 / 5 and 1 / 5 right.
        assert one == pytest.approx(4 + 16 / 5 + 1 / 5)
        mean = (4 * 0.5 + 5 * 0.7) / 9
        assert other == pytest.approx((4 * (0.5 - mean)) ** 2 / 4 + (5 * (0.7 - mean)) ** 2 / 5)

    def test_one_outcome_or_one_level_among_those_who_are_asked_is_no_test(self):
        home = np.array([0] * 10 + [-1] * 10)
        assert given_traits({"side": self.said["side"]}, home, np.full(20, 0.5), 0) == ([], {})
        home = np.array([0, 1] * 5 + [-1] * 10)
        assert given_traits({"side": self.said["side"]}, home, np.full(20, 0.5), 0) == ([], {})


class TestGroupsDescribed:
    """Three groups in the plane of three items, with eleven resamples; the last group has four people."""

    space = Space(np.zeros(3), np.linalg.qr(np.array([[1, 1], [-1, 1], [0, -2.0]]))[0])
    rewards = np.array([[2.0, -2, 0], [-2, 2.0, 0], [-1, -1, 2.0]])
    home = np.array([1] * 6 + [2] * 5 + [3] * 4 + [1])

    def found(self, spread=0.1):
        model = Tastes(
            self.space,
            np.array([0.4, 0.4, 0.2]),
            self.rewards @ self.space.directions,
            None,
            np.array([0.1, 0.9]),
            0.0,
        )
        draws = [
            Tastes(self.space, model.shares + 0.01 * k, model.means + spread * k, None, model.care, 0.0)
            for k in np.linspace(-1, 1, 11)
        ]
        posterior = np.full((16, 4), 0.1)
        posterior[np.arange(16), self.home] = 0.7
        posterior[15] = [0.5, 0.5, 0.0, 0.0]
        real = [{"real": u == 0, "agreement": [0.1 * u]} for u in range(3)]
        person = np.repeat(np.arange(16), 2)[1:]
        some = votes(person, np.where(person < 6, 0, 1), np.where(person < 6, 1, 0), people=16)
        own = {"first": (np.arange(16.0), np.full(16, 20.0))}
        search = SimpleNamespace(model=model, draws=draws, posterior=posterior, real=real)
        return described(search, some, own, ["a", "b", "c"], np.arange(16) == 1)

    def test_who_is_where(self):
        groups, home = self.found()
        # One presses a side, and one may as well be careless.
        assert home.tolist() == [0, -1, *[0] * 4, *[1] * 5, *[2] * 4, -1]
        assert [one["people"] for one in groups] == [5, 5, "fewer than 5"]
        assert groups[2] == {"group": 3, "people": "fewer than 5", "described": False}

    def test_what_is_said(self):
        one, other, _ = self.found()[0]
        assert [row["item"] for row in one["rewards"]] == ["a", "c", "b"]
        assert [row["reward"] for row in one["rewards"]] == pytest.approx([2.0, 0.0, -2.0])
        assert one["likes_more"] == ["a"] and one["likes_less"] == ["b", "c"]
        assert other["likes_more"] == ["b"] and other["likes_less"] == ["a", "c"]
        assert one["share"][0] == 0.4 and one["share"][1] < 0.4 < one["share"][2]
        assert one["real"] is True and other["real"] is False and other["agreement_with_its_own_reward"] == [0.1]
        # All votes of a group's people are on one pair, and alike.
        assert one["agreement_on_the_same_pair"] == other["agreement_on_the_same_pair"] == [1.0, 1.0, 1.0]
        assert one["share_first"][0] == pytest.approx((0 + 2 + 3 + 4 + 5) / 100)
        assert other["share_first"][0] == pytest.approx((6 + 7 + 8 + 9 + 10) / 100)

    def test_what_resamples_do_not_hold_is_not_said(self):
        """Ends of a group's own rewards, where all groups move together: what differs between them stays said."""
        one, *_ = self.found(spread=5.0)[0]
        assert one["rewards"][0]["low"] < 0 < one["rewards"][0]["high"]
        assert one["likes_more"] == ["a"]


class TestNames:
    def test_thirds_and_rare_levels(self):
        kept, refused = _names.traits({"age": [*range(13), None, ""], "few": [*range(12), None, None, None]}, 2)
        names = ["up to 4", "above 4, up to 8", "above 8"]
        assert kept["age"].tolist() == [names[0]] * 5 + [names[1]] * 4 + [names[2]] * 4 + ["", ""]
        assert refused == {"few": "fewer than two values of 2 people or more"}
        text = [f"t{k % 12}" for k in range(24)]
        kept, refused = _names.traits({"text": text, "more": [*text[:23], "t12"]}, 2)
        assert kept["text"].tolist() == text
        assert refused["more"] == "13 different values: text, or too many to compare"
        kept, _ = _names.traits({"long": ["x" * 50] * 2 + ["y" * 40] * 2 + ["z"]}, 2)
        assert kept["long"].tolist() == ["x" * 40] * 2 + ["y" * 40] * 2 + [""]
        assert _names.traits({"mixed": [*range(13), "x"]}, 1)[1]["mixed"].startswith("14 different values")

    def test_short_names_of_items(self):
        assert _names.item_labels(["x" * 40, "x" * 41, "", "a\nb", " b "]) == [
            "x" * 40,
            "item 2",
            "item 3",
            "item 4",
            "b",
        ]
        # Of thousands of items nobody looks for those of one name.
        many = _names.item_labels(["a"] * 5000)
        assert set(many) == {"a"} and _names.item_labels(["a"] * 4999)[1] == "a (2)"

    def test_pseudonyms_grow_where_two_begin_alike(self, monkeypatch):
        ends = iter(["abcdef01", "abcdef02", "abcdef0223", "123456"])
        monkeypatch.setattr(_names.hmac, "new", lambda *a: SimpleNamespace(hexdigest=lambda: next(ends)))
        assert _names.pseudonyms([1, 2, 3, 4]) == ["P-abcdef", "P-abcdef0", "P-abcdef02", "P-123456"]

    def test_one_and_one_as_text_are_two_people(self):
        assert len(set(_names.pseudonyms([1, "1"]))) == 2
        key = hashlib.sha256(b"str:a\0str:b").digest()
        expected = [f"P-{hmac.digest(key, name, 'sha256').hex()[:6]}" for name in (b"str:b", b"str:a")]
        assert _names.pseudonyms(["b", "a"]) == expected

    def test_columns_by_usual_names(self):
        found = _names.guess_columns([" Worker ", "A", "b", "right", "label", "winner", "user"], {"first": "b"})
        assert found == {"first": "b", "annotator": " Worker ", "second": "right", "choice": "winner"}
        found = _names.guess_columns(["user", "a", "b", "vote", "A"], {})
        assert found == {"annotator": "user", "first": "a", "second": "b", "choice": "vote"}
        # A column that was given is not taken again, and a role that was given is left.
        found = _names.guess_columns(["user", "vote", "left", "right", "winner"], {"annotator": "winner"})
        assert found["annotator"] == "winner" and found["choice"] == "vote"
        with pytest.raises(
            ValueError, match="^second: expected the name of a column, as none is called second, right, "
        ):
            _names.guess_columns(["user", "a", "vote"], {})
        with pytest.raises(ValueError, match="^first: .* or the like; the table has 'user', 'b', 'vote'$"):
            _names.guess_columns(["user", "b", "vote"], {})
        with pytest.raises(ValueError, match="^choice: "):
            _names.guess_columns(["user", "a", "b"], {})
        with pytest.raises(ValueError) as refused:
            _names.guess_columns(["a" * 400], {})
        assert str(refused.value).endswith("the table has '" + "a" * 299)

    def test_plain(self):
        value = {1: (np.float64(1 / 3), np.nan, np.inf), "b": [np.bool_(True), np.int64(3), None, pd.NA]}
        assert _names.plain(value) == {"1": [0.3333333, None, None], "b": [True, 3, None, "<NA>"]}
        assert type(_names.plain(np.bool_(True))) is bool and type(_names.plain(np.int64(3))) is int
