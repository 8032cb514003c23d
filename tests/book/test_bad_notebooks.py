"""Notebooks that other programs saved, and cells that end a run: what is run, and which cell is named."""

import json

import pytest

from maxmin_core.book._notebook import read_notebook
from maxmin_core.book.chapters import Chapter
from maxmin_core.cli import main

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
MEANT = {"source": "raise ValueError('meant')", "metadata": {"tags": ["raises-exception"]}, "id": "meant"}
AFTER = {"source": "2", "id": "after"}


def ends(text):
    return {"source": text, "id": "ends"}


def cell(source, **more):
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source} | more


def written(folder, *cells, **more):
    """A notebook of these cells, each the text of one or what it holds."""
    cells = [cell(one) if isinstance(one, str) else cell(**one) for one in cells]
    path = folder / "mine.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": KERNEL, "cells": cells} | more))
    return path


def without(part):
    return {name: value for name, value in cell("1 / 0", id="b").items() if name != part}


class TestCheck:
    @pytest.mark.parametrize(
        ("cells", "more"),
        [
            # Colab's: format 4.4 has no ids.
            (["x = 1", "1 / 0"], {"nbformat_minor": 4}),
            (["x = 1", "1 / 0"], {}),
            # The same text twice: no text tells which it was.
            (["x = 1 / globals().get('x', 1) - 1", "x = 1 / globals().get('x', 1) - 1"], {"nbformat_minor": 4}),
            ([{"source": "x = 1", "id": "a"}, {"source": "1 / 0", "id": "a"}], {}),
            ([{"source": "x = 1", "id": "a"}, {"source": "1 / 0", "id": "b"}], {"nbformat_minor": 4}),
            # What Colab calls a cell it says in the metadata.
            ([{"source": "x = 1"}, {"source": "1 / 0", "metadata": {"id": "k3", "tags": None}}], {"metadata": {}}),
        ],
    )
    def test_the_cell_is_named_whatever_its_id(self, tmp_path, capsys, cells, more):
        assert main(["check", str(written(tmp_path, *cells, **more))]) == 1
        first = (cells[1] if isinstance(cells[1], str) else cells[1]["source"]).splitlines()[0]
        assert f"mine.ipynb, cell 2 ({first}): ZeroDivisionError" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "metadata",
        [{}, None, {"kernelspec": None}, {"kernelspec": {"display_name": "mine"}}, {"language_info": {"version": "3"}}],
    )
    def test_a_notebook_that_names_no_language_is_python(self, tmp_path, capsys, metadata):
        assert main(["check", str(written(tmp_path, "import math\nmath.pi", metadata=metadata))]) == 0
        assert capsys.readouterr().out == "mine.ipynb: every cell ran\n"

    @pytest.mark.parametrize(
        ("cells", "told"),
        [
            ([MEANT, ends("1 / 0"), AFTER], "cell 2 (1 / 0): ZeroDivisionError: division by zero"),
            ([MEANT, ends("import os\nos.kill(os.getpid(), 9)"), AFTER], "cell 2 (import os): the kernel died"),
            ([MEANT, ends("import sys\nsys.exit()"), AFTER], "cell 2 (import sys): the run ended before the last cell"),
            ([MEANT, ends("import sys\nsys.exit(3)"), AFTER], "cell 2 (import sys): SystemExit: 3"),
            ([ends("import os\nos.kill(os.getpid(), 9)"), AFTER], "cell 1 (import os): the kernel died"),
        ],
    )
    def test_the_cell_at_which_it_ended_is_named(self, tmp_path, capsys, cells, told):
        assert main(["check", str(written(tmp_path, *cells))]) == 1
        assert f"mine.ipynb, {told}" in capsys.readouterr().err

    def test_an_error_that_is_meant_is_none(self, tmp_path, capsys):
        left = {"source": "1 / 0", "metadata": {"tags": ["skip-execution"]}, "id": "left"}
        assert main(["check", str(written(tmp_path, MEANT, AFTER, left))]) == 0
        assert capsys.readouterr().out == "mine.ipynb: every cell ran\n"

    def test_a_name_in_braces_is_a_name(self, tmp_path):
        path = written(tmp_path, "1 + 1").rename(tmp_path / "a{b}.ipynb")
        assert main(["check", str(path)]) == 0


class TestRead:
    @pytest.mark.parametrize("part", ["metadata", "outputs", "execution_count", "source", "id", "cell_type"])
    def test_what_a_cell_lacks_is_put_in(self, tmp_path, part):
        import nbformat

        notebook = read_notebook(written(tmp_path, "x", cells=[without(part), cell("y", id="cell-1")]))
        nbformat.validate(nbformat.from_dict(notebook))
        one, two = notebook["cells"]
        assert one["id"] == {"id": "cell-1-"}.get(part, "b") and two["id"] == "cell-1"
        assert one["source"] == ("" if part == "source" else "1 / 0")

    def test_ids_that_fit_stay(self, tmp_path):
        given = ["a", "a", "", "b c", "x" * 65, 3, None, "cell-3", "z-_9"]
        notebook = read_notebook(written(tmp_path, *({"source": "1", "id": one} for one in given)))
        found = [one["id"] for one in notebook["cells"]]
        assert found == ["a", "cell-2", "cell-3-", "cell-4", "cell-5", "cell-6", "cell-7", "cell-3", "z-_9"]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "expected a notebook, got a damaged file"),
            ("{", "expected a notebook, got a damaged file"),
            ("\xff", "expected a notebook, got a damaged file"),
            ("[]", "expected a notebook of format 4, got something else; open it"),
            ('{"nbformat": 3, "worksheets": [{"cells": []}]}', "expected a notebook of format 4, got something else"),
            ('{"cells": [1]}', "expected a notebook of format 4, got something else"),
            (
                '{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}',
                "expected a notebook in Python, got one in R",
            ),
            ('{"cells": [], "metadata": {"language_info": {"name": "julia"}}}', "in Python, got one in julia; choose"),
        ],
    )
    def test_what_is_none_is_named(self, tmp_path, capsys, text, told):
        path = tmp_path / "mine.ipynb"
        path.write_bytes(text.encode("latin-1"))
        assert main(["check", str(path)]) == 1
        assert f"maxmin: error: {path}: " in (error := capsys.readouterr().err) and told in error

    def test_a_mark_at_the_beginning_is_no_damage(self, tmp_path):
        path = written(tmp_path, "1")
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert read_notebook(path)["cells"][0]["source"] == "1"

    @pytest.mark.parametrize("metadata", [None, {}, {"maxmin": None}])
    def test_a_chapter_says_what_it_lacks(self, tmp_path, metadata):
        chapter = Chapter("01", written(tmp_path, metadata=metadata))
        with pytest.raises(ValueError, match=r"mine\.ipynb: expected a first cell with the title"):
            chapter.title  # noqa: B018
        with pytest.raises(ValueError, match=r"mine\.ipynb: expected .*question.* in the notebook's metadata"):
            chapter.question  # noqa: B018
        assert chapter.modules() == () and not chapter.needs_runs
