"""What a publisher's hub holds, and its files on this disk. The one place that uses the network.

Speaks to the Hugging Face Hub, to mirrors that speak its language, and to ModelScope. Knows nothing
of homes or of what the files mean.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote, urlencode

from catalogs.hashes import sha256
from configs.errors import BadInput, FetchFailed
from configs.model import Source

MODELSCOPE = "https://modelscope.cn"
KINDS = (".safetensors", ".json", ".txt", ".jinja")
"""Suffixes that are taken: weights without code, configs, word lists and chat templates."""
SAFE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""File names that may be written: a listing is hostile until checked."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One published file."""

    path: str
    bytes: int
    sha256: str = ""
    """Of large files; small ones have `git` in its place."""
    git: str = ""
    """SHA-1 as git names contents: over `blob`, the length, NUL and the bytes."""

    def is_at(self, path: Path) -> bool:
        """Whether the file at `path` has the published bytes."""
        if not path.is_file() or path.stat().st_size != self.bytes:
            return False
        if self.sha256:
            return sha256(path) == self.sha256
        blob = hashlib.sha1(b"blob %d\0" % self.bytes, usedforsecurity=False)
        blob.update(path.read_bytes())
        return blob.hexdigest() == self.git


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub, by its address; "" is Hugging Face's own, or what HF_ENDPOINT says."""

    endpoint: str = ""

    @classmethod
    def named(cls, endpoint: str) -> Hub:
        """Return the hub of an address, or of the word `modelscope`.

        Raises:
            BadInput: where it is neither.
        """
        if endpoint == "modelscope":
            return cls(MODELSCOPE)
        if endpoint and not re.match(r"https?://[^/\s]+", endpoint):
            raise BadInput(f"{endpoint!r}: is no hub; write `modelscope`, or a mirror's https://…")
        return cls(endpoint.rstrip("/"))

    @property
    def modelscope(self) -> bool:
        """Whether it speaks ModelScope's language: it has commits of its own."""
        return "modelscope" in self.endpoint

    def list(self, source: Source) -> list[Remote]:
        """Return the files of `source`, of the kinds that are taken.

        Raises:
            FetchFailed: in words: no network, no such repository, a licence to accept first.
        """
        with online(), telling(source):
            found = list(_modelscope(self, source) if self.modelscope else _hub(self, source))
        kept = [
            file
            for file in found
            if file.path.endswith(KINDS) and any(fnmatch(file.path, like) for like in source.only)
        ]
        for file in kept:
            if not SAFE.fullmatch(file.path) or not (file.sha256 or file.git):
                raise FetchFailed(f"{source.repo}: lists {file.path!r}, which is not taken")
        if not kept:
            raise FetchFailed(f"{source.repo}: has no files like {', '.join(source.only)}")
        return kept

    def download(self, source: Source, files: Sequence[Remote], folder: Path) -> None:
        """Put `files` into `folder`, each under its name once it is whole; go on where one began.

        Raises:
            FetchFailed: in words; what has arrived stays for the next time.
        """
        from huggingface_hub.utils._headers import build_hf_headers

        headers = build_hf_headers(token=False if self.endpoint else None)
        with online(), telling(source):
            for file in files:
                _continue(self._address(source, file), folder / file.path, file.bytes, headers)

    def _address(self, source: Source, file: Remote) -> str:
        from huggingface_hub import hf_hub_url

        if self.modelscope:
            words = urlencode({"Revision": "master", "FilePath": file.path})
            return f"{self.endpoint}/api/v1/models/{quote(source.repo)}/repo?{words}"
        return hf_hub_url(
            source.repo, file.path, revision=source.revision, endpoint=self.endpoint or None
        )


def _hub(hub: Hub, source: Source) -> Iterator[Remote]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    # The user's token is for the hub that gave it, not for a mirror.
    api = HfApi(endpoint=hub.endpoint or None, token=False if hub.endpoint else None)
    entries = api.list_repo_tree(source.repo, revision=source.revision, recursive=True)
    for entry in entries:
        if isinstance(entry, RepoFile):
            large = entry.lfs.sha256 if entry.lfs else ""
            yield Remote(entry.path, entry.size, large, "" if large else entry.blob_id)


def _modelscope(hub: Hub, source: Source) -> Iterator[Remote]:
    from huggingface_hub.utils._http import get_session, hf_raise_for_status

    words = urlencode({"Revision": "master", "Recursive": "True"})
    answer = get_session().get(
        f"{hub.endpoint}/api/v1/models/{quote(source.repo)}/repo/files?{words}"
    )
    hf_raise_for_status(answer)
    for file in answer.json()["Data"]["Files"]:
        if file["Type"] == "blob":
            yield Remote(str(file["Path"]), int(file["Size"]), str(file["Sha256"]))


def _continue(address: str, path: Path, size: int, headers: dict[str, str]) -> None:
    """Download to `path`, from where an earlier try ended.

    huggingface_hub's own `snapshot_download` begins a file anew in every process (2.4.0), and one
    file of a 14B model has ten gigabytes.
    """
    from huggingface_hub.file_download import http_get

    if path.is_file():
        return
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        if file.tell() > size:
            file.truncate(0)
        http_get(
            address,
            file,
            resume_size=file.tell(),
            headers=headers,
            expected_size=size,
            displayed_filename=path.name,
        )
    part.replace(path)


@contextmanager
def online() -> Iterator[None]:
    """Let huggingface_hub use the network, which `gpu.folder` has forbidden to this process."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def telling(source: Source) -> Iterator[None]:
    """Say in words what a hub or the way to it refuses.

    Raises:
        FetchFailed: in place of what the libraries raise.
    """
    from huggingface_hub import errors

    page = f"https://huggingface.co/{source.repo}"
    again = "what has arrived is kept: fetch again to go on"
    try:
        yield
    except errors.GatedRepoError:
        words = f"accept its licence at {page}, then set HF_TOKEN to a token of yours"
    except errors.RepositoryNotFoundError:
        words = f"no such repository, or a private one; look at {page}"
    except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError):
        words = f"has no commit {source.revision[:12]} with these files; look at {page}"
    except errors.HfHubHTTPError as error:
        words = f"the hub answered {error.response.status_code}; {again}"
    except (KeyError, TypeError, ValueError) as error:
        words = f"the hub's answer is not understood ({error!r}); try another --endpoint"
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's own errors
        if not isinstance(error, OSError) and not type(error).__module__.startswith(NETWORK):
            raise
        words = f"no way to the hub ({_first_line(error)}); {again}, or try another --endpoint"
    else:
        return
    raise FetchFailed(f"{source.repo}: {words}")


NETWORK = ("http", "hf_xet", "huggingface_hub", "builtins")
"""Modules whose errors speak of the way to a hub: hf_xet raises plain RuntimeErrors."""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
