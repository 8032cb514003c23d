"""The models of the audit, each number by a second route."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import expit, log_expit, logsumexp

from maxmin_core.audit._care import careless_interval
from maxmin_core.audit._crowd import crowd_reliability
from maxmin_core.audit._groups import RULE, CrossFit, _best_strength, _told, apart, real_groups, verdict_on_groups
from maxmin_core.audit._limits import votes_needed
from maxmin_core.audit._people import agreement, circles, ratio, repeats
from maxmin_core.audit._search import clickers, sample
from maxmin_core.audit._space import Votes, make_space
from maxmin_core.audit._tastes import CARE, Tastes, fit_tastes


def drawn(rewards, careless=0.0, n_votes=20, bias=0.0, seed=0):
    """Return votes on random pairs by people of some rewards (A, I)."""
    rng = np.random.default_rng(seed)
    n_people, n_items = rewards.shape
    rewards = np.where(rng.random((n_people, 1)) < careless, 0.0, rewards)
    person = np.repeat(np.arange(n_people), n_votes)
    one = rng.integers(n_items, size=len(person))
    other = (one + rng.integers(1, n_items, size=len(person))) % n_items
    first = rng.random(len(person)) < expit(rewards[person, one] - rewards[person, other] + bias)
    winner, loser = np.where(first, one, other), np.where(first, other, one)
    return Votes(np.eye(n_items), n_people, person, winner, loser, np.where(first, 1, -1), np.ones(len(person)))


@pytest.fixture(scope="module")
def two_items():
    votes = drawn(np.random.default_rng(1).normal(0, 1, (30, 2)), n_votes=6, bias=0.3)
    space = make_space(votes)
    return votes, Tastes(
        space, np.array([0.7, 0.3]), np.array([[0.5], [-1.0]]), np.array([[0.8]]), np.array([0.1, 0.7, 0.2]), 0.3
    )


def test_the_probability_of_votes_by_quadrature(two_items, monkeypatch):
    """With two items a taste is one number: the integral over it is done by adaptive quadrature."""
    votes, model = two_items
    monkeypatch.setattr("maxmin_core.audit._tastes._DRAWS", 4000)
    found = model.joint(votes, seed=0)
    direction = model.space.directions[:, 0]
    for i in range(0, 30, 6):
        rows = votes.person == i
        winner, loser, shown = votes.winner[rows], votes.loser[rows], votes.shown[rows]
        common = model.space.common[winner] - model.space.common[loser]
        across = direction[winner] - direction[loser]
        assert found[i, 0] == pytest.approx(np.log(0.1) + log_expit(0.3 * shown).sum(), abs=1e-10)
        for u, (share, mean) in enumerate(zip((0.7, 0.3), (0.5, -1.0), strict=True)):
            total = 0.0
            for care, part in zip(CARE, (0.7, 0.2), strict=True):

                def inside(z, care=care, mean=mean, common=common, across=across, shown=shown):
                    density = np.exp(-((z - mean) ** 2) / 1.6) / np.sqrt(2 * np.pi * 0.8)
                    return density * np.exp(log_expit(care * (common + across * z) + 0.3 * shown).sum())

                total += part * integrate.quad(inside, -12, 12)[0]
            assert found[i, 1 + u] == pytest.approx(np.log(share * total), abs=0.01)


def test_laplace_is_near(two_items, monkeypatch):
    votes, model = two_items
    monkeypatch.setattr("maxmin_core.audit._tastes._DRAWS", 1000)
    np.testing.assert_allclose(model.joint(votes), model.joint(votes, seed=0), atol=0.05)


def test_without_spread_it_is_a_mixture_of_bradley_terry_rewards(two_items):
    """One reward and careless people: the same log-likelihood as the core's own mixture, where places do not matter."""
    from maxmin_core.preferences import fit_mixture

    rewards = np.tile([1.0, 0.0, -1.0], (80, 1))
    votes = drawn(rewards, careless=0.3)
    votes = Votes(
        *(getattr(votes, n) for n in ("features", "n_people", "person", "winner", "loser")),
        np.zeros(1600),
        votes.weight,
    )
    model = fit_tastes(votes, make_space(votes), 1, spread=False, passes=300)
    core = fit_mixture(votes.comparisons(), 1, careless=True)
    assert logsumexp(model.joint(votes), axis=1).sum() == pytest.approx(core.log_likelihood, abs=0.2)
    assert model.care[0] == pytest.approx(core.careless_share, abs=0.02)


