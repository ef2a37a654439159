"""From a campaign to all that its plan stands on: the one place that reads clock, disk and device.

Raises on the first thing that is missing or broken; repairs nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

from catalogs.hashes import FileHashes
from catalogs.node import InputFile
from catalogs.reviews import latest
from catalogs.store import Store
from configs.campaign import Campaign
from configs.errors import BadFile, BadInput
from configs.home import Home
from configs.layers import Layers
from configs.library import Library
from configs.load import Brief, Loaded, load_campaign
from configs.marks import dotted
from configs.model import Profile
from configs.pipeline import Pipeline
from configs.prompt import Template, load_template
from configs.tokens import Counter, counter
from configs.vocabulary import Vocabulary, load_vocabulary
from configs.wording import unknown
from flows.attachments import find_attachments
from flows.captions import caption_wishes
from flows.facts import Facts, Picture, Resolved, model_of, words_alone
from flows.history import previous_keys, recent_runs, recipe_of, recorded_costs
from flows.loras import find_loras
from flows.prompts import write_prompts
from flows.shots import Shot, shots_of
from gpu.device import Device, detect, fit_for, pick_profile, pixels, read_cpu
from tasks.model import fingerprint, folder_of
from tasks.photo import size_of
from tasks.stages import STAGES
from tasks.watermark import open_logo


def resolve(
    home: Home,
    name: str | Brief,
    *,
    today: dt.date | None = None,
    start: dt.date | None = None,
    profile: str | None = None,
    seed: int | None = None,
) -> Resolved:
    """Look up everything that a campaign of the home names.

    Args:
        home: the workspace.
        name: of a file in its `campaigns/`, or a campaign that stands in no file.
        today: in place of the clock's.
        start: first day, in place of the campaign's own.
        profile: in place of the campaign's own.
        seed: in place of the campaign's own. Without either, one is drawn from its name: the same
            days again are the same work, and other days other work.

    Raises:
        BadInput: where something is wrong, missing or broken; files are named with the line
            of the campaign that asks for them.
    """
    loaded, library = _load(home, name)
    pipeline = library.pipeline(loaded.campaign.pipeline)
    profile_id, device = device_for(profile or loaded.campaign.profile, library)
    seed = first_seed(seed, loaded.campaign.seed, loaded.campaign.name)
    loaded = _with(loaded, start=start, seed=seed)
    layers = Layers.build(loaded, pipeline, profile_id, library)
    today = today or dt.datetime.now(ZoneInfo(loaded.campaign.calendar.timezone)).date()
    shots = shots_of(loaded.campaign, loaded.source, today=today)
    row = library.profiles[profile_id]
    models = _models(pipeline[0], layers, shots, row, library)
    folders = {model: folder_of(library.models[model], home) for model in models}
    hashes = FileHashes(home.cache / "hashes.json")
    prints = {model: _fingerprint(model, library, home, hashes, profile_id) for model in models}
    resolved = Resolved(
        loaded=loaded,
        pipeline=pipeline[0],
        pipeline_marks=pipeline[1],
        profile_id=profile_id,
        profile=row,
        library=library,
        layers=layers,
        templates=_templates(loaded.campaign, library),
        vocabulary=_vocabulary({*models, row.picture, row.clip}, library),
        counters={library.models[model].folder: _counter(path) for model, path in folders.items()},
        shots=shots,
        facts=_facts(home, loaded, hashes, today, pixels(device, row.dtype, fit_for(row)), prints),
    )
    loras = find_loras(resolved, models, home, hashes)
    attached = find_attachments(resolved, home, hashes)
    found = replace(resolved.facts, loras=loras, attached=attached)
    resolved = replace(resolved, facts=found)
    return _expanded(resolved, home)


def _load(home: Home, name: str | Brief) -> tuple[Loaded, Library]:
    library = Library.open(home)
    if isinstance(name, Brief):
        return name.load(library)
    return load_campaign(home.find_campaign(name), home, library), library


def _facts(
    home: Home,
    loaded: Loaded,
    hashes: FileHashes,
    today: dt.date,
    pixels: Mapping[str, str],
    fingerprints: Mapping[str, str],
) -> Facts:
    """Return these facts and what else is found in the home."""
    campaign, store, runs = loaded.campaign, Store(home.store), recent_runs(home.runs)
    own = _Files(home, loaded, hashes)
    return Facts(
        today=today,
        seed=campaign.seed or 0,
        logos=own.logos() | own.certificate(),
        logo=own.logo(),
        photos=own.photos(),
        fingerprints=fingerprints,
        pixels=pixels,
        held=store.held(),
        previous=previous_keys(runs, campaign.name),
        recipe=partial(recipe_of, store),
        costs=recorded_costs(runs, store),
        expansions={},
        verdicts=latest(store),
    )


def _expanded(resolved: Resolved, home: Home) -> Resolved:
    """Ask language models for the prompts and captions of the shots that want them."""
    settings = {id(each): each for each in map(resolved.settings, resolved.shots)}
    wishes = [*caption_wishes(resolved)]
    if any(each.expand.expander != "template" for each in settings.values()):
        wishes += [wish for made in write_prompts(resolved).values() for wish in made.wishes]
    if not wishes:
        return resolved
    from tasks.expanders import fulfil  # HTTP and threads, for those who use them

    expansions = fulfil(wishes, cache=home.cache, models=home.root / "models")
    return replace(resolved, facts=replace(resolved.facts, expansions=expansions))


def _with(loaded: Loaded, *, start: dt.date | None, seed: int) -> Loaded:
    """Return the campaign with its seed drawn, and starting on another day where one is given."""
    calendar = loaded.campaign.calendar
    if start:
        calendar = calendar.model_copy(update={"start": start})
    campaign = loaded.campaign.model_copy(update={"seed": seed, "calendar": calendar})
    return replace(loaded, campaign=campaign)


def first_seed(given: int | None, own: int | None, draw: str) -> int:
    """Return the first seed that is given, 0 being one; else one drawn from the text `draw`."""
    drawn = int.from_bytes(hashlib.sha256(draw.encode()).digest()[:6], "big")
    return next(seed for seed in (given, own, drawn) if seed is not None)


def device_for(name: str, library: Library) -> tuple[str, Device]:
    """Return the profile, and the device that it runs on.

    Args:
        name: of a profile, or `auto`.
        library: which has the profiles.

    Raises:
        BadInput: where it is unknown, or draws on a card that is not there.
    """
    device = detect()
    if name == "auto":
        name = pick_profile(device, library.profiles)
    if name not in library.profiles:
        raise BadInput(unknown("profile", name, ["auto", *library.profiles]))
    wanted = library.profiles[name].device
    if wanted == device.kind:
        return name, device
    if wanted == "cuda":
        raise BadInput(
            f"profile {name} draws on an NVIDIA card, and {device.name} is none; "
            "write `profile: auto`"
        )
    return name, read_cpu(Path("/proc/cpuinfo").read_text(encoding="utf-8"), 0)


def _models(
    pipeline: Pipeline, layers: Layers, shots: Sequence[Shot], profile: Profile, library: Library
) -> list[str]:
    """Return the ids of the models that any stage draws with for any shot."""
    used: dict[str, None] = {}
    if pipeline.from_words:
        told = [words_alone(shot, layers.settings(shot.axes), profile, library) for shot in shots]
        used |= dict.fromkeys(filter(None, told))
        shots = [shot for shot, alone in zip(shots, told, strict=True) if not alone]
    for declared in pipeline.stages:
        own = "" if declared.id == declared.kind else declared.id
        for shot in shots if STAGES[declared.kind].uses else ():
            used[model_of(declared.kind, layers.settings(shot.axes, own), profile)] = None
    return list(used)


def _fingerprint(
    model: str, library: Library, home: Home, hashes: FileHashes, profile_id: str
) -> str:
    """Return the fingerprint of a model's weights.

    Raises:
        BadFile: where its folder or a file is missing or not whole.
    """
    try:
        return fingerprint(library.models[model], home, hashes)
    except BadFile as error:
        raise BadFile(f"{error} (profile {profile_id} draws with {model})") from None


def _templates(campaign: Campaign, library: Library) -> dict[str, Template]:
    names = campaign.prompt.template
    return {
        name: load_template(name, library.prompts)
        for name in ((names,) if isinstance(names, str) else names)
    }


def _counter(folder: Path) -> Counter:
    """Return what counts a model's tokens; motions repeat from shot to shot, and 0.1 ms adds up."""
    found = counter(folder)
    return Counter(lru_cache(maxsize=1024)(found.count), found.exact)


