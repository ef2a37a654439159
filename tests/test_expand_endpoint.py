from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from configs.errors import BadInput
from tasks.endpoint import MAX_BYTES, Endpoint, NoAnswer
from tasks.expand import Expanded, Wish
from tasks.expanders import fulfil, tidied
from tests.expand_data import DEMO, SMALL, expand

KEY = "sk-tell-nobody-0123456789"
MESSAGES = [{"role": "user", "content": "hello"}]


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible endpoint that answers as a test says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.script: list[Callable[[Handler, dict[str, Any]], None]] = []
        """One answer a request; the last one is given again and again."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def endpoint(self, **given: Any) -> Endpoint:
        return Endpoint(self.url, "tiny", KEY, **{"pause": lambda _: None, **given})

    def environment(self) -> dict[str, str]:
        return {
            "KEYREEL_LLM_URL": self.url,
            "KEYREEL_LLM_MODEL": "tiny",
            "KEYREEL_LLM_KEY": KEY,
        }


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body | {"path": self.path})
        self.server.headers.append(dict(self.headers))
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self, body)

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def says(text: str | None, reason: str = "stop") -> Callable[[Handler, dict[str, Any]], None]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
    body = json.dumps({"choices": [choice]}).encode()
    return lambda handler, _: handler.reply(200, body)


def fails(status: int, body: bytes = b"", **headers: str) -> Callable[..., None]:
    return lambda handler, _: handler.reply(status, body, **headers)


def writes(handler: Handler, body: dict[str, Any]) -> None:
    """Answer as an obedient model: the words that were sent, with some detail after them."""
    sent = next(one["content"] for one in body["messages"] if one["role"] == "user")
    says(f"<think>how?</think>\n{sent}表面的细节清楚可见，背景层次自然。")(handler, body)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def wishing(*day: str, **given: Any) -> Expanded:
    return expand(*day, settings={"expand": {"expander": "endpoint"}}, **given)


def ask(server: Server, home: Path, wishes: tuple[Wish, ...]) -> dict[str, str]:
    return fulfil(
        wishes, cache=home / "cache", models=home / "models", environment=server.environment()
    )


def test_a_model_is_asked_as_the_convention_says(server: Server):
    """POST /v1/chat/completions with model, messages and seed, the key as bearer."""
    server.script = [says("你好")]
    assert server.endpoint().ask(MESSAGES, seed=2**40 + 5, max_tokens=9) == "你好"
    asked = server.asked[0]
    assert (asked["path"], asked["model"], asked["messages"], asked["seed"]) == (
        "/v1/chat/completions",
        "tiny",
        MESSAGES,
        5,
    )
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_busy_server_is_asked_again_when_it_says(server: Server):
    """429 and 503, with Retry-After in seconds, as a date, or left out."""
    pauses: list[float] = []
    soon = formatdate(time.time() + 20, usegmt=True)
    server.script = [
        fails(429, Retry_After="7"),
        fails(429, Retry_After=soon),
        fails(503),
        says("好"),
    ]
    answer = server.endpoint(pause=pauses.append).ask(MESSAGES, seed=0, max_tokens=9)
    assert answer == "好"
    assert pauses[0] == 7
    assert 15 < pauses[1] <= 20
    assert pauses[2] == 4


def test_no_server_makes_us_wait_for_hours(server: Server):
    """A pause is 30 seconds at most, and there are three."""
    pauses: list[float] = []
    server.script = [fails(429, Retry_After="86400")]
    with pytest.raises(NoAnswer, match="4 attempts: HTTP 429"):
        server.endpoint(pause=pauses.append).ask(MESSAGES, seed=0, max_tokens=9)
    assert pauses == [30, 30, 30]


def drips(handler: Handler, _: dict[str, Any]) -> None:
    """Send a byte now and then, for ever: no single read ever times out."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


