"""What a reader reads: prose of notebooks and pages, without code, in the order of the book."""

import ast
import json
import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import yaml

HIDDEN = {"hide-input", "remove-input", "hide-cell", "remove-cell"}
MATHS = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
LINK = re.compile(r"\{[\w:-]+\}`[^`]*`|\[[^\]]*\]\([^)]*\)")


@dataclass(frozen=True)
class Piece:
    """A stretch of prose, and where it stands; `place` is a cell's id or a line."""

    file: str
    place: str
    text: str


def in_order(root: Path) -> list[str]:
    """Files of the table of contents, and the README."""
    parts = yaml.safe_load((root / "_toc.yml").read_text())
    names = [parts["root"], *(chapter["file"] for part in parts["parts"] for chapter in part["chapters"])]
    paths = [root / f"{name}{ending}" for name in names for ending in (".md", ".ipynb")]
    found = [path.relative_to(root).as_posix() for path in paths if path.exists()]
    sources = sorted(path.relative_to(root).as_posix() for path in (root / "notebooks/assignments").glob("*.ipynb"))
    return [*found, *sources, "README.md"]


def numbered(root: Path) -> list[str]:
    """The chapters' notebooks."""
    return [file for file in in_order(root) if re.match(r"notebooks/\d", file)]


def code_of(root: Path) -> dict[tuple[str, str], str]:
    """Code of the chapters, by notebook and cell."""
    found = {(file, cell["id"]): cell for file in numbered(root) for cell in cells(root, file)}
    return {place: "".join(cell["source"]) for place, cell in found.items() if cell["cell_type"] == "code"}


def cells(root: Path, file: str) -> list[dict]:
    return json.loads((root / file).read_text())["cells"]


def plain(markdown: str) -> str:
    """Markdown without its code: no fenced block, no code span, but what directives hold."""
    markdown = re.sub(r"(?ms)^(```+)(?!\{(?:list-table|admonition|note)).*?^\1\s*$", "", markdown)
    return re.sub(r"(?<!\})`[^`\n]+`", "", markdown)


def said(code: str) -> list[str]:
    """What a cell prints as prose: what it gives to Markdown, and captions. Numbers of the run are left out."""
    found = []
    for call in ast.walk(ast.parse(code)):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        told = call.args if name == "Markdown" else []
        told = [*told, *(word.value for word in call.keywords if word.arg == "caption")]
        found += ["".join(_text(argument)) for argument in told]
    return found


def _text(tree):
    """Texts below a node as they stand, \\x00 for a value that is printed; what chooses between texts is none."""
    if isinstance(tree, ast.Constant):
        return [tree.value] if isinstance(tree.value, str) else []
    if isinstance(tree, ast.FormattedValue):
        return ["\x00", *_text(tree.value)]
    if isinstance(tree, ast.Subscript | ast.Compare) or getattr(getattr(tree, "func", None), "id", "") == "format":
        return []
    if isinstance(tree, ast.IfExp):
        return [*_text(tree.body), *_text(tree.orelse)]
    return [text for child in ast.iter_child_nodes(tree) for text in _text(child)]


def prose(root: Path) -> list[Piece]:
    """Every piece of prose, in the order of the book."""
    found = []
    for file in in_order(root):
        if file.endswith(".md"):
            found.append(Piece(file, "", plain((root / file).read_text())))
            continue
        for cell in cells(root, file):
            source = "".join(cell["source"])
            texts = [source] if cell["cell_type"] == "markdown" else said(source)
            found += [Piece(file, cell["id"], plain(text)) for text in texts]
    return found


def shown(path: Path) -> list[str]:
    """What the cells of an executed notebook show in words and numbers: Markdown, tables, printed lines."""
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            kinds = [kind for kind in ("text/html", "text/markdown") if kind in data]
            found += ["".join(data[kind]) for kind in kinds] + ["".join(output.get("text", ""))]
    return found


def read(html: str) -> str:
    """What a reader sees of HTML."""
    return unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", html)))
