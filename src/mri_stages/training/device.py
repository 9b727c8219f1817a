"""Device selection and deterministic settings."""

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
from mri_stages.training.images import Images, count_stored_bytes, move_images

# Parameters of glibc's mallopt, as malloc.h numbers them.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4

MAX_SHARE_OF_FREE_MEMORY = 0.5  # that the rows may take on the device
FIRST_GPU_WITH_BF16 = (8, 0)  # compute capability
MAX_REASON_LENGTH = 200  # characters


def set_up_device(threads: int) -> torch.device:
    """Return cuda:0 if there is a GPU, else the CPU with `threads` threads.

    Select deterministic algorithms. An operation that has none warns and runs all the same.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS is deterministic only with it
    torch.set_deterministic_debug_mode("warn")
    # Off: it would fill new memory with NaN to expose uninitialised reads, which these operations
    # do not have.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # cuDNN's own default is True
    torch.set_num_threads(threads)
    keep_freed_memory()
    return torch.device("cuda:0" if has_gpu() else "cpu")


@cache
def has_gpu() -> bool:
    """Return whether a kernel runs on a GPU here; print a note if a card cannot be used."""
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
        reason = " ".join(reasons[0].split())[:MAX_REASON_LENGTH]
        print(f"note: no GPU is used: {reason}", flush=True)
    return False


def get_device_name(device: torch.device) -> str:
    """Return the name of the GPU, or CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "CPU"


@contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Let a GPU round the factors of float32 products to 10 bits, unless precision is float32.

    InputError for bf16 on a GPU that has none.
    """
    if precision == "bf16" and has_gpu():
        check_bf16()
    # allow_tf32 affects some CPUs too, so it stays off without a GPU. set_up_device left it off.
    is_tf32_allowed = precision != "float32" and has_gpu()
    allow_tf32(is_tf32_allowed)
    try:
        yield
    finally:
        allow_tf32(False)


def check_bf16() -> None:
    """Raise InputError if the GPU has no bf16."""
    if torch.cuda.get_device_capability() < FIRST_GPU_WITH_BF16:
        gpu = torch.cuda.get_device_name()
        raise InputError(f"params.yaml: precision is bf16, which {gpu} lacks, expected float32")


def allow_tf32(is_allowed: bool) -> None:
    """Allow, or forbid, tf32 in convolutions and matrix products."""
    torch.backends.cudnn.allow_tf32 = is_allowed
    torch.backends.cuda.matmul.allow_tf32 = is_allowed


def keep_freed_memory() -> None:
    """Tell glibc to keep what each step frees, since each page of a new block costs a fault."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library than glibc may lack it
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def move_to_device_if_it_fits(
    images: Images, device: torch.device, free_bytes: float | None = None
) -> Images:
    """Return `images` (N, C, H, W) on the device, or as they are if they take over half of it.

    free_bytes: the device's free memory unless given. A line says when images stay on the host.
    Equal channels (of stride 0) are copied once and keep their stride.
    """
    n_bytes = count_stored_bytes(images)
    if free_bytes is None:
        free_bytes = get_free_bytes(device)
    if n_bytes <= MAX_SHARE_OF_FREE_MEMORY * free_bytes:
        return move_images(images, device)
    print(f"note: {n_bytes:,} bytes of rows, {free_bytes:,} free on {device}: each batch is copied")
    return images


def get_free_bytes(device: torch.device) -> float:
    """Return the free memory of a GPU; infinite for the CPU, where the rows already are."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return math.inf
