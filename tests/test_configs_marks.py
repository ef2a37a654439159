"""A YAML file as plain values with their places; what no honest file holds is refused."""

from __future__ import annotations

import pytest

from configs.errors import BadField
from configs.marks import MAX_BYTES, MAX_DEPTH, MAX_VALUES, dotted, read


@pytest.fixture
def write(tmp_path):
    """Writes text or bytes to a file and returns its path."""

    def writer(content):
        path = tmp_path / "file.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


def refused(path, message, line=0, column=0):
    """Assert that `path` is refused with `message`, at a place."""
    with pytest.raises(BadField, match=message) as caught:
        read(path)
    assert caught.value.file == str(path)
    if line:
        assert (caught.value.line, caught.value.column) == (line, column)


class TestRead:
    """What a file's values become."""

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("no", "no"),
            ("on", "on"),
            ("Yes", "Yes"),
            ("2026-03-02", "2026-03-02"),
            ("1_000", "1_000"),
            ("12:30", "12:30"),
            ("007", "007"),
            ("0x1F", "0x1F"),
            ("0o17", "0o17"),
            (".inf", ".inf"),
            (".nan", ".nan"),
            ("1e400", "1e400"),
            ("'12'", "12"),
            ("12", 12),
            ("-3", -3),
            ("1.50", 1.5),
            (".5", 0.5),
            ("2e3", 2000.0),
            ("true", True),
            ("FALSE", False),
            ("~", None),
            ("", None),
            ("[]", []),
            ("{}", {}),
            ("口红", "口红"),
            ("9" * 30, "9" * 30),
        ],
    )
    def test_plain_words_follow_yaml_1_2(self, write, text, value):
        """Words that YAML 1.1 reads as booleans, dates or odd numbers are text."""
        found = read(write(f"key: {text}\n")).value(("key",))
        assert (found, type(found)) == (value, type(value))

    @pytest.mark.parametrize("key", ["on", "no", "12", "~", "2026-03-02", "true"])
    def test_keys_are_the_text_they_are_written_with(self, write, key):
        """A key is never a boolean, number, date or null."""
        assert read(write(f"{key}: 1")).root.value == {key: 1}

    def test_a_byte_order_mark_is_skipped(self, write):
        """Windows editors put one before UTF-8."""
        assert read(write(b"\xef\xbb\xbfa: 1")).root.value == {"a": 1}

    def test_an_empty_file_holds_nothing(self, write):
        """Comments alone are no values either."""
        assert read(write("# nothing\n")).root.value is None

    def test_an_alias_repeats_its_anchor(self, write):
        """Anchors save typing, and the value stands where it was written first."""
        marks = read(write("a: &x {b: 1}\nc: *x\n"))
        assert marks.value(("c", "b")) == 1
        assert marks.at(("c", "b")) == (1, 11)


class TestPlaces:
    """Where values stand."""

    TEXT = "title: 春\nproducts:\n  - id: a\n    name: {zh: 口红, en: b}\n"

    def test_lines_and_columns_count_from_one_in_characters(self, write):
        """A hanzi is one column."""
        marks = read(write(self.TEXT))
        assert marks.at(("products", 0, "name", "en")) == (4, 24)
        assert marks.at_key(("products", 0, "name", "en")) == (4, 20)

    def test_what_is_not_written_stands_at_what_is_around_it(self, write):
        """A missing field is told at the mapping that misses it."""
        marks = read(write(self.TEXT))
        assert marks.at(("products", 0, "colour")) == (3, 5)
        assert marks.value(("products", 3, "id")) is None

    def test_a_path_reads_as_people_write_it(self):
        """Lists by number in brackets, keys by dots."""
        assert dotted(("products", 0, "name", "zh")) == "products[0].name.zh"


