"""Settings in layers: which one wins, where it was written, and what has no meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import BadField, BadInput
from configs.home import Home
from configs.layers import Layers
from configs.library import Library
from configs.load import load_campaign
from configs.settings import Settings
from tests.seconds import least_seconds

CAMPAIGN = """\
name: layered
brand:
  name: B
  watermark: {opacity: 0.5, width: 0.2}
calendar: {start: 2026-03-02, days: 7}
products:
  - {id: one, name: One}
  - {id: two, name: Two}
matrix: {product: all, day: all, mood: [warm, 2]}
deliveries: [douyin]
"""
PROFILES = """\
own:
  device: cpu
  picture: mini-picture
  clip: mini-clip
  budget_gb: 1
  settings: {watermark.width: 0.15, animate: {motion: tilt-up, steps: 3}}
"""
PIPELINE = """\
stages:
  - {id: expand}
  - {id: keyframe, with: {steps: 6}}
  - {id: hero, stage: keyframe, with: {steps: 9}}
  - {id: animate, with: {motion: pan-left, seconds: 2}}
  - {id: watermark, with: {width: 0.3}}
"""


@pytest.fixture
def build(tmp_path):
    """Builds the layers of CAMPAIGN with more lines, PIPELINE and PROFILES."""
    home = Home(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "profiles.yaml").write_text(PROFILES)

    def builder(more="", pipeline=PIPELINE, start="2026-03-02"):
        (tmp_path / "pipelines" / "social-clip.yaml").write_text(pipeline)
        path = tmp_path / "layered.yaml"
        path.write_text(CAMPAIGN.replace("2026-03-02", start) + more)
        library = Library.open(home)
        loaded = load_campaign(path, home, library)
        return Layers.build(loaded, library.pipeline("social-clip"), "own", library)

    return builder


def shot(product="one", day="2026-03-06", mood="warm"):
    """Return a shot's axes; 2026-03-06 is a Friday."""
    return {"product": product, "day": day, "mood": mood}


class TestOrder:
    """Defaults < pipeline < profile < brand < campaign < overrides."""

    def test_each_layer_covers_the_one_below(self, build):
        """One setting for each layer that decides it."""
        layers = build(
            "settings: {export.crf: 18, watermark: {opacity: 0.7}}\n"
            "overrides: [{match: {mood: warm}, set: {export.crf: 30}}]\n"
        )
        found = layers.settings(shot())
        assert found.export.preset == "veryfast"  # default
        assert found.animate.seconds == 2  # pipeline
        assert found.animate.motion == "tilt-up"  # profile
        assert found.watermark.width == 0.2  # brand
        assert found.watermark.opacity == 0.7  # campaign
        assert found.export.crf == 30  # override
        assert layers.settings(shot(mood=2)).export.crf == 18

    def test_a_later_override_wins(self, build):
        """In the order of the file."""
        layers = build(
            "overrides:\n"
            "  - {match: {product: one}, set: {animate.motion: static}}\n"
            "  - {match: {day: fri}, set: {animate: {motion: turntable}}}\n"
        )
        assert layers.settings(shot()).animate.motion == "turntable"
        assert layers.settings(shot(day="2026-03-05")).animate.motion == "static"
        assert layers.settings(shot("two", "2026-03-05")).animate.motion == "tilt-up"

    def test_no_layers_are_the_defaults(self, build):
        """Nothing set is nothing changed."""
        layers = build(pipeline="stages: [{id: expand}]")
        assert layers.settings(shot()).export == Settings().export

    def test_a_value_has_its_fields_type(self, build):
        """A dotted value is read as the settings would read it."""
        layers = build("settings: {animate.seconds: 3}\n")
        assert isinstance(layers.settings(shot()).animate.seconds, float)


class TestStages:
    """A stage that is used twice under two ids."""

    def test_with_is_for_its_own_stage(self, build):
        """The second use keeps the first one's `with` out."""
        layers = build()
        assert layers.settings(shot()).keyframe.steps == 6
        assert layers.settings(shot(), "hero").keyframe.steps == 9

    def test_a_kind_is_set_for_all_its_stages_an_id_for_one(self, build):
        """`keyframe.steps` is for both, `hero.guidance` for one."""
        layers = build("settings: {hero.guidance: 0.5, keyframe: {steps: 4}}\n")
        assert layers.settings(shot()).keyframe.steps == 4
        assert layers.settings(shot()).keyframe.guidance is None
        assert layers.settings(shot(), "hero").keyframe.steps == 4
        assert layers.settings(shot(), "hero").keyframe.guidance == 0.5

    def test_in_one_layer_the_id_wins_over_the_kind(self, build):
        """In whichever order they are written."""
        layers = build("settings: {hero.steps: 5, keyframe.steps: 4}\n")
        assert layers.settings(shot(), "hero").keyframe.steps == 5


