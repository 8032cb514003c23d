from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import numpy as np
import pytest

from maxmin_core.theory import (
    GAP,
    MISMATCH,
    STATEMENTS,
    Exact,
    Sampler,
    Statement,
    alignment_gaps,
    alignment_sampler,
    as_ball,
    ball_max,
    ball_min,
    exact_grid,
    falsify,
    pooled_sampler,
    population_sampler,
    verified_slack,
)

COIN = Exact(
    (Fraction(1, 2), Fraction(1, 2)), ((0,), (2,)), ((1,), (0,)), (Fraction(1, 2), Fraction(1, 2)), (1,), Fraction(1, 4)
)

# Sizes at which the search is quick; a statement's own sampler is that of its chapter.
SEARCHES = [
    *[("mle", population_sampler(*size)) for size in [(2, 3, 2), (6, 4, 2)]],
    *[("mle_H", population_sampler(*size)) for size in [(2, 3, 2), (6, 4, 2)]],
    *[("realizable", population_sampler(*size)) for size in [(2, 1, 1), (6, 1, 1)]],
    *[("lead", population_sampler(*size)) for size in [(6, 1, 1), (3, 2, 2)]],
    ("two_groups", population_sampler(2, 3, 2)),
    ("two_groups_H", population_sampler(2, 3, 2)),
    ("two_groups_diversity", population_sampler(2, 3, 1)),
    *[(name, alignment_sampler(2, 3, 2)) for name in ("lower", "upper", "pairwise")],
    ("observable", alignment_sampler(1, 3, 2)),
    ("impossibility", pooled_sampler(4, 1, 3, 2)),
    ("lead_gap", pooled_sampler(4, 1, 2, 1)),
]


def attack(statement, sampler):
    n_random, n_adversarial, n_steps = (2000, 50, 60) if statement.name in MISMATCH else (5000, 100, 80)
    statement = replace(statement, sampler=sampler)
    return falsify(statement, n_random=n_random, n_adversarial=n_adversarial, seed=0, n_steps=n_steps)


class TestStatementsOfTheBook:
    def test_they_are_found_by_name(self):
        mismatch = "realizable lead two_groups two_groups_H two_groups_diversity mle mle_H"
        gap = "lower upper textbook pairwise observable impossibility lead_gap"
        assert list(STATEMENTS) == [*mismatch.split(), *gap.split()] == [*MISMATCH, *GAP]
        for name, statement in STATEMENTS.items():
            assert statement.name == name and statement.quantity and statement.sampler is not None
        with pytest.raises(TypeError):
            STATEMENTS["mle"] = None

    @pytest.mark.parametrize("name", list(STATEMENTS))
    def test_every_statement_has_slack_on_what_its_sampler_draws(self, name):
        statement = STATEMENTS[name]
        slack = statement.slack(statement.sampler.draw(200, 0))
        assert slack.shape == (200,) and np.isfinite(slack).mean() > 0.8
        assert (slack[np.isfinite(slack)] >= -1e-9).all() and np.nanmax(slack) <= 1

    @pytest.mark.parametrize(("name", "sampler"), SEARCHES)
    def test_bound_withstands_the_search_and_is_tight(self, name, sampler):
        found = attack(STATEMENTS[name], sampler)
        assert found.n_violations == 0
        assert found.slack < 0.01

    @pytest.mark.parametrize(("name", "sampler"), SEARCHES)
    def test_a_bound_ten_per_cent_stronger_is_refuted(self, name, sampler):
        statement = STATEMENTS[name]
        factor = 1 / 1.1 if statement.side == "upper" else 1.1
        stronger = replace(statement, bound=lambda instance: factor * statement.bound(instance))
        found = attack(stronger, sampler)
        assert found.slack < -0.05 and found.n_violations > 0
        again = replace(stronger, sampler=sampler).slack(sampler.decode(found.coordinates[None]))
        np.testing.assert_allclose(again, found.slack)


