"""The reference: one part for every room of the package, with every public name where a reader imports it from."""

import ast
import hashlib

from ._names import PACKAGE, exports, home, is_public, modules, showroom, tree

__all__ = ["documented", "reference_pages"]


def reference_pages() -> dict[str, str]:
    """Return the text of the reference, Markdown that asks Sphinx's autodoc for every public name.

    A name that a wing's face re-exports is shown there, others in the module that defines them; a name of another wing
    is shown in that wing alone.

    Returns
    -------
    dict of str to str
        Room of the package, such as ``"alignment"``, to the text.

    Raises
    ------
    ValueError
        On a name in an ``__all__`` that its module does not define.

    Examples
    --------
    >>> print(reference_pages()["intervals"].splitlines()[0])
    ## `intervals`
    """
    pages = {PACKAGE: [_index()]}
    for module in _public():
        face = ".".join(module.split(".")[:2])
        # A name that others re-export is shown once, where it comes from as far as that is public.
        shown = [
            (name, face if name in exports(face) else module, home(module, name))
            for name in exports(module)
            if showroom(module, name) == module
        ]
        lines = [] if module == face and modules()[module].name == "__init__.py" else [f"## `{_last(module)}`", ""]
        lines += ["```{eval-rst}", f".. automodule:: {module}", "```", ""]
        if len(shown) > 1:
            lines += [" · ".join(f"{{py:obj}}`{name} <{reader}.{name}>`" for name, reader, _ in shown), ""]
        if shown:
            entries = [_entry(place, name, reader) for name, reader, place in shown]
            lines += ["```{eval-rst}", "\n\n".join(entries), "```", ""]
        pages.setdefault(_last(face), []).append("\n".join(lines))
    return {room: "\n".join(parts) for room, parts in pages.items()}


def documented() -> str:
    """Return a short name for all that the reference prints: docstrings, signatures and the comments of constants.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    text = list(reference_pages().values())
    for node in (node for module in _public() for node in ast.walk(tree(module))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text.append(ast.get_docstring(node) or "")
        if isinstance(node, ast.FunctionDef):
            text.append(f"{node.name}({ast.unparse(node.args)})")
        if isinstance(node, ast.AnnAssign):
            # A field of a dataclass is a parameter of its constructor.
            text.append(ast.unparse(node))
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def _public():
    """The modules without a private part in their names, a face before its wing; the first face is on the index."""
    return [name for name in modules() if name != PACKAGE and is_public(name)]


def _last(module):
    return module.rpartition(".")[2]


def _index():
    """A table of the names that the package itself offers, with links to where they are explained."""
    rows = {}
    for name in exports(PACKAGE):
        face = ".".join(home(PACKAGE, name).split(".")[:2])
        rows.setdefault(face, []).append(f"{{py:obj}}`{name} <{face}.{name}>`")
    lines = ["| From | Names |", "|---|---|", *(f"| `{face}` | {', '.join(rows[face])} |" for face in sorted(rows))]
    return "\n".join(lines) + "\n"


def _entry(module, name, place):
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return f".. autofunction:: {place}.{name}"
        if isinstance(node, ast.ClassDef) and node.name == name:
            kind = (
                "exception"
                if any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
                else "class"
            )
            return f".. auto{kind}:: {place}.{name}\n   :members:"
        if isinstance(node, ast.Assign | ast.AnnAssign) and (value := _value(node, name)):
            shown = f"   :value: {value}\n" if len(value) < 80 else ""
            return f".. py:data:: {name}\n   :module: {place}\n{shown}\n   {_comment(module, node.lineno)}".rstrip()
    raise ValueError(f"{module}: expected a definition of {name}, which stands in __all__, got none")


def _value(node, name):
    """What an assignment gives a name, as text; nothing where it does not mention the name."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=True))
        for one, value in pairs:
            if getattr(one, "id", None) == name:
                return ast.unparse(value)
    return ""


def _comment(module, line):
    """The comment above a line, which is what there is to say of a constant."""
    found = []
    for text in reversed(modules()[module].read_text(encoding="utf-8").splitlines()[: line - 1]):
        if not text.startswith("#"):
            break
        found.append(text.lstrip("#:").strip())
    return " ".join(reversed(found))