class TestMatch:
    """Which shots an override is for."""

    @pytest.mark.parametrize(
        ("match", "matched"),
        [
            ("{day: fri}", True),
            ("{day: Friday}", True),
            ("{day: FRI}", True),
            ("{day: 周五}", True),
            ("{day: 星期五}", True),
            ("{day: [mon, 周五]}", True),
            ("{day: 2026-03-06}", True),
            ("{day: sat}", False),
            ("{day: 2026-03-05}", False),
            ("{mood: warm}", True),
            ("{mood: 2}", False),
            ("{mood: [2, warm]}", True),
            ("{product: one, mood: warm, day: fri}", True),
            ("{product: two, mood: warm, day: fri}", False),
            ("{}", True),
        ],
    )
    def test_all_axes_must_match(self, build, match, matched):
        """Weekdays in either language, dates, lists of either."""
        layers = build(f"overrides: [{{match: {match}, set: {{animate.motion: static}}}}]\n")
        assert (layers.settings(shot()).animate.motion == "static") is matched

    def test_on_a_rolling_calendar_a_date_may_lie_in_another_week(self, build):
        """A weekly schedule keeps the override for the day it comes."""
        layers = build(
            "overrides: [{match: {day: 2026-02-14}, set: {animate.motion: static}}]\n",
            start="next-monday",
        )
        assert layers.settings(shot(day="2026-02-14")).animate.motion == "static"
        assert layers.settings(shot(day="2026-02-21")).animate.motion == "tilt-up"


class TestExplain:
    """`keyreel plan --explain SHOT FIELD`."""

    def test_every_layer_that_sets_a_value_the_winner_last(self, build, tmp_path):
        """Each with file and line."""
        layers = build("overrides: [{match: {product: one}, set: {watermark.width: 0.4}}]\n")
        assert layers.explain(shot(), "watermark.width") == [
            ("default", "configs/settings.py", 0.10),
            ("pipeline social-clip", f"{tmp_path}/pipelines/social-clip.yaml:6", 0.3),
            ("profile own", f"{tmp_path}/profiles.yaml:6", 0.15),
            ("brand", f"{tmp_path}/layered.yaml:4", 0.2),
            ("overrides[0]", f"{tmp_path}/layered.yaml:11", 0.4),
        ]

    @pytest.mark.parametrize("stage", ["keyframe", "hero"])
    def test_the_last_one_is_what_the_settings_hold(self, build, stage):
        """For a stage under its own id too."""
        layers = build("settings: {hero.steps: 5, keyframe.guidance: 1}\n")
        own = "" if stage == "keyframe" else stage
        for name in ("steps", "guidance", "negative"):
            winner = layers.explain(shot(), f"{stage}.{name}")[-1][2]
            assert winner == getattr(layers.settings(shot(), own).keyframe, name)

    @pytest.mark.parametrize("path", ["animate.motoin", "animat.motion", "motion", "animate", ""])
    def test_an_unknown_path_is_bad_input(self, build, path):
        """With the nearest right one, where one is near."""
        with pytest.raises(BadInput, match="no setting"):
            build().explain(shot(), path)


class TestWrong:
    """Paths and values are told where they stand."""

    def test_in_a_pipelines_with(self, build, tmp_path):
        """At the pipeline's line."""
        with pytest.raises(BadField, match=r"stages\[0\]\.with\.stepps: .* 'keyframe.steps'"):
            build(pipeline="stages:\n  - {id: keyframe, with: {stepps: 6}}\n")

    def test_in_a_profile(self, build, tmp_path):
        """At the profile's line."""
        (tmp_path / "profiles.yaml").write_text(PROFILES.replace("tilt-up", "tilt-upp"))
        with pytest.raises(BadField, match=r"profiles\.yaml:6:.*did you mean 'tilt-up'") as caught:
            build()
        assert caught.value.field == "own.settings.animate.motion"

    def test_animate_needs_a_model_that_starts_from_a_picture(self, build):
        """A text-to-video model is known, but not for this; those that are, are named."""
        says = r"animate\.model: 'turbowan2.1-t2v-14b' makes clips from words alone; .* mini-clip"
        with pytest.raises(BadField, match=says):
            build("settings: {animate.model: turbowan2.1-t2v-14b}\n")


class TestSpeed:
    """Planning asks 10,000 times."""

    @pytest.mark.parametrize("overrides", [3, 1000])
    def test_ten_thousand_shots(self, build, overrides):
        """In 50 ms with a few overrides, and not much more with many; bars are ten times that."""
        lines = "".join(
            f"  - {{match: {{product: one, day: {day}}}, set: {{export.crf: {n % 40}}}}}\n"
            for n, day in zip(range(overrides), ["mon", "tue", "wed"] * overrides, strict=False)
        )
        layers = build(f"overrides:\n{lines}")
        shots = [shot("two", f"2026-03-{n % 7 + 2:02}") for n in range(10_000)]
        assert least_seconds(lambda: [layers.settings(axes) for axes in shots], times=1) < 0.5
        assert layers.settings(shots[0]) is layers.settings(dict(shots[7]))


def test_the_demo_turns_on_friday(tmp_path):
    """The shipped campaign's own override."""
    home = Home(tmp_path)
    library = Library.open(home)
    path = Path(__file__).parent.parent / "configs" / "campaigns" / "demo.yaml"
    loaded = load_campaign(path, home, library)
    layers = Layers.build(loaded, library.pipeline("social-clip"), "mini", library)
    motion = {
        day: layers.settings({"product": "rouge-01", "day": day}).animate.motion
        for day in ("2026-03-02", "2026-03-06")
    }
    assert motion == {"2026-03-02": "auto", "2026-03-06": "orbit-left"}
