"""`keyreel package`: a zip for each platform, ready for whoever publishes.

Takes what the campaign's newest run finished; the same files give the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from catalogs.durable import sync, telling_of_space
from catalogs.record import Run
from catalogs.runs import latest_run
from catalogs.store import Store
from configs.campaign import Campaign
from configs.errors import BadFile, BadInput
from configs.home import Home
from configs.library import Library
from configs.load import load_campaign
from flows.manifest import Item, as_calendar, as_csv, as_json
from flows.ready import Gap, Ready, safe

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can tell: no clock's time goes into it."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed, and what is missing."""

    folder: Path
    calendar: Path
    gaps: tuple[Gap, ...]
    zips: dict[Path, tuple[Item, ...]] = field(default_factory=dict)


def package(home: Home, name: str, out: Path | None = None) -> Packed:
    """Write a zip for each platform, and a calendar of them all.

    Args:
        home: the workspace.
        name: of a file in its `campaigns/`, whose newest run is packed.
        out: where to; left out: `packages/CAMPAIGN` of the home.

    Raises:
        BadInput: where the campaign has not run, or nothing of it is finished.
        BadFile: where a finished file is damaged, or `out` is no folder.
    """
    library = Library.open(home)
    campaign = load_campaign(home.find_campaign(name), home, library).campaign
    run = latest_run(home.runs, campaign.name)
    if run is None:
        raise BadInput(f"{campaign.name} has not run yet; `keyreel run {name}` makes its files")
    return pack(home, campaign, library, run, out or home.packages / campaign.name)


def pack(home: Home, campaign: Campaign, library: Library, run: Run, out: Path) -> Packed:
    """Write a zip for each platform, and a calendar of them all, of what one run finished.

    Raises:
        BadInput: where nothing is finished.
        BadFile: as `package`.
    """
    store = Store(home.store)
    items, gaps = Ready(campaign, library, run, store).sorted()
    if not items:
        raise BadInput(f"nothing of {campaign.name} is finished; run it again to go on")
    folder = _folder(out)
    packed = Packed(folder, folder / f"{safe(campaign.name)}.ics", gaps)
    with telling_of_space(folder):
        for delivery, group in groupby(items, key=lambda item: item.delivery):
            some = tuple(group)
            path = folder / f"{safe(campaign.name)}-{safe(delivery)}.zip"
            _write_zip(path, _members(campaign, store, some, gaps))
            packed.zips[path] = some
        with _draft(packed.calendar) as draft:
            draft.write_bytes(as_calendar(campaign, items))
    return packed


def _members(
    campaign: Campaign, store: Store, items: Sequence[Item], gaps: Sequence[Gap]
) -> dict[str, bytes | Path]:
    """Return what goes into one platform's zip, by name."""
    missing = [(gap.shot, gap.reason) for gap in gaps if gap.delivery == items[0].delivery]
    files = {item.name: item.asset for item in items}
    files |= {item.cover_name: item.cover for item in items if item.cover}
    return {
        **{name: _whole(store.asset_path(asset), asset.sha256) for name, asset in files.items()},
        "manifest.csv": as_csv(items),
        "manifest.json": as_json(campaign, items, missing),
        "publish.ics": as_calendar(campaign, items),
    }


def _whole(path: Path, digest: str) -> Path:
    """Return a file of the store whose bytes are those that were made."""
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                return path
    except FileNotFoundError:
        pass
    raise BadFile(f"{path}: damaged or gone; `keyreel run` makes it again")


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise BadFile(f"{path}: is no folder; give --out another") from None
    return path


def _write_zip(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write a zip at once: names in order, no times, nothing compressed that is so already."""
    with _draft(path) as draft, ZipFile(draft, "w", ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            info = ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            if isinstance(content, bytes):
                archive.writestr(info, content)
                continue
            info.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Yield a file beside `path` that takes its name once it is whole."""
    draft = path.with_name(f".{path.name}.part")
    try:
        yield draft
        sync([draft])
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
