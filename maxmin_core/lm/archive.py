"""Results of chapter 8 in one file: packed from runs, opened where there are none, checked by hash. Imports no torch.

An archive holds what the chapter reads and nothing else: JSON and safetensors, every content once, under its SHA-256.
Its manifest says which file of which run a content is, and what made it. Opened results lie beside one's own runs,
under the names that this machine gives them, and are never mixed with them: values are measured against a reference
policy, and runs of two references do not compare. Chapter 8.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from .._files import read_json, write_json, write_whole
from .._places import writable
from ._zips import MANIFEST, fetch, unzipped, zipped
from .profiles import Profile, find_profile, key
from .results import base_folder, made_with, run_folder, seeds
from .settings import SETTINGS

__all__ = ["Shown", "find_runs", "open_results", "pack_results"]

_FORMAT = "maxmin results 1"
_SENTIMENT = ("vocabulary.json", "sentiment.safetensors")
_POLICY = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_BASE = (
    "texts.json",
    *(f"{part}/{name}" for part in ("gold", "features") for name in _SENTIMENT),
    *(f"reference/{name}" for name in (*_POLICY, "reference.json")),
)
_REWARDS = tuple(
    f"rewards/{kind}/{name}"
    for kind in ("single", "mixture", "known")
    for name in (*_SENTIMENT, "features.json", "rewards.safetensors")
)
# The main comparison: the chapter counts wins text by text, draws three curves, and reads what was learned.
_COMPARED, _CURVES = "80:20", ("average", "maxmin_hard", "maxmin")
# Whose first run lends the page its rewards.
_LENDS = "three"
# What a page may print of a manifest: nothing that Markdown or HTML would take for more than text.
_PLAIN = re.compile(r"[\w .,()@/+:-]{1,200}")


class Shown(NamedTuple):
    """Hold which runs a chapter shows.

    Attributes
    ----------
    root : Path
        The folder of all runs, as `results.load_results` and `base.prepare` take it.
    note : str
        A line of Markdown that says that they are published, and whose; empty for runs of one's own.

    Examples
    --------
    >>> Shown(Path("_build/lm"), "").note
    ''
    """

    root: Path
    note: str


def find_runs(profile: Profile, root: Path | str) -> Shown:
    """Return where the runs lie that chapter 8 shows: one's own where all are there, else published ones, if opened.

    Parameters
    ----------
    profile : Profile
        Whose runs are shown.
    root : Path or str
        The folder of all runs of one's own.

    Returns
    -------
    Shown
        One's own where there are neither: reading them says what to do.

    Examples
    --------
    >>> find_runs(find_profile("smoke"), "no-runs-here/lm").root.as_posix()
    'no-runs-here/lm'
    """
    root = Path(root)
    if profile.reward != "linear" or _own(profile, root) or not _published(profile, root).is_dir():
        return Shown(root, "")
    there = _published(profile, root)
    manifest = read_json(there / MANIFEST)
    told = f"**Published results**, not runs of this machine: of commit {manifest['commit']}, on {manifest['machine']}."
    return Shown(there, " ".join([told, *_differences(manifest, profile)]))


def pack_results(profile: Profile, root: Path | str, target: Path | str, *, commit: str, machine: str) -> str:
    """Write an archive of what chapter 8 reads of a profile's runs; the same runs give the same bytes.

    Parameters
    ----------
    profile : Profile
        Whose runs are packed; rewards must be linear, as whole models are no small file.
    root : Path or str
        The folder of all runs.
    target : Path or str
        The archive; one that is there is replaced.
    commit : str
        Of the code that made the runs.
    machine : str
        Where they were made.

    Returns
    -------
    str
        The archive's SHA-256.

    Raises
    ------
    ValueError
        On another kind of rewards, or a run that is missing: says which command makes it.
    OSError
        When the archive cannot be written.

    Examples
    --------
    >>> pack_results(find_profile("smoke"), "no-runs-here", "a.zip", commit="1a2b3c4", machine="a laptop")
    Traceback (most recent call last):
    ValueError: profile: expected all runs of smoke, got no base/texts.json; call `maxmin train --profile smoke --all`
    """
    if profile.reward != "linear":
        raise ValueError(f"profile: expected one with linear rewards (smoke, cpu), got {profile.name}")
    files, contents = {}, {}
    for name, path in _files(profile).items():
        there = Path(root) / path
        if not there.is_file():
            raise ValueError(
                f"profile: expected all runs of {profile.name}, got no {name}; call "
                f"`maxmin train --profile {profile.name} --all`"
            )
        content = there.read_bytes()
        files[name] = hashlib.sha256(content).hexdigest()
        contents[files[name]] = content
    about = {"format": _FORMAT, "commit": commit, "machine": re.sub(r"[^\w .,()@/+:-]", " ", machine)[:200]}
    manifest = about | _identity(profile) | {"libraries": made_with(profile)["libraries"], "files": files}
    packed = zipped(manifest, contents)
    with write_whole(target) as partial:
        partial.write_bytes(packed)
    return hashlib.sha256(packed).hexdigest()


def open_results(source: Path | str, sha256: str, root: Path | str, *, say: Callable[[str], None] = print) -> Path:
    """Check an archive and put its results where chapter 8 finds them, all or none; nothing that is there is replaced.

    Parameters
    ----------
    source : Path or str
        The archive: a file, or an https address.
    sha256 : str
        What its SHA-256 must be.
    root : Path or str
        The folder of all runs of one's own; results are put beside it.
    say : callable, str -> None
        Is told what was opened, and how it differs from what this machine would make.

    Returns
    -------
    Path
        The folder of the results, as `find_runs` returns it.

    Raises
    ------
    ValueError
        On an archive with another hash, of another format, of other settings or code, with a member that does not
        belong there, is too large, or is not what the manifest says; or where other results were opened before.
    OSError
        When the archive cannot be had, or the results cannot be written.

    Examples
    --------
    >>> open_results("results.zip", "1a2b", "_build/lm")
    Traceback (most recent call last):
    ValueError: sha256: expected 64 hexadecimal digits, as `maxmin results pack` prints them, got '1a2b'
    """
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(
            f"sha256: expected 64 hexadecimal digits, as `maxmin results pack` prints them, got {sha256!r}"
        )
    packed = fetch(str(source), say)
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256.lower():
        raise ValueError(f"file: expected {source} with SHA-256 {sha256.lower()}, got {found}")
    manifest, contents = unzipped(packed)
    profile = _profile_of(manifest)
    there = _published(profile, root)
    if not there.exists():
        _put(there, profile, manifest | {"archive": found}, contents)
    elif (before := read_json(there / MANIFEST))["archive"] != found:
        raise ValueError(
            f"file: expected no other results of {profile.name} that were opened before, got those of commit "
            f"{before['commit']}; delete {there} to open these"
        )
    say(f"results of {profile.name}, commit {manifest['commit']}, on {manifest['machine']}: {there}")
    for line in _differences(manifest, profile):
        say(line)
    if _own(profile, Path(root)):
        say("Runs of your own are all there, too: chapter 8 shows those.")
    return there


def _files(profile):
    """Every file that the chapter reads: its name in an archive, and where it lies in a folder of all runs, here."""
    found = {f"base/{name}": base_folder(profile, "") / name for name in _BASE}
    for setting in SETTINGS.values():
        for seed in seeds(setting.name, profile):
            methods = ("reference", *setting.methods)
            names = ["learned.json", *(f"{method}/result.json" for method in methods)]
            if setting.name == _COMPARED:
                names += [f"{method}/gold.json" for method in methods]
                names += [f"{method}/metrics.jsonl" for method in _CURVES]
            if setting.name == _COMPARED or (setting.name, seed) == (_LENDS, seeds(_LENDS, profile)[0]):
                names += _REWARDS
            folder = run_folder(setting.name, profile, "", seed=seed)
            found |= {f"{setting.slug}/seed{seed}/{name}": folder / name for name in names}
    return found


def _published(profile, root):
    """The folder of published results; its name holds all names that this machine gives: they fit, or are not found."""
    names = sorted({path.parts[:3] for path in _files(profile).values()})
    return Path(root).parent / "published" / f"{profile.name}-{key(names=names)}"


def _own(profile, root):
    return all(
        (root / path).is_file()
        for name, path in _files(profile).items()
        if name.endswith("/result.json") or name == "base/texts.json"
    )


def _identity(profile):
    """What results must have in common with this code to stand on its page, as JSON returns it."""
    # Who draws the texts is in no name of a run either.
    settings = {name: value for name, value in asdict(profile).items() if name != "vllm"}
    made = {
        "profile": settings,
        "settings": {name: asdict(setting) for name, setting in SETTINGS.items()},
        "code": made_with(profile)["code"],
    }
    return json.loads(json.dumps(made))


def _differences(manifest, profile):
    here = made_with(profile)["libraries"]
    differ = [f"{name} {was} ({here[name]})" for name, was in manifest["libraries"].items() if here[name] != was]
    return [f"With other libraries than here (in brackets): {', '.join(differ)}."] if differ else []


def _profile_of(manifest):
    """Return whose results a manifest is of; ValueError where they are not this code's, or it says what it must not."""
    parts = ("format", "commit", "machine", "profile", "settings", "code", "libraries", "files")
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT or set(manifest) != set(parts):
        got = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ValueError(f"file: expected the format {_FORMAT!r} with {', '.join(parts[1:])}, got {got!r}")
    of = manifest["profile"]
    profile = find_profile(str(of.get("name")) if isinstance(of, dict) else "")
    if profile.reward != "linear":
        raise ValueError(f"file: expected results of smoke or cpu, got {profile.name}")
    here = _identity(profile)
    for part in ("profile", "settings", "code"):
        if manifest[part] != here[part]:
            raise ValueError(
                f"file: expected results of this version's {part} {_first(here[part], manifest[part])}; they are of "
                f"commit {_plain(manifest['commit'])}: check it out, or make them by `maxmin train --profile "
                f"{profile.name} --all`"
            )
    libraries = manifest["libraries"]
    if not isinstance(libraries, dict) or set(libraries) != set(made_with(profile)["libraries"]):
        raise ValueError(f"file: expected the versions of {', '.join(made_with(profile)['libraries'])}, got others")
    for text in (manifest["commit"], manifest["machine"], *libraries.values()):
        _plain(text)
    return profile


