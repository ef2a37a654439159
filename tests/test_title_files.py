"""Files that titles are made from: SRT captions and brand fonts, honest and hostile."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

from configs.errors import BadFile, BadPlan
from configs.srt import read_srt
from tasks.font import bundled, bundled_file, characters_of, read_font, small_copy

GOOD = """1
00:00:00,500 --> 00:00:01,500
春日限定

2
00:00:01,500 --> 00:00:02,000
第二行
两行字
"""


def square_font(path: Path, characters: str = "AB口 ", name: str = "Atelier") -> Path:
    """Write a TTF whose every glyph is a square of half an em."""
    pen = TTGlyphPen(None)
    for place in ((0, 0), (0, 500), (500, 500), (500, 0)):
        (pen.moveTo if place == (0, 0) else pen.lineTo)(place)
    pen.closePath()
    square = pen.glyph()
    glyphs = dict.fromkeys((f"u{ord(character):04X}" for character in characters), square)
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *glyphs])
    builder.setupCharacterMap(
        {ord(character): f"u{ord(character):04X}" for character in characters}
    )
    builder.setupGlyf({".notdef": square, **glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *glyphs], (600, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-300)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(usWinAscent=900, usWinDescent=300)
    builder.setupPost()
    builder.save(path)
    return path


def test_captions_are_read_with_their_times_and_lines(tmp_path):
    """Times in seconds, several lines of text, a byte order mark and Windows' line ends."""
    file = tmp_path / "a.srt"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    first, second = read_srt(file)
    assert (first.start, first.end, first.text, first.line) == (0.5, 1.5, "春日限定", 3)
    assert (second.start, second.end, second.text) == (1.5, 2.0, "第二行\n两行字")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("00:00:00,500 -->", "00:00:00,500 ->"), r"a\.srt:2: .*write 00:00:01,000 -->"),
        (("1\n00", "one\n00"), r"a\.srt:1: 'one'; write the caption's number"),
        (("01,500\n春", "00,200\n春"), r"a\.srt:2: ends at 0\.2 s, not after 0\.5 s"),
        (("00:00:01,500 --> 00:00:02", "00:00:01,000 --> 00:00:02"), r"a\.srt:6: starts at 1 s"),
        (("第二行", "<i>第二行</i>"), r"a\.srt:7: '<i>' is mark-up"),
        (("第二行", r"{\an8}第二行"), r"a\.srt:7: .*mark-up"),
        (("春日限定\n", ""), r"a\.srt:3: the caption has no text"),
        ((GOOD, ""), r"a\.srt: holds no captions"),
        (("00:00:00,500", "00:99:00,500"), r"a\.srt:2:"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(tmp_path, change, message):
    """Each fault names file and line, and what to write."""
    file = tmp_path / "a.srt"
    file.write_text(GOOD.replace(*change), "utf-8")
    with pytest.raises(BadFile, match=message):
        read_srt(file)


def test_what_is_no_text_is_refused(tmp_path):
    """Another encoding, a picture, too large a file, none at all."""
    file = tmp_path / "a.srt"
    file.write_bytes(GOOD.encode("gb18030"))
    with pytest.raises(BadFile, match="is not UTF-8 at byte"):
        read_srt(file)
    file.write_bytes(b"1\n" * (1 << 20))
    with pytest.raises(BadFile, match="larger than 1 MiB"):
        read_srt(file)
    with pytest.raises(BadFile, match="no such file"):
        read_srt(tmp_path / "b.srt")


def test_a_font_says_what_it_lacks():
    """The character is named, and what to do."""
    font = bundled("Noto Sans SC")
    font.check("哑光口红 ¥129 Lumière")
    with pytest.raises(BadPlan, match=r"Noto Sans SC has no glyph for '💄' \(U\+1F484 LIPSTICK\)"):
        font.check("口红💄")


def test_a_brand_font_is_measured(tmp_path):
    """Widths and line heights in ems; its own name."""
    font = read_font(square_font(tmp_path / "own.ttf"))
    assert font.name == "Atelier"
    assert font.width("AB口") == pytest.approx(1.8)
    assert (font.ascent, font.height) == (0.9, 1.2)


def many_codes(path: Path) -> Path:
    """Write a font whose table of characters names all of Unicode 400 times over."""
    font = TTFont(square_font(path))
    groups = b"".join(struct.pack(">LLL", 0, 0x10FFFF, 0) for _ in range(400))
    table = struct.pack(">HHHHL", 0, 1, 3, 10, 12)
    table += struct.pack(">HHLLL", 12, 0, 16 + len(groups), 0, 400) + groups
    from fontTools.ttLib.tables.DefaultTable import DefaultTable

    raw = DefaultTable("cmap")
    raw.data = table
    font["cmap"] = raw
    font.save(path)
    return path


def test_hostile_fonts_are_refused_in_words(tmp_path):
    """No font, cut short, a collection, a table that unpacks to gigabytes: told, and at once."""
    whole = square_font(tmp_path / "own.ttf").read_bytes()
    for name, data in {
        "text": b"hello",
        "empty": b"",
        "short": whole[: len(whole) // 2],
        "collection": b"ttcf" + whole[4:],
        "web": b"wOF2" + whole[4:],
        "noise": whole[:12] + bytes(reversed(whole[12:])),
    }.items():
        path = tmp_path / f"{name}.ttf"
        path.write_bytes(data)
        with pytest.raises(BadFile, match=rf"^{name}\.ttf: "):
            read_font(path)
    with pytest.raises(BadFile, match="more than Unicode has"):
        read_font(many_codes(tmp_path / "bomb.ttf"))
    with pytest.raises(BadFile, match="no such file"):
        read_font(tmp_path / "none.ttf")


def test_a_small_copy_has_the_glyphs_and_a_name_of_its_own(tmp_path):
    """Its family is no font's of the machine; another set of characters has another name."""
    characters = characters_of(["口红", "¥129 红"])
    assert characters == " 129¥口红"
    family, data = small_copy(bundled_file("Noto Sans SC"), characters)
    copy = TTFont(io.BytesIO(data))
    assert {chr(code) for code in copy.getBestCmap()} == set(characters)
    assert copy["name"].getDebugName(1) == family
    assert len(data) < 20_000
    assert small_copy(bundled_file("Noto Sans SC"), "口")[0] != family


def test_a_small_copy_has_the_same_bytes_in_another_process():
    """Content keys promise equal bytes for equal inputs."""
    code = (
        "from hashlib import sha256; from tasks.font import bundled_file, small_copy;"
        "print(sha256(small_copy(bundled_file('Noto Sans SC'), '口红')[1]).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
