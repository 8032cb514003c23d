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
    is_count,
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


class TestSinglePrecision:
    """Sums of float32 numbers are off by more than 1e-9: they are renormalised, up to 1e-5."""

    logits = np.random.default_rng(0).normal(size=(3, 4000)).astype(np.float32)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    @pytest.mark.parametrize("cast", [np.float32, np.float64, list])
    def test_any_float32_log_softmax(self, cast):
        given = self.log_softmax
        assert given.dtype == np.float32 and (abs(np.exp(given.astype(float)).sum(axis=1) - 1) > 1e-9).any()
        given = given.tolist() if cast is list else given.astype(cast)
        found = as_log_reference(given)
        assert found.dtype == np.float64
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=0, atol=1e-14)
        # Every row moves by one number: the policy's odds are those that were given.
        np.testing.assert_allclose(np.ptp(found - self.log_softmax, axis=1), 0, atol=1e-14)

    def test_probabilities_and_weights(self):
        p = np.exp(self.log_softmax)
        np.testing.assert_allclose(as_policy("p", p).sum(axis=1), 1, atol=1e-14)
        np.testing.assert_allclose(as_distribution("w", p[0], 4000).sum(), 1, atol=1e-14)

    def test_what_is_masked_stays_masked(self):
        given = np.log(np.array([[1 / 3, 2 / 3, 0.0]]), where=[[True, True, False]], out=np.full((1, 3), -np.inf))
        found = as_log_reference(given.astype(np.float32))
        assert found[0, 2] == -np.inf
        np.testing.assert_allclose(np.exp(found).sum(), 1, atol=1e-14)

    def test_rows_that_sum_to_one_keep_their_digits(self):
        exact = np.log([[0.25, 0.75]])
        np.testing.assert_array_equal(as_log_reference(exact), exact)

    def test_a_larger_error_is_refused_and_says_so(self):
        given = self.log_softmax + np.float32(3e-5)
        with pytest.raises(ValueError, match=r"^log_reference: expected .*; 1e-9 is allowed, in single precision 1e-5"):
            as_log_reference(given)
        with pytest.raises(ValueError, match="^p: expected rows .* in single precision 1e-5"):
            as_policy("p", np.exp(given))
        with pytest.raises(ValueError, match="^w: expected .* in single precision 1e-5"):
            as_distribution("w", np.exp(given[0]), 4000)


class TestWords:
    """Errors to the letter: what was expected and what came, of what shape, where."""

    @pytest.mark.parametrize(
        ("call", "told"),
        [
            (lambda: as_float("x", [[1.0]], ("n",)), "x: expected shape (n,), got (1, 1)"),
            (lambda: as_float("x", [1.0], (None, 2)), "x: expected shape (any, 2), got (1,)"),
            (lambda: as_float("x", [[1.0, 2.0]], (1, 3)), "x: expected shape (1, 3), got (1, 2)"),
            (lambda: as_float("x", [[1.0, 2.0]], (2, 2)), "x: expected shape (2, 2), got (1, 2)"),
            (lambda: as_float("x", "a" * 99, ()), f"x: expected real numbers of shape (), got '{'a' * 79}"),
            (lambda: as_float("x", [0, np.inf], ("n",)), "x: expected finite numbers, got inf at index (1,)"),
            (lambda: as_index("i", np.zeros((2, 1), int), 3, 2), "i: expected shape (2,), got (2, 1)"),
            (lambda: as_index("i", [0, 1, 3], 3), "i: expected indices in 0..2, got 3 at position 2"),
            (lambda: as_index("i", [2, -1, 3], 3), "i: expected indices in 0..2, got -1 at position 1"),
            (lambda: as_index("i", [5, -2]), "i: expected indices at least 0, got -2 at position 1"),
            (lambda: as_positive("b", 0.0), "b: expected a number above 0, got 0.0"),
            (
                lambda: as_distribution("w", [0.5, 0.25], 2),
                "w: expected non-negative weights that sum to 1, got minimum 0.25 and sum 0.75; 1e-9 is allowed, in "
                "single precision 1e-5: divide by the sums in double precision",
            ),
            (
                lambda: as_policy("p", [[0.5, 0.5], [0.25, 0.25]]),
                "p: expected rows that are distributions, got minimum 0.25 and row sums in [0.5, 1.0]; 1e-9 is "
                "allowed, in single precision 1e-5: divide by the sums in double precision",
            ),
            (
                lambda: as_log_reference(np.log([[0.5, 0.5], [0.5, 0.25], [0.5, 0.125]])),
                "log_reference: expected rows that sum to 1 in probability, got 0.625 in row 2; 1e-9 is allowed, in "
                "single precision 1e-5: divide by the sums in double precision",
            ),
            (
                lambda: in_nats(np.array([1e300]), 1e-300),
                "beta: expected a number that reward / beta does not overflow with, got 1e-300",
            ),
        ],
    )
    def test_to_the_letter(self, call, told):
        with pytest.raises(ValueError) as raised:
            call()
        assert str(raised.value) == told


