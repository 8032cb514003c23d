"""Where the package's public names are defined: a chapter depends on those places, the reference shows them."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# The package that this module belongs to.
PACKAGE = __name__.partition(".")[0]


@cache
def modules():
    """Return the package's modules, private ones and faces included: dotted name to file, sorted."""
    folder = Path(find_spec(PACKAGE).origin).parent
    paths = sorted(folder.rglob("*.py"))
    names = (".".join((PACKAGE, *path.relative_to(folder).with_suffix("").parts)) for path in paths)
    return dict(sorted(zip((name.removesuffix(".__init__") for name in names), paths, strict=True)))


@cache
def tree(module):
    """Return the syntax tree of a module."""
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def exports(module):
    """Return the names in `__all__` of a module, in order; none where it has no such list."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", None) == "__all__" for target in node.targets):
            return ast.literal_eval(node.value)
    return []


def home(module, name):
    """Return the module that defines what `from module import name` gives: faces that re-export it are followed."""
    if f"{module}.{name}" in modules():
        return f"{module}.{name}"
    return home(*_taken(module)[name]) if name in _taken(module) else module


def showroom(module, name):
    """Return the last public module on the way from `module` to the one that defines the name."""
    while name in _taken(module) and is_public(_taken(module)[name][0]):
        module, name = _taken(module)[name]
    return module


def is_public(module):
    """Tell whether no part of a module's name begins with an underscore."""
    return "._" not in module


def imported(code):
    """Return the modules of the package that define what a syntax tree of Python imports, sorted."""
    found = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in modules() and not node.level:
            found |= {home(node.module, alias.name) for alias in node.names}
    # What does not exist stops the chapter at the cell that asks for it.
    return tuple(sorted(found & set(modules())))


@cache
def _taken(module):
    """What a module takes from others of the package: its name there to (module, name)."""
    found = {}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and (source := _source(module, node)) in modules():
            found |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
    return found


def _source(module, node):
    """The module that an import statement in `module` takes names from."""
    parts = module.split(".") if modules()[module].name == "__init__.py" else module.split(".")[:-1]
    return (
        ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])]) if node.level else node.module
    )
