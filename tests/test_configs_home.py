"""The home: what `keyreel init` makes, how campaigns are found, and that nothing leads outside."""

from __future__ import annotations

import pytest
from PIL import Image

from configs.errors import BadField, BadFile, BadInput
from configs.home import Home
from configs.load import load_campaign


@pytest.fixture
def home(tmp_path):
    """A home with the demo in it."""
    return Home.create(tmp_path / "home", demo=True)


class TestCreate:
    """`keyreel init`."""

    def test_a_starter_that_loads(self, tmp_path):
        """With the logo it names and the schema its first line points to."""
        home = Home.create(tmp_path / "new")
        path = home.find_campaign("starter")
        loaded = load_campaign(path, home)
        assert home.inside(str(loaded.campaign.brand.logo)).is_file()
        assert path.read_text("utf-8").startswith(
            "# yaml-language-server: $schema=../campaign.schema.json\n"
        )
        assert (home.root / "campaign.schema.json").is_file()

    def test_the_demo_with_its_brand(self, home):
        """And not the starter."""
        assert [file.name for file in home.campaigns.iterdir()] == ["demo.yaml"]
        assert (home.root / "brand" / "lumiere.png").is_file()

    def test_it_is_found_from_inside(self, home, monkeypatch):
        """From any folder of it."""
        monkeypatch.delenv("KEYREEL_HOME", raising=False)
        monkeypatch.chdir(home.campaigns)
        assert Home.find() == home

    def test_a_users_files_are_never_touched(self, home):
        """Run again, only what is missing comes back; schemas are renewed."""
        (home.campaigns / "demo.yaml").write_text("mine")
        (home.root / "brand" / "lumiere.png").unlink()
        (home.root / "campaign.schema.json").write_text("old")
        Home.create(home.root, demo=True)
        assert (home.campaigns / "demo.yaml").read_text() == "mine"
        assert (home.root / "brand" / "lumiere.png").is_file()
        assert (home.root / "campaign.schema.json").read_text() != "old"

    def test_nothing_is_written_through_a_link_to_nowhere(self, tmp_path):
        """A dangling link could lead outside."""
        (tmp_path / "home" / "campaigns").mkdir(parents=True)
        (tmp_path / "home" / "campaigns" / "demo.yaml").symlink_to(tmp_path / "elsewhere")
        Home.create(tmp_path / "home", demo=True)
        assert not (tmp_path / "elsewhere").exists()

    def test_a_file_in_the_way(self, tmp_path):
        """It is named."""
        (tmp_path / "home").write_text("a file")
        with pytest.raises(BadFile, match=r"home.*choose a folder that takes files"):
            Home.create(tmp_path / "home")

    def test_the_logo_is_ink_on_nothing(self, home):
        """RGBA, transparent at its corners, dark where it is drawn."""
        with Image.open(home.root / "brand" / "lumiere.png") as logo:
            assert (logo.mode, logo.width) == ("RGBA", 800)
            assert logo.getpixel((0, 0))[3] == 0
            alpha = logo.getchannel("A")
            assert alpha.getextrema() == (0, 255)
            assert max(logo.getpixel((x, 100))[0] for x in range(800)) < 64


class TestFindCampaign:
    """By name or by path."""

    def test_by_name_and_by_path(self, home, monkeypatch):
        """From the current folder, the home, or its campaigns."""
        path = home.campaigns / "demo.yaml"
        monkeypatch.chdir(home.campaigns)
        for name in ("demo", "demo.yaml", "campaigns/demo.yaml", str(path)):
            assert home.find_campaign(name) == path

    def test_the_nearest_name(self, home):
        """Among those that are there."""
        with pytest.raises(BadInput, match="no campaign 'dmeo'; did you mean 'demo'"):
            home.find_campaign("dmeo")

    def test_no_name_and_no_home(self, tmp_path):
        """Where there are no campaigns, or the folder is none of keyreel's, it is said so."""
        (tmp_path / "campaigns").mkdir()
        with pytest.raises(BadInput, match="no campaign 'week'; there is none"):
            Home(tmp_path).find_campaign("week")
        with pytest.raises(
            BadInput, match=r"no home at .*/none; name another, or run `keyreel init"
        ):
            Home(tmp_path / "none").find_campaign("week")

    @pytest.mark.parametrize("name", ["../outside.yaml", "/etc/outside.yaml", "a\0b.yaml"])
    def test_a_path_that_leads_outside(self, home, name):
        """It is refused even where the file exists."""
        (home.root.parent / "outside.yaml").write_text("name: x")
        with pytest.raises(BadFile):
            home.find_campaign(name)

    def test_a_linked_campaign(self, home, tmp_path):
        """A link out of the home is refused, found by name as well."""
        (tmp_path / "outside.yaml").write_text("name: x")
        (home.campaigns / "linked.yaml").symlink_to(tmp_path / "outside.yaml")
        with pytest.raises(BadFile, match="leads outside the home"):
            home.find_campaign("linked")


