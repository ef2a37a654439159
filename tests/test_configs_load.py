"""A campaign loads, or one error names every wrong line with what to write instead."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import configs
from configs.errors import MOST_SHOWN, BadField, BadInput
from configs.home import Home
from configs.library import Library
from configs.load import load_campaign, load_pipeline

DEMO = (Path(configs.__file__).parent / "campaigns" / "demo.yaml").read_text("utf-8")


@pytest.fixture
def home(tmp_path):
    """An empty home."""
    return Home(tmp_path)


@pytest.fixture
def load(home):
    """Loads a campaign from its text."""

    def loader(text):
        path = home.root / "campaign.yaml"
        path.write_text(text, encoding="utf-8")
        return load_campaign(path, home)

    return loader


@pytest.fixture
def edited(load):
    """Loads the demo with one text replaced, and returns what was wrong with it."""

    def loader(old, new):
        assert old in DEMO
        with pytest.raises(BadField) as caught:
            load(DEMO.replace(old, new, 1))
        return caught.value

    return loader


class TestDemo:
    """The shipped campaign."""

    def test_it_loads_with_places(self, load):
        """Values and the lines they stand on."""
        loaded = load(DEMO)
        assert loaded.campaign.products[1].image == "brand/mug.jpg"
        line = DEMO.split("\n").index("deliveries: [douyin, xiaohongshu, bilibili]") + 1
        assert loaded.source.at(("deliveries", 1))[0] == line

    def test_the_starter_loads(self, home):
        """What `keyreel init` writes is right."""
        path = Path(configs.__file__).parent / "campaigns" / "starter.yaml"
        assert load_campaign(path, home).campaign.calendar.start == "next-monday"


class TestSuggestions:
    """The nearest right word, for every kind of name."""

    @pytest.mark.parametrize(
        ("old", "new", "field", "word"),
        [
            ("deliveries:", "delivries:", "delivries", "deliveries"),
            ("watermark:", "water_mark:", "brand.water_mark", "watermark"),
            ("if: day", "iff: day", "prompt.when[0].iff", "if"),
            ("pipeline: social-clip", "pipeline: social-clp", "pipeline", "social-clip"),
            ("profile: auto", "profile: minni", "profile", "mini"),
            ("[douyin,", "[douyn,", "deliveries[0]", "douyin"),
            ("position: top-right", "position: top-rihgt", "brand.watermark.position", "top-right"),
            ("orbit-left", "orbit-lft", "overrides[0].set.animate.motion", "orbit-left"),
            (
                "animate.motion",
                "animate.motoin",
                "overrides[0].set.animate.motoin",
                "animate.motion",
            ),
            (
                "animate.motion: orbit-left",
                "keyframe.model: mini-pictur",
                "overrides[0].set.keyframe.model",
                "mini-picture",
            ),
            (
                "template: product-closeup",
                "template: product-closup",
                "prompt.template",
                "product-closeup",
            ),
            ("[mon, fri]", "[mon, fry]", "matrix.day[1]", "fri"),
            ("[mon, fri]", "[mon, frday]", "matrix.day[1]", "friday"),
            ("product: all, ", "product: [roug-01], ", "matrix.product[0]", "rouge-01"),
            ("match: {product:", "match: {prod:", "overrides[0].match.prod", "product"),
            ("{product: rouge-01,", "{product: rouge-1,", "overrides[0].match.product", "rouge-01"),
            ("start: 2026-03-02", "start: next-munday", "calendar.start", "next-monday"),
            ("Asia/Shanghai", "Asia/Shangai", "calendar.timezone", "Asia/Shanghai"),
        ],
    )
    def test_did_you_mean(self, edited, old, new, field, word):
        """The error stands at the value and names the word that was meant."""
        error = edited(old, new)
        assert (error.field, len(error.errors)) == (field, 1)
        assert f"did you mean {word!r}?" in str(error)
        line = DEMO[: DEMO.index(old)].count("\n") + 1
        assert error.line == line
        assert str(error).startswith(f"{error.file}:{line}:{error.column}: {field}: ")


class TestWrongValues:
    """Values that no field takes."""

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("name: demo", "name: 2026", 'name: 2026 does not fit; write "2026", in quotes'),
            ("name: demo", "name:", "name: is empty; write text"),
            ("name: demo", "name: ../up", "name: '../up' does not fit; write lower-case"),
            ("name: demo", "name: con.", "name: 'con.' does not fit; write lower-case"),
            ("name: demo\n", "", "name: is missing; add `name: …`"),
            (
                "days: 7",
                "days: 700",
                "calendar.days: 700 does not fit; write a value of at most 366",
            ),
            ("days: 7", "days: seven", "calendar.days: 'seven' does not fit; write a whole number"),
            ("days: 7", "days: 7.5", "calendar.days: 7.5 does not fit; write a whole number"),
            ("seed: 20260302", "seed: -1", "seed: -1 does not fit; write a value of at least 0"),
            ("start: 2026-03-02", "start: 2026-02-31", "calendar.start: '2026-02-31' does not fit"),
            ("locale: zh_CN", "locale: chinese", "write language and territory, `zh_CN`"),
            ('"#B3122B"', '"#B3122"', "write `#RRGGBB` or a colour's name"),
            ("opacity: 0.8", "opacity: .nan", "brand.watermark.opacity: '.nan' does not fit"),
            ("opacity: 0.8", "opacity: nan", "brand.watermark.opacity: 'nan' does not fit"),
            ("opacity: 0.8", "opacity: 80", "80 does not fit; write a value of at most 1"),
            ("title: {zh: 春日限定, en: Spring edition}", "title: [a]", "write text, or `{zh: …"),
            ("deliveries: [douyin, xiaohongshu, bilibili]", "deliveries: []", "at least 1 item"),
            (
                "[douyin, xiaohongshu, bilibili]",
                "[小红书]",
                "'小红书'; did you mean 'xiaohongshu'?",
            ),
            ("[douyin, xiaohongshu, bilibili]", "[抖音]", "'抖音'; did you mean 'douyin'?"),
            (
                "[douyin, xiaohongshu, bilibili]",
                "[朋友圈]",
                "bilibili (哔哩哔哩), douyin (抖音), inst",
            ),
            (
                "deliveries: [",
                'publish: {抖音: "18:30"}\ndeliveries: [',
                "publish.抖音: no delivery of this campaign '抖音'; did you mean 'douyin'?",
            ),
            (
                "deliveries: [",
                'publish: {快手: "18:30"}\ndeliveries: [',
                "'快手'; known: bilibili (哔哩哔哩), douyin (抖音), xiaohongshu (小红书视频)",
            ),
            (
                "name: Lumière",
                f"allow: {{{'好' * 41}: a reason}}",
                "好' does not fit; write at most 40",
            ),
            ("[douyin, xiaohongshu, bilibili]", "[a，b]", "'a，b'; items are parted by `,`, not"),
            ("product: all, ", "product: a，b, ", "not by `，`; write 'all'"),
            (
                "title: {zh: 春日限定, en: Spring edition}",
                "title: 399",
                'title: 399 does not fit; write "399", in quotes',
            ),
            ("[douyin, xiaohongshu, bilibili]", "[douyin, douyin]", "'douyin' stands on line 20"),
            ("{id: mug-01", "{id: rouge-01", "'rouge-01' stands on line 13 already"),
            (
                "product: all, ",
                "product: every, ",
                "matrix.product: 'every' does not fit; write 'all'",
            ),
            ("[mon, fri]", "[]", "matrix.day: the axis day has no values"),
            ("[mon, fri]", "[2026-04-01]", "none of these is among the 7 days from 2026-03-02"),
            ("[mon, fri]", "[1, true]", "matrix.day[0]: no day 1; write mon to sun"),
            ("[mon, fri]", "[mon，fri]", "items are parted by `,`, not by `，`"),
            ("[mon, fri]}", "[mon, fri], look: []}", "matrix.look: the axis look has no values"),
            ("[mon, fri]}", "[mon, fri], look: all}", "matrix.look: `all` is for product and day"),
            ("[mon, fri]}", "[mon, fri], look: [a, a]}", "'a' stands on line 15 already"),
            ("[mon, fri]}", "[mon, fri], look: [../x]}", "'../x' cannot name a folder"),
            ("[mon, fri]}", "[mon, fri], look: [1, '1']}", "'1' stands on line 15 already"),
            ("[mon, fri]}", "[mon, fri], Look up: [a]}", "name an axis with lower-case letters"),
            ("day: fri}", "day: sat}", "no day of the matrix 'sat'; known: 2026-03-02, 2026-03-06"),
            ("day: fri}", "day: 2026-03-13}", "no day of the matrix '2026-03-13'"),
            ("animate.motion: orbit-left", "animate: static", "no setting 'animate'"),
            (
                "animate.motion: orbit-left",
                "keyframe.model: mini-clip",
                "no picture model 'mini-clip'",
            ),
            (
                "animate.motion: orbit-left",
                "export.crf: best",
                "'best' does not fit; write a whole",
            ),
            (
                "animate.motion: orbit-left",
                "animate.motion: static, animate: {motion: static}",
                "overrides[0].set.animate.motion: is set on line 34 already",
            ),
            ("template: product-closeup", "template: []", "prompt.template: has no templates"),
        ],
    )
    def test_the_sentence_says_what_to_write(self, edited, old, new, said):
        """Field, value and what is allowed."""
        assert said in str(edited(old, new))

    def test_all_wrong_lines_come_in_one_message(self, load):
        """In the order of the file; the first line is the error's own."""
        text = DEMO.replace("days: 7", "days: no").replace("profile: auto", "profil: auto")
        with pytest.raises(BadField) as caught:
            load(text)
        lines = str(caught.value).split("\n")
        assert [error.line for error in caught.value.errors] == [5, 11]
        assert caught.value.line == 5
        assert "did you mean 'profile'?" in lines[0]
        assert "calendar.days" in lines[1]

    def test_it_crosses_to_another_process(self, load):
        """Prefect and process pools pickle what a task raises."""
        with pytest.raises(BadField) as caught:
            load(DEMO.replace("days: 7", "days: no").replace("profile: auto", "profil: auto"))
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), copy.line) == (str(caught.value), 5)
        assert len(copy.errors) == 2

    def test_a_message_stays_on_a_screen(self, load):
        """However many lines are wrong."""
        names = ", ".join(f"name{n}" for n in range(90_000))
        with pytest.raises(BadField) as caught:
            load(DEMO.replace("[douyin, xiaohongshu, bilibili]", f"[{names}]"))
        lines = str(caught.value).split("\n")
        assert len(lines) == MOST_SHOWN + 1
        assert lines[-1].startswith("… and ")

    @pytest.mark.parametrize("text", ["", "[]", "just words", "12", "null", "- a\n- b"])
    def test_a_file_that_is_no_mapping(self, load, text):
        """It is told what to write at its first line."""
        with pytest.raises(BadField, match="write keys with values"):
            load(text)


