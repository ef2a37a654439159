"""`keyreel package`: what is handed to whoever publishes, and what must never be in it."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from zipfile import ZipFile

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from catalogs.node import Address, Node
from catalogs.record import Entry, Place
from catalogs.runs import write_run
from configs.errors import BadFile, BadInput
from configs.home import Home
from flows import command
from flows.package import package
from flows.ready import safe
from tasks.said import CaptionFile
from tasks.stage import Draft
from tests.gallery_data import Week

MONDAY, FRIDAY = "2026-03-02", "2026-03-06"
TITLE, TEXT = "哑光口红｜春日限定", "=HYPERLINK(1) 周一见\n\n#哑光口红"


class Spring(Week):
    """A finished week with captions, whose campaign file stands in the home."""

    def __init__(self, home: Home, **options):
        super().__init__(home, scale=4, campaign="spring", **options)
        shots = {name: told | {"language": "zh"} for name, told in self.run.shots.items()}
        said = [
            self.caption(shot, "douyin", CaptionFile(language="zh", title=TITLE, text=TEXT))
            for shot in shots
        ]
        self.run = self.run.model_copy(
            update={"shots": shots, "entries": (*said, *self.run.entries)}
        )
        self.brief = {
            "name": "spring",
            "brand": {"name": "Lumière"},
            "calendar": {"start": MONDAY},
            "products": [{"id": "rouge-01", "name": "x"}, {"id": "mug-01", "name": "y"}],
            "deliveries": ["douyin", "xiaohongshu", "bilibili"],
            "publish": {"douyin": "18:30"},
        }

    def caption(self, shot: str, delivery: str, file: CaptionFile) -> Entry:
        """Commit one caption."""
        node = Node(
            Address("caption", shot, "", delivery), "caption", 1, file.model_dump(mode="json")
        )
        with self.store.workspace() as desk:
            path = desk / "caption.json"
            path.write_text(file.model_dump_json(), "utf-8")
            return self.commit(node, {"caption": Draft(path, "text", "application/json")})

    def written(self, **run) -> Spring:
        """Write campaign and run down."""
        self.home.campaigns.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(self.brief, allow_unicode=True)
        (self.home.campaigns / "spring.yaml").write_text(text, "utf-8")
        self.run = self.run.model_copy(update=run)
        write_run(self.home.runs, self.run)
        return self

    def packed(self, out: str = "out"):
        """Pack into a folder beside the home; return the zips by platform."""
        made = package(self.home, "spring", self.home.root / out)
        return {items[0].delivery: path for path, items in made.zips.items()}, made


@pytest.fixture
def spring(tmp_path):
    """A home with that week."""
    return Spring(Home(tmp_path / "home"))


def members(path) -> dict[str, bytes]:
    """Return what is in a zip."""
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def is_clip(entry: Entry) -> bool:
    """Say whether an entry made Douyin's file."""
    return (entry.place.stage, entry.place.delivery) == ("export", "douyin")


def test_each_platform_has_a_zip_with_files_named_for_people(spring):
    """Date, product and platform, the cover beside each clip, tables and calendar."""
    zips, made = spring.written().packed()
    assert {path.name for path in zips.values()} == {
        f"spring-{name}.zip" for name in ("douyin", "xiaohongshu", "bilibili")
    }
    held = members(zips["douyin"])
    clips = [f"{day}-{one}-douyin" for day in (MONDAY, FRIDAY) for one in ("mug-01", "rouge-01")]
    assert set(held) == {
        *(f"{name}.mp4" for name in clips),
        *(f"{name}-cover.jpg" for name in clips),
        "manifest.csv",
        "manifest.json",
        "publish.ics",
    }
    assert made.gaps == ()


def test_the_manifest_says_what_is_published_letter_for_letter(spring):
    """Caption, sizes, hash of the very bytes beside it, time with its offset."""
    held = members(spring.written().packed()[0]["douyin"])
    told = json.loads(held["manifest.json"])
    (row,) = [one for one in told["files"] if one["shot"] == f"rouge-01/{MONDAY}"]
    assert (row["title"], row["text"]) == (TITLE, TEXT)
    assert row["publish_at"] == f"{MONDAY}T18:30:00+08:00"
    assert hashlib.sha256(held[row["file"]]).hexdigest() == row["sha256"]
    assert hashlib.sha256(held[row["cover"]]).hexdigest() == row["cover_sha256"]
    assert (row["width"], row["height"], row["platform_name"]) == (36, 64, "抖音")
    assert row["alt"] == "哑光口红"