class TestExisting:
    """Files that a campaign names."""

    @pytest.mark.parametrize(
        ("path", "says"),
        [
            ("brand/mug.jpeg", r"mug\.jpeg: no such file in \S+/home/brand; .*'brand/mug\.jpg'\?$"),
            ("brand/MUG.JPG", r"no such file in \S+/home/brand; did you mean 'brand/mug\.jpg'\?$"),
            ("mug.jpg", r"no such file in \S+/home; did you mean 'brand/mug\.jpg'\?$"),
            ("brands/mug.jpg", r"no such file in \S+/home/brands; did you mean 'brand/mug\.jpg'"),
            ("campaigns/demo.yml", r"in \S+/home/campaigns; did you mean 'campaigns/demo\.yaml'"),
            ("brand/tube.svg", r"^tube\.svg: no such file in \S+/home/brand$"),
            ("https://example.com/mug.jpg", "is an address; save the file in the home"),
        ],
    )
    def test_where_was_looked_and_what_is_near(self, home, path, says):
        """What is to be written instead is told as it is to be written."""
        with pytest.raises(BadFile, match=says):
            home.existing(path)


class TestInside:
    """The only place that files are read from."""

    @pytest.mark.parametrize(
        "path", ["brand/lumiere.png", "./brand//x.png", "brand/../brand/x", "", "a b/口红.png"]
    )
    def test_what_stays_inside(self, home, path):
        """It need not exist."""
        assert home.inside(path).is_relative_to(home.root)

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("../x.png", "leads outside"),
            ("brand/../../x", "leads outside"),
            ("/etc/passwd", "leads outside"),
            ("x" * 300, "longer than 255 bytes"),
            ("红" * 90, "longer than 255 bytes"),
            ("a\0b", "is not a path"),
            ("a\ud800b", "is not a path"),
        ],
    )
    def test_what_no_home_holds(self, home, path, said):
        """Climbing, absolute, too long, no file name at all."""
        with pytest.raises(BadFile, match=said):
            home.inside(path)

    def test_a_link_that_climbs_and_a_ring_of_links(self, home):
        """Links are followed before they are judged."""
        (home.root / "out").symlink_to(home.root.parent)
        (home.root / "ring").symlink_to(home.root / "ring")
        with pytest.raises(BadFile, match="leads outside"):
            home.inside("out/x.png")
        with pytest.raises(BadFile, match="is not a path"):
            home.inside("ring/x.png")


def test_two_campaigns_of_one_name_are_refused(tmp_path):
    """A copied file would deliver over the first one's, and package the other's work."""
    home = Home.create(tmp_path / "home")
    text = (home.campaigns / "starter.yaml").read_text("utf-8")
    (home.campaigns / "spring.yaml").write_text(text, "utf-8")
    line = 1 + text.splitlines().index(next(w for w in text.splitlines() if w[:5] == "name:"))
    with pytest.raises(BadField, match=rf"spring.yaml:{line}:.*'starter' is that of starter.yaml"):
        load_campaign(home.campaigns / "spring.yaml", home)
    (home.campaigns / "spring.yaml").write_text(text.replace("name: starter", "name: s"), "utf-8")
    assert load_campaign(home.campaigns / "spring.yaml", home).campaign.name == "s"
