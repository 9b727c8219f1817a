from mri_stages.reporting.card import list_metric_rows, render_card

DESCRIPTION = {
    "name": "small",
    "title": "Made-up images",
    "classes": ["a", "b"],
    "input": {"shape": [1, 8, 9], "range": [0.0, 1.0]},
    "training": {"arch": "simple_nn2", "rows": 40},
    "metrics": {
        "given_split": {"accuracy": 0.5, "loss": 2.0},
        "new_subjects": {"accuracy": 0.25, "by": "subject"},
    },
    "intended_use": "Research.",
    "versions": {"torch": "1.0"},
}


def test_metric_rows_have_each_metric_once() -> None:
    rows = list_metric_rows([{"accuracy": 0.5, "auc": 0.25}, {"auc": 0.75, "by": "row"}])
    auc, accuracy, by = rows
    assert auc[1] == ["0.250", "0.750"]  # before the accuracy, which is improper
    assert accuracy[1] == ["0.500", "-"]
    assert by == ("by", ["-", "row"])


def test_metric_row_has_its_interval_in_one_cell() -> None:
    values = {"auc": 0.5, "auc_low": 0.25, "auc_high": 0.75}
    ((_, texts),) = list_metric_rows([values])
    assert texts == ["0.500 (0.250 to 0.750)"]


def test_metric_row_of_accuracy_has_its_interval() -> None:
    values = {"accuracy": 0.5, "ci_low": 0.25, "ci_high": 0.75}
    ((_, texts),) = list_metric_rows([values])
    assert texts == ["0.500 (0.250 to 0.750)"]


def test_card_shows_new_subjects_first() -> None:
    card = render_card(DESCRIPTION, "They leak.").decode()
    assert "| | new_subjects | given_split |\n|---|---|---|\n" in card
    assert "\n| loss | - | 2.000 |\n| accuracy | 0.250 | 0.500 |\n" in card


def test_card_names_the_leakage() -> None:
    assert "\nThey leak.\n" in render_card(DESCRIPTION, "They leak.").decode()


def test_card_warns_before_the_leakage() -> None:
    card = render_card(DESCRIPTION, "They leak.", "Two copies.").decode()
    assert "\n**Two copies.**\n\nThey leak.\n" in card


def test_card_says_that_the_images_are_drawn() -> None:
    card = render_card(DESCRIPTION, "", sample_note="Drawn.").decode()
    assert card.index("\n**Drawn.**\n\n") < card.index("## Input")


def test_card_of_other_images_says_nothing_of_it() -> None:
    assert "****" not in render_card(DESCRIPTION, "").decode()


def test_card_says_that_a_model_was_not_cross_validated() -> None:
    metrics = {"metrics": {"given_split": {"accuracy": 0.5}}}
    says = [
        b"was not cross-validated" in render_card(description, "")
        for description in (DESCRIPTION, {**DESCRIPTION, **metrics})
    ]
    assert says == [False, True]
