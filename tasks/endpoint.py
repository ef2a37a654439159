"""A language model behind an OpenAI-compatible endpoint: one question, one answer, or a clear no.

Knows nothing of prompts. The key is sent in one header and stands nowhere else: not in errors, and
not in a repr.
"""

from __future__ import annotations

import email.utils
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from configs.errors import BadInput

MAX_BYTES = 1 << 20
"""Of an answer; an honest one is a few kilobytes."""
_ATTEMPTS = 4
_LONGEST_PAUSE = 30.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may pass."""

Message = Mapping[str, str]


class NoAnswer(Exception):
    """The endpoint gave nothing usable; the message is fit for a note."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask, and as whom."""

    url: str
    """Base URL, as `http://localhost:8000/v1`."""
    model: str
    key: str = field(default="", repr=False)
    seconds: float = 60.0
    """One answer may take this long in all."""
    pause: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Endpoint:
        """Return the endpoint that KEYREEL_LLM_URL, _MODEL and _KEY name.

        Raises:
            BadInput: where one is missing or malformed; never showing the key.
        """
        url = environment.get("KEYREEL_LLM_URL", "").rstrip("/")
        model = environment.get("KEYREEL_LLM_MODEL", "")
        key = environment.get("KEYREEL_LLM_KEY", "").strip()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not model:
            raise BadInput(
                "`expander: endpoint` needs KEYREEL_LLM_URL, e.g. http://localhost:8000/v1, "
                "and KEYREEL_LLM_MODEL in the environment"
            )
        if parts.username or parts.password:
            raise BadInput("KEYREEL_LLM_URL holds a password; put it into KEYREEL_LLM_KEY")
        if not key.isascii() or not key.isprintable():
            raise BadInput("KEYREEL_LLM_KEY holds characters that no HTTP header may")
        return cls(url, model, key)

    def ask(self, messages: Sequence[Message], *, seed: int, max_tokens: int) -> str:
        """Return the model's answer.

        Busy and failing servers are asked again, as late as their `Retry-After` says or after 1,
        2, 4 seconds.

        Raises:
            NoAnswer: where there is none: refused, too slow, too large, cut off or not JSON.
        """
        body = {
            "model": self.model,
            "messages": list(messages),
            "temperature": 0.7,
            "top_p": 0.8,
            "max_tokens": max_tokens,
            "seed": seed % 2**31,  # servers read it as a 32-bit integer
        }
        for attempt in range(_ATTEMPTS):
            wait: float | None = None
            try:
                return self._content(self._post(json.dumps(body).encode()))
            except urllib.error.HTTPError as error:
                error.close()
                problem, wait = f"HTTP {error.code}", _retry_after(error.headers.get("Retry-After"))
                if error.code not in _PASSING:
                    raise NoAnswer(f"the endpoint answered {problem}") from None
            except (OSError, HTTPException) as error:
                problem = type(error).__name__  # its text may quote what was sent
                if TimeoutError in (type(error), type(getattr(error, "reason", None))):
                    raise NoAnswer(f"the endpoint took over {self.seconds:g} s") from None
            if attempt < _ATTEMPTS - 1:
                self.pause(min(2.0**attempt if wait is None else wait, _LONGEST_PAUSE))
        raise NoAnswer(f"the endpoint did not answer in {_ATTEMPTS} attempts: {problem}")

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(f"{self.url}/chat/completions", body, headers)
        opener = urllib.request.build_opener(_NoRedirect)
        deadline = time.monotonic() + self.seconds
        with opener.open(request, timeout=self.seconds) as answer:
            return _read(answer, deadline)

    def _content(self, raw: bytes) -> str:
        try:
            choice = json.loads(raw)["choices"][0]
            content, reason = choice["message"]["content"], choice.get("finish_reason")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            raise NoAnswer("the endpoint's answer is not a chat completion") from None
        if reason == "length":
            raise NoAnswer("the endpoint's answer was cut off")
        if not isinstance(content, str):
            raise NoAnswer("the endpoint's answer holds no text")
        if self.key and self.key in content:
            raise NoAnswer("the endpoint's answer repeats the key")
        return content


def _read(answer: Any, deadline: float) -> bytes:  # noqa: ANN401  (http.client has no protocol)
    """Read an answer in pieces: a socket's own time-out starts anew with every byte."""
    pieces: list[bytes] = []
    while piece := answer.read1(1 << 16):
        pieces.append(piece)
        if sum(map(len, pieces)) > MAX_BYTES:
            raise NoAnswer(f"the endpoint's answer is larger than {MAX_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(pieces)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or a date (RFC 9110)."""
    if value is None:
        return None
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