class TestRefused:
    """What is not read, each with the reason."""

    @pytest.mark.parametrize(
        ("text", "message", "line", "column"),
        [
            ("a: 1\nb: 2\na: 3\n", "a stands on line 1 already", 3, 1),
            ("a: !!python/object:os.system x", "tag .* not read", 1, 4),
            ("a: !own x", "tag '!own' is not read", 1, 4),
            ("a: *b", r"alias \*b is not defined", 1, 4),
            ("a: &b [*b]", r"alias \*b stands inside itself", 1, 8),
            ("a: &b {c: 1}\nd:\n  <<: *b\n", "merge keys", 3, 3),
            ("? [a, b]\n: 1\n", "a key must be plain text", 1, 3),
            ("a: {{ b }}\n", "plain text; put text with `{{ … }}` in it in quotes", 1, 5),
            ("a: 1\n---\nb: 2\n", "a second document", 2, 1),
            ("a: [1, 2", "not YAML", 1, 4),
            ("\ta: 1", "indent with spaces, not tabs", 1, 1),
            ("name： a\nb: 1", "full-width", 1, 5),
            ("a: 1\nname：a\n\nb: 1", "full-width", 2, 5),
            ("a: {b：all, c: [d]}", "b：all is empty; write `: `, not the full-width", 1, 5),
            ("a:\n  b: x\n　　c: y\n", "plain spaces", 3, 1),
            ("a:\n  b: x\n\u00a0 c: y\n", "plain spaces", 3, 1),
            ("a:\n  b: “c: d”\n", "plain quotes", 2, 6),
            ("a: 1\nb:2\nc: 3\n", "a space after `:`", 2, 3),
            ("a: b: c\n", "put text with `: ` in it in quotes", 1, 6),
            ("a:\n   - {b: 1, c: 2}\n  - {b: 1}\n", "2 spaces in, `-` above 3", 3, 3),
            ("a:\n   b: 1\n  c: 2 # d: 3\n", "2 spaces in, `b` above 3", 3, 3),
            ("a:\n  - {b: 1, c: 2\n  - {b: 1}\n", "close the bracket of line 2", 3, 5),
            ("a: 1\nb: [c, d\ne: f\n", "close the bracket of line 2", 3, 2),
            ("a:\n  - b: 1\n    c: 2\n   d: 3\n", "begins 3 spaces in, `c` above 4", 4, 4),
            ("a:\n  - b: 1\n   c: 2\n", "begins 3 spaces in, `b` above 4", 3, 4),
            ("a:\n  - b: 1\n    c: 2\n - b: 3\n", "begins 1 space in, `-` above 2", 4, 2),
            ("a:\n  b: 1\n   c: 2\n", "begins 3 spaces in, `b` above 2; let them", 3, 4),
            ("a:\n    b: 1\n  c: 2\n", "begins 2 spaces in, `b` above 4", 3, 3),
            ("colour: #B3122B", 'quotes, "#B3122B"', 1, 8),
            ("a: {colour: #B3122B}", 'quotes, "#B3122B"', 0, 0),
            ("a: @b", "special sign in quotes", 1, 4),
            ("a: 1\nb: \x07", "character YAML forbids", 2, 0),
        ],
    )
    def test_one_sentence_names_the_place(self, write, text, message, line, column):
        """Each case is told at its line and column, with what to write instead."""
        refused(write(text), message, line, column)

    @pytest.mark.parametrize("text", ["a: [1]]\n", "- a\nb: 1\n", "a: 1\n- b\n"])
    def test_lines_that_begin_alike_are_not_blamed(self, write, text):
        """What else is wrong is said in the parser's own words."""
        with pytest.raises(BadField, match="is not YAML") as caught:
            read(write(text))
        assert "alike" not in caught.value.message

    @pytest.mark.parametrize("line", ["{," * 250_000, "a: b" * 120_000 + ": c", " -" * 250_000])
    def test_a_giant_line_is_not_searched(self, write, line):
        """A message costs as little as one for a short line."""
        with pytest.raises(BadField) as caught:
            read(write(f"a: 1\n b: 2\n{line}"))
        assert len(str(caught.value)) < 400

    def test_an_alias_bomb(self, write):
        """Ten levels of ten aliases would be 10^10 values."""
        levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 11))
        refused(write(f"l0: &l0 x\n{levels}\n"), f"more than {MAX_VALUES:,} values")

    def test_a_file_of_too_many_values(self, write):
        """As many commas as fit a file are refused too."""
        refused(write("[" + "1," * (MAX_VALUES + 1) + "]"), "values")

    def test_deep_nesting(self, write):
        """It would exhaust the stack before anything else."""
        refused(write("[" * 500_000), f"deeper than {MAX_DEPTH} levels", 1, MAX_DEPTH + 2)

    def test_deep_nesting_by_aliases(self, write):
        """Each level is flat where it is written."""
        levels = "\n".join(f"l{n}: &l{n} [*l{n - 1}]" for n in range(1, 5000))
        refused(write(f"l0: &l0 x\n{levels}\n"), "levels, its aliases followed", 34, 6)

    def test_a_key_gives_no_orders_to_the_terminal(self, write):
        """A message says it on one line, cut short."""
        key = '"\\e[2J' + "x" * 1000 + '"'
        with pytest.raises(BadField) as caught:
            read(write(f"{key}: 1\n{key}: 2\n"))
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value)) < 300

    def test_a_giant_file(self, write):
        """Five megabytes are not read to the end."""
        refused(write(b"a: " + b"x" * (5 << 20)), f"larger than {MAX_BYTES >> 10} KiB")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
            ("name: 口红".encode("gb18030"), "not UTF-8"),
            ("name: a".encode("utf-16"), "not UTF-8"),
            (b"a: \x00\x01", "character YAML forbids"),
        ],
    )
    def test_what_is_not_text(self, write, content, message):
        """A picture, GBK or UTF-16 in place of UTF-8, or control characters."""
        refused(write(content), message)

    def test_a_missing_file_and_a_folder(self, tmp_path):
        """Neither can be read."""
        refused(tmp_path / "none.yaml", "No such file")
        refused(tmp_path, "Is a directory")
