"""What resolving finds on disk, and the one error for what it does not."""

from __future__ import annotations

import datetime as dt
import os

import pytest
from PIL import Image

from catalogs.record import Entry, Place, Run
from catalogs.runs import write_run
from catalogs.store import Store
from configs.errors import BadFile, BadInput, BadPlan
from configs.home import Home
from flows.plan import plan, prepare
from flows.resolve import resolve
from tasks.stage import Draft
from tests.plan_data import Desk, shipped


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(Home(tmp_path / "home"))


def test_pictures_are_known_by_their_bytes(desk: Desk):
    """A photo's hash and upright size are facts; changed bytes give another hash."""
    before = desk.found().facts.photos["mug-01"]
    assert (before.width, before.height) == (900, 1200)
    picture = Image.new("RGB", (1200, 900), "white")
    exif = picture.getexif()
    exif[274] = 6  # turned by a quarter
    picture.save(desk.home.root / "brand/mug.jpg", exif=exif)
    after = desk.found().facts.photos["mug-01"]
    assert (after.width, after.height) == (900, 1200)
    assert after.file.sha256 != before.file.sha256


def test_a_picture_may_be_a_link_inside_the_home(desk: Desk):
    """Paths are kept relative to the home, links followed and absolute ones shortened."""
    desk.found()
    (desk.home.root / "brand/link.png").symlink_to("mug.jpg")
    for path in ("brand/link.png", str(desk.home.root / "brand/mug.jpg")):
        photos = desk.found(lambda brief, path=path: brief["products"][1].update(image=path)).facts
        assert photos.photos["mug-01"].file.path == "brand/mug.jpg"


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:20])


def prose(path):
    path.write_text("not an image", "utf-8")


def escape(path):
    path.unlink()
    path.symlink_to("/etc/hostname")


def folder(path):
    path.unlink()
    path.mkdir()


def dot(path):
    Image.new("RGBA", (1, 1)).save(path, "PNG")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [remove, cut, prose, escape, folder, dot, pipe])
@pytest.mark.parametrize(
    ("file", "field"), [("lumiere.png", "brand.logo"), ("mug.jpg", r"products\[1\]\.image")]
)
@pytest.mark.timeout(10)
def test_a_spoiled_picture_is_one_error(desk: Desk, spoil, file: str, field: str):
    """It names the campaign's line and field, and the file."""
    desk.found()
    spoil(desk.home.root / "brand" / file)
    with pytest.raises(BadFile, match=rf"demo\.yaml:\d+: {field}: .*{file}") as error:
        resolve(desk.home, "demo", profile="mini")
    assert "\n" not in str(error.value)


def test_a_strip_is_told_at_the_line_of_its_photo(desk: Desk):
    """The campaign names it, whichever pipeline would animate it."""
    desk.found()
    Image.new("RGB", (400, 60)).save(desk.home.root / "brand/mug.jpg")
    with pytest.raises(BadPlan) as error:
        plan(desk.found())
    line = (desk.home.root / "campaigns/demo.yaml").read_text().split("image: brand/mug.jpg")[0]
    assert f"demo.yaml:{line.count(chr(10)) + 1}: mug-01" in str(error.value)
    assert "products[1].image: the picture is 400x60; shapes up to 4:1" in str(error.value)


@pytest.mark.parametrize("path", ["../logo.png", "/etc/passwd", "brand/\0.png", "a" * 300 + ".png"])
def test_a_hostile_path_is_one_error(desk: Desk, path: str):
    """Paths that climb out, or that no filesystem takes, are refused at their line."""
    desk.found()
    with pytest.raises(BadInput, match=r"demo\.yaml:\d+"):
        desk.found(lambda brief: brief["brand"].update(logo=path))


def test_a_logo_without_transparency_is_one_error(desk: Desk):
    """A logo that would cover the picture with a plate is refused before anything is made."""
    desk.found()
    Image.new("RGB", (400, 120), "maroon").save(desk.home.root / "brand/lumiere.png")
    with pytest.raises(BadFile, match=r"demo\.yaml:\d+.*: brand\.logo: .*RGBA PNG"):
        desk.found()


def test_a_missing_model_folder_is_one_error(desk: Desk):
    """It names the folder, the profile and the model that belongs there."""
    row = {**shipped("models")["mini-clip"], "shipped": "false", "folder": "absent"}
    desk.write("models", {"mini-clip": row})
    with pytest.raises(BadFile, match=r"models/absent: .*profile mini draws with mini-clip"):
        desk.found()


def test_only_models_that_are_drawn_with_are_hashed(desk: Desk):
    """A pipeline of stills needs no clip model, were it missing."""
    row = {**shipped("models")["mini-clip"], "shipped": "false", "folder": "absent"}
    desk.write("models", {"mini-clip": row})
    stills = {"pipeline": "social-still", "deliveries": ["instagram-photo"], "overrides": []}
    resolved = desk.found(lambda brief: brief.update(stills))
    assert list(resolved.facts.fingerprints) == ["mini-picture"]
    assert plan(resolved).nodes


def test_an_unknown_campaign_is_one_error(desk: Desk):
    """The nearest name is told."""
    desk.found()
    with pytest.raises(BadInput, match="demo"):
        resolve(desk.home, "dmeo")


