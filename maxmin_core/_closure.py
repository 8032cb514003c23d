"""What code a result depends on: the modules that are imported, directly or not, and a fingerprint of what they define.

A fingerprint names a cached result. It changes with everything that can change a number, and with nothing else:
docstrings, comments, layout, annotations, the package's own import lines, and where in the closure a definition stands
do not count, so that tidying up trains nothing anew. What it cannot see: two definitions of one name in two modules
that change places.
"""

import ast
import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["closure", "files", "fingerprint"]

# Data that belong to a package as a whole; other files count where a module names them.
_DATA = (".csv", ".json", ".yml")


def closure(*modules: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the modules of a package that these import, directly or not, themselves included, sorted.

    A face (an ``__init__`` that re-exports) counts where it is imported by name, not where a module behind it is.

    Parameters
    ----------
    *modules : str
        Dotted names, all of one package, such as ``maxmin_core.lm.train``.
    without : tuple of str
        Modules to leave out, and with them what only they import.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        On a module that the package does not have.

    Examples
    --------
    >>> closure("maxmin_core.alignment.calibration")
    ('maxmin_core._validation', 'maxmin_core.alignment.calibration')
    """
    imports = _imports(modules[0].partition(".")[0]) if modules else {}
    if unknown := sorted({*modules, *without} - set(imports)):
        raise ValueError(f"modules: expected modules of {modules[0].partition('.')[0]}, got {', '.join(unknown)}")
    found: set[str] = set()
    pending = set(modules) - set(without)
    while pending:
        found |= pending
        pending = set().union(*(imports[name] for name in pending)) - found - set(without)
    return tuple(sorted(found))


def files(*modules: str, without: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """Return the files of a closure, sorted: its modules, and the data that they read.

    Data are the .csv, .json and .yml files in the folder of a package, and any file beside a module whose name stands
    in it as a string.

    Parameters
    ----------
    *modules : str
        Dotted names, all of one package.
    without : tuple of str
        Modules to leave out, and with them what only they import.

    Returns
    -------
    tuple of Path

    Raises
    ------
    ValueError
        On a module that the package does not have.

    Examples
    --------
    >>> [path.name for path in files("maxmin_core.intervals")]
    ['_validation.py', 'intervals.py']
    """
    found: set[Path] = set()
    for module in closure(*modules, without=without):
        found |= {_path(module), *_data(module)}
    return tuple(sorted(found))


@cache
def fingerprint(*modules: str, without: tuple[str, ...] = ()) -> str:
    """Return a short name for what the modules of a closure define, and for the data that they read.

    The files are read once a process: what was imported does not change either.

    Parameters
    ----------
    *modules : str
        Dotted names, all of one package.
    without : tuple of str
        Modules to leave out, and with them what only they import.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Raises
    ------
    ValueError
        On a module that the package does not have.

    Examples
    --------
    >>> len(fingerprint("maxmin_core.intervals"))
    16
    """
    parts: set[str] = set()
    for module in closure(*modules, without=without):
        parts.update(_definitions(_tree(module)))
        parts.update(hashlib.sha256(path.read_bytes()).hexdigest() for path in _data(module))
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


@cache
def _imports(package):
    """The package's modules, each with those that it imports."""
    # It takes a tenth of a second to import, and only who asks for a closure needs it.
    import grimp

    # Without a cache no folder is left behind where the process was started.
    graph = grimp.build_graph(package, cache_dir=None, exclude_type_checking_imports=True)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


@cache
def _path(module):
    return Path(find_spec(module).origin)


def _tree(module):
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _data(module):
    path = _path(module)
    named = {node.value for node in ast.walk(_tree(module)) if isinstance(node, ast.Constant)}
    whole = path.name == "__init__.py" and "." in module
    return {
        beside
        for beside in path.parent.iterdir()
        if beside.is_file()
        and beside.suffix != ".py"
        and ((whole and beside.suffix in _DATA) or (beside.name in named))
    }


def _definitions(tree):
    """Yield one text for everything that a module defines or does, and for what it takes from other libraries."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    package = _Numbers().visit(tree)
    used = {node.id for node in ast.walk(package) if isinstance(node, ast.Name)}
    for node in imports:
        source = getattr(node, "module", None) or ""
        inside = getattr(node, "level", 0) or source.partition(".")[0] == __name__.partition(".")[0]
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            # An import that only annotations use carries no number; one of ours counts where it renames.
            if bound in used and (not inside or alias.asname not in (None, alias.name)):
                yield json.dumps(["import", "" if inside else source, alias.name, bound])
    for node in package.body:
        yield json.dumps(_plain(node))


class _Numbers(ast.NodeTransformer):
    """Take away what changes no number: imports, annotations, texts that are statements, names for the type checker."""

    def _nothing(self, node):
        return None

    visit_Import = visit_ImportFrom = _nothing

    def visit_Expr(self, node):
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Assign(self, node):
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return None if "__all__" in names else self.generic_visit(node)

    def visit_AugAssign(self, node):
        return None if getattr(node.target, "id", None) == "__all__" else self.generic_visit(node)

    def visit_If(self, node):
        return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)

    def visit_FunctionDef(self, node):
        if any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list):
            return None
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_ClassDef(self, node):
        bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
        if "Protocol" in bases:
            return None
        # Fields of a dataclass: which, in what order, with which defaults. A variable of the class is none.
        for field in node.body:
            if isinstance(field, ast.AnnAssign):
                kind = ast.unparse(field.annotation)
                field.annotation = ast.Constant(next((k for k in ("ClassVar", "InitVar", "KW_ONLY") if k in kind), ""))
                field.simple = 2
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        if node.simple == 2:
            return node if node.value is None else self.generic_visit(node)
        if node.value is None or "TypeAlias" in ast.unparse(node.annotation):
            return None
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value))


def _plain(node):
    """A syntax tree as lists, the same in every version of Python that can read the code."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return [type(node).__name__, *([name, _plain(value)] for name, value in fields if name != "kind")]
    return [_plain(part) for part in node] if isinstance(node, list) else repr(node)
