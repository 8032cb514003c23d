"""What a student meets: the public checks by the command, and answers that are found again."""

import json
import re

import numpy as np
import pytest

from maxmin_core.cli import main
from maxmin_core.course._wire import WireError, from_message, to_message
from maxmin_core.course.checking import check_notebook, look_over
from maxmin_core.course.forbidden import forbidden_names
from maxmin_core.course.merging import merge

from .corpus import CORPUS, handed_in, stripped, write_source


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("book") / "notebooks" / "assignments")


class TestCheck:
    @pytest.mark.parametrize("at_hand", [True, False])
    def test_it_goes_on_after_a_failing_cell(self, tiny, tmp_path, at_hand):
        path = tmp_path / "mine.ipynb"
        path.write_text(json.dumps(handed_in(tiny, "1 / 0", double="return np.zeros(2)")), encoding="utf-8")
        double, total = check_notebook(path, "a1", tiny if at_hand else None)
        assert (double.held, double.of, total.held, total.of) == (1, 2, 1, 1)
        assert "double: 1 of 2 public checks hold; hidden ones are your lecturer's" in str(double)
        assert total.says == () and "passed" not in str(total)

    def test_the_reason_is_the_messages(self, tiny, tmp_path):
        path = tmp_path / "mine.ipynb"
        path.write_text(json.dumps(handed_in(tiny, total="return 4", double="return y")), encoding="utf-8")
        double, total = check_notebook(path, "a1", tiny)
        assert total.says == ("one and two are three",)
        assert double.held == 0 and "NameError" in double.says[0]

    @pytest.mark.parametrize(
        ("make", "says"),
        [
            (lambda tiny: tiny.student(), "not written yet"),
            (lambda tiny: handed_in(tiny, double="return ("), "its cell stops with SyntaxError"),
            (lambda tiny: CORPUS["a cell deleted"][0](tiny), "its cell was not found"),
            (lambda tiny: handed_in(tiny, double="import os; os._exit(1)"), "ended from inside"),
            (lambda tiny: CORPUS["a forbidden name"][0](tiny), "does not allow"),
        ],
    )
    def test_what_is_wrong_with_an_answer(self, tiny, tmp_path, make, says):
        path = tmp_path / "mine.ipynb"
        path.write_text(json.dumps(make(tiny)), encoding="utf-8")
        double, _ = check_notebook(path, "a1", tiny)
        assert double.held == 0 and double.of == 2 and says in str(double), str(double)

    def test_the_command(self, tiny, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("maxmin_core.course.commands._BOOK", tiny.path.parents[2])
        path = tmp_path / "mine.ipynb"
        path.write_text(json.dumps(handed_in(tiny)), encoding="utf-8")
        assert main(["check", str(path), "--assignment", "a1"]) == 0
        told = capsys.readouterr().out
        assert told.count("public checks hold") == 2 and told.endswith("why: an empty answer (80 points)\n")
        assert main(["check", str(path), "--assignment", "a4"]) == 1
        assert "this is assignment a1, and a4 is expected" in capsys.readouterr().err

    @pytest.mark.parametrize("at_hand", [True, False])
    @pytest.mark.parametrize(
        ("place", "source", "says"),
        [
            (6, "<!-- ANSWER why -->\nBecause.", ["why: answered; a person marks it (80 points)"]),
            (6, "<!-- ANSWER why -->\n \n", ["why: an empty answer (80 points)"]),
            (6, "<!-- ANSWER why -->\n*Your answer.*", ["why: an empty answer (80 points)"]),
        ],
    )
    def test_what_no_check_sees(self, tiny, tmp_path, at_hand, place, source, says):
        notebook = handed_in(tiny)
        notebook["cells"][place]["source"] = source
        path = tmp_path / "mine.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf-8")
        assert look_over(path, "a1", tiny if at_hand else None) == says

    def test_a_first_line_that_is_gone(self, tiny, tmp_path):
        notebook = handed_in(tiny)
        notebook["cells"][2]["source"] = "def double(x): return 2 * x"
        notebook["cells"][6]["source"] = "Because."
        path = tmp_path / "mine.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf-8")
        assert look_over(path, "a1", tiny) == [
            "double: the first line of its cell is gone; put it back: # ANSWER double",
            "why: answered; a person marks it (80 points)",
            "why: the first line of its cell is gone; put it back: <!-- ANSWER why -->",
        ]
        del notebook["cells"][6]
        path.write_text(json.dumps(notebook), encoding="utf-8")
        for at_hand in (tiny, None):
            told = look_over(path, "a1", at_hand)
            assert ("why: its cell was not found (80 points)" in told) == (at_hand is not None)

    def test_a_stub_says_one_thing_however_many_checks_follow(self, tiny, tmp_path):
        source = tiny.path.parent / "checked.json"
        notebook = tiny.student()
        notebook["cells"][3]["source"] = "got = double(1)\nassert got == 2, 'two'\nassert 1 > 2, 'about no answer'"
        source.write_text(json.dumps(notebook), encoding="utf-8")
        double, _ = check_notebook(source, "a1")
        assert double.says == ("not written yet",)


