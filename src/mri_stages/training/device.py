"""Where the arithmetic runs, and what makes it give the same bytes every time."""

import ctypes
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from mri_stages.errors import InputError


def set_up_device(threads: int) -> torch.device:
    """Return cuda:0 where there is one, else the CPU with `threads` threads.

    Select deterministic algorithms; an operation that has none warns and runs all the same.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS is deterministic only with it
    torch.set_deterministic_debug_mode("warn")
    # It would fill all new memory with NaN, against reads that none of these operations does.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # cuDNN's own default is True
    torch.set_num_threads(threads)
    keep_freed_memory()
    return torch.device("cuda:0" if has_gpu() else "cpu")


@cache
def has_gpu() -> bool:
    """Return whether a kernel runs on a GPU here; a note says why a card cannot be used."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if torch.cuda.is_available():
                torch.zeros(1, device="cuda:0").add_(1).item()
                return True
            reasons = [str(warning.message) for warning in caught]
        except RuntimeError as error:
            reasons = [str(error)]
    if reasons:
        print(f"note: no GPU is used: {' '.join(reasons[0].split())[:200]}", flush=True)
    return False


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


@contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Let a GPU round the factors of float32 products to 10 bits, unless precision is float32.

    InputError for bf16 on a GPU that has none.
    """
    if precision == "bf16" and has_gpu() and torch.cuda.get_device_capability() < (8, 0):
        gpu = torch.cuda.get_device_name()
        raise InputError(f"params.yaml: precision is bf16, which {gpu} lacks, expected float32")
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    # Also a switch of some CPUs, which never round. It was off: see `set_up_device`.
    cudnn.allow_tf32 = matmul.allow_tf32 = precision != "float32" and has_gpu()
    try:
        yield
    finally:
        cudnn.allow_tf32 = matmul.allow_tf32 = False


def keep_freed_memory() -> None:
    """Tell glibc to keep what each step frees, since each page of a new block costs a fault."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # as malloc.h numbers them
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def move_to_device_if_it_fits(
    rows: torch.Tensor, device: torch.device, free: float | None = None
) -> torch.Tensor:
    """Return `rows` on the device; where they take over half of its free bytes, as they are.

    `free` is the device's free memory unless given. A line says when rows stay on the host. An
    axis of stride 0 is copied once and keeps its stride.
    """
    once = rows[:, :1] if rows.stride(1) == 0 else rows
    if free is None:
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf
    if 2 * once.nbytes <= free:
        return once.to(device).expand(rows.shape)
    print(f"note: {once.nbytes:,} bytes of rows, {free:,} free on {device}: each batch is copied")
    return rows