def test_an_unknown_profile_is_one_error(desk: Desk):
    """A profile asked for on the command line is checked as the campaign's own is."""
    with pytest.raises(BadInput, match="did you mean 'mini'"):
        desk.found(profile="minni")


def test_a_profile_for_another_device_is_one_error(desk: Desk, monkeypatch):
    """A card that is not there is told by the profile's name."""
    monkeypatch.setattr("gpu.device.NVIDIA", ("/absent",))
    with pytest.raises(BadInput, match="profile 24gb draws on an NVIDIA card"):
        desk.found(profile="24gb")


def test_the_seed_is_the_first_that_is_given(desk: Desk):
    """The option counts before the campaign's own; 0 is a seed; without either one is drawn."""
    assert desk.found(seed=0).campaign.seed == 0
    assert desk.found().campaign.seed == 20260302
    desk.brief.pop("seed")
    first, again = (
        {shot.day.iso: shot.seed for shot in desk.found(start=dt.date(2026, 3, day)).shots}
        for day in (2, 3)
    )
    both = first.keys() & again.keys()
    assert both
    assert {day: first[day] for day in both} == {day: again[day] for day in both}
    assert len({*first.values()}) == len(first)


def test_another_first_day(desk: Desk):
    """The option counts before the calendar's own."""
    shots = desk.found(start=dt.date(2026, 4, 6)).shots
    assert min(shot.day.iso for shot in shots) == "2026-04-06"


def test_today_is_the_campaigns(desk: Desk, monkeypatch):
    """A calendar that starts today starts on the day it is in the campaign's timezone."""

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime(2026, 3, 1, 18, tzinfo=dt.UTC).astimezone(tz)

    monkeypatch.setattr("flows.resolve.dt.datetime", Clock)
    desk.brief.update(matrix={}, overrides=[])
    for zone, day in (("Asia/Shanghai", "2026-03-02"), ("America/New_York", "2026-03-01")):
        desk.brief["calendar"] = {"start": "today", "days": "1", "timezone": zone}
        assert desk.found(today=None).shots[0].day.iso == day


STARTED = "2026-03-01T00:00:00+00:00"


def made(desk: Desk, planned, run: str, state: str = "made") -> None:
    """Pretend that a run made all of a plan, each node a file of 1,000 bytes in 4 s."""
    store = Store(desk.home.store)
    for node in planned.nodes.values():
        with store.workspace() as workspace:
            path = workspace / "file.bin"
            path.write_bytes(b"x" * 1000)
            draft = Draft(path, "text", "application/octet-stream")
            store.commit(
                node, {"file": draft}, run=run, started="2026-03-01T00:00:00+00:00", seconds=4
            )
    entries = tuple(
        Entry(
            place=Place(
                stage=address.stage,
                shot=address.shot,
                aspect=address.aspect,
                delivery=address.delivery,
            ),
            key=key,
            state=state,
            seconds=4,
        )
        for address, key in planned.places.items()
    )
    write_run(
        desk.home.runs,
        Run(id=run, campaign="demo", state="done", started=STARTED, entries=entries),
    )


def only_two_nodes(brief) -> None:
    """Keep one shot and one delivery: eight nodes, so that a test writes few files."""
    brief.update(matrix={"product": ["rouge-01"], "day": ["fri"]}, deliveries=["douyin"])


def test_what_runs_left_is_read_back(desk: Desk):
    """Finished nodes are cached; what changed since is stale against the last run that made it."""
    first = plan(desk.found(only_two_nodes))
    made(desk, first, "20260301-1-demo")
    again = prepare(desk.home, "demo", profile="mini").plan
    assert set(again.states.values()) == {"cached"}
    assert again.headline().startswith("demo: 1 shot, 9 nodes: 0 to make, 9 cached")

    def brighter(brief):
        only_two_nodes(brief)
        brief["brand"]["watermark"]["opacity"] = 0.4

    stale = plan(desk.found(brighter))
    assert sorted(stale.reasons.values()) == [
        "input export changed",
        "input watermark changed",
        "watermark.opacity: 0.8 -> 0.4",
    ]


def test_costs_are_medians_of_records(desk: Desk):
    """Estimates use what finished nodes took, by stage and weights."""
    made(desk, plan(desk.found(only_two_nodes)), "20260301-1-demo")
    other = plan(desk.found(only_two_nodes, seed=1))
    rows = {row.stage: row for row in other.rows}
    assert (rows["keyframe"].seconds, rows["keyframe"].bytes) == (4, 1000)
    assert rows["export"].seconds == 4


def test_a_damaged_run_file_is_passed_over(desk: Desk):
    """History only adds reasons: a broken run file does not stop a plan."""
    made(desk, plan(desk.found(only_two_nodes)), "20260301-1-demo")
    broken = desk.home.runs / "20260302-2-demo"
    broken.mkdir()
    (broken / "run.json").write_text("{", "utf-8")
    assert set(prepare(desk.home, "demo", profile="mini").plan.states.values()) == {"cached"}


def test_a_home_whose_records_are_gone(desk: Desk):
    """Without records all is new, whatever the run files say."""
    made(desk, plan(desk.found(only_two_nodes)), "20260301-1-demo")
    for record in desk.home.store.rglob("*.json"):
        record.unlink()
    assert set(prepare(desk.home, "demo", profile="mini").plan.states.values()) == {"new"}
