from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from maxmin_core.theory import Statement, alignment_sampler, falsify, population_sampler

SAMPLERS = population_sampler(2, 2, 2), alignment_sampler(1, 2, 2)


def identity(x):
    return x


def about(slack, dimension=1, decode=identity):
    """Return a statement whose slack on a point is this function of it."""
    return Statement("by hand", bound=lambda x: 0.0, truth=slack, sampler=(decode, dimension), relative=False)


class TestFalsify:
    def test_finds_a_minimum_that_random_points_miss(self):
        bowl = about(lambda x: np.linalg.norm(x - 3.0, axis=1) - 0.1, 4)
        found = falsify(bowl, n_random=1000, n_adversarial=20, seed=0)
        assert found.random > 1 and found.slack < -0.099 and found.n_violations == 20
        np.testing.assert_allclose(found.coordinates, 3.0, atol=0.01)

    def test_reports_the_instance_where_the_slack_is(self):
        bowl = about(lambda x: np.abs(x[:, 0] - 2.0) + 0.5, decode=lambda x: x + 1)
        found = falsify(bowl, n_random=10, n_adversarial=3, seed=0)
        assert bowl.slack(bowl.sampler.decode(found.coordinates[None])) == found.slack == pytest.approx(0.5, abs=1e-6)

    def test_where_the_statement_does_not_apply(self):
        half = about(lambda x: np.where(x[:, 0] > 0, x[:, 0], np.nan))
        found = falsify(half, n_random=1000, n_adversarial=5, seed=0)
        assert 400 < found.n_undefined < 600 and found.slack >= 0
        nowhere = about(lambda x: np.full(len(x), np.nan))
        with pytest.raises(
            ValueError, match="^statement: expected 'by hand' to apply to some random instance, got none"
        ):
            falsify(nowhere, n_random=10, n_adversarial=1, seed=0)

    def test_where_it_says_that_it_does_not_apply(self):
        # The slack is negative, but only where the assumption does not hold.
        statement = Statement(
            "half",
            bound=lambda x: 0.0,
            truth=lambda x: x[:, 0],
            applies=lambda x: np.where(x[:, 0] > 0, "", "expected a positive number"),
            sampler=(identity, 1),
            relative=False,
        )
        found = falsify(statement, n_random=1000, n_adversarial=5, seed=0)
        assert 400 < found.n_undefined < 600 and 0 <= found.slack < 1e-3 and found.n_violations == 0

    def test_random_violations_are_counted(self):
        # Below zero on a quarter of the line, and the descent of one start ends there, too.
        line = about(lambda x: x[:, 0] + 0.6745)
        found = falsify(line, n_random=4000, n_adversarial=1, seed=0, n_steps=1)
        assert 900 < found.n_violations < 1100

    @pytest.mark.parametrize("steep", [1e-3, 1.0, 1e3])
    def test_a_gradient_step_goes_straight_down_by_its_length_however_steep_it_is(self, steep):
        asked = []

        def slope(x):
            asked.append(x)
            return steep * (x @ [0.6, 0.8])

        found = falsify(about(slope, 2), n_random=10, n_adversarial=1, seed=0, n_steps=1)
        # The random points, their best, its neighbours for the gradient, the random step, the gradient step.
        start, step = asked[-3].mean(axis=0), asked[-1][0]
        np.testing.assert_allclose(step - start, [-0.3 * 0.6, -0.3 * 0.8], atol=1e-6)
        assert found.slack <= steep * (step @ [0.6, 0.8])

    @pytest.mark.parametrize("block", [1, 7, 20_000])
    def test_the_size_of_blocks_is_immaterial(self, block):
        bowl = about(lambda x: np.linalg.norm(x - 1.0, axis=1) - 0.5, 2)
        one = falsify(bowl, n_random=50, n_adversarial=4, seed=3, n_steps=8, block=block)
        other = falsify(bowl, n_random=50, n_adversarial=4, seed=3, n_steps=8)
        assert (one.slack, one.random, one.n_violations) == (other.slack, other.random, other.n_violations)

    def test_the_tolerance_is_what_rounding_may_take(self):
        # Slack is -1e-12 everywhere: rounding by default, violations for those who tolerate nothing. Zero never is one.
        for slack, tolerance, expected in [(-1e-12, 1e-9, 0), (-1e-12, 0, 12), (-1e-12, 0.0, 12), (0.0, 0, 0)]:
            flat = about(lambda x, slack=slack: np.full(len(x), slack))
            found = falsify(flat, n_random=10, n_adversarial=2, seed=0, n_steps=2, tolerance=tolerance)
            assert found.n_violations == expected

    def test_findings_and_instances_compare_and_hash_by_identity(self):
        # They hold arrays, which have no truth value: equal is the same one.
        one, other = (falsify(about(lambda x: x[:, 0]), n_random=3, n_adversarial=1, seed=0) for _ in range(2))
        for pair in [(one, other), *((s.draw(2, 0), s.draw(2, 0)) for s in SAMPLERS)]:
            assert pair[0] == pair[0] and pair[0] != pair[1] and len({*pair}) == 2
            with pytest.raises(FrozenInstanceError):
                pair[0].weights = None


