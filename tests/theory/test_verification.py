from fractions import Fraction as F

import numpy as np
import pytest

from maxmin_core.preferences import Population, population_mle
from maxmin_core.theory import gaps, mismatch
from maxmin_core.theory.verification import STATEMENTS, Exact, enclose_mle, grid, verified_gap, verified_slack


def as_floats(values):
    return np.array([[float(v) for v in row] for row in values])


def in_floats(exact):
    """Return the same instance as (Instances, Alignments): the independent route."""
    features = as_floats(exact.features)[None, None]
    n_pairs = len(exact.pair_weights)
    alignment = gaps.Alignments(
        None,
        None,
        features,
        np.log([[float(q) for q in exact.reference]])[None],
        np.array([float(exact.beta)]),
        np.ones((1, 1)),
        np.array([float(w) for w in exact.pair_weights]).reshape(1, 1, n_pairs),
    )
    return gaps.pooled(np.array([[float(w) for w in exact.weights]]), as_floats(exact.parameters)[None], alignment)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_instance_of_the_grid_is_verified_and_agrees_with_floats(statement):
    for exact in grid(1, seed=0):
        if statement not in exact.applicable:
            continue
        found = verified_slack(exact, statement)
        assert found > 0
        instances, alignments = in_floats(exact)
        if statement in mismatch.KINDS:
            norm = "H" if statement.endswith("H") else "euclidean"
            parts = mismatch.mismatches(instances, norm)[0], mismatch.bounds(instances, statement)[0]
        elif statement == "impossibility":
            parts = gaps.gaps(alignments)[0], gaps.impossibility_bounds(instances, alignments)[0]
        else:
            parts = gaps.gaps(alignments)[0], gaps.bounds(alignments, statement)[0]
        expected = parts[0] - parts[1] if statement != "upper" else parts[1] - parts[0]
        np.testing.assert_allclose(float(found.mid()), expected, rtol=1e-6, atol=1e-10 * max(parts))


def test_a_false_statement_is_not_verified():
    # Group 0 in the middle of two opposites: mismatch and bound are both zero, and a ball around zero proves nothing.
    middle = Exact((F(1, 5), F(2, 5), F(2, 5)), ((0,), (3,), (-3,)), ((1,), (0,)), (F(1, 2), F(1, 2)), (1,))
    assert abs(middle.single_reward[0]) < 1e-30
    assert not verified_slack(middle, "mle") > 0 and not verified_slack(middle, "mle") < 0


def test_enclosures_contain_what_other_routes_find():
    # One pair: phi* = logit(p_bar) in closed form; two features: the solver for one instance.
    (ball,) = enclose_mle((F(1, 2), F(1, 2)), ((0,), (2,)), ((1,),), (1,))
    p_bar = 0.25 + 0.5 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(float(ball.mid()), np.log(p_bar / (1 - p_bar)), rtol=1e-14)
    assert 0 < ball.rad() < 1e-25
    parameters, pairs, rho = ((1, -3), (3, 1)), ((-3, 3), (0, 4), (3, 1)), (F(4, 14), F(5, 14), F(5, 14))
    balls = enclose_mle((F(3, 10), F(7, 10)), parameters, pairs, rho)
    found = population_mle(Population([0.3, 0.7], as_floats(parameters)), as_floats(pairs), [float(r) for r in rho])
    np.testing.assert_allclose([float(b.mid()) for b in balls], found, rtol=1e-9)


def test_gap_by_hand():
    # Two responses, uniform reference, beta 1: KL of two coins, the single reward in closed form.
    exact = Exact((F(1, 2), F(1, 2)), ((0,), (2,)), ((1,), (0,)), (F(1, 2), F(1, 2)), (1,))
    p_bar = 0.25 + 0.5 / (1 + np.exp(-2.0))
    by_hand = p_bar * np.log(2 * p_bar) + (1 - p_bar) * np.log(2 - 2 * p_bar)
    np.testing.assert_allclose(float(verified_gap(exact).mid()), by_hand)


def test_bad_input_is_named():
    one = ((F(1, 2), F(1, 2)), ((0,), (2,)), ((1,), (0,)), (F(1, 2), F(1, 2)), (1,))
    with pytest.raises(ValueError, match="^features: expected one or two columns, got 3"):
        Exact(one[0], one[1], ((1, 2, 3), (0, 0, 0)), *one[3:])
    for position, name in [(0, "weights"), (3, "reference"), (4, "pair_weights")]:
        for bad in [(F(1, 2), F(1, 3)), (F(-1, 2), F(3, 2)), (0.1, 0.9)]:
            with pytest.raises(ValueError, match=f"^{name}: expected positive numbers that sum to one"):
                Exact(*(bad if k == position else part for k, part in enumerate(one)))
    with pytest.raises(ValueError, match="^statement: expected one of realizable"):
        verified_slack(Exact(*one), "best")
    with pytest.raises(ValueError, match="^difference: expected pairs of full rank"):
        enclose_mle((1,), ((1, 1),), ((1, 0),), (1,))
