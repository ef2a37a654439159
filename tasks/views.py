"""What a template sees of a campaign: plain values, in the prompt's language."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

from configs.base import Language
from configs.campaign import AxisValue, Campaign, Product
from configs.festivals import Day, Festival


class NoFestival:
    """A day without a festival: false, and empty wherever it is looked into."""

    id = name = props = tone = ""

    def __bool__(self) -> bool:
        return False


def view(
    *,
    campaign: Campaign,
    product: Product,
    day: Day,
    axes: Mapping[str, AxisValue],
    seed: int,
    language: Language,
) -> dict[str, object]:
    """Return the names that `prompt.when` and templates may use."""
    return {
        "day": _day(day, language),
        "product": SimpleNamespace(
            id=product.id,
            name=product.name.say(language),
            kind=product.kind or "",
            material=product.material or "",
            photo=product.image is not None,
            facts=product.facts,
        ),
        "shot": SimpleNamespace(id="/".join(map(str, axes.values())), seed=seed),
        "campaign": SimpleNamespace(
            name=campaign.name,
            title=campaign.title.say(language),
            brand=SimpleNamespace(name=campaign.brand.name),
        ),
        "axes": SimpleNamespace(**axes),
    }


def _day(day: Day, language: Language) -> SimpleNamespace:
    return SimpleNamespace(
        iso=day.iso,
        weekday=day.weekday,
        name=day.name.say(language),
        is_weekend=day.is_weekend,
        season=day.season,
        season_name=day.season_name.say(language),
        festival=_festival(day.festival, language) if day.festival else NoFestival(),
    )


def _festival(festival: Festival, language: Language) -> SimpleNamespace:
    return SimpleNamespace(
        id=festival.id,
        name=festival.name.say(language),
        props=festival.props.say(language),
        tone=festival.tone.say(language),
    )
