"""Where the arithmetic runs, and what makes it give the same bytes every time."""

import ctypes
import math
import os
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

Step = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def set_up_device(threads: int, tf32: bool = False) -> torch.device:
    """cuda:0 where there is one, else the CPU with `threads` threads; deterministic algorithms.

    With `tf32`, a GPU multiplies float32 with 10 bits of mantissa in place of 23; a CPU never does.
    """
    tf32 = tf32 and torch.cuda.is_available()  # PyTorch's switch is also one of some CPUs
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS is deterministic only with it
    # As use_deterministic_algorithms(True), which imports torch's compiler first: 2 s.
    torch.set_deterministic_debug_mode("error")
    # It would fill all new memory with NaN, against reads that none of these operations does.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = tf32  # cuDNN's own default is True
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.set_num_threads(threads)
    keep_freed_memory()
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


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


def made_by(device: torch.device, started: float) -> dict[str, str | float]:
    """What made a result, for the record beside it; `started` by time.perf_counter()."""
    return {
        "seconds": round(time.perf_counter() - started, 3),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def to_device_if_it_fits(
    rows: torch.Tensor, device: torch.device, free: float | None = None
) -> torch.Tensor:
    """`rows` on the device, or, and a line says so, as they are.

    That is where they would take over half of its `free` bytes (if not given: of its memory; on
    the CPU the rows are there already). An axis of stride 0 is copied once and stays one.
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
    """`step` as CUDA graphs, one for each size of batch: one launch in place of dozens.

    What comes before a capture runs the step for real, so the state of `module` is put back
    afterwards. What a call returns is overwritten by the next.
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


class LossWatch:
    """Sees a loss of NaN without making the host wait for a GPU: there, some steps later."""

    def __init__(self) -> None:
        self.copied: torch.cuda.Event | None = None
        self.loss = torch.zeros(())

    def saw_nan(self, loss: torch.Tensor) -> bool:
        if loss.device.type == "cpu":
            return bool(loss.isnan())
        if self.copied is None:
            self.loss, self.copied = self.loss.pin_memory(), torch.cuda.Event()
        elif not self.copied.query():
            return False
        seen = bool(self.loss.isnan())
        self.loss.copy_(loss, non_blocking=True)
        self.copied.record()
        return seen