class TestMerging:
    def test_the_lecturers_cells_are_the_lecturers(self, tiny):
        notebook = CORPUS["a locked cell changed"][0](tiny)
        merged = merge(tiny, notebook)
        assert merged.cells[0].source == "import numpy as np\n\nCONSTANT = 2"
        assert [cell.label for cell in merged.cells] == ["cell 2 of the assignment", "double", "total"]

    def test_a_lecturer_s_variant_may_have_no_ids(self, tmp_path):
        own = write_source(tmp_path)
        own.path.write_text(json.dumps(stripped(own.notebook(), metadata=False)), encoding="utf-8")
        assert set(merge(own, handed_in(own)).answers) == {"double", "total", "why"}

    def test_own_cells_stay_where_they_were(self, tiny):
        notebook = handed_in(tiny)
        notebook["cells"].insert(4, {"cell_type": "code", "id": "mine", "metadata": {}, "source": "helper = 1"})
        labels = [cell.label for cell in merge(tiny, notebook).cells]
        assert labels.index("double") < labels.index("your own cell 1 behind cell 4") < labels.index("total")

    def test_the_marking_notebook_is_the_release_with_the_answers(self, tiny):
        notebook = merge(tiny, handed_in(tiny, double="return 3")).notebook(tiny)
        assert "return 3" in notebook["cells"][2]["source"]
        assert notebook["cells"][3] == tiny.student()["cells"][3]


class TestForbidden:
    @pytest.mark.parametrize(
        ("source", "found"),
        [
            ("from maxmin_core.alignment import solve, max_min as m", ["solve"]),
            ("import maxmin_core as core\ncore.alignment.solve(1)", ["solve"]),
            ("from maxmin_core import alignment\nalignment.solve(1)", ["solve"]),
            ("from maxmin_core import *\nsolve(1)", ["solve"]),
            ("from maxmin_core.theory import gaps", ["theory"]),
            ("import maxmin_core.theory.gaps", ["theory"]),
            ("from maxmin_core.alignment import per_prompt", ["per_prompt"]),
            ("import choix.lsr as c", ["choix"]),
            ("from choix import ilsr_pairwise", ["choix"]),
            ("%matplotlib inline\nfrom maxmin_core import solve", ["solve"]),
            ("import numpy as np\nnp.linalg.solve(a, b)\ntheory = 1", []),
            ("# from maxmin_core import solve\n'solve'", []),
            ("def solve(x): return x\nsolve(1)", []),
            ("from maxmin_core import (", []),
        ],
    )
    def test_names_from_the_book_only(self, source, found):
        assert forbidden_names(source, ["solve", "theory", "per_*", "choix"]) == found


class TestWire:
    @pytest.mark.parametrize(
        "value",
        [
            None,
            True,
            -3,
            2.5,
            "ü",
            [1, (2.0, [None])],
            {"a": 1, 2: [True]},
            1 + 2j,
            np.arange(6).reshape(2, 3),
            np.array([True, False]),
            np.array(3.5),
            np.zeros((0, 3)),
            np.arange(12.0)[::-2],
            np.float32([1.5]),
            float("inf"),
        ],
    )
    def test_what_is_plain_comes_back(self, value):
        found = from_message(to_message(value))
        assert type(found) is type(value)
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value

    @pytest.mark.parametrize(
        "value", [object(), {1, 2}, b"x", np.array([None]), np.array(["a"]), lambda: 1, 1 << 2000, [[[]]] * 1 + [print]]
    )
    def test_what_is_not_plain_is_not_sent(self, value):
        with pytest.raises(WireError):
            to_message(value)

    def test_no_message_does_more_than_fail(self):
        rng = np.random.default_rng(0)
        good = to_message({"answer": [np.arange(5.0), "x", (1, None)], "token": "t"})
        for _ in range(2000):
            bad = bytearray(good)
            for place in rng.integers(len(bad), size=rng.integers(1, 4)):
                bad[place] = rng.integers(256)
            bad = bytes(bad[: rng.integers(len(bad) + 1)]) if rng.random() < 0.3 else bytes(bad)
            try:
                from_message(bad)
            except WireError:
                pass

    @pytest.mark.parametrize(
        "structure",
        [
            {"array": ["<f8", [10**12], 0]},
            {"array": ["|O", [1], 0]},
            {"array": ["<f8", [-1, -1], 0]},
            {"array": ["<f8", [1], -8]},
            {"array": ["<f8", [1.0], 0]},
            {"array": ["<f8", [1] * 40, 0]},
            {"dict": [[{"list": []}, 1]]},
            {"exec": "1"},
            {"list": [], "tuple": []},
            [1],
        ],
    )
    def test_a_lying_message_is_none(self, structure):
        text = json.dumps(structure).encode()
        with pytest.raises(WireError):
            from_message(len(text).to_bytes(8, "big") + text + b"\0" * 8)

    def test_depth(self):
        text = (b'{"list": [' * 500) + b"1" + b"]}" * 500
        with pytest.raises(WireError, match=re.escape("expected a message")):
            from_message(len(text).to_bytes(8, "big") + text)
