"""Who comes into the site, and what no stranger can do: tokens, roles, forms, limits, headers."""

from __future__ import annotations

import re

import pytest

from configs.errors import BadInput
from configs.home import Home
from flows.site import acts, pages, tokens
from flows.site.guard import MOST_BODY
from flows.site.ledger import Ledger
from tests.campaigns import keyreel
from tests.site_data import CSRF, home_with_a_week, log_in, send, token, visit

pytestmark = pytest.mark.slow  # a site is served


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """A home where tokens are needed."""
    made = home_with_a_week(tmp_path_factory.mktemp("door") / "home")
    token(made.home, "admin", "Ada")
    return made


def test_a_token_is_kept_as_a_hash_alone(week):
    """No byte of a secret is on the disk, and the file is the owner's alone."""
    given = token(week.home, "viewer")
    secret = given.split("_", 2)[2].encode()
    files = list(week.home.site.iterdir())
    assert files
    assert not any(secret in path.read_bytes() for path in files if path.is_file())
    assert all(path.stat().st_mode & 0o077 == 0 for path in files if path.is_file())


def test_only_a_whole_token_opens(week):
    """A changed letter, another's id, an empty word: none is a token."""
    ledger = Ledger(week.home)
    given = token(week.home, "reviewer", "Rui")
    found = tokens.check(ledger, f" {given}\n")
    assert found is not None
    assert (found.role, found.name) == ("reviewer", "Rui")
    other = token(week.home, "viewer")
    mixed = given[:16] + other[16:]
    last = "A" if given[-1] != "A" else "E"
    for wrong in ("", "keyreel_", given[:-1], given[:-1] + last, mixed, given + "A", "k" * 10_000):
        assert tokens.check(ledger, wrong) is None
    ledger.close()


def test_a_stranger_sees_the_login_page_alone(week):
    """Pages lead to the login; files and the API say 401; nothing tells what exists."""
    digest = "0" * 64
    with visit(week.home) as client:
        assert client.get("/login").status_code == 200
        for page in ("/", "/search", f"/assets/{digest}", "/approve", "/packages/spring", "/nope"):
            answer = client.get(page)
            assert (answer.status_code, answer.headers["location"][:12]) == (303, "/login?next=")
        for path in (f"/files/{digest}", f"/posters/{digest}.jpg", "/api/v1/runs", "/api/v1/nope"):
            assert client.get(path).status_code == 401
        assert client.post("/approve/" + digest).status_code == 401


def test_a_login_lasts_until_its_token_is_revoked(week):
    """The cookie is for this site's own pages only, and dies with its token."""
    given = token(week.home, "viewer", "Vera")
    with visit(week.home) as client:
        assert log_in(client, given + "x").status_code == 403
        answer = log_in(client, given)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Spring edition" in client.get("/").text
        assert send(client, "/", "/logout").headers["location"] == "/login"
        assert client.get("/").status_code == 303
        log_in(client, given)
        ledger = Ledger(week.home)
        tokens.revoke(ledger, given.split("_")[1])
        ledger.close()
        assert client.get("/").status_code == 303


def test_the_last_token_taken_back_opens_no_door(tmp_path):
    """Whoever sits at the machine is admin before the first token, and never again."""
    home = Home.create(tmp_path / "home")
    with visit(home) as client:
        assert client.get("/").status_code == 200
        given, ledger = token(home, "admin"), Ledger(home)
        tokens.revoke(ledger, given.split("_")[1])
        assert tokens.every(ledger) == []
        with pytest.raises(BadInput, match="no token"):
            tokens.revoke(ledger, given.split("_")[1])
        ledger.close()
        assert client.get("/").status_code == 303


def test_a_session_does_not_outlive_its_login(week):
    """The cookie before a login is worth nothing after it: nobody can plant one."""
    with visit(week.home) as client:
        client.get("/login")
        before = dict(client.cookies)
        log_in(client, token(week.home, "viewer"))
        assert client.get("/").status_code == 200
        (name,) = before
        client.cookies.clear()
        client.cookies.set(name, before[name])
        assert client.get("/").status_code == 303
        client.cookies.set(name, before[name][:-2] + "AA")
        assert client.get("/").status_code == 303


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example", "/\\evil", "/a\nb"])
def test_a_login_leads_nowhere_else(week, address):
    """What stands after `next=` is an address of this site, or is not followed."""
    given = token(week.home, "viewer")
    with visit(week.home) as client:
        answer = send(client, "/login", "/login", token=given, next=address)
        assert answer.headers["location"] == "/"


