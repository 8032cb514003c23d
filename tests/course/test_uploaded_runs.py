"""Assignment 6: what is uploaded is run again, so a file that no training made, or that was touched, is refused."""

import base64
import json

import numpy as np
import pytest

from maxmin_core.course.judging import AnswerError, judge_task
from maxmin_core.course.sources import find_assignment

NAMES = "average", "maxmin"


@pytest.fixture(scope="module")
def assignment(root):
    return find_assignment(root, "a6")


@pytest.fixture
def runs(assignment):
    return json.loads(assignment.path.with_name("a6_runs.json").read_text())


@pytest.fixture(scope="module")
def notebook(assignment):
    names = {"__name__": "__main__"}
    for cell in assignment.notebook()["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    return names


@pytest.fixture
def points(assignment, notebook):
    def of(content):
        class Ask:
            def __call__(self, name, *arguments):
                return notebook[name](*arguments)

            def file(self, name):
                if content is None:
                    raise AnswerError(f"{name}: there is no such file")
                return content if isinstance(content, bytes) else json.dumps(content).encode()

        verdict = judge_task("two_runs", assignment.judges()["two_runs"], Ask(), of=16, seed=1)
        return verdict.points, verdict.note

    return of


def parameters(run, name):
    return np.frombuffer(base64.b64decode(run["weights"][name]), dtype="<f4").copy()


def put(run, name, values):
    run["weights"][name] = base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()


def test_the_solution_s_own_runs_hold(points, runs):
    assert points(runs) == (16, "")


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"average": 1, "maxmin": 2}',
        b'{"average": {}, "maxmin": {}}',
        b"[" * 100_000,
        b"1" * 5_000,
    ],
)
def test_a_file_that_cannot_be_read_is_a_note(points, content):
    earned, note = points(content)
    assert earned == 0 and note.startswith("a6_runs.json")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_wild_parameters_are_a_note(points, runs, value):
    name = "transformer.wpe.weight"
    put(runs["maxmin"], name, np.full(80, value))
    assert points(runs)[0] == 0


def test_typed_numbers_earn_nothing_without_their_networks(points, runs, notebook):
    for name, flat in notebook["first_weights"]().items():
        for run in runs.values():
            put(run, name, flat)
    assert points(runs)[0] == 0


def test_one_network_twice_is_no_comparison(points, runs):
    runs["average"]["weights"] = runs["maxmin"]["weights"]
    assert points(runs)[0] <= 8


def test_a_little_training_is_not_enough(points, runs, notebook):
    # Half of the way from the reference, in parameters: another distance, and other texts.
    for name, start in notebook["first_weights"]().items():
        put(runs["maxmin"], name, (start.ravel() + parameters(runs["maxmin"], name)) / 2)
    assert points(runs)[0] <= 4


def test_equal_beta_is_not_matched_divergence(points, runs, notebook):
    # A longer step in the same direction goes further, as a smaller beta does.
    for name, start in notebook["first_weights"]().items():
        far = parameters(runs["average"], name)
        put(runs["average"], name, far + 0.2 * (far - start.ravel()))
    assert points(runs)[0] <= 8


@pytest.mark.parametrize("what", ["texts", "means", "log_weights"])
def test_touched_batches_are_found(points, runs, what):
    batch = runs["maxmin"]["batches"][1]
    batch[what] = (np.array(batch[what]) * 0 + (0 if what == "texts" else 0.5)).tolist()
    assert points(runs)[0] == 12


def test_moved_weights_without_a_rate_are_found(points, runs):
    runs["maxmin"]["rate"] = 0.05
    assert points(runs)[0] == 12


def test_the_judge_s_network_is_torch_s(assignment, runs, notebook):
    torch = pytest.importorskip("torch")
    judge = assignment.judges()["two_runs"].__globals__
    assert set(judge["first_weights"]()) == set(notebook["first_weights"]())
    for name, flat in notebook["first_weights"]().items():
        assert np.array_equal(flat, judge["first_weights"]()[name])
    for run in [None, *runs.values()]:
        weights = notebook["first_weights"]()
        if run is not None:
            weights = {name: parameters(run, name).reshape(weights[name].shape) for name in weights}
        model, tokenizer = notebook["make_network"](weights)
        with torch.inference_mode():
            ours = notebook["exact_table"](model, tokenizer)
        assert judge["network"](weights) == pytest.approx(ours, abs=1e-4)
        assert np.exp(judge["network"](weights)).sum(axis=1) == pytest.approx(1, abs=1e-6)
