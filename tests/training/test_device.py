import pytest
import torch

from mri_stages.training.device import (
    get_device_name,
    has_gpu,
    move_to_device_if_it_fits,
    set_up_device,
    use_precision,
)

META = torch.device("meta")


def make_rows(channels: int) -> tuple[torch.Tensor, int]:
    """Return rows whose channels are stored once (1) or each (3), and their stored bytes."""
    return torch.zeros(10, channels, 5, 5).expand(10, 3, 5, 5), 10 * channels * 5 * 5 * 4


@pytest.mark.parametrize("channels", [1, 3])
def test_move_to_device_if_it_fits_half(channels: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows, n_bytes = make_rows(channels)
    moved = move_to_device_if_it_fits(rows, META, free_bytes=2 * n_bytes)
    assert isinstance(moved, torch.Tensor)
    assert (moved.device, moved.shape, moved.stride(1)) == (META, rows.shape, rows.stride(1))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("channels", [1, 3])
def test_move_to_device_leaves_larger_rows(
    channels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, n_bytes = make_rows(channels)
    assert move_to_device_if_it_fits(rows, META, free_bytes=2 * n_bytes - 1) is rows
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_move_to_the_cpu_always_fits() -> None:
    rows, _ = make_rows(1)
    moved = move_to_device_if_it_fits(rows, torch.device("cpu"))
    assert isinstance(moved, torch.Tensor)
    assert moved.data_ptr() == rows.data_ptr()


def test_set_up_device_sets_threads() -> None:
    for threads in (2, 1):
        set_up_device(threads)
        assert torch.get_num_threads() == threads


def test_set_up_device_selects_deterministic_algorithms() -> None:
    set_up_device(1)
    assert torch.get_deterministic_debug_mode() == 1


def test_set_up_device_leaves_new_memory_alone() -> None:
    set_up_device(1)
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_use_precision_allows_tf32_on_a_gpu_only(precision: str) -> None:
    with use_precision(precision):
        expected = has_gpu() and precision != "float32"
        assert torch.backends.cuda.matmul.allow_tf32 == expected
        assert torch.backends.cudnn.allow_tf32 == expected
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_get_device_name_of_the_cpu() -> None:
    assert get_device_name(torch.device("cpu")) == "CPU"
