"""The files that shots' settings name, found in the home, hashed and read once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from catalogs.hashes import FileHashes
from catalogs.node import InputFile
from configs.attached import Kind, attached_in
from configs.errors import BadFile
from configs.home import Home
from configs.srt import read_srt
from flows.facts import Resolved
from tasks.font import read_font
from tasks.sound import length_of
from tasks.stage import Attachment

READERS: Mapping[Kind, Callable[[Path], object]] = {
    "sound": length_of,
    "font": read_font,
    "subtitles": read_srt,
}
"""What a plan must know of a file, by its kind; each raises BadFile where it is not one."""


def find_attachments(resolved: Resolved, home: Home, hashes: FileHashes) -> dict[str, Attachment]:
    """Return each file that a shot's settings name, by the path they give.

    Raises:
        BadFile: where one is missing, outside or not what it must be; names the line that asks.
    """
    found: dict[str, Attachment] = {}
    seen: set[tuple[str, int]] = set()  # shots of one layering share their settings
    for shot in resolved.shots:
        for stage in resolved.pipeline.stages:
            settings = resolved.settings(shot, "" if stage.id == stage.kind else stage.id)
            if (stage.id, id(settings)) in seen:
                continue
            seen.add((stage.id, id(settings)))
            for path, kind, file in attached_in(getattr(settings, stage.kind), stage.id):
                if file in found:
                    continue
                try:
                    found[file] = _read(file, kind, home, hashes)
                except BadFile as error:
                    *_, (_, where, _) = resolved.layers.explain(shot.axes, path)
                    raise BadFile(f"{where}: {path}: {error}") from None
    return found


def _read(file: str, kind: Kind, home: Home, hashes: FileHashes) -> Attachment:
    path = home.existing(file)
    digest = hashes.of(path)
    name = path.relative_to(home.root.resolve()).as_posix()
    return Attachment(InputFile(digest, name), READERS[kind](path))
