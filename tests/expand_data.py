"""A campaign, models and a plan's loop, for the tests of prompt expansion."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from configs.campaign import Campaign
from configs.festivals import day_facts
from configs.fill import load
from configs.model import Model
from configs.prompt import Template, load_template
from configs.settings import Settings
from configs.tokens import counter
from configs.vocabulary import load_vocabulary
from tasks.expand import Expanded, expand_shot

ROOT = Path(__file__).parents[1]
PROMPTS = ROOT / "configs" / "prompts"
KINDS = ("product-closeup", "use-scene", "emotion", "comparison", "abstract-concept")
TEMPLATES = {name: load_template(name, [PROMPTS]) for name in KINDS}
VOCABULARY = load_vocabulary(ROOT / "gpu" / "mini" / "vocabulary.json")
COUNTERS = {"image": counter(ROOT / "gpu" / "mini" / "weights" / "image")}
DEMO = load(ROOT / "configs" / "campaigns" / "demo.yaml", Campaign)[0]
LIPSTICK = DEMO.products[0]

_SIZES: Any = {"portrait": (288, 512), "square": (384, 384), "landscape": (512, 288)}
MINI = Model(
    makes="picture",
    pipeline="ZImagePipeline",
    folder="image",
    shipped=True,
    dialect="mini",
    sizes=_SIZES,
    steps=8,
    max_tokens=128,
)
MINI_CLIP = Model(
    makes="clip",
    pipeline="WanImageToVideoPipeline",
    folder="video",
    shipped=True,
    dialect="wan",
    sizes=_SIZES,
    steps=4,
    max_tokens=64,
    frames=17,
    max_frames=17,
    fps=16,
)
Z_IMAGE = MINI.model_copy(
    update={"folder": "z", "dialect": "z-image", "max_tokens": 512, "shipped": False}
)
WAN = MINI_CLIP.model_copy(update={"folder": "wan", "max_tokens": 512, "shipped": False})
SMALL, LARGE = (MINI, MINI_CLIP), (Z_IMAGE, WAN)


def expand(
    day: str = "2026-03-02", *, template: str | Template = "product-closeup", **given: Any
) -> Expanded:
    """Expand one shot of the demo; `prompt`, `product` and others change it."""
    product = given.pop("product", LIPSTICK)
    campaign = given.pop("campaign", DEMO)
    prompt = campaign.prompt.model_copy(update=given.pop("prompt", {}))
    products = tuple(product if one.id == product.id else one for one in campaign.products)
    date = dt.date.fromisoformat(day)
    picture, clip = given.pop("models", LARGE)
    axes = {"product": product.id, "day": day, **given.pop("axes", {})}
    return expand_shot(
        **{
            "campaign": campaign.model_copy(update={"prompt": prompt, "products": products}),
            "product": product,
            "day": day_facts(date, campaign.calendar.locale),
            "axes": axes,
            "seed": 7,
            "rank": date.toordinal(),
            "settings": Settings.model_validate(given.pop("settings", {})),
            "template": template if isinstance(template, Template) else TEMPLATES[template],
            "picture_model": picture,
            "clip_model": clip,
            "vocabulary": VOCABULARY,
            "counters": COUNTERS,
            **given,
        }
    )


def days(first: str, count: int) -> list[str]:
    """Return ISO dates in a row."""
    start = dt.date.fromisoformat(first)
    return [(start + dt.timedelta(days=number)).isoformat() for number in range(count)]
