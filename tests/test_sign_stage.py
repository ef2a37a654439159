"""What machines read in a delivery: written, and read back by programs that are not ours."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest
from PIL import Image, ImageChops

from configs.errors import BadFile, BadPlan, Rejected
from tasks import ffmpeg, sign
from tasks.provenance import read_credentials
from tasks.sign import SignedFile
from tasks.stage import Photo
from tests.export_data import SOURCE, delivery
from tests.sign_data import CODE, COMPANY, PROMPT, House, exiftool, mediainfo

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


AS_EXIFTOOL_SAYS = {
    "dc:creator": "Creator",
    "dc:rights": "Rights",
    "photoshop:Credit": "Credit",
    "xmp:CreatorTool": "CreatorTool",
    "Iptc4xmpExt:DigImageGUID": "DigitalImageGUID",
    "Iptc4xmpExt:DigitalSourceType": "DigitalSourceType",
    "Iptc4xmpExt:AISystemUsed": "AISystemUsed",
    "Iptc4xmpExt:AISystemVersionUsed": "AISystemVersionUsed",
    "Iptc4xmpExt:AIPromptInformation": "AIPromptInformation",
    "Iptc4xmpExt:AIPromptWriterName": "AIPromptWriterName",
    "TC260:AIGC": "Aigc",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def made(house):
    """One signed clip with its cover."""
    return house.signed()


@pytest.fixture(scope="module")
def still(house):
    return house.signed("still")


def streams(path) -> str:
    """Return a hash of each packet of each stream with its times."""
    words = ["-v", "error", "-i", str(path), "-map", "0", "-c", "copy", "-f", "framehash", "-"]
    done = subprocess.run([ffmpeg.binary(), *words], capture_output=True, text=True, check=True)
    return done.stdout


def aigc(made) -> dict[str, str]:
    return {
        "Label": "1",
        "ContentProducer": CODE,
        "ProduceID": made.exported.key,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }


class TestReadByOthers:
    def test_china_looks_in_the_keys_of_an_mp4(self, made):
        """`AIGC` in moov.udta.meta, by exiftool and by mediainfo; a platform's fields are empty."""
        assert json.loads(exiftool(made.path())["Keys:AIGC"]) == aigc(made)
        assert json.loads(mediainfo(made.path())["AIGC"]) == aigc(made)

    @pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
    def test_stills_say_it_in_xmp(self, house, format_):
        """Each field of each kind of still, by exiftool; and its pixels are as they were."""
        one = house.signed("still", format=format_)
        said = exiftool(one.path())
        assert json.loads(said["XMP-TC260:Aigc"]) == aigc(one)
        assert said["XMP-iptcExt:DigitalSourceType"] == GENERATED
        assert said["XMP-iptcExt:AISystemUsed"] == "mini-picture"
        assert said["XMP-iptcExt:DigitalImageGUID"] == one.exported.key
        assert said["XMP-dc:Creator"] == COMPANY
        assert said["XMP-dc:Rights"] == "© 2026 Lumière"
        assert said["XMP-photoshop:Credit"] == "Lumière"
        assert said["XMP-xmp:CreatorTool"].startswith("keyreel ")
        with Image.open(one.before()) as before, Image.open(one.path()) as after:
            difference = ImageChops.difference(before.convert("RGB"), after.convert("RGB"))
            assert before.format == after.format
        assert difference.getbbox() is None

    @pytest.mark.parametrize(
        ("format_", "port"),
        [
            ("mp4", "delivery"),
            ("mp4", "cover"),
            ("jpeg", "delivery"),
            ("png", "delivery"),
            ("webp", "delivery"),
        ],
    )
    def test_no_field_is_lost_and_none_is_added(self, house, format_, port):
        """All that is said goes into the file's XMP, and exiftool finds exactly that."""
        kind = "clip" if format_ == "mp4" else "still"
        one = house.signed(kind, format=format_, settings={"sign": {"prompt": True}})
        file = SignedFile.model_validate(one.node.params)
        said = sign.properties(one.node, house.desk.studio, file)
        assert all(said.values())
        read = exiftool(one.path(port))
        found = {
            name.partition(":")[2]: value
            for name, value in read.items()
            if name.startswith("XMP-") and not name.startswith("XMP-x:")
        }
        assert found == {AS_EXIFTOOL_SAYS[name]: value for name, value in said.items()}

    @pytest.mark.parametrize("row", [{}, {"edit_list": False}, {"audio": "silent"}])
    def test_pictures_and_sound_of_a_clip_stay(self, house, row):
        """Every packet with its times, and every fact of the index, is as export made it."""
        one = house.signed(**row)
        assert streams(one.path()) == streams(one.before())
        assert mediainfo(one.path()).get("Duration") == mediainfo(one.before()).get("Duration")

    def test_the_prompt_stays_in_the_house(self, made):
        """No word of the prompt is in the file's bytes, unless that was asked for."""
        assert PROMPT.encode() not in made.path().read_bytes()
        assert "XMP-iptcExt:AIPromptInformation" not in exiftool(made.path())

    def test_the_prompt_goes_out_where_asked_for(self, house):
        """IPTC 2025.1's field holds it, with who wrote it."""
        said = exiftool(house.signed("still", settings={"sign": {"prompt": True}}).path())
        assert said["XMP-iptcExt:AIPromptInformation"] == PROMPT
        assert said["XMP-iptcExt:AIPromptWriterName"] == "Lumière"

    def test_an_own_photo_is_no_models_work(self, house):
        """A still of the user's own photo bears no AI label of any kind, but a clip of it does."""
        said = exiftool(house.signed("still", own=True).path())
        assert "XMP-TC260:Aigc" not in said
        assert "XMP-iptcExt:DigitalSourceType" not in said
        assert said["XMP-dc:Creator"] == COMPANY
        assert exiftool(house.signed(own=True).path())["XMP-iptcExt:DigitalSourceType"] == COMPOSITE


