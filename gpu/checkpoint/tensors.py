"""Files of named tensors: what the header says first, numbers only when asked.

Knows nothing of models. Reads safetensors (one file, or an index of shards), GGUF, and pickles of
plain tensors.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import BadFile
from gpu.folder import read_header, read_json

if TYPE_CHECKING:
    import torch

    from gpu.checkpoint.stream import Span


@dataclass(frozen=True, slots=True)
class Entry:
    """What a header says of one tensor."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors writes it (`BF16`, `F8_E4M3`), or GGUF's own (`Q4_K`)."""

    @property
    def numbers(self) -> int:
        """How many numbers the tensor has."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


DTYPES = {
    "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64", "I8": "int8",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32",
    "U8": "uint8",
}  # fmt: skip
"""What torch calls safetensors' number formats."""


class TensorFile:
    """A file of named tensors."""

    path: Path
    entries: Mapping[str, Entry]
    paths: Sequence[Path] = ()
    """The shards, of a file that is an index of them."""
    pickled = False
    """A pickle: read only where its publisher offers nothing else."""

    def read(self, name: str, device: str) -> torch.Tensor:
        """Return the tensor of `name` on `device`, in the file's own number format."""
        raise NotImplementedError

    def read_all(self, names: Sequence[str], device: str) -> Iterator[torch.Tensor]:
        """Yield the tensors of `names` on `device`, best in the order in which they lie."""
        for name in names:
            yield self.read(name, device)


def open_tensors(path: Path) -> TensorFile:
    """Read the header of `path`.

    Raises:
        BadFile: where it is missing, cut short, hostile, or of a kind that is not read.
    """
    present(path)
    for suffix, kind in KINDS.items():
        if path.name.endswith(suffix):
            return kind(path)
    raise BadFile(f"{path}: files of this kind are not read; give one of {', '.join(KINDS)}")


def present(path: Path) -> None:
    """Raise BadFile where there is no file at `path`."""
    if not path.is_file():
        raise BadFile(f"{path}: is missing; put the model's file there")


class Safetensors(TensorFile):
    """One safetensors file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        # First: it says plainly where a download was cut short.
        self._header, self._begin = read_header(path)
        self.path = path
        try:
            self._file: Any = safe_open(path, framework="pt")
            self.entries = dict(self._headers())
        except SafetensorError as error:
            raise BadFile(f"{path}: is no safetensors file: {error}") from None

    def read(self, name: str, device: str) -> torch.Tensor:
        """Return the tensor of `name` on `device`."""
        tensor: torch.Tensor = self._file.get_tensor(name)
        return tensor.to(device)

    def read_all(self, names: Sequence[str], device: str) -> Iterator[torch.Tensor]:
        """Yield the tensors of `names` on `device`; a card's come several times faster so."""
        if device == "cpu":  # where they stay mapped until they are used
            return super().read_all(names, device)
        from gpu.checkpoint.stream import stream

        return stream(self.path, [self._span(name) for name in names], device)

    def _span(self, name: str) -> Span:
        """Return where a tensor lies, safe_open having checked it."""
        import torch

        from gpu.checkpoint.stream import Span

        told = self._header[name]
        begin, end = told["data_offsets"]
        dtype = getattr(torch, DTYPES[told["dtype"]])
        return Span(dtype, tuple(told["shape"]), self._begin + begin, self._begin + end)

    def _headers(self) -> Iterator[tuple[str, Entry]]:
        for name in self._file.offset_keys():  # in the order in which they lie: read straight on
            part = self._file.get_slice(name)
            yield name, Entry(tuple(part.get_shape()), str(part.get_dtype()))


