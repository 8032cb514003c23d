import sys
from fractions import Fraction as F

import numpy as np
import pytest

from maxmin_core.preferences import Population, population_mle
from maxmin_core.theory import (
    GAP,
    STATEMENTS,
    Alignments,
    Exact,
    as_ball,
    ball_max,
    ball_min,
    enclose_mle,
    exact_grid,
    pooled_alignments,
    verified_slack,
)

POOLED = ("impossibility", "lead_gap")
EXACT = [name for name, statement in STATEMENTS.items() if statement.exact is not None]
ONE = ((F(1, 2), F(1, 2)), ((0,), (2,)), ((1,), (0,)), (F(1, 2), F(1, 2)), (1,))


def as_floats(values):
    return np.array([[float(v) for v in row] for row in values])


def in_floats(exact):
    """Return the same instance as (Instances, Alignments): the independent route."""
    features = as_floats(exact.features)[None, None]
    n_pairs = len(exact.pair_weights)
    world = Alignments(
        np.zeros((1, features.shape[-1])),
        np.zeros((1, features.shape[-1])),
        features,
        np.log([[float(q) for q in exact.reference]])[None],
        np.array([float(exact.beta)]),
        np.ones((1, 1)),
        np.array([float(w) for w in exact.pair_weights]).reshape(1, 1, n_pairs),
    )
    return pooled_alignments(np.array([[float(w) for w in exact.weights]]), as_floats(exact.parameters)[None], world)


def test_all_but_the_textbook_bound_have_an_exact_form():
    assert set(STATEMENTS) - set(EXACT) == {"textbook"}


@pytest.mark.parametrize("name", EXACT)
def test_every_instance_of_the_grid_is_verified_and_agrees_with_floats(name):
    statement, checked = STATEMENTS[name], 0
    for exact in exact_grid(1, seed=0):
        if statement.reasons(exact) != "":
            continue
        checked += 1
        found = verified_slack(statement, exact)
        assert found > 0
        instances, alignments = in_floats(exact)
        if name in POOLED:
            instance = instances, alignments
        else:
            instance = alignments if name in GAP else instances
        bound, truth = float(statement.bound(instance)[0]), float(statement.truth(instance)[0])
        expected = truth - bound if statement.side == "lower" else bound - truth
        np.testing.assert_allclose(float(found.mid()), expected, rtol=1e-6, atol=1e-10 * max(bound, truth))
        np.testing.assert_allclose(float(statement.exact(exact)[1]), truth, rtol=1e-6)
    # On one pair every pool is realizable; a third of the grid has two groups.
    half, third = ("realizable", "lead", "lead_gap"), ("two_groups", "two_groups_H", "two_groups_diversity")
    assert checked == (36 if name in half else 24 if name in third else 72)


def test_what_an_exact_instance_offers_agrees_with_floats():
    for exact in exact_grid(1, seed=1)[::7]:
        instances, alignments = in_floats(exact)
        pairs = {
            "single_reward": instances.single_reward[0],
            "displacement": instances.single_reward[0] - instances.parameters[0, 0],
            "policy": np.exp(alignments.log_policy(0)[0, 0]),
            "own_policy": np.exp(alignments.log_policy(1)[0, 0]),
            "advantage": alignments.advantage[0, 0],
            "single_preference": 1 / (1 + np.exp(-instances.difference[0] @ instances.single_reward[0])),
        }
        for name, expected in pairs.items():
            found = [float(ball) for ball in getattr(exact, name)]
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9, err_msg=name)
        for name, expected in [("logits", instances.logits), ("preferences", 1 / (1 + np.exp(-instances.logits)))]:
            np.testing.assert_allclose(as_floats(getattr(exact, name)), expected[0], rtol=1e-9, err_msg=name)
        mean = exact.pair_mean([as_ball(k) for k in range(len(exact.pair_weights))])
        np.testing.assert_allclose(float(mean), np.arange(len(exact.pair_weights)) @ instances.pair_weights[0])
        np.testing.assert_allclose(exact.misfit, instances.misfit[0], rtol=1e-4, atol=1e-15)
        assert exact.n_groups == instances.n_groups and exact.realizable == (len(exact.features) == 2)


