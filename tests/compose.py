"""deploy/compose.yaml without Docker: its services as processes, each under its own name.

Every process has a mount namespace with a hosts file of its own, so that `postgres`, `redis` and
`server` mean loopback addresses of this test, and every part keeps the port that the file gives it.
Left out: images, volumes (folders stand in), restarts of what once listened, and the order (the
test has it).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.prefect_team import end

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
HOSTS = ("postgres", "redis", "server", "server-2", "gallery", "proxy")
IN_A_NAMESPACE = 'mount --bind "$0" /etc/hosts && exec "$@"'
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Debian keeps the server's own programs out of PATH."""


def skip_unless_possible() -> None:
    """Skip, with the reason, where a program or a right is missing."""
    lacks = [one for one in ("redis-server", "caddy") if not shutil.which(one)]
    lacks += [] if POSTGRES else ["postgresql"]
    if lacks:
        pytest.skip(f"not installed: {', '.join(lacks)}")
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no mount namespace can be made here: {tried.stderr.strip()}")


class Compose:
    """The services of the file, on loopback addresses of their own.

    Args:
        folder: of logs, of databases and of the volume `work`.
        told: what stands in `.env`.
    """

    def __init__(self, folder: Path, told: Mapping[str, str]) -> None:
        self.folder = folder
        text = (DEPLOY / "compose.yaml").read_text("utf-8")
        text = re.sub(r"\$\{(\w+):\?\}", lambda found: told[found[1]], text)
        text = text.replace("/home/keyreel/work", str(folder / "work"))
        self.services = yaml.safe_load(text)["services"]
        net = f"127.{random.randint(64, 250)}.{random.randint(0, 250)}"
        self.address = {name: f"{net}.{number}" for number, name in enumerate(HOSTS, 2)}
        names = {**self.address, told["PREFECT_HOST"]: self.address["proxy"]}
        names[told["GALLERY_HOST"]] = self.address["proxy"]
        lines = [f"{address} {name.removesuffix('-2')}" for name, address in names.items()]
        self.hosts = folder / "hosts"
        self.hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]), "utf-8")
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.stack = ExitStack()

    def command(self, name: str, *more: str) -> list[str]:
        """Return a service's command, or another one in its container, as the image runs it."""
        service = self.services[name]
        first = service.get("entrypoint", ["keyreel"] if service["image"] == "keyreel" else [])
        return [*first, *(more or service.get("command", []))]

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """Return what a container sees: nothing of this process, but where programs are."""
        home = self.folder / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        image = re.search(r"(?m)^ENV (.*)", (DEPLOY / "Dockerfile").read_text("utf-8"))
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "OMP_NUM_THREADS": "1",
            **dict(one.split("=") for one in image[1].split()),
            **self.services[name].get("environment", {}),
            **more,
        }

    def start(
        self, name: str, command: list[str], env: Mapping[str, str], *, key: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start one process; the block's end ends it, and all that it started."""
        with (self.folder / f"{key or name}.log").open("ab") as sink:
            process = subprocess.Popen(
                self.inside(command),
                env=env, cwd=ROOT, stdout=sink, stderr=sink, start_new_session=True,
            )  # fmt: skip
        self.running[key or name] = process
        self.stack.callback(end, process)
        return process

    def inside(self, command: list[str]) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", IN_A_NAMESPACE, str(self.hosts), *command]

    def once(self, name: str, *more: str) -> str:
        """Run a service, or another command in its container, to its end; return what it said."""
        done = subprocess.run(
            self.inside(self.command(name, *more)),
            env=self.environment(name), cwd=ROOT, capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done.stdout

    def keep(self, name: str, key: str = "") -> None:
        """Start a service that goes on; every replica listens on its own address."""
        own = self.address.get(key or name, "")
        command = [own if word == "0.0.0.0" else word for word in self.command(name)]
        self.start(name, command, self.environment(name), key=key)

    def said(self, key: str) -> str:
        return (self.folder / f"{key}.log").read_text("utf-8")

    def postgres(self) -> None:
        """Start what the image `postgres` makes of its environment; Debian's server, version 15."""
        env = self.services["postgres"]["environment"]
        data, secret = self.folder / "postgres", self.folder / "postgres-password"
        data.mkdir()
        secret.write_text(env["POSTGRES_PASSWORD"], "utf-8")
        shutil.chown(data, "postgres", "postgres")
        shutil.chown(secret, "postgres", "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]  # it refuses to run as root
        user, address = env["POSTGRES_USER"], self.address["postgres"]
        self._quietly(
            *as_owner, str(POSTGRES[-1] / "initdb"), "-D", str(data), "-U", user, "-A",
            "scram-sha-256", f"--pwfile={secret}", "--no-sync",
        )  # fmt: skip
        options = ["-D", str(data), "-k", str(data), "-h", address, "-c", "fsync=off"]
        command = [*as_owner, str(POSTGRES[-1] / "postgres"), *options]
        self.start("postgres", command, self.environment("postgres"))
        self.wait("postgres", 5432)
        login = {**os.environ, "PGPASSWORD": env["POSTGRES_PASSWORD"]}
        self._quietly(
            str(POSTGRES[-1] / "createdb"), "-h", address, "-U", user, env["POSTGRES_DB"], env=login
        )

    def _quietly(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def redis(self) -> None:
        (self.folder / "redis").mkdir()
        where = ["--bind", self.address["redis"], "--dir", str(self.folder / "redis")]
        self.start("redis", [*self.command("redis"), *where], self.environment("redis"))
        self.wait("redis", 6379)

    def proxy(self) -> Path:
        """Start Caddy with the Caddyfile; return its certificate authority."""
        names = {"default_bind": self.address["proxy"], "skip_install_trust": "", "admin": "off"}
        options = "\n".join(f"\t{name} {value}" for name, value in names.items())
        text = (DEPLOY / "Caddyfile").read_text("utf-8")
        (self.folder / "Caddyfile").write_text(f"{{\n{options}\n}}\n{text}", "utf-8")
        command = ["caddy", "run", "--adapter", "caddyfile", "--config"]
        env = self.environment("proxy", XDG_DATA_HOME=str(self.folder))
        self.start("proxy", [*command, str(self.folder / "Caddyfile")], env)
        self.wait("proxy", 443)
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def wait(self, key: str, port: int, seconds: float = 120) -> None:
        """Wait until something listens; it is started again as often as it ends."""
        deadline = time.monotonic() + seconds
        while True:
            if self.running[key].poll() is not None:  # as Docker does
                service = key.removesuffix("-2")
                assert self.services[service].get("restart") == "unless-stopped"
                self.keep(service, key)
            try:
                socket.create_connection((self.address[key], port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, f"{key}: {self.said(key)[-3000:]}"
                time.sleep(0.1)