def _plain(text):
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise ValueError(f"file: expected plain text in {MANIFEST}, got {text!r:.80}")
    return text


def _first(here, there):
    """The first part that differs, as text."""
    if not isinstance(there, dict) or set(here) != set(there):
        return "with the same names, got others"
    name = next(name for name in here if here[name] != there[name])
    return f"({name} {here[name]!r:.80}), got {there[name]!r:.80}"


def _put(there, profile, manifest, contents):
    """Write all files beside their place, and move them there as one."""
    paths, files = _files(profile), manifest["files"]
    if not isinstance(files, dict) or set(files) != set(paths):
        odd = sorted(set(paths) ^ set(files)) if isinstance(files, dict) else [type(files).__name__]
        raise ValueError(
            f"file: expected the {len(paths)} files that chapter 8 reads, got another list: {odd[0]!r:.80}"
        )
    if {repr(digest) for digest in files.values()} != {repr(digest) for digest in contents}:
        raise ValueError(f"file: expected the contents that {MANIFEST} names, got fewer or others")
    writable(there, "results")
    there.parent.mkdir(parents=True, exist_ok=True)
    # What a killed process has left; a name with a dot is nobody's results.
    for left in there.parent.glob(f".{there.name}.*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    partial = there.with_name(f".{there.name}.{os.getpid()}.partial")
    try:
        for name, path in paths.items():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).write_bytes(contents[files[name]])
        write_json(partial / MANIFEST, manifest)
        partial.rename(there)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
