"""From a source to the notebook that students get: nbgrader's own steps, with a stub that names its task."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

from .folder import Course
from .sources import TEXT_STUB, code_stub

__all__ = ["configure", "release", "require_nbgrader"]


def require_nbgrader() -> None:
    """Make nbgrader ready; raise ValueError, with the remedy, where it is not installed."""
    if importlib.util.find_spec("nbgrader") is None:
        raise ValueError("nbgrader: expected to be installed; call pip install 'maxmin-core[course]'")
    import nbgrader.api
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from nbgrader.dbutil import _temp_alembic_ini

    def newest() -> str:
        with _temp_alembic_ini("sqlite://") as path:
            return ScriptDirectory.from_config(Config(path)).get_current_head() or ""

    # nbgrader asks for the version of its tables in a process of its own: ten seconds, and alembic has to be found.
    nbgrader.api.get_alembic_version = newest


def configure(config: Any) -> None:
    """Tell nbgrader what it needs to know: a course's ``nbgrader_config.py`` calls this.

    Parameters
    ----------
    config : traitlets.config.Config
        What to add to. The course's folder is the current one, unless it says another.
    """
    from nbgrader.converters.generate_assignment import GenerateAssignment
    from nbgrader.preprocessors import ClearSolutions

    class NamedStubs(ClearSolutions):
        """Put the task's name into the stub."""

        def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> Any:
            """Clear one cell."""
            name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            self.code_stub = {"python": code_stub(name)}
            return super().preprocess_cell(cell, resources, cell_index)

    # Asked for by its attribute, a value that is not set would be a promise of one, which is true.
    root = Path(config.CourseDirectory.get("root") or Path.cwd())
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.course_id = Course(root).about["course_id"]
    steps = GenerateAssignment.preprocessors.default_args[0]
    config.GenerateAssignment.preprocessors = [NamedStubs if step is ClearSolutions else step for step in steps]
    config.ClearSolutions.text_stub = TEXT_STUB
    config.OverwriteCells.add_missing_cells = True
    config.Execute.timeout = 60


def release(course: Course, name: str, out: Path | None = None) -> Path:
    """Make the students' notebook, and tell nbgrader's gradebook about it.

    Parameters
    ----------
    course : Course
        Whose.
    name : str
        The assignment, such as ``"a1"``.
    out : Path, optional
        A folder that gets a copy.

    Returns
    -------
    Path
        The students' notebook.

    Raises
    ------
    ValueError
        Where the source breaks a rule, or cells were added or removed after submissions were graded.
    """
    require_nbgrader()
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    assignment = course.assignment(name)
    # The source stays, solutions and all: the formgrader lists the assignments whose source it finds.
    source = course.folder / "source" / name
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    shutil.copy(assignment.path, source)
    config = Config()
    config.CourseDirectory.root = str(course.folder)
    configure(config)
    done = NbGraderAPI(config=config).generate_assignment(name, force=True, create=True)
    if not done["success"]:
        raise ValueError(f"{name}: nbgrader made no release:\n{done.get('log') or done.get('error')}")
    path = course.folder / "release" / name / assignment.path.name
    released = path.read_text(encoding="utf-8")
    # Two routes to one notebook, and neither may leave a solution in it.
    if "SOLUTION" in released or _sources(json.loads(released)) != _sources(assignment.student()):
        path.unlink()
        raise ValueError(f"{name}: nbgrader's release is not the source without its solutions; are markers unusual?")
    if out is None:
        return path
    out.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(path, out))


def _sources(notebook):
    return ["".join(cell["source"]).strip() for cell in notebook["cells"]]
