import pytest
import torch

from mri_stages.training.device import (
    has_gpu,
    move_to_device_if_it_fits,
    set_up_device,
    use_precision,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_to_device_if_it_fits_half(channels: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = torch.zeros(10, channels, 5, 5).expand(10, 3, 5, 5)  # stored once, or in each channel
    device, n_bytes = torch.device("meta"), 10 * channels * 5 * 5 * 4
    there = move_to_device_if_it_fits(rows, device, free=2 * n_bytes)
    assert (there.device, there.shape, there.stride(1)) == (device, rows.shape, rows.stride(1))
    assert capsys.readouterr().out == ""
    assert move_to_device_if_it_fits(rows, device, free=2 * n_bytes - 1) is rows
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_set_up_device_sets_threads_and_deterministic_algorithms() -> None:
    for threads in (2, 1):
        set_up_device(threads)
        assert torch.get_num_threads() == threads
    assert torch.get_deterministic_debug_mode() == 1


def test_tf32_is_off_again_afterwards_and_stays_off_on_a_cpu() -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    for precision in ("float32", "tf32", "bf16"):
        with use_precision(precision):
            assert matmul.allow_tf32 == (has_gpu() and precision != "float32")
    assert matmul.allow_tf32 == before