def test_a_fit_finds_groups_spread_care_and_place():
    rng = np.random.default_rng(0)
    group = np.arange(150) % 3 == 0
    rewards = np.where(group[:, None], [2.0, 0.0, -2.0, 0.0], [-2.0, 1.0, 2.0, -1.0]) + rng.normal(0, 0.5, (150, 4))
    votes = drawn(rewards, careless=0.2, n_votes=40, bias=0.5)
    model = fit_tastes(votes, make_space(votes), 2)
    assert sorted(model.shares) == pytest.approx([1 / 3, 2 / 3], abs=0.06)
    assert model.care[0] == pytest.approx(0.2, abs=0.08)
    assert model.bias == pytest.approx(0.5, abs=0.1)
    assert np.trace(model.covariance) / 3 == pytest.approx(0.25, abs=0.15)
    assert {tuple(np.argsort(r)) for r in model.rewards.round(0)} & {(2, 1, 3, 0), (2, 3, 1, 0)}


def test_the_directions_of_many_items_hold_what_people_differ_in():
    """Groups that differ in two of thirty items: their difference lies in the space, dense or sparse."""
    rng = np.random.default_rng(2)
    common, apart = rng.normal(0, 1, 30), np.zeros(30)
    apart[3], apart[7] = 3.0, -3.0
    sign = np.where(np.arange(120) % 2, 1, -1)[:, None]
    votes = drawn(common + sign * apart, n_votes=60)
    apart = apart / np.linalg.norm(apart)
    space = make_space(votes)
    assert space.directions.shape == (30, 10)
    np.testing.assert_allclose(space.directions.T @ space.directions, np.eye(10), atol=1e-9)
    assert np.linalg.norm(space.directions.T @ apart) > 0.9
    import maxmin_core.audit._space as room

    dense, room._DENSE = room._DENSE, 5
    try:
        assert np.linalg.norm(make_space(votes).directions.T @ apart) > 0.9
    finally:
        room._DENSE = dense


def test_people_who_press_one_side_are_found_and_nobody_else():
    votes = drawn(np.tile(np.linspace(-2, 2, 6), (60, 1)), n_votes=30, bias=0.3)
    assert not clickers(votes).any()
    rows = votes.person < 2
    shown = np.where(rows, np.where(votes.person == 0, 1, -1), votes.shown)
    found = clickers(Votes(votes.features, 60, votes.person, votes.winner, votes.loser, shown, votes.weight))
    assert found[:2].tolist() == [1, -1] and not found[2:].any()
    unknown = Votes(votes.features, 60, votes.person, votes.winner, votes.loser, 0 * shown, votes.weight)
    assert not clickers(unknown).any()


def test_agreement_where_nobody_voted():
    nobody = np.array([], dtype=int)
    assert [part.tolist() for part in agreement(nobody, nobody, nobody, 3)] == [[0.0] * 3] * 2


def test_short_runs_of_one_side_are_no_pressing():
    """Of 2,000 people with 8 coins each some have thrown one side alone; nobody of them is named."""
    votes = drawn(np.zeros((2000, 4)), n_votes=8)
    first = np.bincount(votes.person, votes.shown > 0)
    assert ((first == 0) | (first == 8)).sum() > 5 and not clickers(votes).any()