class TestStatementFromOutside:
    def test_pinsker_on_the_gap(self):
        # KL >= (sum |p - q|)^2 / 2: a new statement, attacked and verified with public names alone.
        def distance(a):
            return np.abs(np.exp(a.log_policy(0)) - np.exp(a.log_policy(1))).sum(axis=-1)

        def exactly(e):
            total = sum(abs(p - q) for p, q in zip(e.policy, e.own_policy, strict=True))
            return as_ball(e.beta) * total * total / 2, e.gap

        pinsker = Statement(
            "Pinsker",
            bound=lambda a: a.beta / 2 * a.over_prompts(distance(a) ** 2),
            truth=alignment_gaps,
            sampler=alignment_sampler(2, 3, 2),
            exact=exactly,
        )
        found = falsify(pinsker, n_random=2000, n_adversarial=50, seed=0, n_steps=60)
        assert found.n_violations == 0 and found.slack < 0.01
        assert all(verified_slack(pinsker, e) > 0 for e in exact_grid(1, 0))

    def test_the_first_power_of_the_distance_fails(self):
        # The gap is of second order in the distance: a bound of first order must fail where policies are close.
        def exactly(e):
            total = sum(abs(p - q) for p, q in zip(e.policy, e.own_policy, strict=True))
            return as_ball(e.beta) * total / 8, e.gap

        first_power = Statement(
            "first power",
            bound=lambda a: a.beta / 8 * np.abs(np.exp(a.log_policy(0)) - np.exp(a.log_policy(1))).sum(axis=(1, 2)),
            truth=alignment_gaps,
            sampler=alignment_sampler(1, 3, 2),
            exact=exactly,
        )
        found = falsify(first_power, n_random=2000, n_adversarial=50, seed=0, n_steps=60)
        assert found.slack < -1 and found.n_violations > 0
        slacks = [verified_slack(first_power, e) for e in exact_grid(1, 0)]
        assert 0 < sum(bool(s < 0) for s in slacks) < len(slacks)

    def test_an_upper_bound_of_another_kind_of_instance(self):
        # Instances are the statement's own affair: a coin's variance, and a bound that is one number.
        coins = Sampler(lambda x: 1 / (1 + np.exp(-x[:, 0])), 1)
        quarter = Statement("quarter", lambda p: 0.25, lambda p: p * (1 - p), sampler=coins, side="upper")
        fifth = replace(quarter, name="fifth", bound=lambda p: 0.2)
        for statement, expected in [(quarter, 0), (fifth, 1 - 0.25 / 0.2)]:
            found = falsify(statement, n_random=50, n_adversarial=5, seed=0)
            np.testing.assert_allclose(found.slack, expected, atol=1e-6)

    def test_hoeffding_on_the_gap_is_an_upper_bound(self):
        def exactly(e):
            spread = ball_max(e.advantage) - ball_min(e.advantage)
            return spread * spread / (8 * as_ball(e.beta)), e.gap

        def bound(a):
            return a.over_prompts(np.ptp(a.advantage, axis=-1) ** 2) / (8 * a.beta)

        hoeffding = Statement(
            "Hoeffding", bound, alignment_gaps, sampler=alignment_sampler(2, 3, 2), exact=exactly, side="upper"
        )
        assert falsify(hoeffding, n_random=2000, n_adversarial=50, seed=0, n_steps=60).n_violations == 0
        assert all(verified_slack(hoeffding, e) > 0 for e in exact_grid(1, 0))
        # On the wrong side it is certainly false.
        assert verified_slack(replace(hoeffding, side="lower"), COIN) < 0


