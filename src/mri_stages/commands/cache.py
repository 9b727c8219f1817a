"""Print what lies in DVC's cache, by stage, and what `dvc gc --workspace` would remove.

Nothing is removed. `gc removes` are results of earlier params, data or code: without them, going
back to these runs their stages again. Results of other branches and commits are among them.
"""

import asyncio
from collections.abc import Sequence

from mri_stages.console import OneLineParser, format_count, list_some, make_printable
from mri_stages.orchestration import dvc
from mri_stages.orchestration.cache import CacheContent, CacheRow, list_cache_rows

ROW_FORMAT = "{:48.48} {:>6} {:>12} {:>12}"  # a longer name is cut
BYTES_PER_MB = 1e6
MIN_SHOWN_BYTES = 100_000  # of a stage that has a line of its own


def main(argv: Sequence[str]) -> None:
    OneLineParser(prog="mri-stages cache", description=__doc__).parse_args(argv)
    print(format_cache(asyncio.run(dvc.read_cache_content())))


def format_cache(content: CacheContent) -> str:
    """Return a table with a line per large stage, the sum, and what `dvc gc` would remove."""
    if not content.sizes:
        return "the cache is empty"

    rows = list_cache_rows(content)
    large_rows = [row for row in rows if row.n_bytes >= MIN_SHOWN_BYTES]
    small_rows = [row for row in rows if row.n_bytes < MIN_SHOWN_BYTES]
    shown_rows = list(large_rows)
    if small_rows:
        shown_rows.append(add_rows(f"({format_count(len(small_rows), 'smaller one')})", small_rows))
    total = add_rows("total", rows)

    lines = [ROW_FORMAT.format("stage", "runs", "MB in use", "gc removes")]
    lines += [format_row(row) for row in [*shown_rows, total]]

    n_unused = len(content.sizes.keys() - content.used)
    lines += [
        "",
        f"'dvc gc --workspace' would remove {n_unused:,} of "
        f"{format_count(len(content.sizes), 'object')}, "
        f"{format_megabytes(total.unused_bytes)} MB.",
        "It keeps what the dvc.lock files of the workspace name, and no other commit's results.",
    ]
    if content.unlisted_folders:
        lines.append(
            f"The cache does not list the files of {list_some(content.unlisted_folders)}: those "
            "that it has count as unused, and DVC asks before it removes them."
        )
    return "\n".join(lines)


def add_rows(name: str, rows: Sequence[CacheRow]) -> CacheRow:
    """Return the sum of the rows."""
    return CacheRow(
        name,
        sum(row.n_runs for row in rows),
        sum(row.used_bytes for row in rows),
        sum(row.unused_bytes for row in rows),
    )


def format_row(row: CacheRow) -> str:
    """Return the line of a stage."""
    return ROW_FORMAT.format(
        make_printable(row.stage),
        row.n_runs,
        format_megabytes(row.used_bytes),
        format_megabytes(row.unused_bytes),
    )


def format_megabytes(n_bytes: int) -> str:
    """Return the number of megabytes (10^6 bytes) with one digit after the point."""
    return f"{n_bytes / BYTES_PER_MB:,.1f}"
