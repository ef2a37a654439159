"""Language models write prompts and captions out more fully, or say why they did not.

Run while a campaign is resolved; a plan sees only what came of it. An answer is checked for what
may not change, and kept, so that the same plan is made again without asking.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import NamedTemporaryFile

from catalogs.node import canonical
from configs.base import Declaration, Language, Words
from configs.errors import BadInput
from tasks.endpoint import Endpoint, Message, NoAnswer
from tasks.wish import Wish, guides

_WORKERS = 4
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
Ask = Callable[[Sequence[Message], int], str]
"""`ask(messages, seed)` returns an answer or raises NoAnswer."""


class Kept(Declaration):
    """One file of the cache: an answer, or why none was usable."""

    model: str
    text: str = ""
    why: str = ""


def fulfil(
    wishes: Iterable[Wish],
    *,
    cache: Path,
    models: Path,
    environment: Mapping[str, str] = os.environ,
    max_tokens: int = 700,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Return what language models made of `wishes`, by its key.

    Args:
        wishes: Of all shots.
        cache: The home's cache; answers are kept in its `expansions`.
        models: The home's models, for `expander: local`.
        environment: Has KEYREEL_LLM_URL, _MODEL and _KEY; for `local`, _MODEL is a folder of
            `models`.
        max_tokens: Of one answer.
        on_done: Told (done, total) after each answer.

    Returns:
        Each wish's text by its key, and at `KEY/by` the model; where it stayed unfulfilled, the
        reason at `KEY/why`.

    Raises:
        BadInput: where the environment does not say whom to ask.
        BadFile: where the local model's folder is missing or not whole.
    """
    unique = {wish.key: wish for wish in wishes}
    found: dict[str, str] = {}
    done = 0
    for expander, ask in (("endpoint", _endpoint), ("local", _local)):
        some = [wish for wish in unique.values() if wish.expander == expander]
        asked = ask(some, cache / "expansions", models, environment, max_tokens)
        for wish, kept in asked if some else ():
            told = {wish.key: kept.text, f"{wish.key}/by": kept.model, f"{wish.key}/why": kept.why}
            found |= {name: text for name, text in told.items() if text}
            done += 1
            on_done(done, len(unique))
    return found


def _endpoint(
    wishes: Sequence[Wish],
    cache: Path,
    models: Path,
    environment: Mapping[str, str],
    max_tokens: int,
) -> Iterator[tuple[Wish, Kept]]:
    """Ask an endpoint, several questions at once; one that is down is not asked for every shot."""
    endpoint = Endpoint.of(environment)
    silent = 0

    def ask(messages: Sequence[Message], seed: int) -> str:
        nonlocal silent
        if silent >= _WORKERS:
            raise NoAnswer(f"the endpoint failed {silent} times in a row")
        try:
            answer = endpoint.ask(messages, seed=seed, max_tokens=max_tokens)
        except NoAnswer:
            silent += 1
            raise
        silent = 0
        return answer

    with ThreadPoolExecutor(_WORKERS) as pool:
        yield from zip(
            wishes,
            pool.map(lambda wish: _written(wish, ask, endpoint.model, cache), wishes),
            strict=True,
        )


def _local(
    wishes: Sequence[Wish],
    cache: Path,
    models: Path,
    environment: Mapping[str, str],
    max_tokens: int,
) -> Iterator[tuple[Wish, Kept]]:
    """Ask a model on this machine, loaded at the first question that the cache cannot answer."""
    from gpu.text import Writer

    name = environment.get("KEYREEL_LLM_MODEL", "")
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise BadInput(
            "`expander: local` needs KEYREEL_LLM_MODEL in the environment: the name of a "
            f"folder in {models}"
        )
    with Writer(models / name) as writer:

        def ask(messages: Sequence[Message], seed: int) -> str:
            return writer.answer(messages, seed=seed, max_tokens=max_tokens)

        for wish in wishes:
            yield wish, _written(wish, ask, f"local {name}", cache)


def _written(wish: Wish, ask: Ask, model: str, cache: Path) -> Kept:
    """Return the kept answer to `wish`, or a new one; a silent model is asked again next time."""
    asked = canonical([model, guides().version, wish.key])
    file = cache / f"{hashlib.sha256(asked).hexdigest()}.json"
    try:
        return Kept.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        pass
    try:
        kept = _attempt(wish, ask, model)
    except NoAnswer as error:
        return Kept(model=model, why=str(error))
    cache.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=cache, suffix=".part", delete=False) as part:
        part.write(kept.model_dump_json().encode())
    Path(part.name).replace(file)
    return kept


def _attempt(wish: Wish, ask: Ask, model: str) -> Kept:
    """Ask, and once more with what was wrong with the first answer."""
    told = guides()
    guide: Words = getattr(told, wish.port)
    messages: list[Message] = [
        {"role": "system", "content": guide.say(wish.language)},
        {"role": "user", "content": wish.text},
    ]
    for turn in range(2):
        raw = ask(messages, wish.seed + turn)
        text = tidied(raw, wish.language, lines=wish.port == "caption")
        why = wish.fault(text)
        if not why:
            return Kept(model=model, text=text)
        messages += [
            {"role": "assistant", "content": text[:2000]},
            {"role": "user", "content": told.retry.say(wish.language).format(why=why)},
        ]
    return Kept(model=model, why=f"{model}: {why}")


def tidied(answer: str, language: Language, *, lines: bool = False) -> str:
    """Return an answer without the model's thoughts and a fence around it.

    Args:
        answer: the model's.
        language: in which lines are joined.
        lines: whether they stay apart; else it becomes one paragraph.
    """
    text = _THOUGHT.sub("", answer).strip().removeprefix("```").removesuffix("```").strip()
    return text if lines else re.sub(r"\s*\n\s*", "" if language == "zh" else " ", text)
