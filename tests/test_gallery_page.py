"""The gallery page of a run, read as HTML: what it shows, escapes and links to."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from catalogs.gallery import write_gallery
from configs.home import Home
from tests.gallery_data import NAMES, Week


class Page(HTMLParser):
    """The tags and text of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.folder = path.parent
        self.source = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag: str, **attributes: str) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.tags)

    def links(self) -> list[str]:
        found = [tag.get(name) for _, tag in self.tags for name in ("src", "href")]
        return [link for link in found if link and not link.startswith("#")]


def write(week: Week) -> Page:
    folder = week.home.runs / week.run.id
    path = write_gallery(week.run, week.store, week.home, folder, files=week.files, names=NAMES)
    return Page(path)


@pytest.fixture(scope="module")
def week(tmp_path_factory) -> Week:
    return Week(Home(tmp_path_factory.mktemp("home"))).fill()


def test_each_shot_has_a_card_and_each_delivery_a_clip(week):
    """Two products on two days for three platforms are 4 cards with 12 playing clips."""
    page = write(week)
    assert page.count("article") == 4
    assert page.count("video", loop=None, muted=None) == 12


def test_every_link_leads_to_a_file(week):
    """All links are relative, and lead to a file that is there."""
    page = write(week)
    assert page.links()
    for link in page.links():
        assert "://" not in link
        assert not link.startswith("/")
        assert (page.folder / unquote(link)).is_file(), link


def test_a_moved_folder_still_shows_everything(week, tmp_path):
    """Posters and previews lie beside the page, so they go where it goes."""
    moved = shutil.copytree(write(week).folder, tmp_path / "elsewhere")
    page = Page(moved / "index.html")
    shown = [tag["src"] for name, tag in page.tags if name in ("img", "video")]
    assert all((moved / link).is_file() for link in shown)
