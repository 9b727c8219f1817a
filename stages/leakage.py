"""Measure how much the given split leaks: plots/leakage.json and its picture."""

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.evaluation.leakage import add_copies, mark_same_subject, measure_leakage
from mri_stages.plotting.leakage import draw_leakage
from mri_stages.plotting.style import save_png
from mri_stages.plotting.text import print_missing_letters
from mri_stages.storage.copies import find_copies, list_test_copies
from mri_stages.storage.dataset import load_all_rows, read_info
from mri_stages.storage.details import read_file_names
from mri_stages.storage.neighbours import GIVEN_SPLIT, read_neighbours
from mri_stages.storage.records import write_leakage


def main() -> None:
    title = read_params().data.title
    info = read_info()
    rows = load_all_rows(info)
    table = read_neighbours(paths.NEIGHBOURS, len(rows.labels))
    copies = find_copies(rows.parts, info.image_shape)
    n_copies = len(list_test_copies(copies, len(rows.parts[0])).rows)
    leakage = measure_leakage(rows, table, n_copies)
    leakage = add_copies(leakage, rows, copies, info.classes, read_file_names())
    write_leakage(leakage)

    test_mask = rows.test_mask[table.compared]
    closeness = table.by_grouping[GIVEN_SPLIT].closeness[test_mask]
    same_mask = None
    if rows.subjects is not None:
        same_mask = mark_same_subject(rows.subjects, table, GIVEN_SPLIT)[test_mask]
    print_missing_letters(title)
    save_png(paths.LEAKAGE_FIGURE, draw_leakage(closeness, same_mask, title, n_copies))
    if leakage.warning:
        print(f"warning: {leakage.warning}")
    print(leakage.sentence)


if __name__ == "__main__":
    run_stage(main)
