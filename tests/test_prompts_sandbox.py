from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.sandbox import MAX_CHARACTERS, BadTemplate, holds, names_in, render
from tasks.views import NoFestival
from tests.seconds import least_seconds

DAY = SimpleNamespace(weekday="mon", name="周一", festival=NoFestival(), is_weekend=False)
NAMES = {"item": "哑光口红", "day": DAY, "facts": {"notes": ["玫瑰", "麝香"], "volume": 50}}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("静物", "静物"),
        ("{{ item }}静立", "哑光口红静立"),
        ("{% if day.weekday == 'mon' %}新的一周{% else %}平常{% endif %}", "新的一周"),
        ("{{ facts.notes | join('、') }}", "玫瑰、麝香"),
        ("{% for n in facts.notes %}{{ loop.index }}{{ n }} {% endfor %}", "1玫瑰 2麝香"),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{{ '—' * 3 }}{{ facts.volume * 2 }}", "———100"),
        ("{{ facts.scent | default('无香') }}", "无香"),
        ("{{ day.festival.props }}", ""),
        ("{{ item ~ '·' ~ day.name }}", "哑光口红·周一"),
        ("{{ item | replace('口红', '唇釉') }}", "哑光唇釉"),
    ],
)
def test_a_phrase_with_blanks_and_branches_is_filled_in(source: str, wanted: str):
    """What honest templates need works."""
    assert render(source, NAMES) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ item.__init__.__globals__ }}",
        "{{ facts['__class__'] }}",
        "{{ self }}",
        "{{ lipsum() }}",
        "{{ cycler('a').next() }}",
        "{{ item.format(1) }}",
        "{{ item.upper() }}",
        "{{ facts | map(attribute='x') | list }}",
        "{{ facts | attr('items') }}",
        "{{ facts.notes | random }}",
        "{{ [item] | tojson }}",
        "{% set x = 1 %}{{ x }}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% call x() %}{% endcall %}",
        "{% filter upper %}{{ item }}{% endfilter %}",
        "{% for n in range(2) recursive %}{{ loop(range(2)) }}{% endfor %}",
        "{{ 2 ** 99999 }}",
        "{{ namespace(a=1) }}",
        "{{ {'a': 1} }}",
        "{{ missing }}",
        "{{ day.missing }}",
        "{{ item",
        "{% if %}",
        "{{ item | nosuch }}",
        "{{ item is nosuch }}",
        "{{ facts.notes | replace('a', 'b') }}",
        "{{ item + 1 }}",
        "{{ facts.volume / 0 }}",
        "{{ facts.volume // 0 }}",
    ],
)
def test_code_and_slips_are_refused(source: str):
    """No attributes with underscores, no calls, no loops without end, nothing drawn at random."""
    with pytest.raises(BadTemplate):
        render(source, NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 100000000 }}",
        "{{ ('a' * 4000) | replace('a', 'b' * 4000) }}",
        "{{ 100000000 * 'a' }}",
        "{{ [1] * 100000000 }}",
        "{{ '%099999999d' % 1 }}",
        "{{ range(100000000) | list }}",
        "{{ range(0, -100000000, -1) | join }}",
        "{% for a in range(99999) %}{{ a }}{% endfor %}",
        "{% for a in range(100) %}{% for b in range(100) %}{{ item }}{% endfor %}{% endfor %}",
        "{% for a in range(2) %}{% for b in range(2) %}{% for c in range(2) %}x{% endfor %}"
        "{% endfor %}{% endfor %}",
        "{{ " + "(" * 1000 + "1" + ")" * 1000 + " }}",
        "x" * (MAX_CHARACTERS + 1) + "{{ item }}",
    ],
)
def test_bombs_fizzle(source: str):
    """Repetition, ranges, nesting and length are capped, in no time."""

    def refused() -> None:
        with pytest.raises(BadTemplate):
            render(source, NAMES)

    assert least_seconds(refused) < 0.5


def test_an_error_says_the_templates_line():
    """Counted from the template's own first line."""
    with pytest.raises(BadTemplate) as caught:
        render("一\n二\n{{ day.moon }}", NAMES)
    assert caught.value.line == 3
    with pytest.raises(BadTemplate) as caught:
        render("一\n{% macro %}", NAMES)
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("day.festival", False),
        ("day.festival.id == 'christmas'", False),
        ("not day.festival and day.weekday in ['mon', 'fri']", True),
        ("day.is_weekend or facts.volume > 40", True),
        ("0", False),
    ],
)
def test_conditions_read_like_speech(expression: str, wanted: bool):
    """A day without a festival is false, and looking into it is no error."""
    assert holds(expression, NAMES) is wanted


@pytest.mark.parametrize("expression", ["", "day.weekdy == 'mon'", "1 %}{{ item }}{% if 1"])
def test_a_broken_condition_is_told(expression: str):
    """Neither empty, nor misspelt, nor closed early."""
    with pytest.raises(BadTemplate):
        holds(expression, NAMES)


def test_a_template_says_which_names_it_wants():
    """What it makes itself is left out."""
    assert names_in("{% for n in day.x %}{{ n }}{{ item }}{{ range(2) }}{% endfor %}") == {
        "day",
        "item",
    }


@given(st.text(alphabet="{}%# .'|()[]*~+-<>=!aistemdforniend0123456789\n", max_size=60))
def test_any_text_is_filled_in_or_refused(source: str):
    """No third outcome, whatever is written."""
    with contextlib.suppress(BadTemplate):
        assert isinstance(render(source, NAMES), str)