def test_the_table_opens_in_excel_and_gives_no_orders(spring):
    """UTF-8 with its mark, so that hanzi show; what a spreadsheet would run is only text."""
    raw = members(spring.written().packed()[0]["douyin"])["manifest.csv"]
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert len(rows) == 4
    assert {row["title"] for row in rows} == {TITLE}
    assert all(row["text"] == f"'{TEXT}" for row in rows)


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", " =1"])
def test_every_beginning_that_is_an_order_is_neutralised(spring, start):
    """OWASP's list, the full-width forms, and a blank before them."""
    file = CaptionFile(language="zh", title=start, text="上新")
    entry = spring.caption(f"rouge-01/{MONDAY}", "douyin", file)
    spring.written(entries=(*spring.run.entries, entry))
    raw = members(spring.packed()[0]["douyin"])["manifest.csv"].decode("utf-8-sig")
    titles = [row["title"] for row in csv.DictReader(io.StringIO(raw, newline=""))]
    assert f"'{start}" in titles
    assert start not in titles


def test_the_calendar_has_a_date_for_each(spring):
    """A time in the campaign's own zone where one is set, else the day."""
    zips, made = spring.written().packed()
    found = Calendar.from_ical(made.calendar.read_bytes())
    events = {str(event["summary"]): event for event in found.walk("VEVENT")}
    assert len(list(found.walk("VEVENT"))) == 12
    timed = events[f"抖音 · {TITLE}"]["dtstart"].dt
    assert (timed.hour, timed.minute, timed.utcoffset()) == (18, 30, dt.timedelta(hours=8))
    assert type(events["哔哩哔哩 · 哑光口红"]["dtstart"].dt) is dt.date
    assert len({str(event["uid"]) for event in found.walk("VEVENT")}) == 12
    assert b"DTSTART;TZID=Asia/Shanghai:20260302T183000" in members(zips["douyin"])["publish.ics"]


def test_words_cannot_add_to_the_calendar(spring):
    """Line ends inside of a text stay inside of it."""
    evil = "上新\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:x;\nATTACH:file:///etc/passwd"
    file = CaptionFile(language="zh", title=evil, text=evil)
    entry = spring.caption(f"rouge-01/{MONDAY}", "douyin", file)
    _, made = spring.written(entries=(*spring.run.entries, entry)).packed()
    raw = made.calendar.read_bytes()
    assert raw.count(b"\r\nBEGIN:VEVENT") == 12
    assert b"\r\nATTACH" not in raw
    assert len(Calendar.from_ical(raw).walk("VEVENT")) == 12


def test_the_same_files_give_the_same_bytes(spring):
    """No clock's time, no order of a disk."""
    spring.written()
    first, again = spring.packed("one")[0], spring.packed("two")[0]
    assert [path.read_bytes() for path in first.values()] == [
        path.read_bytes() for path in again.values()
    ]
    assert (spring.home.root / "one/spring.ics").read_bytes() == (
        spring.home.root / "two/spring.ics"
    ).read_bytes()


def test_the_gallery_shows_what_is_published_with_a_file(spring):
    """Title and text under the delivery; the file itself stays where it was."""
    page = spring.write().read_text("utf-8")
    assert page.count("<details") == 4
    assert TITLE in page
    assert page.count('<figure class="frame') == 12


def test_what_failed_is_said_and_left_out(tmp_path):
    """The reason is the failure's own, in the table and on the screen."""
    shot = f"mug-01/{FRIDAY}"
    home = Home(tmp_path / "home")
    zips, made = Spring(home, failing={shot: "CUDA out of memory"}).written().packed()
    assert [(gap.shot, gap.delivery) for gap in made.gaps] == [(shot, "bilibili")]
    assert "CUDA out of memory" in made.gaps[0].reason
    held = members(zips["bilibili"])
    assert f"{FRIDAY}-mug-01-bilibili.mp4" not in held
    assert json.loads(held["manifest.json"])["missing"][0]["shot"] == shot


def test_a_file_that_could_not_be_signed_stays_out(spring):
    """Where the last stage failed, what came before it is not handed out."""
    shot = f"rouge-01/{MONDAY}"
    place = Place(stage="sign", shot=shot, delivery="douyin")
    failed = Entry(place=place, key="d" * 64, state="failed", error="the certificate ran out")
    spring.written(entries=(*spring.run.entries, failed))
    zips, made = spring.packed()
    assert [(gap.shot, gap.reason) for gap in made.gaps] == [(shot, "the certificate ran out")]
    assert f"{MONDAY}-rouge-01-douyin.mp4" not in members(zips["douyin"])


