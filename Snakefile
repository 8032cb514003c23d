# The pipeline: chapters through papermill, then the claims judged and the pages rendered.
#
#   make book                                       the usual way: calls `maxmin build`, which calls this file
#   snakemake --cores 2 --config profile=smoke      the same by hand
#   snakemake --profile slurm                       on a cluster: every chapter becomes a job; see slurm/config.yaml
#
# A chapter depends on its notebook, its parameters, the modules that it imports and the lock; what did not change is
# not run again.
import os
import sys
from pathlib import Path

import maxmin_core
from maxmin_core.book.chapters import PROFILES, all_chapters
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.results import code_files, seeds
from maxmin_core.lm.settings import SETTINGS

ROOT = Path(workflow.basedir)
PROFILE = config.get("profile", "cpu")
if PROFILE not in PROFILES:
    raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {PROFILE!r}")
OUT = f"_build/{PROFILE}"
CHAPTERS = {chapter.number: chapter for chapter in all_chapters(ROOT)}
PROSE = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "book").rglob("*")) if path.is_file()]
# Its steps run in the interpreter that runs the pipeline. The path stays out of the commands: a change of its spelling would
# run every chapter anew.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
# Large arrays stay with the process, instead of going back to the system and being zeroed anew at every step:
# about 6% of a run's time.
KEEP = "MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824"
MAXMIN = f"OMP_NUM_THREADS=1 {KEEP} PYTHONUNBUFFERED=1 python -m maxmin_core.cli"


def relative(path):
    return os.path.relpath(path, ROOT)


localrules: pages


rule pages:
    input:
        [f"{OUT}/notebooks/{chapter.path.name}" for chapter in CHAPTERS.values()],
        [f"{OUT}/metrics/{number}.json" for number in CHAPTERS],
        PROSE,
        ["_config.yml", "_toc.yml", "requirements.lock"],
        [relative(Path(maxmin_core.__file__).parent / name) for name in ("book/site.py", "book/claims.py")],
    output:
        # The pages are swapped in whole, outside of Snakemake's sight: it would delete them before it makes new ones.
        touch(f"{OUT}/.pages"),
    params:
        profile=PROFILE,
    shell:
        MAXMIN + " pages --profile {params.profile}"


# The language-model runs, for the chapters that show them. Their cache knows settings and code by itself: a rule whose
# inputs changed in a comment finds everything there and ends in seconds.
LM = code_files(find_profile(PROFILE))
RUNS = [(name, seed) for name in SETTINGS for seed in seeds(name, find_profile(PROFILE))]


def of_run(setting, seed):
    return f"{OUT}/lm/{SETTINGS[setting].slug}-{seed}"


def runs_of(chapter):
    return [of_run(*run) for run in RUNS] if chapter.needs_runs else []


rule lm_base:
    input:
        [relative(path) for path in LM],
        "requirements.lock",
    output:
        touch(f"{OUT}/lm/base"),
    params:
        profile=PROFILE,
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    shell:
        MAXMIN + " train --profile {params.profile} --setting base"


for setting, seed in RUNS:

    rule:
        name:
            f"lm_{SETTINGS[setting].slug}_{seed}".replace("-", "_")
        input:
            f"{OUT}/lm/base",
        output:
            touch(of_run(setting, seed)),
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


for chapter in CHAPTERS.values():

    rule:
        name:
            f"chapter_{chapter.number}"
        input:
            runs_of(chapter),
            relative(chapter.path),
            "requirements.lock",
            [relative(path) for path in chapter.dependencies()],
            relative(Path(maxmin_core.__file__).parent / "book/chapters.py"),
        output:
            f"{OUT}/notebooks/{chapter.path.name}",
            f"{OUT}/metrics/{chapter.number}.json",
        params:
            number=chapter.number,
            profile=PROFILE,
        threads: 1
        resources:
            mem_mb=3000,
            runtime=60,
        shell:
            MAXMIN + " run {params.number} --profile {params.profile}"
