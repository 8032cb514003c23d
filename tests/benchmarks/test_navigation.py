import numpy as np
import pytest

from maxmin_core.navigation import Navigation, best_occupancy, evaluate_policy


def grid(n, walls):
    """Return the map of an n x n grid with five groups far apart, open or in rooms of nine by nine with doors."""
    rows = np.full((n, n), ".")
    if walls:
        rows[9::10] = rows[:, 9::10] = "#"
        rows[9::10, 4::10] = rows[4::10, 9::10] = "."
    middle, end = n // 2, n - 2
    for mark, place in zip(
        "SABCDE", [(middle, middle), (0, 0), (0, end), (end, 0), (end, end), (2, middle)], strict=True
    ):
        rows[place] = mark
    return ["".join(row) for row in rows]


@pytest.mark.parametrize("walls", [False, True], ids=["open", "rooms"])
@pytest.mark.parametrize("n", [20, 40])
def test_best_occupancy(benchmark, n, walls):
    benchmark.extra_info["promised"] = "under 0.5 s on a 20 x 20 grid, under 10 s on 40 x 40"
    world = Navigation(grid(n, walls))
    best = benchmark.pedantic(best_occupancy, args=(world,), rounds=3)
    benchmark.extra_info["cells"] = len(world.cells)
    # The policy attains the programme's optimum, to what HiGHS allows the flow equations to be off.
    assert abs(evaluate_policy(world, best.policy).objective - best.objective) < 5e-6
