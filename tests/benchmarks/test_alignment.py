import time

import cvxpy as cp
import numpy as np
import pytest

from maxmin_core.alignment import Egalitarian, max_min, solve

# Groups, prompts, responses: each axis is stretched from a quarter to four times, the others stay.
MIDDLE = {"groups": 8, "prompts": 1000, "responses": 64}
FACTORS = (0.25, 0.5, 1, 2, 4)


@pytest.fixture(scope="module")
def fastest():
    """Return a dictionary that the benchmarks of an axis share: (axis, size) to seconds."""
    return {}


def problem(seed, n_groups=4, n_prompts=200, n_responses=50):
    rewards = np.random.default_rng(seed).normal(size=(n_groups, n_prompts, n_responses))
    return rewards, np.full((n_prompts, n_responses), -np.log(n_responses)), 0.1


def test_max_min_200_x_50_x_4(benchmark):
    benchmark.extra_info["promised"] = "under 5 ms, median of 20 solves, relative gap 1e-9"
    seeds = iter(range(1000))
    solutions = []
    benchmark.pedantic(
        lambda *args: solutions.append(max_min(*args)), setup=lambda: (problem(next(seeds)), {}), rounds=20
    )
    assert max(s.gap for s in solutions) < 1e-9 * 10


def test_max_min_5000_x_64_x_8(benchmark):
    benchmark.extra_info["promised"] = "under 0.2 s"
    rewards, reference, beta = problem(0, 8, 5000, 64)
    benchmark.pedantic(max_min, args=(rewards, reference, beta), rounds=3)


def test_choice_among_texts_512_x_16_x_3(benchmark):
    benchmark.extra_info["promised"] = "max-min at decoding time, all prompts at once: under 50 ms"
    rewards, reference, beta = problem(0, 3, 512, 16)
    solution = benchmark.pedantic(solve, args=(Egalitarian(), rewards, reference, beta), rounds=10, warmup_rounds=1)
    assert solution.gap < 1e-8


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("axis", MIDDLE)
def test_time_is_linear_in_every_axis(benchmark, fastest, axis, factor):
    benchmark.extra_info["promised"] = "linear: an exponent near 1"
    # Reported: time per cell, groups x prompts x responses, and with the last size of an axis the exponent of the time,
    # fitted to all its sizes; 1 is linear. The curvature takes groups x cells: with far more groups that will show.
    sizes = MIDDLE | {axis: int(factor * MIDDLE[axis])}
    solution = benchmark.pedantic(max_min, args=problem(0, *sizes.values()), rounds=5, warmup_rounds=1)
    assert solution.gap < 1e-9 * 12
    fastest[axis, sizes[axis]] = benchmark.stats.stats.min
    benchmark.extra_info["ns per cell"] = 1e9 * benchmark.stats.stats.min / np.prod(list(sizes.values()))
    report = f"{axis} {sizes[axis]}: {benchmark.extra_info['ns per cell']:.0f} ns per cell"
    seen = np.array([(size, seconds) for (name, size), seconds in fastest.items() if name == axis])
    if len(seen) == len(FACTORS):
        benchmark.extra_info["exponent"] = np.polyfit(*np.log(seen).T, 1)[0]
        report += f"; exponent {benchmark.extra_info['exponent']:.2f}"
    print(f"\n{report}")


def test_against_a_conic_solver(benchmark):
    benchmark.extra_info["promised"] = "at least 100 times as fast as cvxpy with Clarabel, the same value to 1e-6"
    # Compilation included: who asks cvxpy once, waits for it.
    rewards, reference, beta = problem(0)

    def conic():
        policy = cp.Variable(reference.shape, nonneg=True)
        penalty = beta * cp.sum(cp.rel_entr(policy, np.exp(reference))) / len(reference)
        values = [cp.sum(cp.multiply(r, policy)) / len(reference) - penalty for r in rewards]
        found = cp.Problem(cp.Maximize(cp.minimum(*values)), [cp.sum(policy, axis=1) == 1])
        return found.solve(solver="CLARABEL")

    begun = time.perf_counter()
    by_us = max_min(rewards, reference, beta)
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    value = benchmark.pedantic(conic, rounds=1)
    benchmark.extra_info["times as fast"] = (time.perf_counter() - begun) / ours
    np.testing.assert_allclose(by_us.primal, value, atol=1e-6)
    print(f"\n{benchmark.extra_info['times as fast']:.0f} times as fast")