class TestProvenance:
    def test_the_lineage_is_whole(self, house, made):
        """Delivery, clip and keyframe each have a manifest that says which model made it."""
        found = read_credentials(made.path(), house.keys.root.read_text())
        assert found.state == "Trusted"
        assert found.failures == ()
        assert found.titles == ("douyin.mp4", "clip.mp4", "keyframe.png")
        for what, model in (("clip.mp4", "mini-clip"), ("keyframe.png", "mini-picture")):
            said = f"{what}: created by {model} (trainedAlgorithmicMedia) on 2026-03-02T01:02:03"
            assert any(action.startswith(said) for action in found.actions)
        assert found.signer == COMPANY
        assert found.generator.startswith("keyreel ")

    def test_a_stranger_s_reader_finds_the_lineage_of_a_still(self, still):
        """Debian's exiftool, in the JPEG's own boxes; it reads none in an MP4."""
        said = exiftool(still.path())
        assert said["JUMBF:JUMDLabel"] == "c2pa"
        assert said["CBOR:ActionsAction"] == "c2pa.created"
        assert said["CBOR:ActionsSoftwareAgentName"] == "mini-picture"
        assert said["CBOR:ActionsDigitalSourceType"] == GENERATED
        assert (said["CBOR:Relationship"], said["CBOR:Title"]) == ("parentOf", "keyframe.png")
        assert said["CBOR:Claim_Generator_InfoName"] == "keyreel"

    @pytest.mark.parametrize("name", ["mug.jpg", "mug.png", "mug.webp", "mug.bmp"])
    def test_an_own_photo_stands_in_the_lineage(self, house, name):
        """As it came; a BMP, which C2PA does not read, as a PNG of the same pixels."""
        shown = {"bmp": "png", "jpg": "jpeg"}
        one = house.signed("still", own=True, image=house.photo(name))
        titles = read_credentials(one.path()).titles
        assert titles == ("douyin.jpeg", f"photo.{shown.get(name[4:], name[4:])}")

    def test_an_own_photo_under_a_wrong_name_is_known_for_what_it_is(self, house):
        """A PNG called .jpg, as some phones and people do it."""
        image = house.photo("mug.png")
        (house.root / "mug.jpg").write_bytes((house.root / "mug.png").read_bytes())
        one = house.signed("still", own=True, image=replace(image, path="mug.jpg"))
        assert read_credentials(one.path()).titles[1] == "photo.png"

    def test_a_stranger_sees_that_it_is_whole_but_not_by_whom(self, made):
        """Without the root certificate the state is Valid, not Trusted."""
        found = read_credentials(made.path())
        assert found.state == "Valid"
        assert found.failures == ()

    @pytest.mark.parametrize("where", [b"mdat", b"AIGC", b"mini-picture, mini-clip"])
    def test_one_changed_byte_is_seen(self, made, tmp_path, where):
        """In the pictures, in China's label, and in the XMP packet."""
        data = bytearray(made.path().read_bytes())
        data[data.rindex(where) + (600 if where == b"mdat" else 3)] ^= 1
        changed = tmp_path / "changed.mp4"
        changed.write_bytes(data)
        found = read_credentials(changed)
        assert found.state == "Invalid"
        assert "assertion.bmffHash.mismatch" in found.failures

    def test_one_changed_byte_of_a_still_is_seen(self, still, tmp_path):
        """In a JPEG's picture data."""
        data = bytearray(still.path().read_bytes())
        data[-200] ^= 1
        changed = tmp_path / "changed.jpg"
        changed.write_bytes(data)
        assert read_credentials(changed).state == "Invalid"

    def test_no_thumbnails(self, made, still):
        """What is added is small: 16 KB a clip, 8 KB a still."""
        assert made.path().stat().st_size - made.before().stat().st_size < 20_000
        assert still.path().stat().st_size - still.before().stat().st_size < 12_000

    def test_a_brand_without_a_certificate_has_metadata_and_no_signature(self, tmp_path):
        """The labels do not hang on keys."""
        one = House(tmp_path / "home", signing=False).signed("still")
        assert read_credentials(one.path()) is None
        assert json.loads(exiftool(one.path())["XMP-TC260:Aigc"])["ProduceID"] == one.exported.key


