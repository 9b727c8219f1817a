"""Where the arithmetic runs, and what makes it give the same bytes every time."""

import ctypes
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

Step = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


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
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


@contextmanager
def tf32(enabled: bool) -> Iterator[None]:
    """Let a GPU multiply float32 with 10 bits of mantissa in place of 23; a CPU never does."""
    switches: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    for switch in switches:
        switch.allow_tf32 = enabled and torch.cuda.is_available()  # also a switch of some CPUs
    try:
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed at every step and needed again at the next.

    It would give large blocks back to the system, and each page of a new one costs a fault. Does
    nothing where there is no glibc.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def to_device_if_it_fits(
    rows: torch.Tensor, device: torch.device, free: float | None = None
) -> torch.Tensor:
    """Return `rows` on the device; where they take over half of its free bytes, as they are.

    `free` is the device's free memory unless given; on the CPU the rows are there already. A line
    says when rows stay on the host. An axis of stride 0 is copied once and keeps its stride.
    """
    once = rows[:, :1] if rows.stride(1) == 0 else rows
    if free is None:
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf
    if 2 * once.nbytes <= free:
        try:
            return once.to(device).expand(rows.shape)
        except torch.OutOfMemoryError:  # free, but in pieces, or another process was faster
            pass
    print(f"note: {once.nbytes:,} bytes of rows, {free:,} free on {device}: each batch is copied")
    return rows


def graphed(step: Step, module: nn.Module) -> Step:
    """Return `step` as CUDA graphs, one per size of batch: one launch in place of dozens.

    Before a capture the step runs for real, so the state of `module` is restored afterwards. A
    call overwrites what the call before returned.
    """
    graphs: dict[
        int, tuple[torch.cuda.CUDAGraph, list[torch.Tensor], tuple[torch.Tensor, ...]]
    ] = {}

    def capture(*inputs: torch.Tensor) -> None:
        held = [tensor.clone() for tensor in inputs]
        state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # cuDNN and cuBLAS set themselves up
                step(*held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = step(*held)
        module.load_state_dict(state)
        graphs[len(held[0])] = graph, held, outputs

    def replay(batch: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(batch) not in graphs:
            capture(batch, labels)
        graph, held, (loss, right) = graphs[len(batch)]
        held[0].copy_(batch)
        held[1].copy_(labels)
        graph.replay()
        return loss, right

    return replay
