"""The job files: run by bash with commands that only note how they were called, which our own parser then reads."""

import os
import subprocess
from pathlib import Path

import pytest

from maxmin_core import cli

SLURM = Path(__file__).parents[2] / "slurm"
NOTES = '#!/bin/bash\nprintf "%s\\n" "$0" "$@" END >> "$NOTED"\n'


@pytest.fixture
def ran(tmp_path):
    def run(name, **more):
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        (tmp_path / "bin").mkdir()
        for path in (".venv/bin/maxmin", ".venv/bin/torchrun", "bin/srun"):
            (tmp_path / path).write_text(NOTES)
            (tmp_path / path).chmod(0o755)
        (tmp_path / "bin" / "scontrol").write_text("#!/bin/bash\necho first\nsleep 0.2\necho second\n")
        (tmp_path / "bin" / "scontrol").chmod(0o755)
        given = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "NOTED": str(tmp_path / "noted")}
        given |= {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7", **more}
        done = subprocess.run(["bash", SLURM / name], cwd=tmp_path, env=given, capture_output=True, text=True)
        noted = (tmp_path / "noted").read_text() if (tmp_path / "noted").exists() else ""
        return done, [part.strip().splitlines() for part in noted.split("END\n")[:-1]]

    return run


@pytest.mark.parametrize(("name", "gpus"), [("one_node.sbatch", 8), ("nodes.sbatch", 16)])
def test_what_they_call_is_understood(ran, name, gpus):
    done, calls = ran(name, DATA="/data", MODEL="/model")
    assert done.returncode == 0, done.stderr
    plan, train = calls
    options = cli._parser().parse_args(plan[1:])
    assert (options.profile, options.gpus, options.memory, options.model) == ("gpu-large", gpus, 80, "/model")
    options = cli._parser().parse_args(train[train.index("maxmin_core.cli") + 1 :])
    assert (options.data, options.setting, options.model, options.seed) == ("personas=/data", "P1 10:1", "/model", 20)
    assert train[train.index("--nproc_per_node") + 1] == "8"
    assert ("first:29500" in train and "--kill-on-bad-exit=1" in train) == (name == "nodes.sbatch")


def test_other_settings_and_a_pinned_model(ran):
    more = {
        "SETTING": "P3 2:1",
        "MODEL": "allenai/tulu-2-7b",
        "REVISION": "a" * 40,
        "SEED": "21",
        "SLURM_GPUS_ON_NODE": "4",
    }
    _, (plan, train) = ran("one_node.sbatch", DATA="/data", **more)
    options = cli._parser().parse_args(train[train.index("maxmin_core.cli") + 1 :])
    assert (options.setting, options.revision, options.seed) == ("P3 2:1", "a" * 40, 21) and "4" in plan


def test_what_is_missing_is_said(ran):
    done, calls = ran("one_node.sbatch", MODEL="/model")
    assert done.returncode != 0 and "DATA: the folder with P1A.json" in done.stderr and not calls
