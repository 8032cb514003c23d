import numpy as np
import pytest

from maxmin_core._newton import backtrack, newton_step


class TestNewtonStep:
    def test_one_and_many_at_once_by_a_plain_solve(self):
        rng = np.random.default_rng(0)
        root = rng.normal(size=(5, 3, 3))
        hessian, gradient = root @ root.swapaxes(1, 2), rng.normal(size=(5, 3))
        steps = newton_step(hessian, gradient)
        for k in range(5):
            by_hand = -np.linalg.solve(hessian[k], gradient[k])
            np.testing.assert_allclose(steps[k], by_hand, rtol=1e-8)
            np.testing.assert_array_equal(newton_step(hessian[k], gradient[k]), steps[k])

    def test_coordinates_in_very_different_units(self):
        unit = np.array([1e-120, 1.0, 1e120])
        hessian, gradient = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 3.0]]), np.array([1.0, -2.0, 0.5])
        scaled = newton_step(hessian * unit[:, None] * unit, gradient * unit) * unit
        np.testing.assert_allclose(scaled, -np.linalg.solve(hessian, gradient), rtol=1e-10)

    def test_a_coordinate_that_nothing_depends_on_stays(self):
        np.testing.assert_allclose(newton_step(np.diag([2.0, 0.0]), np.array([3.0, 0.0])), [-1.5, 0.0])


class TestBacktrack:
    def test_halves_what_is_refused_and_nothing_else(self):
        limit, asked = np.array([2.0, 0.3, 0.1, 1.0]), []

        def attempt(size):
            asked.append(size.tolist())
            return 10 * size, size > limit

        size, found, refused = backtrack(attempt, np.ones(4))
        assert asked == [[1, 1, 1, 1], [1, 0.5, 0.5, 1], [1, 0.25, 0.25, 1], [1, 0.25, 0.125, 1], [1, 0.25, 0.0625, 1]]
        np.testing.assert_array_equal(size, [1, 0.25, 0.0625, 1])
        np.testing.assert_array_equal(found, 10 * size)
        assert not refused.any()

    @pytest.mark.parametrize("most", [1, 2, 7])
    def test_gives_up_after_the_most_attempts_and_says_so(self, most):
        calls = []

        def attempt(size):
            calls.append(size)
            return size, np.array([True, False])

        size, found, refused = backtrack(attempt, [1.0, 3.0], most=most)
        assert len(calls) == most and refused.tolist() == [True, False]
        np.testing.assert_array_equal(size, [0.5 ** (most - 1), 3.0])
        np.testing.assert_array_equal(found, size)

    def test_a_single_number(self):
        size, found, refused = backtrack(lambda t: (float(t), t > 0.2), 1.0)
        assert (float(size), found, bool(refused)) == (0.125, 0.125, False)

    def test_the_sizes_given_are_left_alone(self):
        given = np.ones(2)
        backtrack(lambda t: (None, t > 0.1), given)
        np.testing.assert_array_equal(given, 1.0)

    def test_a_descent_method_with_it_reaches_the_minimum(self):
        # Newton's method on log cosh overshoots from 1.09 on and diverges; with backtracking it does not.
        at = np.array([0.5, 1.2, 3.0, -8.0])
        value = np.log(np.cosh(at))
        for _ in range(60):
            step = newton_step((1 / np.cosh(at) ** 2)[:, None, None], np.tanh(at)[:, None])[:, 0]

            def attempt(size, at=at, step=step, value=value):
                found = np.logaddexp(at + size * step, -at - size * step) - np.log(2)
                return found, found > value

            size, value, _ = backtrack(attempt, np.ones(4))
            at = at + size * step
        np.testing.assert_allclose(at, 0.0, atol=1e-8)
