# The pipeline: chapters through papermill, then the claims judged and the pages rendered.
#
#   make book                                       the usual way: calls `maxmin build`, which calls this file
#   snakemake --cores 2 --config profile=smoke      the same by hand
#   snakemake --profile slurm                       on a cluster: every chapter becomes a job; see slurm/config.yaml
#
# A chapter depends on its notebook, its parameters, the code behind what it imports, its runs and the lock. What code made a
# result stands in the name of one of its outputs (`made_by`): another code, another name, so that what did not change is not run
# again, and comments, docstrings and import lines count for nothing.
import os
import sys
from pathlib import Path

from maxmin_core._closure import fingerprint
from maxmin_core.book import site
from maxmin_core.book.chapters import all_chapters
from maxmin_core.book.claims import PROFILES
from maxmin_core.book.reference import documented
from maxmin_core.book.running import made_by
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.results import base_folder, run_folder, seeds
from maxmin_core.lm.settings import SETTINGS
from maxmin_core.lm.studies import STUDIES

ROOT = Path(workflow.basedir)
PROFILE = config.get("profile", "cpu")
if PROFILE not in PROFILES:
    raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {PROFILE!r}")
OUT = f"_build/{PROFILE}"
# `make book SOLUTIONS=no`: pages of their own, beside the others.
WITHOUT = config.get("solutions", "yes") == "no"
CHAPTERS = {chapter.number: chapter for chapter in all_chapters(ROOT)}
MADE = {number: str(made_by(chapter, Path(OUT))) for number, chapter in CHAPTERS.items()}
PROSE = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "book").rglob("*")) if path.is_file()]
# Their pages show the students' versions.
ASSIGNMENTS = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "notebooks" / "assignments").glob("a*.ipynb"))]
# Recorded studies, of which CI makes one run each again; those of a GPU it cannot.
RECORDED = [n for n, s in STUDIES.items() if s.profile == "cpu" and (ROOT / "book" / "studies" / f"{n}.json").exists()]
AGAIN = RECORDED if PROFILE == "cpu" and config.get("rerun") else []
# Its steps run in the interpreter that runs the pipeline. The path stays out of the commands: a change of its spelling would
# run every chapter anew.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
# Large arrays stay with the process, instead of going back to the system and being zeroed anew at every step:
# about 6% of a run's time.
KEEP = "MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824"
MAXMIN = f"OMP_NUM_THREADS=1 {KEEP} PYTHONUNBUFFERED=1 python -m maxmin_core.cli"


localrules: pages


rule pages:
    input:
        [f"{OUT}/notebooks/{chapter.path.name}" for chapter in CHAPTERS.values()],
        [f"{OUT}/metrics/{number}.json" for number in CHAPTERS],
        MADE.values(),
        [f"{OUT}/studies/{name}" for name in AGAIN],
        PROSE,
        ASSIGNMENTS,
        ["_config.yml", "_toc.yml", "requirements.lock"],
    output:
        # The pages are swapped in whole, outside of Snakemake's sight: it would delete them before it makes new ones.
        touch(f"{OUT}/.pages{site.SUFFIX if WITHOUT else ''}"),
    params:
        profile=PROFILE,
        # The second is called by Sphinx.
        code=fingerprint(site.__name__, "maxmin_core.book._cards"),
        reference=documented(),
        without="--without-solutions" if WITHOUT else "",
    shell:
        MAXMIN + " pages --profile {params.profile} {params.without}"


# The language-model runs, for the chapters that show them. Their cache knows settings, code and libraries by itself, and names
# every run by them.
RUNS, BASE = {}, ""
if any(chapter.needs_runs for chapter in CHAPTERS.values()):
    profile = find_profile(PROFILE)
    BASE = f"{OUT}/lm/{base_folder(profile, OUT).name}"
    for setting in SETTINGS:
        for seed in seeds(setting, profile):
            RUNS[setting, seed] = f"{OUT}/lm/{SETTINGS[setting].slug}-{run_folder(setting, profile, OUT, seed=seed).name}"


if RUNS:

    rule lm_base:
        output:
            touch(BASE),
        params:
            profile=PROFILE,
        threads: 1
        resources:
            mem_mb=3000,
            runtime=60,
        shell:
            MAXMIN + " train --profile {params.profile} --setting base"


for (setting, seed), done in RUNS.items():

    rule:
        name:
            f"lm_{SETTINGS[setting].slug}_{seed}".replace("-", "_")
        input:
            BASE,
        output:
            touch(done),
        params:
            setting=setting,
            seed=seed,
            profile=PROFILE,
        threads: 1
        resources:
            mem_mb=3000,
            runtime=60,
        shell:
            MAXMIN + " train --profile {params.profile} --setting '{params.setting}' --seed {params.seed}"


for study in AGAIN:

    rule:
        name:
            f"study_{study}"
        input:
            BASE,
            f"book/studies/{study}.json",
        output:
            touch(f"{OUT}/studies/{study}"),
        params:
            study=study,
        threads: 1
        resources:
            mem_mb=3000,
            runtime=60,
        shell:
            MAXMIN + " study {params.study} --rerun"


for chapter in CHAPTERS.values():

    rule:
        name:
            f"chapter_{chapter.number}"
        input:
            list(RUNS.values()) if chapter.needs_runs else [],
            str(chapter.path.relative_to(ROOT)),
            "requirements.lock",
        output:
            f"{OUT}/notebooks/{chapter.path.name}",
            f"{OUT}/metrics/{chapter.number}.json",
            MADE[chapter.number],
        params:
            number=chapter.number,
            profile=PROFILE,
        threads: 1
        resources:
            mem_mb=3000,
            runtime=60,
        shell:
            MAXMIN + " run {params.number} --profile {params.profile}"
