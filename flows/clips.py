"""From filled-in forms to a campaign: a product for each clip, and one delivery of their shape."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence

from catalogs.node import canonical
from configs.base import Aspect, Json, aspect_of
from configs.delivery import Delivery
from configs.home import Home
from configs.library import Library
from configs.load import Brief
from configs.marks import read
from configs.model import Model, Profile
from flows.forms import Form, ImageToVideo, TextToVideo
from flows.resolve import device_for

HANZI = re.compile(r"[\u3400-\u9fff]")
SHORT_SIDES = {"480p": 480, "720p": 720}


def brief(kind: str, form: Form, home: Home) -> Brief:
    """Return the campaign that a form with a seed asks for.

    Args:
        kind: `text-to-video` or `image-to-video`: the campaign's name begins with it.
        form: with its seed.
        home: the workspace.

    Raises:
        BadInput: where the form asks for more than its model can do.
    """
    library = Library.open(home)
    profile = own_profile(library)
    form.check(library, form.clip_model(profile))
    values: dict[str, Json] = {
        "name": f"{kind}-{_digest(form)}",
        "title": _said(form)[:60] or "clip",
        "products": [product_of(form, "clip")],
        "settings": settings_of(form, profile),
    }
    return shaped(values, form, [form], home, library, profile, file=f"the form of {kind}")


def shaped(
    values: dict[str, Json],
    form: Form,
    forms: Sequence[Form],
    home: Home,
    library: Library,
    profile: Profile,
    *,
    file: str,
    lines: Sequence[int] = (),
) -> Brief:
    """Return a campaign with what all its clips have in common: brand, day and the one delivery.

    Args:
        values: its name, products and settings.
        form: says the shape, the resolution, the brand, and the seed.
        forms: the clips.
        home: the workspace.
        library: its library.
        profile: this machine's.
        file: what errors name.
        lines: of the products in it.
    """
    delivery = delivery_of(form, [library.models[one.clip_model(profile)] for one in forms])
    name = f"{form.shape.replace(':', 'x')}-{min(delivery.width, delivery.height)}p"
    words = any(isinstance(one, TextToVideo) for one in forms)
    hanzi = any(HANZI.search(_said(one)) for one in forms)
    common: dict[str, Json] = {
        "pipeline": "text-clip" if words else "social-clip",
        "seed": form.seed,
        "brand": _brand(form.look, home),
        "calendar": {"start": "today", "days": 1},
        "prompt": {"language": "zh" if hanzi else "en"},
        "deliveries": [name],
    }
    return Brief({**values, **common}, {name: delivery}, file, lines)


def own_profile(library: Library) -> Profile:
    """Return the profile that suits this machine."""
    profile, _ = device_for("auto", library)
    return library.profiles[profile]


def product_of(form: Form, name: str) -> dict[str, Json]:
    """Return what a form shows, as a product of a campaign."""
    product: dict[str, Json] = {
        "id": name,
        "name": {"zh": "短片", "en": "clip"},
        "prompt": form.words(),
    }
    if isinstance(form, ImageToVideo):
        product["image"] = form.picture
    return product


def settings_of(form: Form, profile: Profile) -> dict[str, Json]:
    """Return what a form sets, dotted.

    The seed is the form's own, not one drawn from it and the day: the same form gives the same
    clip on another day.
    """
    asked: dict[str, Json] = {
        "animate.motion": form.motion,
        "animate.seconds": form.seconds,
        "animate.steps": form.steps,
        "animate.seed": form.seed,
        "animate.model": form.clip_model(profile),
        "keyframe.seed": form.seed,
    }
    if isinstance(form, TextToVideo) and form.picture_model != "auto":
        asked["keyframe.model"] = form.picture_model
    return {name: value for name, value in asked.items() if value is not None}


def delivery_of(form: Form, models: Sequence[Model]) -> Delivery:
    """Return the file that is wanted: of the form's shape, as large as all the models draw."""
    across, down = map(int, form.shape.split(":"))
    aspect: Aspect = aspect_of(across, down)
    short = SHORT_SIDES.get(form.resolution, min(min(one.sizes[aspect]) for one in models))
    scale = short / min(across, down)
    return Delivery.model_validate(
        {
            "name": form.shape,
            "width": 2 * round(across * scale / 2),
            "height": 2 * round(down * scale / 2),
            "aspect": aspect,
            "source": "none: the form's own size",
            "checked_on": dt.date.today(),
        }
    )


def _digest(form: Form) -> str:
    return hashlib.sha256(canonical(form.model_dump(mode="json"))).hexdigest()[:8]


def _said(form: Form) -> str:
    return " ".join(str(text) for text in form.words().values() if text)


def _brand(look: str, home: Home) -> Json:
    if look == "none":
        return {"name": "keyreel"}
    return read(home.find_campaign(look)).value(("brand",))
