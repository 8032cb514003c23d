"""A build for lecturers: no solution of an exercise in any file of its pages."""

import json
import re

import pytest

from maxmin_core.book._solutions import without_solutions

EXERCISE = """## Exercises

:::{exercise} Twice two
:label: ex-twice
How much is it?
:::

:::{solution} ex-twice
:class: dropdown
It is vier, as the abacus says.

```python
vierfach = 4
```
:::

Afterwards.

:::{admonition} Answer to 1
:class: tip dropdown
The quiz says sieben.
:::
"""


def cell(text):
    return {"cell_type": "markdown", "source": text.splitlines(keepends=True), "metadata": {}}


def test_solutions_go_and_all_else_stays():
    notebook = {"cells": [cell(EXERCISE), {"cell_type": "code", "source": ":::{solution} ex\n"}]}
    left = without_solutions(notebook)
    text = left["cells"][0]["source"]
    begin, end = EXERCISE.index(":::{solution}"), EXERCISE.index("\nAfterwards")
    assert text == EXERCISE[:begin] + EXERCISE[end:]
    assert left["cells"][1] == notebook["cells"][1] and "abacus" in "".join(notebook["cells"][0]["source"])


def test_a_solution_without_an_end_is_refused():
    with pytest.raises(ValueError, match="solution: expected a line ::: at its end"):
        without_solutions({"cells": [cell(":::{solution} ex\nvier\n")]})


def phrases(text):
    """Runs of six words or formulas."""
    words = text.split()
    return {" ".join(words[i : i + 6]) for i in range(len(words) - 5)}


def test_no_phrase_of_a_solution_is_left_in_the_text_of_a_chapter(root):
    found = 0
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        told = "\n\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
        code = "\n\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
        # Read another way than the function does: by the titles of what stands between fences.
        blocks = re.split(r"^:::+[ \t]*(?=\{|$)", told, flags=re.MULTILINE)
        solved = [block for block in blocks if block.startswith("{solution")]
        open_ = phrases(code).union(*(phrases(block) for block in blocks if not block.startswith("{solution")))
        left = "\n\n".join("".join(c["source"]) for c in without_solutions(notebook)["cells"])
        left = phrases(left)
        for block in solved:
            assert not (phrases(block) - open_) & left, (path.name, block[:60])
        found += len(solved)
    assert found >= 50


def test_a_build_without_solutions_stands_beside_the_other(project, maxmin):
    import nbformat

    path = project / "notebooks" / "02_second.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell(EXERCISE, id="exercise"))
    nbformat.write(notebook, path)
    config = project / "_config.yml"
    config.write_text(
        config.read_text() + "parse: {myst_enable_extensions: [colon_fence]}\n"
        "sphinx: {extra_extensions: [sphinx_exercise]}\n"
    )
    done = maxmin("build", "--without-solutions", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = project / "_build" / "cpu" / "html-without-solutions"
    # `make serve` shows the other pages.
    assert f"the book: {(pages / 'index.html').as_uri()}" in done.stdout and "make serve" not in done.stdout
    files = [file.read_bytes() for file in pages.rglob("*") if file.is_file()]
    assert not [secret for secret in (b"abacus", b"vierfach", b"vier,") if any(secret in file for file in files)]
    # The exercise and the quiz are there, answers of the latter included.
    page = (pages / "notebooks" / "02_second.html").read_text(encoding="utf-8")
    assert "How much is it?" in page and "sieben" in page and "Afterwards." in page
    # The pages with solutions are others, and no chapter runs again for them.
    again = maxmin("build", cwd=project)
    assert again.returncode == 0 and "running" not in again.stdout, again.stdout
    assert "abacus" in (project / "_build" / "cpu" / "html" / "notebooks" / "02_second.html").read_text("utf-8")
    assert not any(b"abacus" in file.read_bytes() for file in pages.rglob("*") if file.is_file())
