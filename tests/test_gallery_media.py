"""Posters, the contact sheet, and the page's words for days and amounts."""

from __future__ import annotations

import datetime as dt

import pytest
from PIL import Image

from catalogs.durable import link
from catalogs.gallery import words
from catalogs.gallery.media import Still, write_posters
from catalogs.gallery.sheet import Cell, _columns, write_sheet
from configs.base import Words
from tests.gallery_data import draw


def poster(tmp_path, picture: Image.Image, name: str = "a.png", **options) -> Image.Image:
    picture.save(tmp_path / name, **options)
    still = Still("ab" * 32, tmp_path / name)
    (tmp_path / "media").mkdir(exist_ok=True)
    write_posters([still], tmp_path / "cache", tmp_path / "media")
    with Image.open(tmp_path / "media" / still.poster) as drawn:
        return drawn.copy()


def test_a_poster_is_small(tmp_path):
    """A large picture becomes a JPEG of at most 640 pixels a side, in its own shape."""
    drawn = poster(tmp_path, draw((1080, 1920), 0.1))
    assert (drawn.format or "JPEG", drawn.size) == ("JPEG", (360, 640))


def test_a_poster_stands_upright(tmp_path):
    """A photo's EXIF orientation is applied: a camera held upright gives an upright poster."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert poster(tmp_path, draw((400, 200), 0.1), "a.jpg", exif=exif).size == (200, 400)


def test_a_transparent_picture_stands_on_white(tmp_path):
    """What is see-through in a cut-out photo is white on its poster."""
    drawn = poster(tmp_path, Image.new("RGBA", (40, 40), (200, 0, 0, 0)))
    assert min(drawn.getpixel((20, 20))) > 250


def test_a_print_photo_keeps_its_colour(tmp_path):
    """A CMYK photo gives an RGB poster."""
    drawn = poster(tmp_path, Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "a.jpg")
    red, green, blue = drawn.getpixel((20, 20))
    assert red > 200 > 90 > max(green, blue)


def test_a_poster_is_drawn_once(tmp_path):
    """A second run takes the poster from the cache: the picture is not even opened."""
    poster(tmp_path, draw((90, 160), 0.1))
    (tmp_path / "a.png").write_bytes(b"not a picture")
    (tmp_path / "again").mkdir()
    still = Still("ab" * 32, tmp_path / "a.png")
    write_posters([still, still], tmp_path / "cache", tmp_path / "again")
    assert (tmp_path / "again" / still.poster).samefile(tmp_path / "cache" / still.poster)


def test_a_link_replaces_what_was_there(tmp_path):
    """Linking twice leaves the newer file."""
    for text in ("old", "new"):
        (tmp_path / text).write_text(text)
        link(tmp_path / text, tmp_path / "shown", tmp_path)
    assert (tmp_path / "shown").read_text() == "new"


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 4), (8, 4), (12, 4), (100, 10), (7, 4)])
def test_the_sheet_fills_its_last_row(count, columns):
    """Columns are chosen so that few cells stay empty."""
    assert _columns(count) == columns


def test_the_sheet_shows_every_shot(tmp_path):
    """Four shots stand side by side with their names; a shot without a picture is a blank."""
    draw((360, 640), 0.9).save(tmp_path / "a.jpg")
    name = Words(zh="哑光口红", en="matte lipstick")
    cells = [Cell(tmp_path / "a.jpg", name, words.day("2026-03-02"))] * 3 + [Cell(None, name, name)]
    write_sheet(cells, tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.width == 1600
        row = [sheet.getpixel((x, 120)) for x in (200, 600, 960, 1350)]
    blank = row.pop()
    assert all(max(map(abs, (a - b for a, b in zip(row[0], one, strict=True)))) < 8 for one in row)
    assert max(map(abs, (a - b for a, b in zip(row[0], blank, strict=True)))) > 8


@pytest.mark.parametrize(
    ("said", "zh", "en"),
    [
        (words.day("2026-03-02"), "3月2日 周一", "Mon 2 Mar"),
        (words.day("<b>"), "<b>", "<b>"),
        (
            words.span(["2026-12-28", "2027-01-03"]),
            "2026年12月28日 周一 – 1月3日 周日",
            "Mon 28 Dec",
        ),
        (words.span(["2026-03-02"]), "2026年3月2日 周一", "Mon 2 Mar 2026"),
        (words.duration(6.24), "6.2 秒", "6.2 s"),
        (words.duration(134), "2 分 14 秒", "2 min 14 s"),
        (
            words.duration(dt.timedelta(hours=3, minutes=5).total_seconds()),
            "3 小时 5 分",
            "3 h 5 min",
        ),
        (words.term("push-in"), "推近", "push in"),
        (words.term("own words"), "own words", "own words"),
    ],
)
def test_days_and_times_read_naturally(said, zh, en):
    """Dates and times are written as people of each language write them."""
    assert said.zh == zh
    assert said.en.startswith(en)


@pytest.mark.parametrize(("count", "text"), [(10, "1 kB"), (143_200, "143 kB"), (3.2e6, "3.2 MB")])
def test_bytes_read_naturally(count, text):
    """Sizes are in the units that file managers use."""
    assert words.size(int(count)) == text
