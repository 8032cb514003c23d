"""The command line: run a chapter, build the book, report its claims, check a notebook."""

import argparse
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from . import __version__
from ._files import write_whole
from ._places import writable
from .audit.commands import add_audit
from .book import require_book
from .book.chapters import all_chapters, find_chapter, find_root, read_metrics
from .book.claims import PROFILES
from .book.commands import add_print, add_results
from .book.printing import PrintError
from .book.progress import follow
from .book.running import QUIET, ChapterError, execute, hardware, run
from .book.site import SiteError, judge_runs, render, whereabouts
from .course.commands import add_course
from .course.commands import check as check_assignment
from .lm import require_lm

__all__ = ["main"]

# No chapter runs under the last two: they are for the language models alone.
_OF_MODELS = (*PROFILES, "pretrained", "pretrained-gpu")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, such as ``maxmin run 01``.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands behind the program's name; default: what this process was called with.

    Returns
    -------
    int
        The exit status: 0 done, 1 failed, 130 interrupted. A command that was called wrongly, and ``--help``, end the
        process.

    Examples
    --------
    >>> main(["check", "nowhere.ipynb"])
    1
    """
    options = _parser().parse_args(arguments)
    try:
        status = options.command(options) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Who reads has seen enough, as in `maxmin report | head`. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ChapterError, PrintError, SiteError, ValueError, OSError) as error:
        # Further lines are indented: the build passes them on as part of this error.
        print(f"maxmin: error: {error}".replace("\n", "\n  "), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("maxmin: interrupted; what was finished is kept, run the same command again to go on", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="maxmin", description="The MaxMin-RLHF companion: run, build, report, check.")
    parser.add_argument("--version", action="version", version=f"maxmin {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=function)
        return sub

    def with_profile(sub, choices=PROFILES):
        sub.add_argument("--profile", choices=choices, default="cpu", help="how much to compute (default: cpu)")

    def with_model(sub):
        sub.add_argument("--model", help="another model than the profile's: of the hub, or its folder")
        sub.add_argument("--revision", help="the model's commit on the hub")

    def with_base(sub):
        sub.add_argument("--base-bf16", action="store_true", help="keep the policy's frozen base in 16 bits; no vLLM")
        sub.add_argument("--groups", type=int, metavar="N", help="how many groups EM looks for where no data name them")

    def with_seed(sub):
        sub.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0, the book's)")

    def with_solutions(sub):
        sub.add_argument("--without-solutions", action="store_true", help="leave solutions of exercises out")

    sub = command(
        "run",
        _run,
        "Execute one chapter; keep its notebook, metrics and log under _build/PROFILE, or PROFILE-seedN.",
    )
    sub.add_argument("chapter", help="its number, such as 01")
    with_profile(sub)
    with_seed(sub)
    sub = command("build", _build, "Run what changed, judge the claims, render the pages; make book calls this.")
    with_profile(sub)
    sub.add_argument("--cores", type=int, default=2, help="chapters at a time (default: 2)")
    sub.add_argument("--nolock", action="store_true", help="where the file system has no locks: start no second build")
    with_solutions(sub)
    sub = command("train", _train, "Train the policies of the language-model experiment; resumes what was interrupted.")
    with_profile(sub, _OF_MODELS)
    sub.add_argument(
        "--setting", default="80:20", help="who the annotators are (default: 80:20); 'base': no policy yet"
    )
    sub.add_argument("--seed", type=int, default=20, help="of annotators and training (default: 20, the first)")
    sub.add_argument("--method", action="append", help="train only this, such as maxmin or single@0.4; repeatable")
    sub.add_argument("--all", action="store_true", help="every setting, method and seed of the book")
    sub.add_argument("--steps", type=int, help="train so many steps instead, to see whether it runs")
    sub.add_argument("--vllm", action="store_true", help="draw the training's texts by vLLM, where it is installed")
    sub.add_argument("--fsdp", action="store_true", help="divide the policy among the processes, under torchrun")
    sub.add_argument("--data", metavar="NAME=PATH", help="people's comparisons: personas=FOLDER, or your own: own=FILE")
    sub.add_argument("--group", metavar="COLUMN", help="which column of other data names a person's group")
    sub.add_argument("--people", metavar="FILE", help="a table of the people, where the group's column stands in one")
    with_model(sub)
    with_base(sub)
    sub.add_argument("--judge", metavar="ADDRESS", help="a model that judges, such as http://localhost:8000/v1")
    sub.add_argument("--judge-model", default="default", help="its name there (a key: MAXMIN_JUDGE_KEY)")
    sub.add_argument("--wish", action="append", metavar="GROUP=TEXT", help="what a group wants, for the judge")
    sub = command("study", _study, "Record a study in book/studies, hours on two cores; resumes what was interrupted.")
    sub.add_argument("name", help="such as rivals; another profile than its own records beside that one's runs")
    sub.add_argument("--profile", choices=_OF_MODELS, help="how much to compute (default: as the study says)")
    sub.add_argument("--cores", type=int, default=2, help="runs at a time (default: 2)")
    sub.add_argument("--rerun", action="store_true", help="make one run again, drawn by the commit, and compare it")
    sub = command("plan", _plan, "Say what a profile will need: parameters, memory, tokens, steps; nothing is run.")
    with_profile(sub, _OF_MODELS)
    sub.add_argument("--gpus", type=int, default=1, help="how many share every batch (default: 1)")
    sub.add_argument("--memory", type=float, metavar="GIB", help="of a card: exit with 1 where something does not fit")
    sub.add_argument("--vllm", action="store_true", help="as for train: vLLM keeps three tenths of the card")
    sub.add_argument("--fsdp", action="store_true", help="as for train: the policy is divided among the GPUs")
    with_model(sub)
    with_base(sub)
    sub = command("pages", _pages, "Render the pages from the executed chapters; the pipeline calls this.")
    with_profile(sub)
    with_solutions(sub)
    sub = command("print", None, "Make a PDF, an ePub or slides of the pages; make pdf, make epub, make slides.")
    add_print(sub)
    sub = command("results", None, "Pack the runs that chapter 8 shows into one file, or open such a file.")
    add_results(sub)
    sub = command("report", _report, "Print every claim of the book beside what the last run found.")
    with_profile(sub)
    with_seed(sub)
    sub.add_argument(
        "--json", action="store_true", help="a list of objects with id, statement, value, expected, status"
    )
    sub = command("data", _data, "Fetch a data set that is not part of the project, once, and check it.")
    sub.add_argument("name", choices=["llmfao"], help="llmfao: votes on answers of language models, 1.2 MB, CC BY 4.0")
    sub = command("audit", None, "Audit a table of votes: is one reward enough, who is served, what is unknown.")
    add_audit(sub)
    sub = command(
        "check",
        _check,
        "Execute a notebook from top to bottom in a fresh kernel and say where it fails. What ran until then is then "
        "written beside it, as NAME.failed.ipynb.",
    )
    sub.add_argument("notebook", type=Path, help="the notebook; it is not changed")
    with_profile(sub)
    sub.add_argument("--assignment", metavar="aN", help="an assignment of yours: what its public checks say, by task")
    sub = command("course", None, "Set assignments and grade them: new, release, grade, export.")
    add_course(sub)
    return parser


def _run(options):
    root = find_root()
    chapter = find_chapter(root, options.chapter)
    require_book()
    if chapter.needs_runs:
        require_lm()
    folder = _folder(root, options.profile, options.seed)
    _say(f"[{chapter.number}] {chapter.title}: running ({options.profile}, seed {options.seed})")
    metrics = run(chapter, options.profile, folder, options.seed)
    _say(f"[{chapter.number}] done in {metrics['seconds']} s, {len(metrics['claims'])} claims recorded")


def _pages(options):
    root = find_root()
    _say("[pages] rendering")
    page = render(root, _folder(root, options.profile), solutions=not options.without_solutions)
    _say(f"[pages] done: {page.relative_to(root)}")


def _train(options):
    require_lm()
    os.environ |= QUIET | ({"TQDM_DISABLE": "0"} if sys.stderr.isatty() else {})
    warnings.simplefilter("ignore", FutureWarning)
    # torch takes seconds to import: only here.
    from .lm.commands import train_runs

    train_runs(options, find_root(), _say)


# A run made again lies farther from the recorded ones about once in five thousand times.
_FAR = 4.0


def _study(options):
    require_lm()
    from .lm.recording import record_study, rerun
    from .lm.studies import find_study

    study, root = find_study(options.name), find_root()
    profile = options.profile or study.profile
    book = root / "book" if profile == study.profile else _folder(root, profile)
    runs = root / "_build" / "lm"
    if options.rerun:
        made, far = rerun(study, profile, runs, book, commit=_git("rev-parse", "HEAD"))
        said = f"[{study.name}] made again: {made['method']}, {made['label']}, seed {made['seed']}"
        _say(f"{said}: {far:.1f} standard deviations from the recorded runs of its kind")
        return int(far > _FAR)
    changed = _git("status", "--porcelain", "--", "maxmin_core", "requirements.lock")
    about = {
        "command": f"maxmin study {study.name} --profile {profile}",
        # What is not committed is no commit's.
        "commit": _git("rev-parse", "HEAD") + (" and changes" if changed else ""),
        "lock": hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest()[:16],
        "machine": hardware(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }
    path = record_study(study, profile, runs, book, about=about, processes=options.cores, say=_say)
    _say(f"recorded in {path.relative_to(root)}")


def _git(*arguments):
    """Return what git says, or "unknown" outside of a repository."""
    done = subprocess.run(["git", *arguments], cwd=find_root(), capture_output=True, text=True, check=False)
    return "unknown" if done.returncode else done.stdout.strip()


def _plan(options):
    require_lm()
    from .lm.commands import say_plan

    return int(not say_plan(options, _say))


def _build(options):
    root = find_root()
    folder = _folder(root, options.profile)
    require_book()
    if any(chapter.needs_runs for chapter in all_chapters(root)):
        require_lm()
    if options.cores < 1:
        raise ValueError(f"cores: expected at least 1, got {options.cores}")
    if not (root / "requirements.lock").is_file():
        raise ValueError("requirements.lock: expected the lock file beside the Makefile, got none; restore it from git")
    with _only_one(folder, not options.nolock) as lock:
        # Snakemake's own lock outlives a killed run; ours ends with the last process that holds it, the pipeline's
        # included. Two chapters share two cores: each kernel keeps to one thread.
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(root)]
        command += ["--cores", str(options.cores), "--config", f"profile={options.profile}"]
        command += ["rerun=1"] * ("CI" in os.environ) + ["solutions=no"] * options.without_solutions
        command += ["--nolock", "--rerun-incomplete", "--keep-going", "--quiet", "host", "reason", "rules"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=environment, pass_fds=[lock], **piped) as pipeline:
            told = follow(pipeline, folder / "logs" / "build.log")
        if pipeline.returncode:
            logs = folder / "logs"
            with write_whole(logs / "pipeline.log") as partial:
                partial.write_text("".join(told), encoding="utf-8")
            if not any(line.startswith("maxmin: error") for line in told):
                print("".join(told[-20:]), file=sys.stderr, end="")
            _say(f"the build failed; logs are in {logs.relative_to(root)}")
            return 1
    judged = judge_runs(root, folder)
    due = judged[~judged["status"].str.startswith("not run")]
    _say(f"{len(due)} of {len(judged)} claims were due, and hold as the ledger says")
    _say(f"the book: {whereabouts(folder, solutions=not options.without_solutions)}")


def _report(options):
    root = find_root()
    folder = _folder(root, options.profile, options.seed)
    if not read_metrics(folder):
        raise ValueError(f"profile {options.profile}: nothing was run yet; call `make book` or `maxmin run` first")
    rows = judge_runs(root, folder).to_dict("records")
    if options.json:
        print(json.dumps(rows, indent=1, allow_nan=False))
        return
    for row in rows:
        value = "-" if row["value"] is None else f"{row['value']:.4g}"
        print(f"{row['status']:<14} {row['id']:<34} {value:>10}  {row['expected']:<26} {row['statement']}")


def _data(options):
    from .data import fetch_llmfao

    _say(f"[{options.name}] {fetch_llmfao(_say)}")


def _check(options):
    if not options.notebook.is_file():
        raise ValueError(f"notebook: expected a file, got {options.notebook}")
    if options.assignment:
        return check_assignment(options.notebook, options.assignment)
    source = options.notebook.resolve()
    with tempfile.TemporaryDirectory() as folder:
        target, log = Path(folder) / "executed.ipynb", Path(folder) / "log"
        kept = source.with_suffix(".failed.ipynb")
        execute(source, target, parameters={"profile": options.profile}, log=log, failed=kept)
    _say(f"{source.name}: every cell ran")


def _folder(root, profile, seed=0):
    # Another seed than the book's has a folder of its own, and never gets into the pages.
    return root / "_build" / (f"{profile}-seed{seed}" if seed else profile)


def _say(line):
    print(line, flush=True)


@contextmanager
def _only_one(folder, locked):
    """Hold the build's lock and yield its descriptor; the system frees it when the processes end, however they do."""
    import fcntl

    writable(folder, "results")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        try:
            if locked:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{folder}: another build is running there; wait for it to end") from error
        except OSError as error:
            raise ValueError(
                f"{folder}: expected a file system with locks, which keep two builds apart, got {error.strerror}; "
                "call maxmin build --nolock, and start no second build there"
            ) from error
        yield file.fileno()


if __name__ == "__main__":
    sys.exit(main())
