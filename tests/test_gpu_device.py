"""What this machine can compute on, and what is chosen for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from configs.errors import BadInput
from configs.model import Profile
from gpu import device
from gpu.device import Device, detect, dtype_for, pick_profile, pixels, read_cpu

CPUINFO = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Some Processor
flags\t\t: fpu vme avx512f {flags}
power management:

processor\t: 1
model name\t: Some Processor
"""

PROFILES = {
    name: Profile(device=device, min_memory_gb=least, picture="p", clip="c", budget_gb=1)
    for name, device, least in [
        ("mini", "cpu", 0),
        ("12gb", "cuda", 12),
        ("24gb", "cuda", 24),
        ("80gb", "cuda", 80),
    ]
}


def test_this_machine_is_found():
    """Some device with memory is always there."""
    assert detect().memory_gb > 0
    assert detect().name


def test_looking_for_a_device_leaves_torch_alone():
    """A machine with no NVIDIA driver plans its work without loading torch."""
    if detect().kind == "cuda":
        pytest.skip("this machine has a card")
    code = "import sys, gpu.device as d; d.detect(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_processor_tells_its_flags():
    """AMX and AVX-512 bfloat16 are read apart."""
    cpu = read_cpu(CPUINFO.format(flags="amx_bf16 amx_tile"), 16)
    assert cpu == Device("cpu", "Some Processor", 16, amx=True)
    assert read_cpu(CPUINFO.format(flags="avx512_bf16"), 16).avx512_bf16


def test_a_foreign_processor_has_no_flags():
    """Where /proc/cpuinfo reads otherwise, as on ARM, the safe choice is made."""
    assert read_cpu("processor : 0\nBogoMIPS : 50.00\nFeatures : fp\n", 4) == Device(
        "cpu", "CPU", 4
    )


@pytest.mark.parametrize(
    ("device", "asked", "dtype"),
    [
        (Device("cpu", "", 8, amx=True), "auto", "bfloat16"),
        (Device("cpu", "", 8, avx512_bf16=True), "auto", "bfloat16"),
        (Device("cpu", "", 8), "auto", "float32"),  # bfloat16 is emulated: slower
        (Device("cuda", "", 8, capability=(7, 5)), "auto", "float32"),  # Turing has float16 only
        (Device("cuda", "", 8, capability=(8, 0)), "auto", "bfloat16"),
        (Device("cpu", "", 8, amx=True), "float32", "float32"),
    ],
)
def test_the_number_format_suits_the_device(device, asked, dtype):
    """bfloat16 where the hardware multiplies it; what a profile asks for is kept."""
    assert dtype_for(device, asked) == dtype


@pytest.mark.parametrize(
    ("device", "profile"),
    [
        (Device("cpu", "", 4), "mini"),
        (Device("cuda", "", 6.2), "mini"),  # too small a card: the processor does it
        (Device("cuda", "", 12.6), "12gb"),  # an RTX 3060 says 12.6e9 bytes
        (Device("cuda", "", 25.4), "24gb"),
        (Device("cuda", "", 42.3), "24gb"),
        (Device("cuda", "", 85.0), "80gb"),
    ],
)
def test_the_largest_profile_that_fits_is_picked(device, profile):
    """Memory decides, in makers' gigabytes."""
    assert pick_profile(device, PROFILES) == profile


def test_no_profile_fits():
    """The message says what there is."""
    with pytest.raises(
        BadInput, match=r"no profile fits Old with 4\.0 GB; profiles\.yaml has 80gb"
    ):
        pick_profile(Device("cuda", "Old", 4), {"80gb": PROFILES["80gb"]})


def test_the_key_holds_what_changes_pixels():
    """Number format, quantisation, attention and kind of device; not the device's name."""
    assert pixels(Device("cpu", "any", 8, amx=True)) == {
        "dtype": "bfloat16",
        "quantisation": "none",
        "attention": "native",
        "device": "cpu",
    }


def test_blocks_of_a_cards_memory_grow_unless_the_user_said_otherwise(monkeypatch):
    """By torch's variable of today, or by that of old."""
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)
    device._choose_allocator()
    assert os.environ["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "max_split_size_mb:64")
    device._choose_allocator()
    assert os.environ["PYTORCH_ALLOC_CONF"] == "max_split_size_mb:64"
    monkeypatch.delenv("PYTORCH_ALLOC_CONF")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    device._choose_allocator()
    assert "PYTORCH_ALLOC_CONF" not in os.environ
