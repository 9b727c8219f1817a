"""Where the arithmetic runs, and what makes it give the same bytes every time."""

import os

import torch


def set_up_device(threads: int) -> torch.device:
    """cuda:0 where there is one, else the CPU with `threads` threads; deterministic algorithms."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS is deterministic only with it
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # on by default: 10 bits of mantissa in place of 23
    torch.set_num_threads(threads)
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """What the device calls itself, for the record beside a result."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def to_device_if_it_fits(rows: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`rows` on the device, or as they are where they would take over half of its free memory."""
    if device.type == "cuda" and rows.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return rows
    return rows.to(device)
