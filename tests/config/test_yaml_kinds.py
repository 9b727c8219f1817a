"""Values of params.yaml are those that DVC reads."""

import pytest
import yaml
from ruamel.yaml import YAML

from mri_stages.config.loading import parse_yaml
from mri_stages.config.run_history import ParamsLoader

TEXTS = (
    *("yes", "no", "on", "off", "y", "N", "true", "False", "TRUE", "tRUE", "null", "~", ""),
    *("010", "-010", "08", "0o17", "0x1F", "0b101", "1_000", "+5", "-0", "1:30", "12345678901234"),
    *("1e-3", "1E5", "1.5e+3", ".5", "5.", "-.5e-2", "1_0.5", ".inf", "-.INF", ".NaN", "1.2.3"),
    *("'no'", '"010"', "0x", "1e", "e5", "-x", "0o8", "v1", "1 2", "nan", "inf"),
)


@pytest.mark.parametrize("text", TEXTS)
def test_value_is_the_one_that_dvc_reads(text: str) -> None:
    document = f"key: {text}\n"
    expected = YAML(typ="safe", pure=True).load(document)["key"]
    values = (parse_yaml(document)["key"], yaml.load(document, ParamsLoader)["key"])
    assert [repr(value) for value in values] == [repr(expected)] * 2
