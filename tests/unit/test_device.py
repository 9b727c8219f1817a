import pytest
import torch

from src.device import to_device_if_it_fits


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_go_to_the_device_where_they_leave_half_of_it_free(
    channels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = torch.zeros(10, channels, 5, 5).expand(10, 3, 5, 5)  # stored once, or in each channel
    device, n_bytes = torch.device("meta"), 10 * channels * 5 * 5 * 4
    there = to_device_if_it_fits(rows, device, free=2 * n_bytes)
    assert (there.device, there.shape, there.stride(1)) == (device, rows.shape, rows.stride(1))
    assert capsys.readouterr().out == ""
    assert to_device_if_it_fits(rows, device, free=2 * n_bytes - 1) is rows
    assert capsys.readouterr().out.startswith(f"note: {n_bytes:,} bytes of rows")