class TestPipelines:
    """Pipelines by name."""

    @pytest.mark.parametrize("name", ["social-clip", "social-still"])
    def test_the_shipped_ones_load(self, home, name):
        """With the places of their stages."""
        pipeline, marks = load_pipeline(name, home)
        assert pipeline.stages[0].id == "expand"
        assert marks.at(("stages", 0))[0] > 1

    @pytest.mark.parametrize("name", ["social-clap", "../pipelines/social-clip", "", "a\0b"])
    def test_an_unknown_name_is_never_a_path(self, home, name):
        """Names are looked up, not opened."""
        with pytest.raises(BadInput, match="no pipeline"):
            load_pipeline(name, home)

    @pytest.mark.parametrize(
        ("stages", "said"),
        [
            ("[{id: keyfram}]", "stages[0].id: no stage 'keyfram'; did you mean 'keyframe'?"),
            ("[{id: hero, stage: anmate}]", "stages[0].stage: no stage 'anmate'"),
            ("[{id: expand}, {id: expand}]", "stages[1].id: 'expand' is a stage's id already"),
            ("[{id: expand, in: {a: {first: [b]}}}]", "stages[0].in.a.first: unknown key"),
            ("[{id: expand, in: {a: 5}}]", "stages[0].in.a: 5 does not fit"),
            ("[{id: expand, per: shots}]", "did you mean 'shot'?"),
            ("[]", "stages: [] does not fit; write at least 1 item"),
        ],
    )
    def test_a_wrong_stage_is_told_at_its_line(self, home, stages, said):
        """The home's own pipelines are checked like ours."""
        folder = home.root / "pipelines"
        folder.mkdir()
        (folder / "own.yaml").write_text(f"stages: {stages}\n", encoding="utf-8")
        with pytest.raises(BadField) as caught:
            load_pipeline("own", home)
        assert said in str(caught.value)

    def test_a_campaign_with_a_broken_pipeline_names_the_pipeline(self, home, load):
        """The error is told in the file it stands in."""
        (home.root / "pipelines").mkdir()
        (home.root / "pipelines" / "own.yaml").write_text("stages: 5\n", encoding="utf-8")
        with pytest.raises(BadField, match=r"own\.yaml:1:9: stages"):
            load(DEMO.replace("pipeline: social-clip", "pipeline: own"))