@pytest.mark.parametrize("exponent", [4, 20, 45, 60])
@pytest.mark.parametrize("n_responses", [2, 3])
def test_floats_keep_their_digits_where_the_others_are_few(exponent, n_responses):
    # phi* and phi_0 agree in as many digits as the others are few: no subtraction of one from the other will do.
    few = F(1, 2**exponent)
    if n_responses == 2:
        exact = Exact((1 - few, few), ((2,), (-1,)), *ONE[2:])
    else:
        reference, rho = (F(1, 4), F(1, 4), F(1, 2)), (F(1, 2), F(1, 4), F(1, 4))
        exact = Exact((1 - few, few), ((2, 1), (-1, F(1, 2))), ((1, 0), (0, 1), (1, 2)), reference, rho)
    instances, alignments = in_floats(exact)
    for name in EXACT:
        statement = STATEMENTS[name]
        if statement.reasons(exact) == "":
            instance = (instances, alignments) if name in POOLED else alignments if name in GAP else instances
            found = [float(side(instance)[0]) for side in (statement.bound, statement.truth)]
            np.testing.assert_allclose(found, [float(ball) for ball in statement.exact(exact)], rtol=1e-9, err_msg=name)


def test_numbers_become_the_fractions_that_they_are():
    exact = Exact((0.5, "1/2"), ((0,), ("2",)), ((1,), (0.0,)), (F(1, 2), 0.5), (1,), beta="1/4")
    assert exact == Exact(*ONE, beta=F(1, 4)) and exact.beta * 4 == 1
    numbers = [exact.beta, *exact.weights, *exact.reference, *exact.pair_weights, *exact.parameters[1]]
    assert all(isinstance(number, F) for number in numbers)


def test_the_grid_is_what_it_says():
    instances = exact_grid(2, seed=3)
    assert len(instances) == 2 * 72 and instances == exact_grid(2, seed=3) != exact_grid(2, seed=4)
    assert {e.n_groups for e in instances} == {2, 3, 6}
    # Drawn features stand aside for plain ones only where two responses have the same.
    assert len({e.features for e in instances}) > 0.9 * len(instances)
    assert {e.weights[0] for e in instances} == {F(1, 1000), F(1, 10), F(1, 2), F(9, 10)}
    assert {(len(e.features), len(e.features[0])) for e in instances} == {(2, 1), (3, 2)}
    assert {e.beta for e in instances} == {F(1, 4), 1, 4}
    # Parameters are up to 290 / 97 times one of three scales, a third of the instances each.
    largest = sorted(max(abs(v) for phi in e.parameters for v in phi) / F(290, 97) for e in instances)
    assert largest[47] <= F(1, 25) < largest[48] and largest[95] <= F(2, 5) < largest[96] and largest[-1] <= 4


def test_balls_are_computed_at_256_bits_whatever_the_precision_around_them():
    for exact in exact_grid(1, seed=0)[::11]:
        for ball in [exact.gap, exact.mismatch, exact.mismatch_in_h, *exact.policy, *exact.own_policy]:
            assert float(ball.rad()) < 1e-45 * abs(float(ball))


def test_the_extremes_of_balls():
    one, two = as_ball(1), as_ball(F(7, 3))
    assert ball_max([one, two]) is two and ball_max([two, one]) is two and ball_min([two, one]) == one
    # Balls that overlap have no order: the maximum contains whatever it may be.
    wide = type(one)(1, 0.5)
    for found in (ball_max([wide, one]), ball_max([one, wide])):
        assert all(found.contains(v) for v in (1.0, 1.2, 1.5))
    assert all(ball_min([wide, one]).contains(v) for v in (0.5, 0.8, 1.0))


def test_a_false_statement_is_not_verified():
    # Group 0 in the middle of two opposites: mismatch and bound are both zero, and a ball around zero proves nothing.
    middle = Exact((F(1, 5), F(2, 5), F(2, 5)), ((0,), (3,), (-3,)), ((1,), (0,)), (F(1, 2), F(1, 2)), (1,))
    assert abs(middle.single_reward[0]) < 1e-30
    found = verified_slack(STATEMENTS["mle"], middle)
    assert not found > 0 and not found < 0


