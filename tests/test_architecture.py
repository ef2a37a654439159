"""The rules of the architecture, each as a test."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("configs", "catalogs", "gpu", "tasks", "flows")
MAY_IMPORT = {
    "configs": {"configs"},
    "catalogs": {"configs", "catalogs"},
    "gpu": {"configs", "gpu"},
    "tasks": {"configs", "catalogs", "gpu", "tasks"},
    "flows": set(PACKAGES),
}
MIB = 1 << 20


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def test_imports_point_one_way():
    """configs <- catalogs, gpu <- tasks <- flows; torch and diffusers in gpu/ only."""
    wrong = []
    for path in modules():
        package = path.relative_to(ROOT).parts[0]
        refused = set(PACKAGES) - MAY_IMPORT[package]
        refused |= {"torch", "diffusers"} if package != "gpu" else set()
        refused |= {"prefect"} if package != "flows" else set()
        if found := {name.split(".")[0] for name in imports(path)} & refused:
            wrong.append(f"{path.relative_to(ROOT)} imports {sorted(found)}")
    assert not wrong


def test_a_file_can_be_read_in_one_sitting():
    """No file is longer than 400 lines."""
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in modules()}
    assert not {path: length for path, length in lengths.items() if length > 400}


def test_no_flow_file_shadows_a_package():
    """Prefect's path-form entrypoints put flows/ first on sys.path, so names there must be free."""
    taken = set(sys.stdlib_module_names) | set(PACKAGES) | {"prefect", "torch", "typer", "rich"}
    assert not {path.stem for path in (ROOT / "flows").glob("*.py")} & taken


def test_the_tracked_files_stay_small():
    """Weights are at most 48 MiB, all tracked files at most 54 MiB, no file over 16 MiB."""
    sizes = {path: path.stat().st_size for path in tracked()}
    shipped = ROOT / "gpu" / "mini" / "weights"
    weights = sum(size for path, size in sizes.items() if path.is_relative_to(shipped))
    assert weights <= 48 * MIB
    assert sum(sizes.values()) <= 54 * MIB
    assert max(sizes.values()) <= 16 * MIB


def test_planning_starts_without_the_heavy_libraries():
    """`keyreel plan` imports nothing that other commands, or few campaigns, alone need."""
    heavy = ["torch", "diffusers", "transformers", "prefect", "numpy", "duckdb", "cryptography"]
    code = (
        "import sys, flows.command, flows.plan, flows.resolve;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert out.strip() == "[]"


def test_our_packages_are_the_ones_imported():
    """PyPI has foreign projects called tasks, flows and configs; none of them is in the way."""
    code = "import configs, catalogs, gpu, tasks, flows;print(tasks.__file__, flows.__file__)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert all(Path(name).is_relative_to(ROOT) for name in out.split())


@pytest.mark.prefect
@pytest.mark.slow
def test_every_entrypoint_of_prefect_yaml_is_a_flow_in_module_form():
    """Deployments load `flows.campaign:campaign`, and their parameters fit the flow."""
    import importlib

    import yaml
    from prefect import Flow

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    assert deployments
    for deployment in deployments:
        module, _, name = deployment["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(module), name)
        assert isinstance(flow, Flow)
        if set(flow.parameters.required) <= deployment["parameters"].keys():  # else the form asks
            flow.validate_parameters(deployment["parameters"])
