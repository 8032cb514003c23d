import ast
import itertools
import subprocess
import sys

import pytest

from maxmin_core import _closure
from maxmin_core._closure import _plain, closure, files, fingerprint

_number = itertools.count()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write modules into a package of a name of its own, and return that name."""

    def write(**modules):
        name = f"small_package_{next(_number)}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        for module, text in modules.items():
            target = folder / module.replace("__", "/")
            target.parent.mkdir(exist_ok=True)
            (target.parent / "__init__.py").touch()
            target.with_suffix(".py").write_text(text)
        return name

    monkeypatch.syspath_prepend(tmp_path)
    return write


BEFORE = '''"""Text."""
import numpy as np

from .other import half

SIZE = 3


def f(x, *, rate=0.5):
    """Say one."""
    return np.exp(half(x)) * rate * SIZE
'''
OTHER = "def half(x):\n    return x / 2\n"


def fingerprint_of(package, text, other=OTHER, module="main"):
    return fingerprint(f"{package(main=text, other=other)}.{module}")


class TestClosure:
    def test_imports_are_followed_to_the_end(self, package):
        name = package(
            a="from . import b",
            b="def f():\n    from .c__d import g",
            c="",
            lonely="from . import a",
            **{"sub__inner": "from ..c import x"},
        )
        assert closure(f"{name}.sub.inner") == (f"{name}.c", f"{name}.sub.inner")
        assert closure(f"{name}.a") == (f"{name}.a", f"{name}.b")
        assert closure(f"{name}.lonely", f"{name}.c") == tuple(f"{name}.{m}" for m in ("a", "b", "c", "lonely"))

    def test_a_module_left_out_takes_along_what_only_it_imports(self, package):
        name = package(a="from . import b, c", b="from . import d", c="from . import e", d="", e="")
        assert closure(f"{name}.a", without=(f"{name}.b",)) == tuple(f"{name}.{m}" for m in ("a", "c", "e"))

    def test_the_face_of_a_wing_is_not_dragged_in(self):
        found = closure("maxmin_core.lm.train")
        assert "maxmin_core.alignment.welfare" in found
        assert not {"maxmin_core", "maxmin_core.alignment", "maxmin_core.lm", "maxmin_core.alignment.solution"} & set(
            found
        )
        # Named itself, a face stands for all that it shows.
        assert "maxmin_core.alignment.solution" in closure("maxmin_core.alignment")

    def test_the_closure_is_what_python_loads(self):
        # By another route: what a fresh interpreter has loaded, the faces that it runs on the way left out.
        # Frames are read where a function needs it: that import is in the closure, too.
        script = "import sys, maxmin_core.preferences.mixture, maxmin_core.preferences._frames; "
        script += "print(*[m for m in sys.modules if 'maxmin_core' in m])"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert set(closure("maxmin_core.preferences.mixture")) <= set(done.stdout.split())

    def test_unknown_modules_are_named(self):
        with pytest.raises(ValueError, match=r"^modules: expected modules of maxmin_core, got maxmin_core\.nothing"):
            closure("maxmin_core.navigation", "maxmin_core.nothing")

    def test_no_cache_is_left_behind(self, tmp_path):
        script = "from maxmin_core._closure import closure; closure('maxmin_core.navigation')"
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
        assert not list(tmp_path.iterdir())


class TestFiles:
    def test_data_that_a_module_or_a_package_reads(self, root):
        names = {path.relative_to(root / "maxmin_core").as_posix() for path in files("maxmin_core.data")}
        assert names >= {"data/__init__.py", "data/germanparties2009_comparisons.csv"}
        assert "data/NOTICE.md" not in names
        assert {"slider.js", "slider.css"} <= {path.name for path in files("maxmin_core.book.plots")}

    def test_data_count(self, package, tmp_path):
        found = []
        for text in ("1", "2", "2"):
            name = package(main='open("table.txt")')
            (tmp_path / name / "table.txt").write_text(text)
            (tmp_path / name / "nobody-s.txt").write_text(name)
            found.append(fingerprint(f"{name}.main"))
        assert found[0] != found[1] == found[2]


def test_a_tree_is_the_same_in_every_version_of_python():
    """New versions add fields to old nodes, empty where they are not used (type_params in 3.12)."""

    def parts(tree):
        yield tree
        for part in tree if isinstance(tree, list) else ():
            yield from parts(part)

    tree = _plain(ast.parse("def f(x):\n    return x\n"))
    assert not [part for part in parts(tree) if part is None or part == []]
    assert "type_params" not in [part[0] for part in parts(tree) if isinstance(part, list) and part]


class TestFingerprint:
    @pytest.mark.parametrize(
        "text",
        [
            BEFORE.replace("Say one.", "Say two."),
            BEFORE.replace("    return", "    # why\n\n    return"),
            BEFORE.replace('    """Say one."""\n', ""),
            BEFORE.replace("f(x, *, rate=0.5)", "f(x: float, *, rate: float = 0.5) -> float"),
            BEFORE.replace("SIZE = 3", "SIZE: int = 3"),
            BEFORE.replace("import numpy as np", "import numpy as np\nfrom numpy.typing import NDArray"),
            BEFORE.replace("from .other import half\n", "from .other import (\n    half,\n)\n"),
            BEFORE.replace("SIZE = 3", '__all__ = ["f"]\n\nSIZE = 3'),
            BEFORE.replace("SIZE = 3", "class Named(Protocol):\n    name: str\n\n\nSIZE = 3"),
            BEFORE.replace("SIZE = 3", "if TYPE_CHECKING:\n    from x import y\n\nSIZE = 3"),
        ],
        ids=[
            "docstring",
            "comment",
            "no docstring",
            "hints",
            "constant",
            "typing",
            "layout",
            "all",
            "protocol",
            "check",
        ],
    )
    def test_what_changes_no_number(self, package, text):
        assert text != BEFORE
        assert fingerprint_of(package, text) == fingerprint_of(package, BEFORE)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("rate=0.5", "rate=0.25"),
            ("rate=0.5", "rate"),
            ("*, rate", "rate"),
            ("SIZE = 3", "SIZE = 3.0"),
            ("SIZE = 3", "SIZE = True"),
            ("import numpy as np", "import torch as np"),
            ("import half", "import third as half"),
            ("* SIZE", "/ SIZE"),
            ("\ndef f", "\n@cache\ndef f"),
        ],
    )
    def test_what_changes_a_number(self, package, old, new):
        assert old in BEFORE
        assert fingerprint_of(package, BEFORE.replace(old, new)) != fingerprint_of(package, BEFORE)

    def test_a_change_in_an_imported_module_counts(self, package):
        assert fingerprint_of(package, BEFORE, OTHER.replace("2", "3")) != fingerprint_of(package, BEFORE)

    def test_a_definition_may_move_to_another_module(self, package):
        moved = BEFORE.replace("from .other import half\n", "from .third import half\n")
        one = fingerprint_of(package, BEFORE)
        assert fingerprint(f"{package(main=moved, third=OTHER, other='')}.main") == one
        # And the modules may have other names, in another folder.
        deeper = BEFORE.replace("from .other import half\n", "from .deep.down import half\n")
        assert fingerprint(f"{package(begin=deeper, **{'deep__down': OTHER})}.begin") == one

    @pytest.mark.parametrize(
        ("body", "same"),
        [
            ("a: 'float'\n    b: int = 2", True),
            ("a: float\n    b: int = 3", False),
            ("b: int = 2\n    a: float", False),
            ("a: float\n    c: int = 2", False),
            ("a: float\n    b = 2", False),
            ("a: float\n    b: ClassVar[int] = 2", False),
        ],
    )
    def test_fields_of_a_dataclass(self, package, body, same):
        def text(body):
            return f"@dataclass\nclass Point:\n    {body}\n"

        one = fingerprint_of(package, text("a: float\n    b: int = 2"))
        assert (fingerprint_of(package, text(body)) == one) is same

    def test_every_module_of_ours_can_be_named(self):
        # And a fingerprint of a syntax tree without annotations is one of code that still parses.
        everything = closure(*_closure._imports("maxmin_core"))
        assert len(everything) > 50 and fingerprint(*everything) == fingerprint(*reversed(everything))
        for module in everything:
            assert ast.unparse(ast.fix_missing_locations(_closure._Numbers().visit(_closure._tree(module)))) is not None


def test_names_of_what_was_cached_are_as_ever(package):
    """A fingerprint that is taken otherwise finds none of the runs that were made, and trains them all anew."""
    one = package(main=BEFORE, other=OTHER)
    assert fingerprint(f"{one}.main") == "496589d6ae7eb653"
    two = package(main=BEFORE + EVERY, other=OTHER)
    assert fingerprint(f"{two}.main") == "638b840971910b77"
    # Without a module the rest has another name.
    assert fingerprint(f"{two}.main", without=(f"{two}.other",)) == "52ca74ac20e970f0"


# Whatever a name is taken of, once each.
EVERY = """
import json
import os.path
from dataclasses import dataclass as made
from .other import half as halved