def test_a_group_is_told_apart_where_no_strength_of_another_reward_does_as_well():
    """Votes by a reward of one strength are told apart from those of another taste, not from those of half the care."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(60), 20)
    own, other = rng.normal(0, 2, (2, 1200))
    sign = np.where(rng.random(1200) < expit(own), 1, -1)
    given = (np.zeros(1200), np.ones(1200), person)
    told = _told(sign[:, None] * np.stack([own, other, 0.35 * own], axis=1), *given, 0)
    assert told["people"] == 60 and told["agreement"][1] > 0.6
    assert told["ahead"][1][1] > 0 and told["ahead"][2][2] < 1e-6 and told["ahead"][0] == [0.0, 0.0, 0.0]
    few = np.flatnonzero(person < 4)
    short = _told(np.zeros((len(few), 2)), *(part[few] for part in given), 0)
    assert short == {"people": 4, "agreement": None, "ahead": []}
    # Who agrees in a coin's share of votes follows no reward, however far ahead of another it is.
    lost = told | {"agreement": [0.5, 0.48, 0.52]}
    back = told | {"ahead": [told["ahead"][1], told["ahead"][0]]}
    assert apart([told, back], 0, 1) and not apart([lost, back], 0, 1) and not apart([told, lost | back], 0, 2)
    assert not apart([told, short], 0, 1)


def test_the_best_strength_by_a_search():
    rng = np.random.default_rng(1)
    place, weight = 0.3 * rng.choice([-1, 1], 200), rng.integers(1, 4, 200).astype(float)
    for tilt in (0.8, 0.1, -0.5):
        margin = rng.normal(tilt, 1, 200)
        grid = np.linspace(0, 8, 80001)
        best = max(weight @ log_expit(np.outer(grid, margin) + place).T)
        assert weight @ _best_strength(margin, place, weight) == pytest.approx(best, abs=1e-5)


def test_the_share_of_the_careless_where_it_is_the_only_unknown():
    """Everybody votes 200 times: who tosses coins is as good as seen, and the interval that of a binomial share."""
    votes = drawn(np.tile(np.linspace(-2, 2, 5), (80, 1)), careless=0.25, n_votes=200)
    model = fit_tastes(votes, make_space(votes), 1, sampled=10)
    share, low, high = careless_interval(votes, model)
    n = round(share * 80)
    assert share == pytest.approx(n / 80, abs=0.01)

    def fall(c):
        return 2 * (n * np.log(share / c) + (80 - n) * np.log((1 - share) / (1 - c)))

    assert fall(low) == pytest.approx(3.84, abs=0.6) and fall(high) == pytest.approx(3.84, abs=0.6)
    assert low < share < high


def test_sampled_passes_see_how_far_people_differ():
    """Laplace's approximation alone finds people too alike, and the pull of the place too weak."""
    rng = np.random.default_rng(4)
    rewards = rng.normal(0, 1.2, 6) + rng.normal(0, 1.0, (200, 6))
    votes = drawn(rewards, n_votes=25, bias=0.5)
    space = make_space(votes)
    rough, fine = (fit_tastes(votes, space, 1, sampled=sampled) for sampled in (0, 40))
    spread = [np.trace(model.covariance) / 5 for model in (rough, fine)]
    assert spread[0] < 0.75 < spread[1] < 1.25
    assert fine.bias == pytest.approx(0.5, abs=0.08) and rough.bias < fine.bias
    held = fit_tastes(votes, space, 1, start=fine, passes=0, sampled=2, careless=0.3)
    assert held.care[0] == 0.3 and held.care.sum() == pytest.approx(1.0)


def test_a_sample_is_whole_people():
    votes = drawn(np.zeros((1200, 4)), n_votes=30)
    people, some = sample(votes, np.random.default_rng(0))
    assert len(people) == some.n_people <= 1000 and len(some.person) <= 20_000
    assert (np.bincount(some.person) == 30).all() and (np.diff(some.person) >= 0).all()
    many = drawn(np.zeros((3, 4)), n_votes=400)
    assert np.bincount(sample(many, np.random.default_rng(0))[1].person).tolist() == [150] * 3