@pytest.mark.parametrize(
    ("value", "counts"), [(1, True), (np.int32(3), True), (0, False), (-1, False), (True, False), (2.0, False)]
)
def test_what_counts(value, counts):
    assert is_count(value) is counts


class TestHowFarOff:
    """A billionth in double precision, a hundred-thousandth where every number is one of single precision."""

    def sums(self, off, single):
        first = np.float32(0.5).item() if single else 0.1
        rest = 1 - first + off
        return [first, float(np.float32(rest)) if single else rest]

    @pytest.mark.parametrize(
        ("off", "single", "fits"),
        [
            (0.9e-9, False, True),
            (1.2e-9, False, False),
            (-1.2e-9, False, False),
            (0.9e-5, True, True),
            (-0.9e-5, True, True),
            (1.2e-5, True, False),
            (0.9e-5, False, False),
        ],
    )
    def test_weights_rows_and_logarithms(self, off, single, fits):
        weights = self.sums(off, single)
        assert abs(sum(weights) - 1 - off) < 1e-7 * single + 1e-15
        calls = [lambda: as_distribution("w", weights, 2), lambda: as_policy("w", [weights, [0.5, 0.5]])[0]]
        if not single:
            calls.append(lambda: np.exp(as_log_reference(np.log([weights, [0.5, 0.5]]))[0]))
        for call in calls:
            if fits:
                # What is visibly off is divided; what is not stays as it came.
                expected = np.array(weights) / sum(weights) if single else weights
                np.testing.assert_allclose(call(), expected, rtol=0, atol=1e-15)
            else:
                with pytest.raises(ValueError, match="1e-9 is allowed"):
                    call()

    def test_rows_that_are_right_stay(self):
        off = [0.5, float(np.float32(0.5 + 0.9e-5))]
        found = as_policy("p", [[0.25, 0.75], off])
        assert found[0].tolist() == [0.25, 0.75] and found[1].sum() == pytest.approx(1, abs=1e-15)
        logs = np.log(np.array([[0.25, 0.75], off])).astype(np.float32).astype(float)
        found = as_log_reference(logs)
        assert np.exp(found).sum(axis=1) == pytest.approx([1, 1], abs=1e-12)
        exact = np.log([[0.25, 0.75]])
        assert as_log_reference(exact).tolist() == exact.tolist()

    def test_numbers_too_large_for_single_precision_are_none(self):
        with pytest.raises(ValueError, match="expected non-negative weights"):
            as_distribution("w", [1e300, 0.5], 2)

    def test_shapes_of_one_s_own(self):
        assert as_policy("p", [0.5, 0.5], (2,)).tolist() == [0.5, 0.5]
        assert as_log_reference(np.log([[[0.5, 0.5]]]), (1, 1, "Y")).shape == (1, 1, 2)
        with pytest.raises(ValueError, match=r"^p: expected shape \(X, Y\), got \(2,\)$"):
            as_policy("p", [0.5, 0.5])
        assert as_index("i", [0, 7]).tolist() == [0, 7] and as_index("i", [2], 3).tolist() == [2]
        assert as_float("x", [[1, 2]], ("n", 2)).tolist() == [[1.0, 2.0]] and as_positive("b", 1e-300) == 1e-300
        assert np.isnan(as_float("x", [np.nan], (1,), finite=False)).all()
