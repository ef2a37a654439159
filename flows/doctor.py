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
from configs.model import Profile
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
        yield Finding("packages", "ok", f"all are keyreel's own, from {roots.pop()}")
    else:
        places = ", ".join(sorted(map(str, roots)))
        yield Finding("packages", "bad", f"mixed: {places}; uninstall the foreign ones")


def _device(home: Home) -> Iterator[Finding]:
    device = detect()
    profile, row = _profile(home)
    which = "of its own" if device.kind == "cuda" else "of main memory, no card that torch can use"
    text = (
        f"{device.name}, {device.memory_gb:.0f} GB {which}; profile {profile} draws with "
        f"{', '.join(row.models)}, computing in {dtype_for(device, row.dtype)}"
    )
    yield Finding("device", "ok", text)


def _profile(home: Home) -> tuple[str, Profile]:
    """Return the profile that `auto` takes on this machine."""
    profiles = Library.open(home).profiles
    name = pick_profile(detect(), profiles)
    return name, profiles[name]


def _models(home: Home) -> Iterator[Finding]:
    """Tell of what is here and of what this machine draws with; count the others."""
    from catalogs.hashes import FileHashes
    from flows.models import lacking
    from tasks.lora import lora_path
    from tasks.model import fingerprint, folder_of

    hashes = FileHashes(home.cache / "hashes.json")
    profile, row = _profile(home)
    away = 0
    for name, model in Library.open(home).models.items():
        try:
            if told := lacking(name, model, home):
                away += name not in row.models
                if name in row.models:
                    yield Finding(f"model {name}", "missing", told)
            else:
                for lora in model.loras:
                    lora_path(lora, home)
                text = f"{folder_of(model, home)}, fingerprint "
                text += fingerprint(model, home, hashes)[:12]
                yield Finding(f"model {name}", "ok", text)
        except KeyreelError as error:
            yield Finding(f"model {name}", "bad", str(error))
    if away:
        text = f"{away} are not here; profile {profile} needs none of them (`keyreel models list`)"
        yield Finding("other models", "ok", text)


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
        yield Finding(
            "prefect", "ok", "no PREFECT_API_URL is set: each run starts a server of its own"
        )
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
