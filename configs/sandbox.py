"""Jinja2 for texts that strangers write: blanks and branches, no code, bounded work.

A whitelist of syntax leaves nothing that could loop long, grow large, draw at random or reach
Python; the sandbox stays underneath for what attributes lead to.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from configs.errors import BadPlan
from configs.wording import unknown

MAX_CHARACTERS = 4_000
"""Of a template and of its output; the longest prompt a model takes is about a third."""
MAX_ITEMS = 100
"""Of a `range`; with two nested loops at most, 10,000 turns."""
MAX_LOOPS = 2

_FILTERS = frozenset(
    {
        *("abs", "capitalize", "default", "first", "float", "int", "join", "last", "length"),
        *("list", "lower", "max", "min", "reject", "reverse", "round", "select", "sort", "string"),
        *("sum", "title", "trim", "unique", "upper"),
    }
)
_TESTS = frozenset({"defined", "undefined", "none", "string", "number", "mapping", "even", "odd"})
_NODES: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.CondExpr),
    *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Getattr, nodes.Getitem),
    *(nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword, nodes.Concat, nodes.Compare),
    *(nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.FloorDiv, nodes.Mod),
)


class BadTemplate(BadPlan):
    """A template is malformed, names what is not there, or asks for what is not allowed."""

    def __init__(self, message: str, line: int = 1) -> None:
        self.line = line
        """Counted from the template's own first line."""
        super().__init__(message)


class _Missing(StrictUndefined):
    """A name that is not there: says what is, where Jinja2 would name a class of ours."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        there = self._undefined_obj
        names = there if isinstance(there, Mapping) else getattr(there, "__dict__", None)
        if not names or not isinstance(self._undefined_name, str):
            return super()._undefined_message
        return unknown("value", self._undefined_name, map(str, names))


class _Environment(ImmutableSandboxedEnvironment):
    """Strings grow by `*` and `%` only as far as an honest prompt could want."""

    intercepted_binops = frozenset({"*", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        if operator == "%" and isinstance(left, str):
            raise SecurityError("`%` on text is not allowed; write {{ the value }} in its place")
        if operator == "*" and isinstance(left, str | list | tuple):
            left, right = right, left
        sized = len(right) if isinstance(right, str | list | tuple) else 0
        if sized and isinstance(left, int) and left * sized > MAX_CHARACTERS:
            raise SecurityError(f"repeats to more than {MAX_CHARACTERS} characters")
        return super().call_binop(context, operator, left, right)


def _range(*arguments: int) -> range:
    made = range(*arguments)
    if len(made) > MAX_ITEMS:
        raise SecurityError(f"range of more than {MAX_ITEMS}")
    return made


def _replace(text: str, old: str, new: str) -> str:
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_CHARACTERS:
        raise SecurityError(f"replace makes more than {MAX_CHARACTERS} characters")
    return text.replace(old, new)


def _environment() -> _Environment:
    made = _Environment(undefined=_Missing, autoescape=False, keep_trailing_newline=False)
    made.globals = {"range": _range}
    made.filters = {name: made.filters[name] for name in _FILTERS} | {"replace": _replace}
    made.tests = {name: made.tests[name] for name in _TESTS}
    return made


_ENVIRONMENT = _environment()


@lru_cache(maxsize=2048)
def compiled(source: str) -> Template:
    """Return `source` compiled, once.

    Raises:
        BadTemplate: where it is malformed or uses what is not allowed.
    """
    if len(source) > MAX_CHARACTERS:
        raise BadTemplate(f"is longer than {MAX_CHARACTERS} characters")
    try:
        tree = _ENVIRONMENT.parse(source)
        _check(tree, loops=0)
        return _ENVIRONMENT.from_string(tree)
    except TemplateSyntaxError as error:
        raise BadTemplate(f"{error.message}", error.lineno) from None
    except RecursionError:
        raise BadTemplate("is nested too deeply") from None


@lru_cache(maxsize=4096)
def names_in(source: str) -> frozenset[str]:
    """Return the names that `source` wants to be given.

    Raises:
        BadTemplate: as `compiled`.
    """
    if "{" not in source:
        return frozenset()
    compiled(source)
    return frozenset(meta.find_undeclared_variables(_ENVIRONMENT.parse(source)) - {"range"})


def _check(node: nodes.Node, loops: int) -> None:
    if not isinstance(node, _NODES):
        raise BadTemplate(f"`{type(node).__name__.lower()}` is not allowed here", node.lineno)
    if isinstance(node, nodes.Call) and not (
        isinstance(node.node, nodes.Name) and node.node.name == "range"
    ):
        raise BadTemplate("calls are not allowed, except `range`", node.lineno)
    name = getattr(node, "name", getattr(node, "attr", ""))
    if name == "self" or (isinstance(name, str) and name.startswith("_")):
        raise BadTemplate(f"`{name}` is not allowed here", node.lineno)
    loops += isinstance(node, nodes.For)
    if loops > MAX_LOOPS:
        raise BadTemplate(f"more than {MAX_LOOPS} nested loops", node.lineno)
    for child in node.iter_child_nodes():
        _check(child, loops)


def render(source: str, variables: Mapping[str, object]) -> str:
    """Return `source` with its blanks filled in.

    Raises:
        BadTemplate: see `compiled`; also where a name is missing or the text grows too long.
    """
    if "{" not in source:
        return source
    given = tuple((name, variables.get(name)) for name in names_in(source))
    if all(type(value) is str for _, value in given):
        return _filled(source, given)
    return _fill(source, variables)


@lru_cache(maxsize=4096)
def _filled(source: str, given: tuple[tuple[str, object], ...]) -> str:
    """Fill in plain words: the same few, in a campaign of 10,000 shots."""
    return _fill(source, dict(given))


def _fill(source: str, variables: Mapping[str, object]) -> str:
    template = compiled(source)
    parts: list[str] = []
    size = 0
    try:
        for part in template.generate(variables):
            parts.append(part)
            size += len(part)
            if size > MAX_CHARACTERS:
                raise BadTemplate(f"makes more than {MAX_CHARACTERS} characters")
    except BadTemplate:
        raise
    except Exception as error:  # whatever an operator or filter makes of a wrong value
        raise BadTemplate(_said(error), _line(error)) from None
    return "".join(parts).strip()


def holds(expression: str, variables: Mapping[str, object]) -> bool:
    """Return whether `expression`, e.g. `day.weekday == 'mon'`, is true.

    Raises:
        BadTemplate: as `render`; also where it is empty.
    """
    return render(condition(expression), variables) == "1"


def condition(expression: str) -> str:
    """Return the template that says 1 where `expression` is true.

    Raises:
        BadTemplate: where it is empty.
    """
    if not expression.strip():
        raise BadTemplate("is empty; write a condition, e.g. `day.festival`")
    return f"{{% if ({expression}) %}}1{{% endif %}}"


def _said(error: Exception) -> str:
    if isinstance(error, TemplateError):
        return error.message or "cannot be filled in"
    return f"{type(error).__name__}: {error}"


def _line(error: BaseException) -> int:
    """Return the template's line that was running; Jinja2 rewrites tracebacks to its lines."""
    trace, line = error.__traceback__, 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
