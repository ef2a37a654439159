"""`keyreel doctor`: what is there and what is missing, before a campaign finds out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from configs.errors import KeyreelError
from configs.home import Home
from configs.library import Library
from configs.model import Model
from gpu.device import detect, dtype_for, pick_profile
from tasks.font import bundled_file

LOW_DISK_GB = 5.0
"""A week of ten products takes about 2 GB with the small models."""
PACKAGES = ("configs", "catalogs", "gpu", "tasks", "flows")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    state: Literal["ok", "missing", "bad"]
    text: str
    """What was found, and what to do where it is not well."""


def examine(home: Home) -> Iterator[Finding]:
    """Yield what every check found, in the order of a campaign's way; none of them raises."""
    for subject, check in CHECKS.items():
        try:
            yield from check(home)
        except (KeyreelError, OSError) as error:
            yield Finding(subject, "bad", str(error))


def _packages(_home: Home) -> Iterator[Finding]:
    """PyPI has foreign projects called `tasks` and `flows`; ours must be the ones found."""
    roots = {Path(str(import_module(name).__file__)).parent.parent for name in PACKAGES}
    if len(roots) == 1:
        yield Finding("packages", "ok", f"all from {roots.pop()}")
    else:
        places = ", ".join(sorted(map(str, roots)))
        yield Finding("packages", "bad", f"mixed: {places}; uninstall the foreign ones")


def _device(home: Home) -> Iterator[Finding]:
    device = detect()
    profiles = Library.open(home).profiles
    profile = pick_profile(device, profiles)
    dtype = dtype_for(device, profiles[profile].dtype)
    text = f"{device.name}, {device.memory_gb:.0f} GB; profile {profile}, computing in {dtype}"
    yield Finding("device", "ok", text)


def _models(home: Home) -> Iterator[Finding]:
    from catalogs.hashes import FileHashes
    from tasks.lora import lora_path
    from tasks.model import fingerprint, folder_of

    hashes = FileHashes(home.cache / "hashes.json")
    for name, model in Library.open(home).models.items():
        try:
            if lacking := _lacking(model, home):
                fetch = f"`keyreel models fetch {name}`, or " if model.source else ""
                told = lacking if model.files else fetch + lacking
                yield Finding(f"model {name}", "missing", told)
            else:
                for lora in model.loras:
                    lora_path(lora, home)
                text = f"{fingerprint(model, home, hashes)[:12]} in {folder_of(model, home)}"
                yield Finding(f"model {name}", "ok", text)
        except KeyreelError as error:
            yield Finding(f"model {name}", "bad", str(error))


def _lacking(model: Model, home: Home) -> str:
    """Return what to do where nothing of a model is there; what is there must be whole."""
    from tasks.model import files_of, folder_of

    files, folder = files_of(model, home), folder_of(model, home)
    if files and not any(path.exists() for _, path in files.networks):
        whose = "TurboDiffusion's checkpoints folder" if model.turbo else "ComfyUI's models folder"
        return f"no {files.networks[0][1]}; set files.root to {whose}"
    if not files and not (folder / "model_index.json").exists():
        return f"put its diffusers folder at {folder}"
    return ""


def _encoder(_home: Home) -> Iterator[Finding]:
    import imageio_ffmpeg

    binary = imageio_ffmpeg.get_ffmpeg_exe()
    listed = subprocess.run(
        [binary, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False
    )
    wanted = [name for name in ("libx264", "aac", "libwebp") if f" {name} " not in listed.stdout]
    if listed.returncode or wanted:
        lacks = ", ".join(wanted) or listed.stderr.strip()[-200:]
        yield Finding("ffmpeg", "bad", f"{binary} lacks {lacks}; reinstall imageio-ffmpeg")
    else:
        yield Finding("ffmpeg", "ok", binary)


def _fonts(_home: Home) -> Iterator[Finding]:
    font = bundled_file("Noto Sans SC")
    state: Literal["ok", "missing"] = "ok" if font.exists() else "missing"
    yield Finding("font", state, f"{font} (Noto Sans SC, OFL)")


def _prefect(_home: Home) -> Iterator[Finding]:
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        yield Finding("prefect", "ok", "no server configured: each run brings its own")
        return
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem:
        text = f"{url} does not answer ({problem}); start it, or unset PREFECT_API_URL"
        yield Finding("prefect", "bad", text)
    else:
        yield Finding("prefect", "ok", url)


def _catalog(home: Home) -> Iterator[Finding]:
    from catalogs.catalog import Catalog
    from catalogs.store import Store

    store = Store(home.store)
    catalog = Catalog(home.catalog, store)
    if not catalog.path.exists():
        yield Finding("catalog", "ok", "empty: nothing has run yet")
        return
    _, rows = catalog.query("SELECT count(*) FROM nodes")
    indexed, held = int(str(rows[0][0])), len(store.held())
    if indexed == held:
        yield Finding("catalog", "ok", f"{indexed} nodes")
    else:
        text = f"{indexed} nodes indexed of {held} finished; run `keyreel catalog rebuild`"
        yield Finding("catalog", "bad", text)


def _disk(home: Home) -> Iterator[Finding]:
    free = shutil.disk_usage(home.root).free / 1e9
    writable = os.access(home.root, os.W_OK)
    state: Literal["ok", "bad"] = "ok" if free > LOW_DISK_GB and writable else "bad"
    advice = "" if state == "ok" else "; free some, or `keyreel gc`"
    words = f"{free:.0f} GB free at {home.root}" if writable else f"{home.root} is read-only"
    yield Finding("disk", state, words + advice)


CHECKS: dict[str, Callable[[Home], Iterator[Finding]]] = {
    "packages": _packages,
    "device": _device,
    "models": _models,
    "ffmpeg": _encoder,
    "font": _fonts,
    "prefect": _prefect,
    "catalog": _catalog,
    "disk": _disk,
}