WRONG = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value, path=()):
    """Yield the path of every value inside `value`."""
    yield path
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in parts:
        yield from places(inner, (*path, key))


def put(value, path, new):
    """Return `value` with the value at `path` replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A home and its library, read once for all examples."""
    home = Home(tmp_path_factory.mktemp("home"))
    return home, Library.open(home)


def loads_or_says_why(bench, content):
    """Assert that a file loads, or raises bad input with its own name in it, and nothing else."""
    home, library = bench
    path = home.root / "fuzz.yaml"
    path.write_bytes(content)
    said = str(path)
    try:
        load_campaign(path, home, library)
    except BadInput as error:
        said = str(error)
    assert str(path) in said


class TestHostile:
    """Whatever stands in the file, nothing but bad input comes of it."""

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_wrong_types_everywhere(self, bench, data):
        """Any value of the demo replaced by any other."""
        value = yaml.safe_load(DEMO.replace("2026-03-02", "'2026-03-02'", 1))
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(list(places(value))))
            value = put(value, path, data.draw(WRONG))
        loads_or_says_why(bench, yaml.safe_dump(value, allow_unicode=True).encode())

    @given(st.integers(0, len(DEMO)), st.integers(0, 40), st.text(max_size=8))
    @settings(max_examples=100, deadline=None)
    def test_any_edit_of_the_text(self, bench, at, length, new):
        """Any piece of the demo cut out and any text put there."""
        content = DEMO[:at] + new + DEMO[at + length :]
        loads_or_says_why(bench, content.encode("utf-8", "surrogatepass"))

    @given(st.binary(max_size=200))
    @settings(max_examples=100, deadline=None)
    def test_any_bytes(self, bench, content):
        """Not even text."""
        loads_or_says_why(bench, content)
