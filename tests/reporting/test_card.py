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
    rows = list_metric_rows({"x": {"auc": 0.5, "loss": 2.0}, "y": {"auc": 0.25, "by": "row"}})
    assert rows == [("auc", [0.5, 0.25]), ("loss", [2.0, None]), ("by", [None, "row"])]


def test_card_shows_the_metrics_of_both_splits() -> None:
    card = render_card(DESCRIPTION, "They leak.").decode()
    assert "| | given_split | new_subjects |\n|---|---|---|\n" in card
    assert "\n| accuracy | 0.5000 | 0.2500 |\n| loss | 2.0000 | - |\n" in card


def test_card_names_the_leakage() -> None:
    assert "\nThey leak.\n" in render_card(DESCRIPTION, "They leak.").decode()


def test_card_warns_before_the_leakage() -> None:
    card = render_card(DESCRIPTION, "They leak.", "Two copies.").decode()
    assert "\n**Two copies.**\n\nThey leak.\n" in card


def test_card_says_that_a_model_was_not_cross_validated() -> None:
    metrics = {"metrics": {"given_split": {"accuracy": 0.5}}}
    says = [
        b"was not cross-validated" in render_card(description, "")
        for description in (DESCRIPTION, {**DESCRIPTION, **metrics})
    ]
    assert says == [False, True]
