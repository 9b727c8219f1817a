"""Compare the results of two checkouts that ran on one machine.

`python -m benchmarks.compare_outs OLD NEW`. A rebuild of the code must not change a result. Each
checkout is one that ran `make run` (and, to compare these too, `make studies`): its dvc.lock holds
the hash of every out. The exit status is 1 if an out differs, except for those of --may-differ.
"""

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path

import yaml

LOCKS = ("dvc.lock", "studies/dvc.lock")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, help="a checkout that ran")
    parser.add_argument("new", type=Path, help="another one")
    parser.add_argument(
        "--may-differ", nargs="*", default=[], metavar="PATTERN", help="such as 'studies/plots/*'"
    )
    arguments = parser.parse_args()

    old_hashes = read_out_hashes(arguments.old)
    new_hashes = read_out_hashes(arguments.new)
    common = old_hashes.keys() & new_hashes.keys()
    changed = sorted(out for out in common if old_hashes[out] != new_hashes[out])
    unexpected = [out for out in changed if not matches_any(out, arguments.may_differ)]

    print(f"same bytes: {len(common) - len(changed)} of {len(common)} outs")
    print_outs("different, as allowed", [out for out in changed if out not in unexpected])
    print_outs("different", unexpected)
    print_outs("only in the old checkout", sorted(old_hashes.keys() - common))
    print_outs("only in the new checkout", sorted(new_hashes.keys() - common))
    sys.exit(1 if unexpected else 0)


def read_out_hashes(checkout: Path) -> dict[str, str]:
    """Return the MD5 of each out, by its path, in the lock files of a checkout."""
    hashes = {}
    for name in LOCKS:
        path = checkout / name
        if path.exists():
            stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
            for stage in stages.values():
                for out in stage.get("outs", []):
                    hashes[out["path"]] = out["md5"]
    if not hashes:
        sys.exit(f"error: {checkout}: no outs in {' and '.join(LOCKS)}; run 'make run' there")
    return hashes


def matches_any(out: str, patterns: list[str]) -> bool:
    return any(fnmatch(out, pattern) for pattern in patterns)


def print_outs(title: str, outs: list[str]) -> None:
    if outs:
        print(f"{title}: {', '.join(outs)}")


if __name__ == "__main__":
    main()
