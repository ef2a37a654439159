"""The models of a home: what is there, whether it is as published, how fast it loads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalogs.hashes import check, deciding, regular
from configs.errors import BadFile, BadInput
from configs.home import Home
from configs.library import Library
from configs.model import Model
from configs.wording import unknown
from flows.fetch import MANIFEST, changed, manifest
from flows.resolve import device_for
from gpu.checkpoint import assemble
from gpu.device import fit_for, pixels
from tasks.lora import lora_path
from tasks.model import files_of, folder_of, spec_of


@dataclass(frozen=True, slots=True)
class Shelved:
    """One row of models.yaml, and what lies on this disk of it."""

    name: str
    makes: str
    profiles: tuple[str, ...]
    """Those that draw with it."""
    there: bool
    bytes: int
    """On this disk; of one that is missing, what a fetch would download, about; 0: not known."""
    licence: str
    text: str
    """Where it lies, or what to do."""


def shelf(home: Home) -> Iterator[Shelved]:
    """Yield every known model; reads no more than names and sizes."""
    library = Library.open(home)
    for name, model in library.models.items():
        profiles = tuple(id for id, row in library.profiles.items() if name in row.models)
        licence = model.source.licence if model.source else "keyreel's" if model.shipped else "?"
        size = round(model.source.gigabytes * 1e9) if model.source and not model.files else 0
        try:
            there, text = False, lacking(name, model, home)
            if not text:
                paths = weight_files(model, home)
                size = sum(regular(path).st_size for path in paths)
                for path in paths:
                    check(path)
                there, text = True, str(folder_of(model, home))
        except BadFile as error:
            there, text = False, str(error)
        if not there and model.source and not model.files:
            text = f"keyreel models fetch {name}"
        yield Shelved(name, model.makes, profiles, there, size, licence, text)


def lacking(name: str, model: Model, home: Home) -> str:
    """Return how to get a model of which nothing is here; "" where something is."""
    files, folder = files_of(model, home), folder_of(model, home)
    if files and not any(path.exists() for _, path in files.networks):
        whose = "TurboDiffusion's checkpoints folder" if model.turbo else "ComfyUI's models folder"
        file = files.networks[0][1].name
        return f"no {file}; in the home's models.yaml, set files.root to {whose}"
    if not files and not (folder / "model_index.json").exists():
        fetch = f"`keyreel models fetch {name}`, or " if model.source else ""
        return f"{fetch}put its diffusers folder at {folder}"
    return ""


def weight_files(model: Model, home: Home) -> list[Path]:
    """Return every file that decides what a model draws, its own adapters among them.

    Raises:
        BadFile: where one is missing, or a download has not ended.
    """
    folder, loras = folder_of(model, home), [lora_path(lora, home) for lora in model.loras]
    if files := files_of(model, home):
        return [*assemble.deciding(folder, files).values(), *loras]
    return [*deciding(folder), *loras]


def named(home: Home, name: str) -> Model:
    """Return a row of models.yaml.

    Raises:
        BadInput: where there is none of that name.
    """
    models = Library.open(home).models
    if name not in models:
        raise BadInput(unknown("model", name, models))
    return models[name]


def verify(home: Home, name: str) -> str:
    """Return what was checked: every key and shape, and every byte where it was fetched.

    Raises:
        BadFile: with each thing that is not as it should be; keys and files are named.
    """
    model = named(home, name)
    folder = folder_of(model, home)
    said = f"{_check_keys(model, home)} networks: every key and shape"
    sums = {} if model.files else manifest(folder)
    wrong = list(changed(folder, sums, list(sums)))
    if wrong:
        raise BadFile("\n".join(wrong))
    if sums:
        return f"{said}; {len(sums)} files: every byte as published"
    return f"{said}; bytes not compared: there is no {MANIFEST} of a fetch"


def _check_keys(model: Model, home: Home) -> int:
    from gpu.checkpoint.whole import check_keys  # torch

    folder = folder_of(model, home)
    for path in weight_files(model, home):
        check(path)
    if files := files_of(model, home):
        assemble.check(folder, files, 2)
        return len(files.networks)
    return check_keys(folder, model.pipeline)


@dataclass(frozen=True, slots=True)
class Warmed:
    """What loading one model took."""

    name: str
    seconds: float
    bytes: int
    """Of its files."""

    @property
    def rate(self) -> float:
        """Gigabytes of 1e9 bytes a second."""
        return self.bytes / 1e9 / self.seconds


def warm(home: Home, profile: str) -> Iterator[Warmed]:
    """Load the models of a profile, one after the other, within its budget.

    Raises:
        BadInput: where the profile is unknown, or needs another device.
        BadFile: where a model is not there.
    """
    library = Library.open(home)
    name, device = device_for(profile, library)
    row = library.profiles[name]
    from gpu.weights import import_libraries, shared

    weights = shared(row.budget_gb)
    for model_id in row.models:
        model = library.models[model_id]
        spec = spec_of(model, home, model_id, pixels(device, row.dtype, fit_for(row)), row.offload)
        size = sum(path.stat().st_size for path in weight_files(model, home))
        import_libraries(model.pipeline)
        started = time.perf_counter()
        weights.prewarm([spec])
        yield Warmed(model_id, time.perf_counter() - started, size)
