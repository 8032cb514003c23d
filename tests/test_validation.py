import numpy as np
import pytest

from maxmin_core._validation import (
    as_distribution,
    as_float,
    as_index,
    as_log_reference,
    as_policy,
    as_positive,
    as_rewards,
    in_nats,
)


@pytest.mark.parametrize(
    ("value", "shape", "told"),
    [
        ([[1.0, 2.0], [3.0]], ("n", "d"), r"x: expected shape \(n, d\), got rows of different lengths"),
        (["a", "b"], ("n",), r"x: expected real numbers of shape \(n,\), got \['a', 'b'\]"),
        ([1j], ("n",), "x: expected real numbers"),
        ([1.0, 2.0], (3,), r"x: expected shape \(3,\), got \(2,\)"),
        ([1.0], (), r"x: expected shape \(\), got \(1,\)"),
        ([[1.0, np.nan], [np.inf, 0.0]], (None, 2), r"x: expected finite numbers, got nan at index \(0, 1\)"),
    ],
)
def test_what_is_no_array_of_the_shape(value, shape, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        as_float("x", value, shape)


def test_numbers_become_float64_and_stay_the_callers():
    given = np.array([[True, False]])
    array = as_float("x", given, (1, "d"))
    assert array.dtype == np.float64 and array.tolist() == [[1.0, 0.0]] and not np.shares_memory(array, given)
    assert as_float("x", [np.inf], ("n",), finite=False).tolist() == [np.inf]
    # Nothing has no type of its own.
    assert as_float("x", [], ("n",)).dtype == np.float64


@pytest.mark.parametrize(
    ("value", "size", "length", "told"),
    [
        ([0.0], None, None, "expected integers, got dtype float64"),
        ([[0]], None, None, r"expected shape \(any,\), got \(1, 1\)"),
        ([0, 1], None, 3, r"expected shape \(3,\), got \(2,\)"),
        ([0, -1], None, None, "expected indices at least 0, got -1 at position 1"),
        ([0, 2, 3], 2, None, r"expected indices in 0\.\.1, got 2 at position 1"),
    ],
)
def test_what_is_no_index(value, size, length, told):
    with pytest.raises(ValueError, match=f"^i: {told}"):
        as_index("i", value, size, length)


def test_indices_become_int64():
    array = as_index("i", np.array([1, 0], dtype=np.uint8), 2, 2)
    assert array.dtype == np.int64 and array.tolist() == [1, 0]


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, [1.0], "1"])
def test_what_is_not_positive(value):
    with pytest.raises(ValueError, match="^beta: expected"):
        as_positive("beta", value)


def test_distributions():
    assert as_distribution("w", None, 4).tolist() == [0.25] * 4
    # A rounding of the last digits is no mistake, one of the eighth is.
    assert as_distribution("w", [0.5, 0.5 + 5e-10], 2)[1] > 0.5
    for value, length, told in [
        ([0.5, 0.5 + 2e-9], 2, "expected non-negative weights that sum to 1, got minimum 0.5"),
        ([1.5, -0.5], 2, r"expected non-negative weights that sum to 1, got minimum -0\.5 and sum 1\.0"),
        ([1.0], 2, r"expected shape \(2,\)"),
        (None, 0, "expected weights of at least one thing"),
    ]:
        with pytest.raises(ValueError, match=f"^w: {told}"):
            as_distribution("w", value, length)


def test_policies():
    assert as_policy("p", [[0.25, 0.75]]).tolist() == [[0.25, 0.75]]
    for value in ([[0.5, 0.6]], [[1.5, -0.5]], [[0.5, 0.5], [1.0, 1e-8]]):
        with pytest.raises(ValueError, match="^p: expected rows that are distributions, got minimum"):
            as_policy("p", value)


def test_references():
    masked = as_log_reference([[0.0, -np.inf]])
    assert masked.tolist() == [[0.0, -np.inf]]
    for value, told in [
        ([[0.0, np.nan]], "got NaN or"),
        ([[0.0, np.inf]], "got NaN or"),
        ([[0.0, -np.inf], [-1.0, -1.0]], "got 0.735758882343 in row 1"),
    ]:
        with pytest.raises(ValueError, match=f"^log_reference: expected .*{told}"):
            as_log_reference(value)


def test_rewards_need_a_group():
    assert as_rewards(np.zeros((1, 2, 3))).shape == (1, 2, 3)
    with pytest.raises(ValueError, match="^rewards: expected at least one group, got none"):
        as_rewards(np.zeros((0, 2, 3)))


def test_units():
    assert in_nats(np.array([1.0]), 0.5).tolist() == [2.0]
    with pytest.raises(ValueError, match=r"^beta: expected .* does not overflow with, got 1e-300"):
        in_nats(np.array([1e10]), 1e-300)