class TestKeysStaySecret:
    def test_no_byte_of_the_private_key_leaves_its_file(self, house, made, still, caplog):
        """Neither the store (assets, records) nor any other file of the home holds it."""
        body = "".join(house.keys.key.read_text().splitlines()[1:-1])
        lines = house.keys.key.read_bytes().splitlines()[1:-1]
        import base64

        scalar = base64.b64decode(body)[36:68]
        for path in house.root.rglob("*"):
            if path.is_file() and path != house.keys.key:
                data = path.read_bytes()
                assert not any(line in data for line in lines), path
                assert scalar not in data, path
        assert body[:40] not in caplog.text

    def test_the_content_key_does_not_hang_on_the_private_key(self, made):
        """Params and inputs name the certificate's hash; the key's path is recorded, not keyed."""
        recipe = json.dumps(made.node.recipe())
        assert "signing.key" not in recipe
        assert made.node.notes["key"] == "keys/signing.key"


class TestDecided:
    def cell(self, house, pictures, **row):
        return house.cell(delivery(*SOURCE, **row), {"delivery": Photo(*SOURCE), **pictures})

    def test_equal_cells_decide_equally(self, house):
        """The node's key is stable, though its bytes are not."""
        pictures = {"image": Photo(*SOURCE), "clip": Photo(*SOURCE, fps=8, frames=9)}
        first, second = (sign.decide(self.cell(house, pictures)) for _ in range(2))
        assert first == second

    def test_a_name_that_metadata_cannot_hold(self, tmp_path):
        """Control characters in the brand's name are refused at plan time."""
        bad = House(tmp_path / "home", signing=False, brand={"name": "Lum\u0007"})
        with pytest.raises(BadPlan, match=r"brand\.name"):
            sign.decide(self.cell(bad, {"image": Photo(*SOURCE)}))

    def test_something_it_was_made_from_is_wired_in(self, house):
        """Without picture and clip nothing could be said of how it came to be."""
        with pytest.raises(BadPlan, match="sign takes image, clip or both"):
            sign.decide(self.cell(house, {}))

    def test_where_nothing_was_exported_there_is_nothing_to_sign(self, house):
        """A delivery that a pipeline's `when` leaves out."""
        assert sign.decide(house.cell(delivery(*SOURCE), {"image": Photo(*SOURCE)})) is None

    def test_a_waived_label_is_recorded(self, house):
        """Who left the words off the picture stands in the sign node's parameters."""
        waiver = {"by": "Li Wei", "reason": "the platform labels it itself"}
        pictures = {"delivery": Photo(*SOURCE), "image": Photo(*SOURCE)}
        cell = house.cell(delivery(*SOURCE), pictures, {"label": {"off": waiver}})
        assert sign.decide(cell).params["unlabelled"] == waiver


class TestRefused:
    def test_metadata_that_breaks_the_platforms_limit(self, house):
        """A file that was just small enough is refused once its manifest makes it too large."""
        size = house.signed("still").before().stat().st_size
        with pytest.raises(Rejected, match=r"above \d+: raise export.crf"):
            house.signed("still", max_bytes=size + 100)

    def test_a_certificate_that_expired_since_the_plan(self, tmp_path):
        """The certificate is looked at again when it signs."""
        import datetime as dt

        from flows.keys import new_keys

        home = House(tmp_path / "home")
        for path in (home.keys.certificate, home.keys.key, home.keys.root):
            path.unlink()
        past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        home.keys = new_keys(home.desk.studio.home, COMPANY, years=1, now=past)
        with pytest.raises(BadFile, match="expired on 2020-12-31"):
            home.signed("still")