MISBEHAVIOUR: dict[str, tuple[Callable[..., None], str]] = {
    "refused": (fails(401, KEY.encode()), "HTTP 401"),
    "not there": (fails(404), "HTTP 404"),
    "redirected": (fails(302, Location="http://127.0.0.1:9/elsewhere"), "HTTP 302"),
    "cut off": (says("half", reason="length"), "cut off"),
    "no text": (says(None), "no text"),
    "echo": (says(f"your key is {KEY}"), "repeats the key"),
    "a page": (fails(200, b"<html>"), "not a chat completion"),
    "an empty object": (fails(200, b"{}"), "not a chat completion"),
    "no choice": (fails(200, b'{"choices": []}'), "not a chat completion"),
    "a bare number": (fails(200, b"1"), "not a chat completion"),
    "deep nesting": (fails(200, b"[" * 200_000), "not a chat completion"),
    "a flood": (fails(200, b" " * (MAX_BYTES + 70_000)), "larger than 1 MiB"),
    "drops": (drips, "took over 0.3 s"),
    "silence": (lambda handler, _: time.sleep(0.6), "took over 0.3 s"),
    "hanging up": (lambda handler, _: handler.connection.close(), "4 attempts"),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_an_endpoint_that_misbehaves_is_a_sentence(server: Server, name: str):
    """Refusals, redirects, nonsense, floods and silence; never the key, never the server's text."""
    script, sentence = MISBEHAVIOUR[name]
    server.script = [script]
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # it lost its connection
    with pytest.raises(NoAnswer, match=sentence) as caught:
        server.endpoint(seconds=0.3).ask(MESSAGES, seed=0, max_tokens=9)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_nobody_listening_is_a_sentence():
    """Port 9 is closed."""
    endpoint = Endpoint("http://127.0.0.1:9/v1", "tiny", KEY, pause=lambda _: None)
    with pytest.raises(NoAnswer, match="did not answer in 4 attempts"):
        endpoint.ask(MESSAGES, seed=0, max_tokens=9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"KEYREEL_LLM_URL": ""},
        {"KEYREEL_LLM_URL": "file:///etc/passwd"},
        {"KEYREEL_LLM_URL": "localhost:8000"},
        {"KEYREEL_LLM_URL": f"http://me:{KEY}@localhost/v1"},
        {"KEYREEL_LLM_MODEL": ""},
        {"KEYREEL_LLM_KEY": f"{KEY}\nX-Evil: 1"},
        {"KEYREEL_LLM_KEY": f"{KEY}钥"},
    ],
)
def test_a_wrong_environment_is_told_without_the_key(wrong: dict[str, str]):
    """Missing, of another scheme, or with what no header may hold."""
    right = {"KEYREEL_LLM_URL": "http://x/v1", "KEYREEL_LLM_MODEL": "m", "KEYREEL_LLM_KEY": KEY}
    with pytest.raises(BadInput, match="KEYREEL_LLM") as caught:
        Endpoint.of(right | wrong)
    assert KEY not in str(caught.value)
    assert KEY not in repr(Endpoint.of(right))


def test_a_shot_is_written_by_the_model_and_says_so(server: Server, tmp_path: Path):
    """Asked once, kept, and the same when planned again; picture and motion each."""
    server.script = [writes]
    expanded = wishing(prompt={"text": "春日限定"})
    assert [wish.port for wish in expanded.wishes] == ["picture", "motion"]
    granted = ask(server, tmp_path, expanded.wishes)
    written = wishing(prompt={"text": "春日限定"}, expansions=granted)
    assert written.texts["picture"].endswith("背景层次自然。")
    assert "think" not in written.texts["picture"]
    assert written.notes == ("picture: written by tiny", "motion: written by tiny")
    assert ask(server, tmp_path, expanded.wishes) == granted
    assert len(server.asked) == 2


def test_what_may_not_change_is_in_the_wish():
    """Brand words, product name, colour, numbers and quoted text, where the template says them."""
    brand = DEMO.brand.model_copy(update={"words": ("Éclat",)})
    expanded = wishing(
        campaign=DEMO.model_copy(update={"brand": brand}),
        prompt={"text": "满 299 减 50", "style": "Éclat 系列，85 mm 镜头"},
    )
    assert set(expanded.wishes[0].keep) >= {
        "Éclat",
        "哑光口红",
        "深红色",
        '"满 299 减 50"',
        "85",
    }