def test_a_bound_of_zero_is_exactly_zero():
    # Chapter 3 counts such instances apart. The lead by its definition, in floats, on the instances with one pair.
    single = [e for e in exact_grid(1, 0) if e.realizable]
    found = []
    for e in single:
        p = [float(row[0]) for row in e.preferences]
        others = range(1, len(p))
        ahead = [abs(p[0] - p[j]) - max(abs(p[k] - p[j]) for k in others) for j in others]
        found.append(max(ahead) > 0)
        for name in ("lead", "lead_gap"):
            assert (STATEMENTS[name].exact(e)[0] == 0) != found[-1]
    assert 0 < sum(found) < len(found)


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
    np.testing.assert_allclose(float(exact.gap.mid()), by_hand)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        *[
            (position, bad, f"^{name}: expected positive numbers that sum to one")
            for position, name in [(0, "weights"), (3, "reference"), (4, "pair_weights")]
            for bad in [(F(1, 3),), (F(1, 2), F(1, 3)), (F(-1, 2), F(3, 2)), (0.1, 0.9), (0, 1)]
            if len(bad) == (1 if position == 4 else 2)
        ],
        (0, (F(1, 2), F(1, 4), F(1, 4)), "^parameters: expected 3 rows, got 2"),
        (1, ((0,), (2, 3)), "^parameters: expected 1 numbers, got 2"),
        (1, ((0,), (float("nan"),)), "^parameters: expected rational numbers, got"),
        (1, ((0,), ("x",)), "^parameters: expected rational numbers, got"),
        (2, ((1, 2, 3), (0, 0, 0)), "^features: expected one or two columns, got 3"),
        (2, ((1,), (0, 1)), "^features: expected 1 numbers, got 2"),
        (3, (F(1, 2), F(1, 4), F(1, 4)), "^reference: expected 2 numbers, got 3"),
        (4, (F(1, 2), F(1, 2)), "^pair_weights: expected 1 numbers, got 2"),
        (5, 0, "^beta: expected a number above 0, got 0"),
        (5, float("inf"), "^beta: expected rational numbers, got"),
    ],
)
def test_bad_instances_are_named(position, value, message):
    parts = [*ONE, 1]
    parts[position] = value
    with pytest.raises(ValueError, match=message):
        Exact(*parts)


def test_bad_input_is_named():
    coin = Exact(*ONE)
    with pytest.raises(ValueError, match="^statement: expected a Statement, got 'mle'"):
        verified_slack("mle", coin)
    three = Exact((F(1, 5), F(2, 5), F(2, 5)), ((0,), (3,), (-3,)), *ONE[2:])
    with pytest.raises(ValueError, match="^instance: 'two_groups' does not apply: expected two groups, got 3"):
        verified_slack(STATEMENTS["two_groups"], three)
    line = Exact(ONE[0], ONE[1], ((0,), (1,), (3,)), (F(1, 4), F(1, 4), F(1, 2)), (F(1, 4), F(1, 4), F(1, 2)))
    with pytest.raises(ValueError, match="^instance: 'realizable' does not apply: the pooled preference is off"):
        verified_slack(STATEMENTS["realizable"], line)


def test_rewards_that_cannot_be_enclosed_are_named():
    with pytest.raises(ValueError, match="^difference: expected pairs of full rank"):
        enclose_mle((1,), ((1, 1),), ((1, 0),), (1,))
    # The groups are so certain on both pairs that double precision finds no single reward to start from.
    with pytest.raises(ValueError, match="^parameters: expected a single reward that double precision resolves"):
        enclose_mle((F(1, 2), F(1, 2)), ((10**4,), (2 * 10**4,)), ((1,), (3,)), (F(1, 2), F(1, 2)))
    # Double precision finds one, but 256 bits do not tell preferences that are within e^-190 of one.
    with pytest.raises(ValueError, match="^parameters: expected a single reward that Krawczyk's test encloses"):
        enclose_mle((F(1, 2), F(1, 2)), ((190,), (200,)), ((1,),), (1,))


def test_the_extra_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ModuleNotFoundError, match=r'^flint: expected .* pip install "maxmin-core\[book\]"'):
        as_ball(1)
