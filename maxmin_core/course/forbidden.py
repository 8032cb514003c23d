"""Names of the book's code that an assignment does not allow, because they are its answer."""

import ast
from collections.abc import Sequence
from fnmatch import fnmatch

__all__ = ["forbidden_names"]


def forbidden_names(source: str, forbidden: Sequence[str]) -> list[str]:
    """Return the forbidden names that a cell takes from the package, or from another one that is forbidden.

    It reads the imports and what is reached through them, so that ``np.linalg.solve`` is not taken for the book's
    ``solve``. It is a reminder, no wall: whoever hides a name from it has decided to cheat.

    Parameters
    ----------
    source : str
        The cell. Where it is no Python, nothing is found.
    forbidden : sequence of str
        Names of functions, modules or packages; ``*`` stands for anything.

    Returns
    -------
    list of str
        Each once, in the order of the text.

    Examples
    --------
    >>> forbidden_names("from maxmin_core import solve as s\\nimport choix", ["solve", "choix"])
    ['solve', 'choix']
    >>> forbidden_names("import numpy as np\\nnp.linalg.solve(a, b)", ["solve"])
    []
    """
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError):
        return []
    found: list[str] = []

    def meet(parts):
        for part in parts:
            if any(fnmatch(part, pattern) for pattern in forbidden) and part not in found:
                found.append(part)

    ours, star = set(), False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "maxmin_core":
                    ours.add(alias.asname or parts[0])
                    meet(parts[1:])
                else:
                    meet(parts[:1])
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "maxmin_core":
                meet([*parts[1:], *(alias.name for alias in node.names)])
                ours |= {alias.asname or alias.name for alias in node.names}
                star |= any(alias.name == "*" for alias in node.names)
            else:
                meet(parts[:1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts, inner = [node.attr], node.value
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in ours:
                meet(reversed(parts))
        elif star and isinstance(node, ast.Name):
            meet([node.id])
    return found
