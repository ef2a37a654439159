"""Bytes that the site gives: ranges for players, assets alone, nothing that can hold a script."""

from __future__ import annotations

import hashlib

import pytest

from catalogs.catalog import Catalog
from catalogs.node import Address, Node
from catalogs.store import Store
from tasks.stage import Draft
from tests.site_data import home_with_a_week, visit

pytestmark = pytest.mark.slow  # a site is served

CLIP = "SELECT sha256, bytes, uri FROM v_assets WHERE kind = 'clip' ORDER BY bytes DESC LIMIT 1"


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """A home with clips."""
    return home_with_a_week(tmp_path_factory.mktemp("files") / "home")


@pytest.fixture(scope="module")
def clip(week):
    """A clip's SHA-256 and bytes."""
    ((digest, size, uri),) = Catalog(week.home.catalog, Store(week.home.store)).query(CLIP)[1]
    content = (week.home.store / uri).read_bytes()
    assert len(content) == size
    return digest, content


def test_a_whole_file_is_the_bytes_of_its_name(week, clip):
    """What comes has the SHA-256 that was asked for, and may be kept for ever."""
    digest, content = clip
    with visit(week.home) as client:
        answer = client.get(f"/files/{digest}")
        assert hashlib.sha256(answer.content).hexdigest() == digest
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["accept-ranges"] == "bytes"
        assert "immutable" in answer.headers["cache-control"]
        head = client.head(f"/files/{digest}")
        assert (head.content, head.headers["content-length"]) == (b"", str(len(content)))
        again = client.get(f"/files/{digest}", headers={"if-none-match": f'"{digest}"'})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("0-1", 0, 2), ("100-", 100, None), ("-7", -7, None)]
)
def test_a_player_gets_the_range_it_asks_for(week, clip, asked, first, last):
    """The first bytes, the rest, the last bytes: 206 with the place they stand at."""
    digest, content = clip
    with visit(week.home) as client:
        answer = client.get(f"/files/{digest}", headers={"range": f"bytes={asked}"})
        assert answer.status_code == 206
        assert answer.content == content[first:last]
        start = first % len(content)
        end = start + len(answer.content) - 1
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(content)}"


def test_a_range_of_another_file_gives_the_whole(week, clip):
    """`If-Range` with this file's name gives the range, with another's the whole file."""
    digest, content = clip
    with visit(week.home) as client:
        headers = {"range": "bytes=5-9", "if-range": f'"{digest}"'}
        assert client.get(f"/files/{digest}", headers=headers).content == content[5:10]
        answer = client.get(f"/files/{digest}", headers=headers | {"if-range": '"other"'})
        assert (answer.status_code, answer.content) == (200, content)


def test_a_range_past_the_end_is_refused_with_the_size(week, clip):
    """416 tells how long the file is; nonsense is no range."""
    digest, content = clip
    with visit(week.home) as client:
        beyond = client.get(f"/files/{digest}", headers={"range": f"bytes={len(content)}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (
            416, f"bytes */{len(content)}",
        )  # fmt: skip
        assert client.get(f"/files/{digest}", headers={"range": "lines=1-2"}).status_code == 400


@pytest.mark.parametrize(
    "name",
    [
        "../site/site.db", "..%2f..%2fsite%2fsite.db", "%2e%2e/keyreel.toml", "/etc/passwd",
        "0" * 63, "0" * 65, "G" * 64, "0" * 64, "0" * 64 + "%00", "site.db", "",
    ],
)  # fmt: skip
def test_no_other_file_is_ever_given(week, name):
    """Assets by their SHA-256, zips and our own style by their listed names: nothing else."""
    with visit(week.home) as client:
        for folder in ("/files/", "/posters/", "/static/", "/packages/", "/packages/spring/"):
            assert client.get(folder + name).status_code in (404, 422)


def test_a_link_in_the_packages_leads_nowhere(week):
    """What is not a zip that lies there itself is not listed."""
    folder = week.home.packages / "my-campaign"
    folder.mkdir(parents=True)
    (folder / "secret.zip").symlink_to(week.home.site / "site.db")
    (folder / "notes.txt").write_text("x", "utf-8")
    (folder / "real.zip").write_bytes(b"PK")
    (week.home.campaigns / "my-campaign.yaml").touch()
    with visit(week.home) as client:
        found = [
            client.get(f"/packages/my-campaign/{name}").status_code
            for name in ("real.zip", "secret.zip", "notes.txt", "../../site/site.db")
        ]
        assert found == [200, 404, 404, 404]


def test_what_can_hold_a_script_is_saved_not_shown(tmp_path):
    """A file that says it is HTML or SVG comes as a download, in a sandbox, under a safe name."""
    week = home_with_a_week(tmp_path / "home")
    records = []
    for mime in ("text/html", "image/svg+xml"):
        node = Node(Address("keyframe", "x/2026-03-02", "square"), "keyframe", 1, {"m": mime})
        with week.store.workspace() as desk:
            path = desk / "a.html"
            path.write_text(f"<script>alert('{mime}')</script>", "utf-8")
            draft = Draft(path, "image", mime, 8, 8)
            week.commit(node, {"image": draft})
        records.append(week.store.record(node.key))
    Catalog(week.home.catalog, week.store).refresh()
    with visit(week.home) as client:
        for record in records:
            digest = record.outputs["image"].sha256
            name = {"name": '../"evil\r\nx: y'}
            headers = client.get(f"/files/{digest}", params=name).headers
            assert headers["content-type"] == "application/octet-stream"
            assert headers["content-disposition"] == 'attachment; filename="evil-x-y.html"'
            assert headers["content-security-policy"] == "sandbox"
            assert client.get(f"/posters/{digest}.jpg").status_code in (404, 422)


def test_a_collected_file_is_gone_and_says_so(tmp_path):
    """After `keyreel gc` its bytes are 410, and its page with the recipe stays."""
    week = home_with_a_week(tmp_path / "home")
    ((digest, _, uri),) = Catalog(week.home.catalog, week.store).query(CLIP)[1]
    (week.home.store / uri).unlink()
    with visit(week.home) as client:
        assert client.get(f"/files/{digest}").status_code == 410
        assert client.get(f"/assets/{digest}").status_code == 200


def test_a_poster_is_a_small_jpeg_drawn_once(week):
    """The second asker gets the same file; a clip has none of its own."""
    query = "SELECT sha256 FROM v_assets WHERE stage = 'keyframe' LIMIT 1"
    ((digest,),) = Catalog(week.home.catalog, week.store).query(query)[1]
    with visit(week.home) as client:
        answer = client.get(f"/posters/{digest}.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        (drawn,) = (week.home.cache / "posters").glob(f"{digest[:20]}*")
        before = drawn.stat().st_mtime_ns
        assert client.get(f"/posters/{digest}.jpg").content == answer.content
        assert drawn.stat().st_mtime_ns == before
