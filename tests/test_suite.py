"""What holds of the tests themselves."""

import ast


def test_only_methods_take_self(root):
    # A fixture that left its class and kept `self` fails where it is first asked for: among the slow tests.
    for path in (root / "tests").rglob("*.py"):
        functions = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef) and n.args.args]
        assert not [n.name for n in functions if n.args.args[0].arg in ("self", "cls")], path


def test_what_is_called_slow_exists(root):
    table = next(
        node.value
        for node in ast.parse((root / "tests/conftest.py").read_text()).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "SLOW"
    )
    tests = "\n".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    assert not [name for name in ast.literal_eval(table) if f"def {name}(" not in tests]