class Shards(TensorFile):
    """An `*.index.json` and the safetensors files beside it that it names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        index = read_json(path).get("weight_map")
        if not isinstance(index, dict) or not index:
            raise BadFile(f"{path}: has no weight_map; download it again")
        names = sorted({str(name) for name in index.values()})
        for name in names:
            if Path(name).name != name or not name.endswith(".safetensors"):
                raise BadFile(f"{path}: names the shard {name!r}; shards lie beside their index")
        shards = {name: open_tensors(path.parent / name) for name in names}
        self.paths = [shard.path for shard in shards.values()]
        self._shard_of = {key: shards[str(name)] for key, name in index.items()}
        for key, shard in self._shard_of.items():
            if key not in shard.entries:
                raise BadFile(f"{shard.path}: lacks {key!r}, which {path.name} says it holds")
        self.entries = {k: entry for shard in shards.values() for k, entry in shard.entries.items()}
        for key in self.entries:
            if key not in self._shard_of:
                raise BadFile(f"{path}: does not name {key!r}, which one of its shards holds")

    def read(self, name: str, device: str) -> torch.Tensor:
        """Return the tensor of `name` on `device`."""
        return self._shard_of[name].read(name, device)

    def read_all(self, names: Sequence[str], device: str) -> Iterator[torch.Tensor]:
        """Yield the tensors of `names` on `device`, shard by shard as they follow each other."""
        for shard, some in groupby(names, key=self._shard_of.__getitem__):
            yield from shard.read_all(list(some), device)


class Pickle(TensorFile):
    """A `.pth` of plain tensors: unpickling anything else would run its code, and is refused."""

    pickled = True

    def __init__(self, path: Path) -> None:
        import torch

        self.path = path
        try:
            # Only torch's zip format can be mapped; the format before 1.6 is read whole.
            whole: object = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
        except Exception as error:  # unpickling hostile bytes raises anything
            raise BadFile(
                f"{path}: is a pickle that torch.load(weights_only=True) refuses, or cut short; "
                "download it again from its publisher"
            ) from error
        if not isinstance(whole, dict) or not all(
            isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in whole.items()
        ):
            raise BadFile(f"{path}: is no dictionary of tensors alone; give the model's weights")
        self._tensors: dict[str, torch.Tensor] = whole
        self.entries = {
            name: Entry(tuple(tensor.shape), self._name(tensor)) for name, tensor in whole.items()
        }

    def read(self, name: str, device: str) -> torch.Tensor:
        """Return the tensor of `name` on `device`."""
        return self._tensors[name].to(device)

    def _name(self, tensor: torch.Tensor) -> str:
        name = str(tensor.dtype).removeprefix("torch.")
        return next((ours for ours, torchs in DTYPES.items() if torchs == name), name)


class Gguf(TensorFile):
    """A GGUF file, mapped into memory; quantised tensors are read as diffusers' GGUFParameter."""

    def __init__(self, path: Path) -> None:
        try:
            import gguf
        except ImportError:
            raise BadFile(
                f"{path}: reading GGUF needs the package gguf; install it: pip install gguf"
            ) from None
        self.path = path
        try:
            reader = gguf.GGUFReader(path)
        except Exception as error:  # it trusts lengths: hostile bytes raise anything
            said = " ".join(str(error).split())[:200]
            raise BadFile(f"{path}: is no GGUF file, or cut short: {said}") from error
        self._tensors: dict[str, Any] = {tensor.name: tensor for tensor in reader.tensors}
        self.entries = {
            name: Entry(  # GGUF writes the fastest dimension first
                tuple(int(side) for side in reversed(tensor.shape)), tensor.tensor_type.name
            )
            for name, tensor in self._tensors.items()
        }

    def read(self, name: str, device: str) -> torch.Tensor:
        """Return the tensor of `name` on `device`: plain floats, or packed blocks of them."""
        import torch
        from diffusers.quantizers.gguf.utils import GGUFParameter

        tensor, entry = self._tensors[name], self.entries[name]
        data = torch.from_numpy(tensor.data.copy()).to(device)  # mapped read-only: torch wants more
        if entry.dtype == "BF16":
            return data.view(torch.bfloat16).reshape(entry.shape)
        if entry.dtype in ("F16", "F32", "F64"):
            return data.reshape(entry.shape)
        packed: torch.Tensor = GGUFParameter(data, quant_type=tensor.tensor_type)
        return packed


KINDS: dict[str, type[Safetensors | Shards | Pickle | Gguf]] = {
    ".safetensors": Safetensors,
    ".safetensors.index.json": Shards,
    ".gguf": Gguf,
    ".pth": Pickle,
}
"""What is read, by the end of a file's name."""
