"""Every shot's prompts, no two of a product the same. Pure: the words were loaded before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

from configs.advertising import find
from configs.base import Json
from configs.check import markets_of
from configs.errors import BadPlan
from flows.facts import Resolved, model_of
from flows.shots import Shot
from tasks.expand import Expanded, expand_shot

Prompts = Mapping[str, Expanded]
"""By shot id."""


def write_prompts(resolved: Resolved) -> Prompts:
    """Return the prompts of every shot.

    Within a product they are written in the order of the shots' ids, so that the order of the
    YAML's lists does not decide who gets which.

    Raises:
        BadPlan: where a product has more shots than its templates give different prompts.
    """
    prompts: dict[str, Expanded] = {}
    by_product = sorted(resolved.shots, key=lambda shot: (shot.product.id, shot.id))
    for _, shots in groupby(by_product, key=lambda shot: shot.product.id):
        taken: set[str] = set()
        for shot in shots:
            prompts[shot.id] = expanded = _expand(resolved, shot, taken)
            if expanded.scene in taken and shot.product.image is None:
                raise BadPlan(_exhausted(resolved, shot, len(taken)))
            taken.add(expanded.scene)
    return prompts


def _expand(resolved: Resolved, shot: Shot, taken: set[str]) -> Expanded:
    names = resolved.campaign.prompt.template
    names = (names,) if isinstance(names, str) else names
    settings, models = resolved.settings(shot), resolved.library.models
    source, alone = resolved.loaded.source, resolved.words_alone(shot)
    clip = model_of("animate", settings, resolved.profile, alone)
    picture = alone or model_of("keyframe", settings, resolved.profile)
    try:
        expanded = expand_shot(
            campaign=resolved.campaign,
            product=shot.product,
            day=shot.day,
            axes=shot.axes,
            seed=shot.seed,
            rank=shot.rank,
            settings=settings,
            template=resolved.templates[names[shot.rank % len(names)]],
            picture_model=models[picture],
            clip_model=models[clip],
            vocabulary=resolved.vocabulary,
            expansions=resolved.facts.expansions,
            taken=taken,
            counters=resolved.counters,
            where=lambda *path: source.where(path),
        )
        if expanded.intent.text:
            _lint_text(resolved, shot, expanded.intent.text)
        if resolved.pipeline.from_words and not alone and not shot.product.image:
            note = f"a picture is drawn first: {clip} makes clips of pictures"
            expanded = replace(expanded, notes=(note, *expanded.notes))
        return expanded
    except BadPlan as error:
        if ".yaml:" in str(error):
            raise
        product = resolved.campaign.products.index(shot.product)
        place = source.where(("products", product))
        raise BadPlan(f"{place}: {shot.id}: {error}") from None


def _lint_text(resolved: Resolved, shot: Shot, text: str) -> None:
    """Refuse words in the picture that are against the advertising law of a market."""
    campaign, name = resolved.campaign, shot.product.name
    for found in find(
        text,
        markets=markets_of(campaign, resolved.library),
        names=(name.zh, name.en),
        allowed=campaign.brand.allow,
    ):
        if not found.reason:
            place = resolved.loaded.source.where(("prompt", "text"))
            raise BadPlan(f"{place}: {shot.id}: prompt.text: {found}")


def _exhausted(resolved: Resolved, shot: Shot, count: int) -> str:
    place = resolved.loaded.source.where(("prompt", "template"))
    return (
        f"{place}: prompt.template: the words give {shot.product.id} {count} different prompts, "
        f"and {shot.id} would repeat one; add a template or shorten the calendar"
    )


def shot_json(shot: Shot, prompts: Prompts, language: str) -> dict[str, Json]:
    """Return what people and the catalog want to know of a shot."""
    expanded, festival = prompts[shot.id], shot.day.festival
    return {
        "product": {"id": shot.product.id, "name": shot.product.name.model_dump()},
        "day": shot.day.iso,
        "weekday": shot.day.weekday,
        "festival": festival.name.model_dump() if festival else None,
        "axes": dict(shot.axes),
        "seed": shot.seed,
        "template": expanded.template,
        "language": language,
        "motion": expanded.motion,
        "texts": dict(expanded.texts),
        "notes": list(expanded.notes),
    }