class TestVoting:
    person, winner, loser = (
        np.array([0, 0, 0, 1, 1, 2, 2]),
        np.array([0, 1, 2, 0, 0, 1, 0]),
        np.array([1, 2, 0, 1, 1, 0, 1]),
    )

    def test_agreement_by_hand(self):
        # On the pair (0, 1): person 0 says 0; person 1 says 0 twice; person 2 once 1, once 0.
        parts, wholes = agreement(self.person, self.winner, self.loser, 3)
        assert wholes.tolist() == [1, 2, 2] and parts.tolist() == [1, 2, 1]

    def test_repeats_by_hand(self):
        parts, wholes = repeats(self.person, self.winner, self.loser, 3)
        assert wholes.tolist() == [0, 1, 1] and parts.tolist() == [0, 1, 0]

    def test_circles_by_hand_and_by_coins(self):
        assert [part.tolist() for part in circles(self.person, self.winner, self.loser, 3)] == [[1, 0, 0], [1, 0, 0]]
        parts, wholes = circles(
            *(getattr(drawn(np.zeros((50, 5)), n_votes=80), n) for n in ("person", "winner", "loser")), 50
        )
        assert parts.sum() / wholes.sum() == pytest.approx(0.25, abs=0.04)

    def test_the_interval_of_a_ratio_is_that_of_the_bootstrap(self):
        rng = np.random.default_rng(0)
        wholes = rng.integers(1, 40, 300)
        parts = rng.binomial(wholes, rng.beta(4, 2, 300))
        people = rng.integers(300, size=(4000, 300))
        low, high = np.quantile(parts[people].sum(axis=1) / wholes[people].sum(axis=1), [0.025, 0.975])
        assert ratio(parts, wholes) == pytest.approx([parts.sum() / wholes.sum(), low, high], abs=0.004)
        assert ratio([], np.array([])) is None and ratio([1], np.array([2])) == [0.5, None, None]


def test_the_crowd_model_knows_who_is_reliable():
    rng = np.random.default_rng(3)
    votes = drawn(np.tile(np.linspace(-3, 3, 5), (60, 1)), n_votes=40)
    turned = (votes.person < 10) & (rng.random(len(votes.person)) < 0.5)
    found = crowd_reliability(votes.redrawn(~turned))
    assert found[:10].max() < 0.75 and found[10:].min() > 0.75


