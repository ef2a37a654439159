"""A published model onto this disk: looked up, downloaded beside, checked, then given its name.

Nothing half-finished stands under a model's name: files arrive in `models/.fetching/`, and the
folder, or last of all its `model_index.json`, is renamed. `.keyreel.json` says what was published.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from catalogs.durable import locked, remove, sync, telling_of_space
from catalogs.hashes import sha256
from configs.errors import BadFile, BadInput, FetchFailed
from configs.home import Home
from configs.model import Model, Source
from flows.hub import Hub, Remote
from tasks.model import folder_of

MANIFEST = ".keyreel.json"
"""In a fetched folder: each file's SHA-256. Hidden, so that it is no part of the fingerprint."""
LAST = "model_index.json"
"""Without it a folder is no model."""
SPARE_GB = 1.0
"""What a download leaves free on the disk."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a fetch would download."""

    source: Source
    hub: Hub
    folder: Path
    desk: Path
    """Where files arrive."""
    files: tuple[Remote, ...]
    wanted: tuple[Remote, ...]
    """Those that are not in `folder` yet."""

    @property
    def bytes(self) -> int:
        """What is to be downloaded."""
        return sum(file.bytes for file in self.wanted)


def offer(home: Home, name: str, model: Model, endpoint: str = "") -> Offer:
    """Ask the hub what a fetch of the model would download; downloads nothing.

    Raises:
        BadInput: where the model is shipped, or models.yaml does not say where it is published.
        BadFile: where a file of the same name has other bytes: it is the user's own.
        FetchFailed: where the hub refuses.
    """
    if model.shipped:
        raise BadInput(f"{name}: ships with keyreel; there is nothing to fetch")
    if model.source is None:
        raise BadInput(f"{name}: its row of models.yaml has no `source`; put the files there")
    hub, folder = Hub.named(endpoint), folder_of(model, home)
    files = hub.list(model.source)
    wanted = []
    for file in files:
        if not (folder / file.path).exists():
            wanted.append(file)
        elif not file.is_at(folder / file.path):
            raise BadFile(
                f"{folder / file.path}: is not as {model.source.repo} published it; "
                "move it away, or keep it and fetch nothing"
            )
    desk = home.inside(f"models/.fetching/{model.folder}")
    return Offer(model.source, hub, folder, desk, tuple(files), tuple(wanted))


def accept(offered: Offer) -> None:
    """Download what was offered, check every byte, and give it the model's name.

    Raises:
        FetchFailed: where the network or the hub ends it, a file has another checksum than it was
            published with, or the disk is too small.
    """
    offered.desk.mkdir(parents=True, exist_ok=True)
    with _alone(offered.desk.parent / f"{offered.desk.name}.lock", offered.source):
        _check_room(offered)
        with telling_of_space(offered.desk):
            offered.hub.download(offered.source, offered.wanted, offered.desk)
            _check_sums(offered)
            _publish(offered)


def _check_room(offered: Offer) -> None:
    here = sum(path.stat().st_size for path in offered.desk.rglob("*") if path.is_file())
    free = shutil.disk_usage(offered.desk).free
    needed = offered.bytes - here + SPARE_GB * 1e9
    if free < needed:
        raise FetchFailed(
            f"{offered.desk}: {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed; "
            "free some, or make the home's models/ a link to a larger disk"
        )


def _check_sums(offered: Offer) -> None:
    """Throw away what has not the published bytes; the rest stays for the next fetch."""
    broken = [file for file in offered.wanted if not file.is_at(offered.desk / file.path)]
    for file in broken:
        remove(offered.desk / file.path)
    if broken:
        names = ", ".join(file.path for file in broken)
        raise FetchFailed(
            f"{offered.source.repo}: {names}: not the published bytes (SHA-256); thrown away: "
            "fetch again, or try another --endpoint"
        )


def _publish(offered: Offer) -> None:
    """Give the files the model's name: at once for a new folder, else the index last."""
    desk, folder = offered.desk, offered.folder
    arrived = sorted((file.path for file in offered.wanted), key=lambda path: path == LAST)
    sync([desk / path for path in arrived])
    sums = {file.path: file.sha256 or sha256(_where(offered, file)) for file in offered.files}
    _write_manifest(desk / MANIFEST, offered, {**manifest(folder), **sums})
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        desk.rename(folder)
        return
    for path in (MANIFEST, *arrived):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (desk / path).replace(folder / path)
    remove(desk)


def _where(offered: Offer, file: Remote) -> Path:
    return (offered.desk if file in offered.wanted else offered.folder) / file.path


def _write_manifest(path: Path, offered: Offer, sums: dict[str, str]) -> None:
    told = {
        "repo": offered.source.repo,
        "revision": "master" if offered.hub.modelscope else offered.source.revision,
        "hub": offered.hub.endpoint or "https://huggingface.co",
        "licence": offered.source.licence,
        "files": sums,
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sync([path])


def manifest(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a fetched folder as it was published; else nothing.

    Raises:
        BadFile: where the manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(name): str(digest) for name, digest in told.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadFile(f"{path}: damaged ({error!r}); delete it and fetch again") from None


def changed(folder: Path, sums: dict[str, str], names: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with each file of a manifest: missing, or with other bytes."""
    for name in names:
        path = folder / name
        if not path.is_file():
            yield f"{path}: is missing; fetch again"
        elif sha256(path) != sums[name]:
            yield f"{path}: is not as it was published (SHA-256); delete it and fetch again"


@contextmanager
def _alone(lock: Path, source: Source) -> Iterator[None]:
    """Keep a second fetch of the same model out.

    Raises:
        FetchFailed: where one is going on.
    """
    try:
        with locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise FetchFailed(f"{source.repo}: is being fetched already; wait for that") from None
