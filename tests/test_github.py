"""What a forge and an editor read: well formed, and it names commands that exist."""

import configparser
import json
import re
import threading
import tomllib
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

WORKFLOWS = ("tests", "book", "weekly")


@pytest.fixture(scope="module")
def targets(root):
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.M))


@pytest.fixture(scope="module", params=WORKFLOWS)
def workflow(root, request):
    """A workflow: its name, its text and what YAML makes of it."""
    text = (root / ".github" / "workflows" / f"{request.param}.yml").read_text()
    return request.param, text, yaml.safe_load(text)


def test_no_workflow_is_left_out(root):
    assert {path.stem for path in (root / ".github" / "workflows").iterdir()} == set(WORKFLOWS)


def test_workflows_call_what_exists(root, workflow, targets):
    name, _, content = workflow
    # YAML reads the key `on` as the truth.
    assert content["name"] == name and content[True]
    steps = [step for job in content["jobs"].values() for step in job["steps"]]
    commands = [line for step in steps for line in step.get("run", "").splitlines()]
    called = [line for line in commands if line.startswith("make ")]
    assert called and {line.split()[1] for line in called} <= targets
    for line in commands:
        if line.startswith(".venv/bin/maxmin"):
            assert line.split()[1] in ("report", "build", "run")


def test_workflows_may_do_little(workflow):
    _, text, content = workflow
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        assert job.get("permissions", {}) in ({}, {"issues": "write"})
        assert job.get("permissions") is None or job["if"] == "failure()"
    assert set(re.findall(r"secrets\.(\w+)", text)) <= {"GITHUB_TOKEN"}
    assert "pull_request_target" not in text
    # What somebody else wrote comes in through an environment variable, never as part of a command.
    for job in content["jobs"].values():
        for step in job["steps"]:
            assert not re.search(r"\$\{\{\s*github\.(event|head_ref)", step.get("run", ""))


def test_actions_are_of_the_forge_s_own_at_a_major_version(workflow):
    _, text, _ = workflow
    used = re.findall(r"uses: (\S+)", text)
    assert used and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


def test_every_python_is_tested(root):
    content = yaml.safe_load((root / ".github" / "workflows" / "tests.yml").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    supported = [c.split()[-1] for c in project["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert content["jobs"]["test"]["strategy"]["matrix"]["python"] == supported


def test_what_fails_in_a_week_opens_an_issue(root):
    content = yaml.safe_load((root / ".github" / "workflows" / "weekly.yml").read_text())
    assert "schedule" in content[True]
    tell = content["jobs"].pop("tell")
    assert set(tell["needs"]) == set(content["jobs"]) and "gh issue create" in tell["steps"][0]["run"]


def test_forms_for_issues(root):
    folder = root / ".github" / "ISSUE_TEMPLATE"
    assert {path.stem for path in folder.glob("*.yml")} == {"bug", "number", "page", "config"}
    for path in folder.glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        if path.stem == "config":
            continue
        assert {"name", "description", "body"} <= set(form)
        ids = [part["id"] for part in form["body"]]
        assert len(ids) == len(set(ids)) >= 3
        for part in form["body"]:
            assert part["type"] in ("input", "textarea") and part["attributes"]["label"]
        assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_a_pull_request_says_whether_numbers_move(root, targets):
    text = (root / ".github" / "pull_request_template.md").read_text()
    assert "numbers move" in text and "claims" in text
    assert set(re.findall(r"`make (\w+)`", text)) <= targets


def test_hooks_call_what_the_environment_has(root, targets):
    content = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())
    (repository,) = content["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    for hook in hooks.values():
        command, argument = hook["entry"].split()[:2]
        assert (command == "make" and argument in targets) or command == ".venv/bin/ruff"
    assert hooks["check"]["stages"] == ["pre-push"]


def test_the_container_makes_the_environment(root, targets):
    content = json.loads((root / ".devcontainer" / "devcontainer.json").read_text())
    assert content["postCreateCommand"].split()[0] == "make" and content["postCreateCommand"].split()[1] in targets
    assert content["image"].endswith(":3.11")


def test_the_editor_agrees_with_ruff(root):
    parser = configparser.ConfigParser()
    parser.read_string("[top]\n" + (root / ".editorconfig").read_text())
    ruff = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["ruff"]
    assert int(parser["*"]["max_line_length"]) == ruff["line-length"]
    assert parser["Makefile"]["indent_style"] == "tab" and parser["*.ipynb"]["indent_size"] == "1"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_pages_for_contributors_name_what_exists(root, targets, page):
    text = (root / page).read_text()
    called = set(re.findall(r"\bmake ([a-z]+)\b(?=[`\s]|$)", "\n".join(re.findall(r"`[^`\n]+`|^make .*$", text, re.M))))
    assert called and called <= targets
    named = re.findall(r"`((?:[\w.-]+/)+|[\w./-]+\.(?:cff|ipynb|json|lock|md|py|toml|ya?ml))`", text)
    # Names that stand for the reader's own, and what a build makes.
    named = [name for name in named if not re.search(r"NN_|aN_|book/name|my_|_build|\.venv|^__init__", name)]
    assert len(named) > 8
    for name in named:
        assert (root / name).exists() or (root / "maxmin_core" / name).exists(), name


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({"/here": 200, "/shy": 403}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_):
        pass


def test_dead_links_are_found(root, tmp_path, capsys, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("links", root / "tests" / "links.py")
    links = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(links)
    assert "https://snakemake.readthedocs.io" in links.links(root)

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book" / "a.md").write_text(f"See [it]({address}/here), <{address}/shy>, ({address}/gone).")
    cell = {"cell_type": "markdown", "source": [f"{address}/gone. And https://your-hub.invalid/x"]}
    (tmp_path / "notebooks" / "b.ipynb").write_text(json.dumps({"cells": [cell]}))
    monkeypatch.setattr(links, "OURS", ("your-hub.invalid",))
    try:
        assert links.main(tmp_path) == 1
    finally:
        server.shutdown()
        server.server_close()
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{address}/gone (status 404), in book/a.md, notebooks/b.ipynb", "3 links, 1 dead"]