class TestVerdict:
    """The rules, on held-out scores that are given."""

    planted = {0.2: (0.3, 0.01)}
    # Two groups that are told apart, and two of which one follows the other's reward as well.
    clear = (
        {"agreement": [0.8, 0.7, 0.9], "ahead": [[0.0] * 3, [1.0, 0.5, 1.5]]},
        {"agreement": [0.8, 0.7, 0.9], "ahead": [[1.0, 0.5, 1.5], [0.0] * 3]},
    )
    blurred = (clear[0], clear[1] | {"ahead": [[0.1, -0.2, 0.4], [0.0] * 3]})

    def fit(self, one, *gains):
        noise = np.tile([0.1, -0.1], 50)
        scores = {1: np.zeros(100)} | {k: gain + (-1) ** k * noise for k, gain in enumerate(gains, start=2)}
        return CrossFit(np.zeros(100), np.full(100, -9.0) + noise, np.full(100, -1.0 * one), scores, {})

    def test_more_than_one(self):
        fit = self.fit(1, 0.2, 0.205)
        assert fit.chosen() == 2
        found, why = verdict_on_groups(fit, 2, self.clear, self.planted)
        # What every page says of the rule is what is judged here: the level, and that groups are told apart.
        assert "95% interval above" in RULE and "told apart" in RULE
        assert found is True and why.endswith("by 0.20 nats a person (95% interval 0.18 to 0.22).")

    def test_one_standard_error_decides_between_numbers_of_groups(self):
        # Three are ahead of two by 0.005, with a standard error of 0.02; then by 0.05.
        assert self.fit(1, 0.2, 0.205).chosen() == 2 and self.fit(1, 0.2, 0.25).chosen() == 3

    def test_cannot_tell_without_two_groups_that_are_told_apart(self):
        found, why = verdict_on_groups(self.fit(1, 0.5), 2, self.blurred, self.planted)
        assert found is None and "no two of them are told apart" in why
        # Groups that predict better are not denied, however little they gain.
        assert verdict_on_groups(self.fit(1, 0.1), 2, self.blurred, self.planted)[0] is None

    def test_two_alike_beside_a_third_do_not_hide_that_there_are_groups(self):
        """The second and the third are not told apart from each other, and both are from the first."""
        far, near = [1.0, 0.5, 1.5], [0.1, -0.2, 0.4]
        own = {"agreement": [0.8, 0.7, 0.9]}
        three = [own | {"ahead": a} for a in ([[0.0] * 3, far, far], [far, [0.0] * 3, near], [far, near, [0.0] * 3])]
        assert verdict_on_groups(self.fit(1, 0.2, 0.5), 3, three, self.planted)[0] is True

    def test_not_if_one_reward_does_as_well(self):
        assert verdict_on_groups(self.fit(-0.3, 0.2), 2, self.clear, self.planted)[0] is None

    def test_no_only_where_a_minority_would_have_been_seen(self):
        fit = self.fit(1, -0.05)
        assert fit.chosen() == 1
        found, why = verdict_on_groups(fit, 1, [], self.planted)
        assert found is False and "no better" in why
        # An end of the interval that rounds to zero has no minus.
        assert "-0.07 to -0.03" in why
        assert "to 0.00 nats" in verdict_on_groups(self.fit(1, -0.022), 1, [], self.planted)[1]
        assert verdict_on_groups(fit, 1, [], {0.2: (-0.06, 0.01)})[0] is None

    def test_no_is_not_said_where_votes_follow_no_ranking(self):
        fit = self.fit(1, -0.05)
        noise = fit.scores[2] - fit.scores[2].mean()
        found, why = verdict_on_groups(
            CrossFit(fit.fold, fit.one + noise, fit.one, fit.scores, {}), 1, [], self.planted
        )
        assert found is None and "coin" in why

    def test_too_few_people(self):
        assert verdict_on_groups(self.fit(1), 1, [], self.planted)[0] is None

    def test_frequencies_sum_to_one(self):
        assert sum(self.fit(1, 0.2, 0.205).frequencies(0, 50).values()) == pytest.approx(1.0)


def test_groups_are_real_only_where_their_own_reward_predicts():
    """One model of two groups, one of which votes at random: the second group is not real."""
    rewards = np.where(np.arange(80)[:, None] < 50, [2.0, 0.0, -2.0], [-2.0, 0.0, 2.0])
    space = make_space(drawn(rewards))
    means = (np.array([[2.0, 0, -2], [-2.0, 0, 2]]) - space.common) @ space.directions
    model = Tastes(space, np.array([0.6, 0.4]), means, 0.1 * np.eye(2), np.array([0.05, 0.9, 0.05]), 0.0)
    fit = CrossFit(np.arange(80) % 5, np.zeros(80), np.zeros(80), {}, {2: [model] * 5})
    assert [one["real"] for one in real_groups(drawn(rewards), fit, model)] == [True, True]
    one, other = real_groups(
        drawn(rewards[:50]), CrossFit(np.arange(50) % 5, np.zeros(50), np.zeros(50), {}, {2: [model] * 5}), model
    )
    assert one["real"] and not other["real"] and other["people"] < 5


def test_votes_that_are_needed_by_simulation():
    rewards, pairs = np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]), np.array([[0, 0, 1], [1, 2, 2]])
    need = votes_needed(rewards, pairs)
    rng, right = np.random.default_rng(0), 0
    p = expit(rewards[:, pairs[0]] - rewards[:, pairs[1]])
    for _ in range(2000):
        which = rng.integers(3, size=need)
        first = rng.random(need) < p[0, which]
        likelihood = np.where(first, p[:, which], 1 - p[:, which])
        right += np.log(likelihood[0] / likelihood[1]).sum() > 0
    assert right / 2000 >= 0.9 and need < 10
    assert votes_needed(rewards[[0, 0]], pairs) is None
