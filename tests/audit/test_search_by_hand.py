"""Who is looked at, what is fitted, what a rule chooses: small cases and sizes at their limits."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit, stdtrit

from maxmin_core.audit import _search, _serving, _space
from maxmin_core.audit._groups import CrossFit
from maxmin_core.audit._space import Space, Votes
from maxmin_core.audit._tastes import Tastes


def votes(person, winner, loser, shown=None, weight=None, items=3, people=None):
    shown, weight = (np.ones(len(person)) if one is None else np.array(one, float) for one in (shown, weight))
    person = np.array(person)
    people = people or person.max() + 1
    return Votes(np.eye(items), people, person, np.array(winner), np.array(loser), shown, weight)


def mixed(items):
    """Return votes of twenty people on random pairs."""
    rng = np.random.default_rng(0)
    winner = np.tile(np.arange(items), 20)
    loser = (winner + rng.integers(1, items, len(winner))) % items
    return votes(np.repeat(np.arange(20), items), winner, loser, items=items)


SOME = votes(
    [0, 0, 2, 2, 2, 3], [0, 1, 2, 0, 1, 2], [1, 2, 0, 2, 0, 1], [1, -1, 0, 1, -1, 1], [1, 2, 3, 4, 5, 6], people=5
)


class TestVotes:
    def test_taken_rows_and_turned(self):
        part = SOME.take(np.array([3, 0, 1, 0]))
        assert part.n_people == 4 and part.person.tolist() == [0, 1, 1, 3, 3]
        assert part.weight.tolist() == [6, 1, 2, 1, 2] and part.winner.tolist() == [2, 0, 1, 0, 1]
        assert part.loser.tolist() == [1, 1, 2, 1, 2] and part.shown.tolist() == [1, 1, -1, 1, -1]
        rows = SOME.rows(np.array([1, 5]))
        assert rows.n_people == 5 and rows.person.tolist() == [0, 3] and rows.count.tolist() == [2, 0, 0, 6, 0]
        turned = SOME.redrawn(np.array([True, False] * 3))
        assert turned.winner.tolist() == [0, 2, 2, 2, 1, 1] and turned.loser.tolist() == [1, 1, 0, 0, 0, 2]
        assert turned.shown.tolist() == [1, 1, 0, -1, -1, -1] and turned.weight is SOME.weight
        assert SOME.take(np.array([4, 4])).n_people == 2 and SOME.comparisons().weight.tolist() == [1, 2, 3, 4, 5, 6]

    def test_sums_and_squares_of_people(self):
        data = Space(np.array([1.0, 0, -1]), np.array([[1.0, 0], [-1, 1], [0, -1]])).data(SOME)
        assert data.offset.tolist() == [1, 1, -2, 2, -1, -1]
        assert data.across.tolist() == [[2, -1], [-1, 2], [-1, -1], [1, 1], [-2, 1], [1, -2]]
        assert data.sum(SOME.weight).tolist() == [3, 0, 12, 6, 0] and data.q == 2
        assert data.products[0].tolist() == [4, -2, 1]
        assert data.square(np.array([[1.0, 2.0, 3.0]])).tolist() == [[[1, 2], [2, 3]]]

    def test_a_space_of_all_directions_up_to_eleven_items(self):
        for items, whole in ((3, True), (11, True), (12, False), (13, False)):
            some = mixed(items)
            space, other = (_space.make_space(one) for one in (some, some.redrawn(some.winner > some.loser)))
            assert abs(space.common.mean()) < 1e-12 and abs(space.directions.sum(axis=0)).max() < 1e-9
            assert space.directions.T @ space.directions == pytest.approx(np.eye(min(items - 1, 10)))
            # With more items the votes decide which directions are looked at.
            assert np.array_equal(space.directions, other.directions) is whole
        assert _space.make_space(SOME, 2).directions.shape == (3, 2)

    def test_a_direction_that_is_none_turns_no_other_one_away(self):
        """All items alike, and twice the same: neither is a direction, and what follows is where it was."""
        first, second, third = np.array([[1.0, -1, 0, 0], [0, 0, 1.0, -1], [1, 1, -1, -1.0]]) + 5
        basis = np.column_stack([first, np.ones(4), 2 * first, 1e-3 * second, third])
        found = _space._orthonormal(basis, 3)
        expected = np.array([[1.0, -1, 0, 0], [0, 0, 1.0, -1]]).T / np.sqrt(2)
        np.testing.assert_allclose(np.abs(found[:, :2]), np.abs(expected), atol=1e-9)
        np.testing.assert_allclose(np.abs(found[:, 2]), 0.5, atol=1e-9)
        assert _space._orthonormal(basis, 2).shape == (4, 2)
        assert _space._orthonormal(1e-17 * np.eye(4)[:, :1], 2).shape == (4, 0)

    def test_directions_without_differences_are_left_out(self):
        """Features of rank one: the second direction would be none."""
        features = np.outer(np.linspace(-1, 1, 6), [1.0, 2.0])
        assert _space.make_space(replace(mixed(6), features=features), 3).directions.shape == (6, 1)

    @pytest.mark.parametrize(("limit", "route"), [(6, "_dense"), (5, "_sparse")])
    def test_up_to_the_limit_matrices_are_dense(self, limit, route, monkeypatch):
        asked = []
        for name in ("_dense", "_sparse"):
            real = getattr(_space, name)
            monkeypatch.setattr(_space, name, lambda *a, real=real, name=name: asked.append(name) or real(*a))
        monkeypatch.setattr(_space, "_DENSE", limit)
        _space.make_space(mixed(6), 3)
        assert asked == [route]

    def test_one_hot_features_in_a_sparse_matrix_and_square_ones_beside_a_column_of_nothing_are_the_same(self):
        features = np.random.default_rng(1).normal(size=(6, 6))
        for one, other in (
            (np.eye(6), sparse.csr_array(sparse.identity(6))),
            (features, np.column_stack([features, np.zeros(6)])),
        ):
            found = [_space.make_space(replace(mixed(6), features=given), 3) for given in (one, other)]
            first, second = (space.directions @ space.directions.T for space in found)
            np.testing.assert_allclose(found[0].common, found[1].common, atol=1e-6)
            if one is not features:  # the column of nothing lowers what the information is evened out by
                np.testing.assert_allclose(first, second, atol=1e-6)


class TestWhoIsLookedAt:
    def test_votes_each_people_and_votes_in_all(self, monkeypatch):
        some = votes(np.repeat(np.arange(6), [0, 1, 2, 3, 4, 9]), [0] * 19, [1] * 19, weight=range(19), people=7)
        rng = np.random.default_rng
        people, part = _search.sample(some, rng(0))
        assert people.tolist() == [1, 2, 3, 4, 5] and part.weight.tolist() == list(range(19))
        monkeypatch.setattr(_search, "_MOST_VOTES_EACH", 3)
        people, part = _search.sample(some, rng(0))
        assert np.bincount(part.person).tolist() == [1, 2, 3, 3, 3] and part.n_people == 5
        assert part.weight[:6].tolist() == [0, 1, 2, 3, 4, 5] and (np.diff(part.weight) > 0).all()
        # Of many votes a random part: not always the first.
        kept = {tuple(_search.sample(some, rng(seed))[1].weight[-3:]) for seed in range(20)}
        assert len(kept) > 10
        monkeypatch.setattr(_search, "_MOST_PEOPLE", 2)
        assert len(_search.sample(some, rng(0))[0]) == 2
        assert len({tuple(_search.sample(some, rng(seed))[0]) for seed in range(20)}) > 3
        monkeypatch.setattr(_search, "_MOST_PEOPLE", 9)
        for most in (12, 11, 6, 1):
            monkeypatch.setattr(_search, "_MOST_VOTES", most)
            for seed in range(9):
                people, part = _search.sample(some, rng(seed))
                # As many as the limit holds; somebody in any case.
                assert len(part.person) <= max(most, 3) and len(people) >= 1
                assert (len(people) == 5) == (most == 12)

    def test_pairs_that_were_shown_both_ways(self):
        assert _search.either_way(np.array([0, 1, 0, 0]), np.array([1, 0, 2, 2])) is True
        assert _search.either_way(np.array([0, 1, 0, 0, 0]), np.array([1, 0, 2, 2, 2])) is False
        assert _search.either_way(np.array([5, 0]), np.array([0, 5])) and not _search.either_way(
            *np.array([[0, 1], [4, 5]])
        )

        # Numbers of items may be large on one side alone, and stay those of different pairs.
        assert not _search.either_way(np.array([5, 1]), np.array([0, 2]))

    def test_who_presses_one_side(self):
        """One presses the first side n times, and nine people choose first and second alike, a hundred times."""
        for n in range(5, 25):
            shown = [1.0] * n + [1.0, -1.0] * 450
            some = votes([0] * n + list(np.repeat(np.arange(1, 10), 100)), [0] * len(shown), [1] * len(shown), shown)
            first = n + 450
            rate = (first + 1) / (first + 451 + 1)
            ahead = np.log(0.5) + n * np.log(0.95) - n * np.log(rate)
            assert (_search.clickers(some)[0] == 1) == (ahead > np.log(20 * 10))
            assert not _search.clickers(some)[1:].any()
        shown = [-1.0] * 30 + [1.0] + [1.0, -1.0] * 450 + [0.0] * 50
        some = votes([0] * 31 + list(np.repeat(np.arange(1, 10), 100)) + [9] * 50, [0] * 981, [1] * 981, shown)
        assert _search.clickers(some).tolist() == [-1] + [0] * 9
        assert _search.clickers(replace(some, shown=np.zeros(981))).tolist() == [0] * 10

    def test_everybody_is_placed_in_parts_as_at_once(self, monkeypatch):
        space = _space.make_space(SOME)
        model = Tastes(
            space, np.array([0.6, 0.4]), np.array([[1.0, 0], [0, 1.0]]), np.eye(2), np.array([0.1, 0.7, 0.2]), 0.3
        )
        at_once = _search._everybody(model, SOME)
        monkeypatch.setattr(_search, "_AT_A_TIME", 2)
        np.testing.assert_allclose(_search._everybody(model, SOME), at_once, rtol=1e-12)
        assert at_once.shape == (5, 3) and at_once.sum(axis=1) == pytest.approx(np.ones(5))

    def test_how_much_tastes_gain_and_how_many_groups_are_spoken_of(self):
        scores, one = {1: np.array([1.0, 2.0, 4.0, 3.0])}, np.array([0.0, 0.0, 1.0, 0.0])
        fit = CrossFit(one, one, one, scores, {})
        half = stdtrit(3, 0.995) * np.std([1, 2, 3, 3], ddof=1) / 2
        rest = dict.fromkeys(["people", "null", "model", "real", "planted", "why", "draws", "posterior", "restarts"])
        found = [
            _search.Search(**rest, fit=fit, best=4, more_than_one=more, unseen=None, careless=[])
            for more in (True, False, None)
        ]
        assert found[0].differ == pytest.approx([2.25, 2.25 - half, 2.25 + half])
        assert [one.chosen for one in found] == [4, 1, 1]


class TestServing:
    rewards, shares = np.array([[1.0, 0.0, -1.0], [-1.0, 0.5, 0.5]]), np.array([0.75, 0.25])
    single = np.array([0.5, 0.1, -0.6])
    pairs = np.array([[0, 0], [1, 2]])

    def test_win_rates(self):
        policy = np.array([0.5, 0.5, 0.0])
        win = expit(self.rewards[:, :, None] - self.rewards[:, None, :])
        expected = (win[:, 0].mean(axis=1) + win[:, 1].mean(axis=1)) / 2
        assert _serving.rates_of_winning(policy, self.rewards) == pytest.approx(expected)

    @pytest.mark.parametrize("limit", [59, 60])
    def test_win_rates_among_many_items_are_those_of_the_fifty_likeliest(self, limit, monkeypatch):
        monkeypatch.setattr(_serving, "_MOST_ITEMS", limit)
        reward = np.sin(np.arange(60))
        policy = np.arange(60.0) / 1770
        used = np.where(np.arange(60) >= 10, policy, 0) if limit < 60 else policy
        win = expit(reward[:, None] - reward).mean(axis=1)
        assert _serving.rates_of_winning(policy, reward[None]) == pytest.approx([used @ win / used.sum()])

    def test_losses_by_hand(self):
        found = _serving.losses_of_groups(self.rewards, self.shares, self.single, 2.0, self.pairs)
        policy = np.exp(self.single / 2) / np.exp(self.single / 2).sum()
        best = np.exp(self.rewards / 2) / np.exp(self.rewards / 2).sum(axis=1, keepdims=True)

        def value(policy, reward):
            return policy @ reward - 2.0 * (policy * np.log(3 * policy)).sum()

        gap = [value(own, reward) - value(policy, reward) for own, reward in zip(best, self.rewards, strict=True)]
        assert found["gap"] == pytest.approx(gap)
        assert found["win_rate"] == pytest.approx(_serving.rates_of_winning(policy, self.rewards))
        own = [_serving.rates_of_winning(p, r[None])[0] for p, r in zip(best, self.rewards, strict=True)]
        assert found["best_win_rate"] == pytest.approx(own)
        assert 0 < found["price"] < max(gap)
        prefer = expit(self.rewards[:, [0, 0]] - self.rewards[:, [1, 2]])
        assert found["diversity"] == pytest.approx(_serving.diversity(prefer[1], prefer[0]))
        alone = _serving.losses_of_groups(self.rewards[:1], np.ones(1), self.single, 2.0, self.pairs)
        assert alone["price"] == alone["diversity"] == 0.0 and alone["gap"] == pytest.approx(gap[:1])

    def test_diversity_of_three_counts_pairs_by_their_shares(self):
        rewards, shares = np.vstack([self.rewards, [0.0, 2.0, 1.0]]), np.array([0.5, 0.3, 0.2])
        prefer = expit(rewards[:, [0, 0]] - rewards[:, [1, 2]])
        parts = [(shares[u] * shares[v], _serving.diversity(prefer[u], prefer[v])) for u, v in ((0, 1), (0, 2), (1, 2))]
        expected = sum(w * d for w, d in parts) / sum(w for w, _ in parts)
        found = _serving.losses_of_groups(rewards, shares, self.single, 1.0, self.pairs)
        assert found["diversity"] == pytest.approx(expected)

    def test_with_one_group_two_rules(self):
        found = _serving.by_rule(self.rewards[:1], np.ones(1), self.single, 1.0)
        assert list(found) == ["one reward for everybody", "average, by share"]
        scaled = self.single / self.single.std()
        policy = np.exp(scaled) / np.exp(scaled).sum()
        assert found["one reward for everybody"]["probability"] == pytest.approx(policy.max())
        assert found["one reward for everybody"]["weights"] is found["one reward for everybody"]["gap"] is None
        assert found["average, by share"]["gap"] == pytest.approx(0.0, abs=1e-9)

    def test_a_rule_without_a_policy_says_why(self, monkeypatch):
        def solve(welfare, *rest):
            raise ValueError("no such policy")

        monkeypatch.setattr(_serving, "solve", solve)
        found = _serving.by_rule(self.rewards, self.shares, self.single, 1.0)
        assert found["bargain (Nash)"] == {"chosen": None, "why": "no such policy"} and len(found) == 8
        kept = _serving.named(found, list("abc"), [True, True])
        assert kept["bargain (Nash)"] == {"chosen": None, "why": "no such policy"}
        assert kept["one reward for everybody"]["chosen"] == "a" and _serving.label(None, []) is None

    def test_the_settings_of_the_rules(self):
        found = _serving._welfares(self.shares)
        numbers = {name: {**vars(one)} for name, one in found.items() if hasattr(one, "__dict__")}
        said = {name: repr(values) for name, values in numbers.items()}
        for name in ("soft minimum (temperature 0.5)", "worst half (CVaR 0.5)", "shares may shift (chi-square 0.5)"):
            assert "0.5" in said[name] and "0.75" in said[name], said[name]
        assert len(found) == 7


def test_somebody_whose_votes_came_without_an_order_presses_nothing():
    # The last person's votes say nothing of places, and still there is a row for them.
    shown = np.array([1] * 40 + [1, -1] * 20 + [0] * 5)
    votes = SimpleNamespace(shown=shown, person=np.repeat([0, 1, 2], [40, 40, 5]), n_people=3)
    assert _search.clickers(votes).tolist() == [1, 0, 0]