class TestSlack:
    @staticmethod
    def slack(bound, truth, **parts):
        return Statement("by hand", lambda i: np.array(bound), lambda i: np.array(truth), **parts).slack(None)

    def test_relative(self):
        nan, inf = np.nan, np.inf
        # A wrong bound is a violation even where the truth is zero; where both are, nothing is said.
        bound, truth = [1.0, 1.0, 0.0, 1.0, 3.0, 1e-300], [2.0, 0.0, 0.0, nan, 2.0, 1e-295]
        np.testing.assert_array_equal(self.slack(bound, truth), [0.5, -inf, nan, nan, -0.5, nan])
        np.testing.assert_array_equal(self.slack(truth, bound, side="upper"), [0.5, -inf, nan, nan, -0.5, nan])

    def test_absolute(self):
        bound, truth = [1.0, 1.0, np.inf], [3.0, 0.0, np.inf]
        np.testing.assert_array_equal(self.slack(bound, truth, relative=False), [2.0, -1.0, np.nan])
        np.testing.assert_array_equal(self.slack(bound, truth, relative=False, side="upper"), [-2.0, 1.0, np.nan])

    def test_one_bound_for_all(self):
        np.testing.assert_array_equal(self.slack(1.0, [2.0, 4.0]), [0.5, 0.75])

    def test_where_it_does_not_apply(self):
        told = ["", "too small", ""]
        np.testing.assert_array_equal(self.slack([1.0] * 3, [2.0] * 3, applies=lambda i: told), [0.5, np.nan, 0.5])
        np.testing.assert_array_equal(self.slack([1.0] * 3, [2.0] * 3, applies=lambda i: "never"), [np.nan] * 3)

    def test_reasons_of_many(self):
        instances = population_sampler(3, 3, 1).draw(100, 0)
        told = STATEMENTS["realizable"].reasons(instances)
        assert told.shape == (100,) and 0 < (told == "").sum() < 100
        np.testing.assert_array_equal(told == "", instances.realizable)
        assert STATEMENTS["two_groups"].reasons(instances) == "expected two groups, got 3"
        assert STATEMENTS["mle"].reasons(instances) == ""
        with pytest.raises(ValueError, match="^instances: expected two groups, got 3"):
            STATEMENTS["two_groups"].bound(instances)


class TestParts:
    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"name": ""}, "name"),
            ({"name": None}, "name"),
            ({"bound": None}, "bound"),
            ({"bound": 0.25}, "bound"),
            ({"truth": None}, "truth"),
            ({"applies": "always"}, "applies"),
            ({"exact": 1}, "exact"),
            ({"side": "above"}, "side"),
            ({"sampler": np.sin}, "sampler"),
            ({"sampler": (np.sin, 0)}, "sampler"),
            ({"sampler": (np.sin, True)}, "sampler"),
            ({"sampler": (np.sin, 1.5)}, "sampler"),
            ({"sampler": (2, np.sin)}, "sampler"),
            ({"sampler": (np.sin, 1, 1)}, "sampler"),
        ],
    )
    def test_bad_parts_are_named(self, change, name):
        parts = {"name": "one", "bound": np.sin, "truth": np.cos}
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            Statement(**(parts | change))

    @pytest.mark.parametrize("name", ["bound", "truth"])
    def test_a_missing_side_is_named(self, name):
        parts = {"name": "one", "bound": np.sin, "truth": np.cos}
        del parts[name]
        with pytest.raises(TypeError, match=f"missing 1 required positional argument: '{name}'"):
            Statement(**parts)

    def test_a_missing_exact_form_is_named(self):
        with pytest.raises(ValueError, match="^exact: expected 'textbook' to have one, which ball arithmetic needs"):
            verified_slack(STATEMENTS["textbook"], COIN)

    def test_they_compare_hash_and_do_not_change(self):
        statement = Statement("one", np.sin, np.cos, sampler=(np.sin, np.int64(2)))
        assert statement == replace(statement) and hash(statement) == hash(replace(statement))
        assert statement.sampler == Sampler(np.sin, 2) and statement != replace(statement, name="two")
        assert len(set(STATEMENTS.values())) == len(STATEMENTS)
        with pytest.raises(FrozenInstanceError):
            statement.name = "two"