class TestDescentWithoutHelp:
    """Slacks that give no gradient: the search has to find its way all the same."""

    @pytest.mark.parametrize("width", [0.01, 0.5, 2.0])
    def test_down_a_staircase(self, width):
        # Every stair is level; the last one is at -0.5. The middle of the stairs is 7 from where instances are drawn.
        stairs = about(lambda x: np.floor(np.linalg.norm(x - 4.0, axis=1) / width) - 0.5, 3)
        found = falsify(stairs, n_random=100, n_adversarial=10, seed=0)
        assert found.random > 1 and found.slack == -0.5

    @pytest.mark.parametrize("dimension", [1, 3])
    def test_off_a_plain(self, dimension):
        # Level as far as 3 from the origin, where all instances are drawn; then it falls.
        plain = about(lambda x: np.minimum(1.0, 4.0 - np.linalg.norm(x, axis=1)), dimension, decode=lambda x: x / 2)
        found = falsify(plain, n_random=10, n_adversarial=4, seed=1)
        assert found.random == 1 and found.slack < -1

    def test_into_a_hole_in_a_plain(self):
        hole = about(lambda x: np.where(np.abs(x[:, 0] - 8) < 1, -1.0, 1.0))
        found = falsify(hole, n_random=100, n_adversarial=10, seed=0)
        assert found.random == 1 and found.slack == -1

    def test_out_of_where_it_does_not_apply(self):
        # Only one instance in some hundred counts, far from the other end of the line.
        far = about(lambda x: np.where(x[:, 0] > 2.2, 5 - x[:, 0], np.nan))
        found = falsify(far, n_random=300, n_adversarial=20, seed=0, n_steps=40)
        assert found.slack < -1 and found.n_violations == 20

    def test_where_neighbours_are_infinite(self):
        # Outside of a narrow valley slack is infinite: central differences are infinite or NaN.
        def valley(x):
            return np.where(np.abs(x[:, 0]) < 1e-5, 1 - x[:, 1], np.where(x[:, 0] > 0, np.inf, -x[:, 0] + 10))

        found = falsify(about(valley, 2), n_random=10, n_adversarial=4, seed=0, n_steps=400)
        assert found.slack < -1

    def test_a_start_never_moves_up(self):
        rugged = about(lambda x: np.sin(40 * x[:, 0]) + x[:, 0] ** 2)
        found = falsify(rugged, n_random=20, n_adversarial=2, seed=0)
        assert found.slack <= found.random


class TestBadInput:
    @pytest.mark.parametrize("name", ["n_random", "n_adversarial", "n_steps", "block"])
    @pytest.mark.parametrize("value", [0, -1, 2.0, True, None])
    def test_bad_counts_are_named(self, name, value):
        counts = {"n_random": 1, "n_adversarial": 1} | {name: value}
        with pytest.raises(ValueError, match=f"^{name}: expected at least 1, an integer, got {value}"):
            falsify(about(lambda x: x[:, 0]), **counts, seed=0)

    @pytest.mark.parametrize("tolerance", [-1e-9, np.nan])
    def test_a_bad_tolerance_is_named(self, tolerance):
        with pytest.raises(ValueError, match="^tolerance: expected a number of at least 0"):
            falsify(about(lambda x: x[:, 0]), n_random=1, n_adversarial=1, seed=0, tolerance=tolerance)

    def test_what_is_no_statement_is_named(self):
        with pytest.raises(ValueError, match="^statement: expected a Statement, got 'mle'"):
            falsify("mle", n_random=1, n_adversarial=1, seed=0)

    def test_a_statement_without_sampler_is_named(self):
        bare = Statement("bare", bound=lambda x: 0.0, truth=lambda x: x[:, 0])
        with pytest.raises(ValueError, match="^sampler: expected 'bare' to have one, which a search needs, got None"):
            falsify(bare, n_random=1, n_adversarial=1, seed=0)

    def test_a_slack_of_another_shape_is_named(self):
        # One number for all instances, which would otherwise pass for that of the first.
        wrong = about(lambda x: x.sum())
        with pytest.raises(
            ValueError, match=r"^statement: expected 'by hand' to have one slack for each of 5 instances"
        ):
            falsify(wrong, n_random=5, n_adversarial=1, seed=0)