def test_hostile_names_stay_in_the_zip(spring):
    """A run file that was tampered with names no way out."""
    evil = f"../../../etc/cron.d/{MONDAY}"

    def renamed(entry):
        if entry.place.shot != f"rouge-01/{MONDAY}":
            return entry
        return entry.model_copy(update={"place": entry.place.model_copy(update={"shot": evil})})

    shots = {**spring.run.shots, evil: spring.run.shots[f"rouge-01/{MONDAY}"]}
    spring.written(shots=shots, entries=tuple(map(renamed, spring.run.entries)))
    names = members(spring.packed()[0]["douyin"])
    assert len(names) == 4 * 2 + 3
    assert not [name for name in names if "/" in name or "\\" in name or name.startswith(".")]


@given(st.text(max_size=300))
def test_no_name_is_a_path(name):
    """Any text becomes a name of one part that disks take."""
    made = safe(name)
    assert made
    assert not set(made) & set('/\\:*?"<>|\0\n')
    assert not made.startswith(".")
    assert len(made.encode()) <= 200


def test_two_that_would_share_a_name_do_not(spring):
    """Axis values that differ only in a sign or in case, as on Windows' disks."""
    both = [f"rouge-01/{MONDAY}/A B", f"rouge-01/{MONDAY}/a-b"]
    entries = list(spring.run.entries)
    donor = next(entry for entry in entries if is_clip(entry))
    for shot in both:
        entries.append(
            donor.model_copy(update={"place": donor.place.model_copy(update={"shot": shot})})
        )
    shots = {**spring.run.shots, **dict.fromkeys(both, spring.run.shots[f"rouge-01/{MONDAY}"])}
    spring.written(shots=shots, entries=tuple(entries))
    names = members(spring.packed()[0]["douyin"])
    assert f"{MONDAY}-rouge-01-A-B-douyin.mp4" in names
    assert f"{MONDAY}-rouge-01-a-b-douyin-2.mp4" in names


def test_a_damaged_file_is_not_handed_out(spring):
    """An asset whose bytes changed stops the zip, and leaves the last one as it was."""
    spring.written()
    zips, _ = spring.packed()
    before = zips["douyin"].read_bytes()
    entry = next(one for one in spring.run.entries if is_clip(one))
    asset = spring.store.record(entry.key).outputs["delivery"]
    path = spring.store.asset_path(asset)
    path.chmod(0o644)
    path.write_bytes(bytes(asset.bytes))
    with pytest.raises(BadFile, match="damaged or gone"):
        spring.packed()
    assert zips["douyin"].read_bytes() == before
    assert not list(zips["douyin"].parent.glob(".*"))


def test_what_cannot_be_packed_is_one_sentence(spring):
    """No run, nothing finished, no folder, an hour that clocks leap over."""
    (spring.home.root / "taken").write_text("x")
    spring.home.campaigns.mkdir(parents=True)
    text = yaml.safe_dump({**spring.brief, "name": "other"}, allow_unicode=True)
    (spring.home.campaigns / "other.yaml").write_text(text, "utf-8")
    with pytest.raises(BadInput, match="has not run yet"):
        package(spring.home, "other")
    spring.written()
    with pytest.raises(BadFile, match="is no folder"):
        spring.packed("taken")
    spring.brief |= {
        "calendar": {"start": MONDAY, "timezone": "America/New_York"},
        "publish": {"douyin": "02:30"},
    }
    leap = {name: told | {"day": "2026-03-08"} for name, told in spring.run.shots.items()}
    spring.written(shots=leap)
    with pytest.raises(BadInput, match="02:30 does not exist on 2026-03-08 in America/New_York"):
        spring.packed()
    spring.written(entries=())
    with pytest.raises(BadInput, match="nothing of spring is finished"):
        spring.packed()


def test_as_typed(spring, monkeypatch, capsys):
    """`keyreel package spring` says what it made and what is missing; 1 where something is."""
    shot = f"rouge-01/{MONDAY}"
    place = Place(stage="sign", shot=shot, delivery="douyin")
    failed = Entry(place=place, key="d" * 64, state="failed", error="the certificate ran out")
    spring.written(entries=(*spring.run.entries, failed))
    monkeypatch.setattr(
        "sys.argv", ["keyreel", "--home", str(spring.home.root), "package", "spring"]
    )
    with pytest.raises(SystemExit) as ended:
        command.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (1, "")
    assert "spring-douyin.zip" in out
    assert f"missing: {shot} douyin: the certificate ran out" in out
    assert (spring.home.root / "packages/spring/spring-bilibili.zip").exists()
