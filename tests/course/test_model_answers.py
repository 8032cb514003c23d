"""Numbers and examples of the model answers of assignments 5 to 7, by enumeration and by the exact solver."""

from itertools import product

import numpy as np
import pytest

from maxmin_core.alignment import group_values, max_min

EVEN = np.log([[0.5, 0.5]])


def values(rewards, beta=0.3):
    """The max-min policy of two responses, and its values."""
    found = max_min(np.array(rewards, dtype=float)[:, None], EVEN, beta)
    return found.policy[0], found.values


def test_weights_of_the_same_batch_shorten_the_gradient():
    rewards, chance = np.eye(2), np.array([0.6, 0.4])
    slope = np.array([chance[1], -chance[0]])
    total = 0.0
    for texts in product((0, 1), repeat=3):
        texts = np.array(texts)
        score = rewards[rewards[:, texts].mean(axis=1).argmin()][texts]
        advantage = score - (score.sum() - score) / 2
        total += chance[texts].prod() * (advantage * slope[texts]).mean()
    assert total == pytest.approx(-0.048)
    assert -chance.prod() == pytest.approx(-0.24)


def test_three_dead_ends_need_two_extra_actions():
    navigation = pytest.importorskip("maxmin_core.navigation")
    world = navigation.Navigation(["#B#", "ASC"], slip=0.0, discount=0.9)
    best = navigation.best_occupancy(world)
    extra = ((best.occupancy > 1e-9).sum(axis=1) - 1)[best.occupancy.sum(axis=1) > 1e-9]
    assert best.objective == pytest.approx(0.3) and extra.sum() == 2


def test_centring_keeps_everybody_above_the_reference_and_without_it_not():
    policy, found = values([[2, 1], [0, 1]])
    assert policy[0] < 0.5 and found[0] < 1.5
    rng = np.random.default_rng(7)
    rewards = rng.normal(size=(3, 1, 2))
    rewards -= rewards.mean(axis=-1, keepdims=True)
    assert max_min(rewards, EVEN, 0.3).values.min() >= -1e-9


def test_an_indifferent_group_levels_down():
    policy, found = values([[1, 0], [0, 0]])
    assert policy == pytest.approx([0.5, 0.5], abs=1e-6) and found[0] == pytest.approx(0.5, abs=1e-6)
    alone = 0.3 * np.log((np.exp(1 / 0.3) + 1) / 2)
    assert group_values([[1 / (1 + np.exp(-1 / 0.3)), 1 / (1 + np.exp(1 / 0.3))]], [[[1.0, 0.0]]], EVEN, 0.3) == (
        pytest.approx([alone])
    )


@pytest.mark.parametrize("delta", [0.0, 0.5, 1.0])
def test_enthusiasm_costs_the_favourite(delta):
    assert values([[1 + delta, 0], [0, 1]])[0][0] == pytest.approx(1 / (2 + delta), abs=1e-6)


def test_the_copy_that_errs_low_decides():
    own = [0.5, -0.5]
    alone = values([own])[0][0]
    assert values([own, [1, -1]])[0][0] == pytest.approx(alone, abs=1e-6)
    # The solver is as exact as its value; near the reference a policy is known to the root of that.
    assert values([own, [0, 0]])[0][0] == pytest.approx(0.5, abs=1e-4) and alone > 0.8