SPOILT: dict[str, Callable[[str], str]] = {
    "lacks 哑光口红": lambda text: text.replace("哑光口红", "唇膏"),
    "lacks 深红色": lambda text: text.replace("深红色", "红色"),
    'lacks "春日限定"': lambda text: text.replace('"', "”"),
    "adds lettering": lambda text: text + '旁边写着"买一送一"。',
    "holds the tag 杰作": lambda text: text + "杰作。",
    "control characters": lambda text: text + "\x07",
    "characters, not 60 to 320": lambda text: text * 4,
    "not in Chinese": lambda _: '深红色 哑光口红 "春日限定" ' + "a red lipstick on a table " * 9,
}


@pytest.mark.parametrize("why", SPOILT)
def test_a_bad_answer_falls_back_to_the_template(server: Server, tmp_path: Path, why: str):
    """After a second try with the reason; what came of it is kept, and the note says why."""
    expanded = wishing(prompt={"text": "春日限定"})
    wish = expanded.wishes[0]
    server.script = [says(SPOILT[why](wish.text))]
    granted = ask(server, tmp_path, (wish,))
    assert wish.key not in granted
    written = wishing(prompt={"text": "春日限定"}, expansions=granted)
    assert written.texts["picture"] == wish.text
    assert why in written.notes[0]
    assert len(server.asked) == 2
    assert why in server.asked[1]["messages"][-1]["content"]
    ask(server, tmp_path, (wish,))
    assert len(server.asked) == 2


def test_a_second_answer_may_be_good(server: Server, tmp_path: Path):
    """Models listen."""
    server.script = [says("短"), writes]
    wish = wishing().wishes[0]
    assert ask(server, tmp_path, (wish,))[wish.key].startswith(wish.text)


def test_an_endpoint_that_is_down_is_not_asked_for_every_shot(server: Server, tmp_path: Path):
    """A handful of failures is enough; nothing of it is kept, so the next run asks again."""
    server.script = [fails(400)]
    wishes = tuple(wishing(f"2026-03-{day:02}").wishes[0] for day in range(1, 29))
    granted = ask(server, tmp_path, wishes)
    assert len(server.asked) < 12
    assert all(f"{wish.key}/why" in granted for wish in wishes)
    server.script = [writes]
    assert ask(server, tmp_path, wishes)[wishes[0].key]


def test_the_key_is_written_nowhere(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any
):
    """Not to the cache, the logs, the terminal or what a plan sees."""
    server.script = [writes, says(f"{KEY}"), fails(401, KEY.encode()), writes]
    wishes = tuple(wishing(f"2026-03-{day:02}").wishes[0] for day in range(1, 9))
    granted = ask(server, tmp_path, wishes)
    assert KEY not in json.dumps(granted)
    assert all(KEY not in file.read_text("utf-8") for file in tmp_path.rglob("*.json"))
    assert KEY not in caplog.text + "".join(capfd.readouterr())


def test_a_broken_file_of_the_cache_is_asked_for_again(server: Server, tmp_path: Path):
    """Half-written, or by another hand."""
    server.script = [writes]
    wish = wishing().wishes[0]
    granted = ask(server, tmp_path, (wish,))
    (file,) = (tmp_path / "cache" / "expansions").iterdir()
    file.write_text('{"model": ', "utf-8")
    assert ask(server, tmp_path, (wish,)) == granted


def test_a_small_model_is_never_talked_over():
    """It knows its own words only."""
    assert wishing(models=SMALL).wishes == ()


def test_an_answer_loses_its_thoughts_and_fences():
    """And becomes one paragraph."""
    assert tidied("<think>hm\n</think>\n\n```\n一段\n\n二段\n```", "zh") == "一段二段"
    assert tidied("one\ntwo", "en") == "one two"
    assert tidied("<think>never ends", "en") == ""