def _vocabulary(models: Iterable[str], library: Library) -> Vocabulary | None:
    """Return the words of the small models, where one is used."""
    if any(library.models[model].dialect == "mini" for model in models):
        return load_vocabulary(Path(str(files("gpu"))) / "mini" / "vocabulary.json")
    return None


class _Files:
    """The campaign's own pictures; errors name the line that asks for each."""

    def __init__(self, home: Home, loaded: Loaded, hashes: FileHashes) -> None:
        self.home, self.loaded, self.hashes = home, loaded, hashes

    def picture(
        self, path: str, *field: str | int, look: Callable[[Path], object] = size_of
    ) -> Picture:
        """Return one picture's hash and size.

        Args:
            path: inside the home.
            field: of the campaign, which names it.
            look: raises BadFile where the picture is not what it must be.

        Raises:
            BadFile: where it is missing, broken, no image or outside the home.
        """
        try:
            file = self.home.existing(path)
            width, height = size_of(file)
            look(file)
            name = file.relative_to(self.home.root.resolve()).as_posix()
            return Picture(InputFile(self.hashes.of(file), name), width, height)
        except (BadFile, OSError, ValueError) as error:
            place = f"{self.loaded.source.where(field)}: {dotted(field)}"
            raise BadFile(f"{place}: {error}") from None

    def logos(self) -> dict[str, InputFile]:
        """Return the brand's logos by role."""
        brand = self.loaded.campaign.brand
        given = {"logo": brand.logo, "logo_on_dark": brand.logo_on_dark}
        return {
            role: self.picture(path, "brand", role, look=open_logo).file
            for role, path in given.items()
            if path
        }

    def certificate(self) -> dict[str, InputFile]:
        """Return what deliveries are signed with, once it is certain that it can sign."""
        signing = self.loaded.campaign.brand.signing
        if signing is None:
            return {}
        from tasks.certificate import read_signer  # brings cryptography: 0.1 s

        try:
            certificate = self.home.existing(signing.certificate)
            read_signer(certificate, self.home.existing(signing.key), dt.datetime.now(dt.UTC))
            return {"certificate": InputFile(self.hashes.of(certificate), signing.certificate)}
        except BadFile as error:
            place = self.loaded.source.where(("brand", "signing"))
            raise BadFile(f"{place}: brand.signing: {error}") from None

    def logo(self) -> tuple[int, int] | None:
        """Return the size of what can be seen of the logo."""
        path = self.loaded.campaign.brand.logo
        return open_logo(self.home.inside(path)).size if path else None

    def photos(self) -> dict[str, Picture]:
        """Return the own photos by product id."""
        return {
            product.id: self.picture(product.image, "products", index, "image")
            for index, product in enumerate(self.loaded.campaign.products)
            if product.image
        }