__all__ = ["f"]
__all__ += ["g"]
SIZE += 1
WIDE: float = 2.5
NAMED: "TypeAlias" = int
if TYPE_CHECKING:
    from x import y
if SIZE:
    WIDE = halved(os.path.sep, json)


@made
class A(B):
    "Text."
    a: int
    b: "ClassVar[int]" = 2
    c: "list[int]" = None

    async def f(self, x: int = 1) -> int:
        "Text."
        return (u"x", 1.0, 1, True, None, b"y", -x ** 2, [x for x in self if x])

    @overload
    def g(self): ...


class P(Protocol[int]):
    a: int
"""


class TestClosureOfNothing:
    def test_no_modules(self):
        assert closure() == () and files() == ()

    def test_what_is_left_out_has_to_be_there(self):
        with pytest.raises(
            ValueError, match=r"^modules: expected modules of maxmin_core, got maxmin_core\.x, maxmin_core\.y$"
        ):
            closure("maxmin_core.y", without=("maxmin_core.x",))
        assert closure("maxmin_core.intervals", without=("maxmin_core.intervals",)) == ()

    def test_data_of_a_folder_belong_to_its_face(self, package, tmp_path):
        name = package(main="", sub__inner="")
        for kind in ("csv", "json", "yml", "md", "txt"):
            (tmp_path / name / "sub" / f"a.{kind}").write_text("x")
            (tmp_path / name / f"b.{kind}").write_text("x")
        (tmp_path / name / "sub" / "deep.csv").mkdir()
        found = [path.name for path in files(f"{name}.sub")]
        assert found == ["__init__.py", "a.csv", "a.json", "a.yml"]
        # Not to a module beside, nor to the package as a whole.
        assert [path.name for path in files(f"{name}.sub.inner", name)] == ["__init__.py", "inner.py"]
