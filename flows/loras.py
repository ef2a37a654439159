"""The adapters that a campaign's models and shots name, found in the home and hashed."""

from __future__ import annotations

from collections.abc import Iterable

from catalogs.hashes import FileHashes
from catalogs.node import InputFile
from configs.errors import BadFile
from configs.home import Home
from flows.facts import Resolved
from tasks.lora import find_lora
from tasks.stages import STAGES


def find_loras(
    resolved: Resolved, models: Iterable[str], home: Home, hashes: FileHashes
) -> dict[str, InputFile]:
    """Return the file of each adapter, by its path in `models/loras/`.

    Args:
        resolved: the campaign; each shot and each stage may have its own.
        models: ids of those that are drawn with; their rows may name adapters too.
        home: where the files lie.
        hashes: of its files.

    Raises:
        BadFile: where one is missing, broken or outside; names the line that asks for it.
    """
    found: dict[str, InputFile] = {}
    for model in models:
        for lora in resolved.library.models[model].loras:
            try:
                found[lora.file] = find_lora(lora, home, hashes)
            except BadFile as error:
                raise BadFile(f"{error} (models.yaml: {model} draws with it)") from None
    drawing = [stage for stage in resolved.pipeline.stages if STAGES[stage.kind].uses]
    for shot in resolved.shots:
        for stage in drawing:
            settings = resolved.settings(shot, "" if stage.id == stage.kind else stage.id)
            for lora in getattr(settings, stage.kind).loras:
                if lora.file in found:
                    continue
                try:
                    found[lora.file] = find_lora(lora, home, hashes)
                except BadFile as error:
                    path = f"{stage.id}.loras"
                    *_, (_, where, _) = resolved.layers.explain(shot.axes, path)
                    raise BadFile(f"{where}: {path}: {error}") from None
    return found