def test_every_form_needs_what_its_page_gave(week):
    """Each POST without it is refused, whoever asks: routes are found, not listed here."""
    with visit(week.home) as client:
        log_in(client, token(week.home, "admin"))
        posts = [
            route.path
            for route in (*pages.routes.routes, *acts.routes.routes)
            if "POST" in route.methods
        ]
        assert len(posts) >= 7
        for path in posts:
            address = re.sub(r"\{\w+\}", "0" * 64, path)
            for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}):
                assert client.post(address, data=fields).status_code == 403


def test_another_sites_page_cannot_send_a_form(week):
    """Even with the right word in it: browsers say where a request comes from."""
    with visit(week.home) as client:
        log_in(client, token(week.home, "admin"))
        csrf = CSRF.search(client.get("/").text)[1]
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "http://evil.example"},
            {"origin": "null"},
        ):
            answer = client.post("/logout", data={"csrf": csrf}, headers=headers)
            assert answer.status_code == 403
        answer = client.post("/logout", data={"csrf": csrf}, headers={"origin": "http://localhost"})
        assert answer.status_code == 303


def test_roles_may_what_those_below_may_and_more(week):
    """A viewer only looks; a reviewer judges; an admin starts and stops."""
    may = {"viewer": (403, 403, 403), "reviewer": (404, 422, 403), "admin": (404, 422, 404)}
    for role, expected in may.items():
        with visit(week.home) as client:
            log_in(client, token(week.home, role))
            found = (
                send(client, "/", f"/assets/{'0' * 64}/variant").status_code,
                send(client, "/", f"/approve/{'0' * 64}", verdict="approve").status_code,
                send(client, "/", "/campaigns/nope/run").status_code,
            )
        assert found == expected


def test_without_a_token_only_this_machine_comes_in(tmp_path):
    """No login is asked of this machine's browser; another machine, or another name, stays out."""
    week = home_with_a_week(tmp_path / "home")
    with visit(week.home) as client:
        assert client.get("/").status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example", "192.168.0.7:4300"):
            assert client.get("/", headers={"host": host}).status_code == 303
        client._transport.client = ("192.168.0.9", 5)
        assert client.get("/").status_code == 303


def test_the_site_listens_beyond_this_machine_with_a_token_only(tmp_path):
    """`keyreel serve --host 0.0.0.0` says what to do first."""
    week = home_with_a_week(tmp_path / "home")
    refused = keyreel(week.home, "serve", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "keyreel token new" in refused.stderr


def test_too_many_requests_are_told_when_to_come_back(week):
    """Each token counts by itself; the headers say what is left."""
    one, two = token(week.home, "viewer"), token(week.home, "viewer")
    with visit(week.home, bearer=one, read="5/minute") as client:
        first = client.get("/api/v1/jobs")
        assert first.headers["ratelimit-policy"] == '"read";q=5;w=60'
        assert first.headers["ratelimit"].startswith('"read";r=4;t=')
        *answers, last = (client.get("/api/v1/jobs") for _ in range(5))
        assert {answer.status_code for answer in answers} == {200}
        assert last.status_code == 429
        assert 1 <= int(last.headers["retry-after"]) <= 60
        assert last.headers["content-type"] == "application/problem+json"
        other = client.get("/api/v1/jobs", headers={"authorization": f"Bearer {two}"})
        assert other.status_code == 200


def test_logins_are_few(week):
    """Guessing is pointless at 256 bits, and is stopped all the same."""
    with visit(week.home, login="10/minute") as client:
        csrf = CSRF.search(client.get("/login").text)[1]
        fields = {"csrf": csrf, "token": "keyreel_00000000_" + "A" * 43}
        found = [client.post("/login", data=fields).status_code for _ in range(11)]
        assert found == [403] * 10 + [429]


def test_every_answer_carries_the_safe_headers(week):
    """Pages, files, refusals: no script but our own, in nobody's frame."""
    with visit(week.home) as client:
        log_in(client, token(week.home, "viewer"))
        for path in ("/", "/nope", "/static/site.js", "/api/v1/runs", "/files/" + "0" * 64):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"


def test_a_long_request_is_refused_before_it_is_read(week):
    """A body past the limit ends the request, with and without a length told before."""
    with visit(week.home) as client:
        log_in(client, token(week.home, "admin"))
        long = b"x" * (MOST_BODY + 1)
        assert client.post("/login", content=long).status_code == 413
        chunks = (long[:1000] for _ in range(MOST_BODY // 1000 + 2))
        assert client.post("/login", content=chunks).status_code == 413
