"""Compiled parts kept on disk whole, so that a new process neither traces nor compiles them.

Inductor's own cache keeps kernels. What it leaves to every process is to trace a part, to take its
graph apart and to find the kernels: on an H100 17 of the 30 s before a first picture. Here each
form of a part is one file, with the conditions under which it holds (torch's guards): shapes,
types, devices, settings. What guards cannot say across processes, the code itself and how it
attends, is in the name of the folder. Where torch cannot keep a form, or a part wears an adapter,
it is compiled as ever.

The files are pickles, as Inductor's own are: they are read from a folder that only this user may
write to.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import logging
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._dynamo.guards import CheckFunctionManager

LOG = logging.getLogger("keyreel.graphs")
PACKAGES = ("torch", "triton", "diffusers", "transformers", "peft")
"""Whose code a graph may hold."""
UNUSED_DAYS = 60
UNTOLD = frozenset(CheckFunctionManager.UNSUPPORTED_SERIALIZATION_GUARD_TYPES)
"""Conditions on an object's identity, which is another in every process."""


@dataclass
class Shelf:
    """The compiled forms of one kind of part."""

    kind: type[nn.Module]
    folder: Path
    options: dict[str, Any]
    """Of torch.compile."""
    most: int
    """Forms that are kept."""
    forms: list[Any] = field(default_factory=list)
    """torch's `AOTCompiledFunction`, the one that was used last in front."""
    seen: set[Path] = field(default_factory=set)
    """Files that were read, or written."""

    def __call__(self, part: nn.Module, *args: object, **named: object) -> Any:  # noqa: ANN401
        """Run `part` by the form that fits, made where there is none."""
        if any(inner._forward_hooks for inner in part.modules()):  # an adapter: see `gpu.lora`
            return self._plain(part, *args, **named)
        form = self._fitting(part, *args, **named) or self._make((part, *args), named)
        if form is None:
            return self._plain(part, *args, **named)
        return form.fn(part, *args, **named)

    @cached_property
    def _forward(self) -> Callable[..., Any]:
        forward: Callable[..., Any] = inspect.unwrap(self.kind.forward)  # as files can name it
        return forward

    @cached_property
    def _plain(self) -> Callable[..., Any]:
        return torch.compile(self._forward, **self.options)

    def _fitting(self, *args: object, **named: object) -> Any:  # noqa: ANN401
        for place, form in enumerate(self.forms):
            if form.guard_check(*args, **named):
                self.forms.insert(0, self.forms.pop(place))
                return form
        return None

    def _make(self, args: tuple[Any, ...], named: dict[str, object]) -> Any:  # noqa: ANN401
        """Read or compile the form for a part and its arguments; None where torch cannot."""
        if len(self.forms) >= self.most:
            return None
        try:
            with alone(self.folder):
                self._read()
                return self._fitting(*args, **named) or self._compile(args, named)
        except Exception as error:  # torch names no kinds for what it cannot keep
            LOG.warning("%s is compiled anew in each process: %r", self.kind.__name__, error)
            self.most = 0
            return None

    def _compile(self, args: tuple[Any, ...], named: dict[str, object]) -> Any:  # noqa: ANN401
        ours = vars(args[0]).pop("forward")  # or a hook's about it: not to be kept with the part
        filtered = {**self.options.get("options", {}), "guard_filter_fn": _can_be_told}
        options = self.options | {"options": filtered, "fullgraph": True}
        try:
            # Off in torch 2.11; numbers as symbols make tracing begin again, which it can't here.
            with torch._dynamo.config.patch(enable_aot_compile=True, specialize_float=True):
                compiler: Any = torch.compile(self._forward, **options)
                form = compiler.aot_compile((args, named))
        finally:
            args[0].forward = ours
        self.forms.insert(0, form)
        try:
            self.seen.add(_write(form, self.folder))
            sweep(self.folder.parent.parent)
        except Exception as error:  # a full disk, or what torch cannot write: the form is good
            LOG.warning("%s is not kept on disk: %r", self.kind.__name__, error)
        return form

    def _read(self) -> None:
        """Take in what this process, or one beside it, has written since."""
        self.folder.parent.touch()  # in use: see `sweep`
        for file in sorted({*self.folder.glob("*.graph")} - self.seen):
            self.seen.add(file)
            if form := _form_in(file):
                self.forms.append(form)


def shelves(
    root: Path, options: dict[str, Any], most: int, attention: str
) -> Callable[[nn.Module], None]:
    """Return what lets a part run compiled; parts of one class share their forms.

    Args:
        root: folder of the files.
        options: of torch.compile.
        most: forms of one class that are kept.
        attention: the backend, which no guard tells.
    """
    by_kind: dict[type[nn.Module], Shelf] = {}

    def put(part: nn.Module) -> None:
        kind = type(part)
        # Something stands before the class's own forward; or what no file can hold.
        if "forward" in vars(part) or options.get("backend", "inductor") != "inductor":
            run: Any = torch.compile(part.forward, **options)
        else:
            if kind not in by_kind:
                name = f"{kind.__module__}.{kind.__qualname__}-{attention}"
                by_kind[kind] = Shelf(kind, root / stamp() / name, options, most)
            run = partial(by_kind[kind], part)
        run.is_compiled = True  # for `gpu.lora`; a hook's forward about it has its attributes
        part.forward = run

    return put


def sweep(root: Path) -> None:
    """Remove what versions left that were not used for UNUSED_DAYS: each takes 50 MB."""
    for folder in root.iterdir():
        if time.time() - folder.stat().st_mtime > UNUSED_DAYS * 86_400:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def stamp() -> str:
    """Return 16 hex digits that change with the code and the machine that graphs are made for."""
    told = hashlib.sha256(platform.python_version().encode())
    for name in PACKAGES:
        told.update(f"{name} {_version(name)}\n".encode())
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        told.update(file.read_bytes())
    told.update(torch.backends.cpu.get_cpu_capability().encode())
    if torch.cuda.is_available():
        told.update(f"{torch.cuda.get_device_name()} {torch.version.cuda}".encode())
    return told.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _can_be_told(guards: Sequence[Any]) -> list[bool]:
    """Say which conditions a file can hold: all but on identities and on modules' globals."""
    return [
        not (guard.is_global or UNTOLD & {guard.guard_type, *(guard.derived_guard_types or ())})
        for guard in guards
    ]


def _form_in(file: Path) -> Any:  # noqa: ANN401
    """Return the form in a file; None, and the file is removed, where it is not to be read."""
    try:
        with file.open("rb") as data:
            return torch.compiler.load_compiled_function(data)
    except Exception as error:  # a damaged pickle may raise anything
        LOG.warning("%s is removed: %s", file, error)
        file.unlink(missing_ok=True)
        return None


def _write(form: Any, folder: Path) -> Path:  # noqa: ANN401
    """Keep a form in a file that is whole as soon as it has its name, which is returned."""
    name = secrets.token_hex(8)
    half = folder / f".{name}"
    form.save_compiled_function(str(half))
    return half.replace(folder / f"{name}.graph")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process compile, while others wait for what it writes: a decoder takes a minute.

    Raises:
        PermissionError: where another user may have put a file there.
    """
    for place in (folder.parents[1], folder.parent, folder):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        told = place.stat()
        if told.st_uid != os.getuid() or told.st_mode & 0o022:
            raise PermissionError(f"{place}: others may write there; chmod go-w, or remove it")
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # which ends with the process
        yield
