import numpy as np

from maxmin_core.preferences import Comparisons, Population, annotator_log_likelihood, simulate_comparisons
from maxmin_core.preferences._counts import Counts


def simulated(seed, n_annotators=40, n_per_annotator=10, n_items=6, d=None):
    rng = np.random.default_rng(seed)
    features = np.eye(n_items) if d is None else rng.normal(size=(n_items, d))
    population = Population([0.4, 0.6], 2 * rng.normal(size=(2, features.shape[1])))
    return simulate_comparisons(population, features, n_annotators, n_per_annotator, rng)[0]


def test_derivatives_match_finite_differences():
    for d in (None, 2):  # few items, a row a pair; and features, a row a comparison
        comparisons = simulated(2, n_annotators=5, n_per_annotator=4, n_items=4 if d is None else 30, d=d)
        counts = Counts.of(comparisons, l2=0.3)
        rng = np.random.default_rng(0)
        phi = rng.normal(size=(2, 3, counts.z.shape[1]))
        q = rng.dirichlet(np.ones(3), size=(5, 2))

        def objective(phi, counts=counts, q=q):
            likelihood, _ = counts.log_likelihood(phi)
            parameters = phi @ counts.coordinates.T
            return -(q * likelihood).sum() + 0.15 * (parameters**2).sum()

        gradient, hessian = counts.derivatives(phi, counts.log_likelihood(phi)[1], q)
        step, shape = 1e-5, phi.shape
        for index in np.ndindex(shape):
            shift = np.zeros(shape)
            shift[index] = step
            slope = (objective(phi + shift) - objective(phi - shift)) / (2 * step)
            np.testing.assert_allclose(gradient[index], slope, rtol=1e-5, atol=1e-6)
            sides = phi + shift, phi - shift
            up, down = (counts.derivatives(at, counts.log_likelihood(at)[1], q)[0] for at in sides)
            curvature = (up - down)[index[:2]] / (2 * step)
            np.testing.assert_allclose(hessian[index], curvature, rtol=1e-5, atol=1e-6)


def test_rows_by_pair_and_by_comparison_agree():
    comparisons = simulated(3, n_items=4)
    few = Counts.of(comparisons)
    many = Counts.of(
        Comparisons(
            np.vstack([comparisons.features, np.zeros((100, 4))]),
            comparisons.winner,
            comparisons.loser,
            comparisons.annotator,
        )
    )
    assert len(few.z) == 6 and len(many.z) == len(comparisons)
    phi = np.random.default_rng(0).normal(size=(1, 4))
    by_hand = annotator_log_likelihood(phi, comparisons)[0]
    for counts in (few, many):
        inward = phi @ np.linalg.pinv(counts.coordinates).T
        np.testing.assert_allclose(counts.log_likelihood(inward)[0][:, 0], by_hand, rtol=1e-10)
