"""The params of the tests that run the whole pipeline: four models on one epoch.

The names are those of README's and docs' commands, which run with these params. Each list has as
few entries as its tests need, since every `dvc` resolves all stages.
"""

from tests.helpers.params import DEFAULT_PARAMS, Params, apply_changes

PIPELINE_PARAMS: Params = {
    "data": {"raw": "data/sample", "title": "Phantom slices", "scaled": "saved"},
    "sample": {"subjects": 8, "slices": 5, "height": 36, "width": 36, "seed": 0},
    "train": {**DEFAULT_PARAMS["train"], "epochs": 1, "seed": 0},
    "models": {
        "simple_nn2": {"arch": "simple_nn2", "lr": 0.01, "batch_size": 15},
        "conv_nn2": {"arch": "conv_nn2", "lr": 0.01, "batch_size": 5},
        "conv_nn4": {"arch": "conv_nn2", "lr": 10.0, "batch_size": 5},  # it diverges
        "resnet": {
            "arch": "resnet",
            "lr": 0.002,
            "batch_size": 32,
            "shuffle": True,
            "optimizer": "adamw",
            "weight_decay": 0.01,
            "schedule": "cosine",
            "class_weights": "balanced",
            "augment": {"shift": 2, "flip": True},
            "validation": 0.5,
        },
    },
    "evaluation": {"negative_class": None, "threshold": 0.5, "covariates": None, "groups": None},
    "cross_validation": {
        "folds": 2,
        "repeats": 1,
        "seed": 0,
        "stratify": None,
        "inner_folds": 0,
        "models": {"simple_nn2": "simple_nn2", "resnet": "resnet"},
    },
    "export": {"model": "simple_nn2"},
    "studies": {
        "seed": {"models": ["simple_nn2"], "seeds": [0]},
        "learning_rate": {"model": "simple_nn2", "values": [1e-8], "seeds": [0]},
        "batch_size": {"model": "simple_nn2", "values": ["all"], "seeds": [0]},
        "leakage": {"model": "simple_nn2", "shares": [100], "seeds": [0]},
    },
}

# Two models, of which one is cross-validated: for tests that run the pipeline many times.
TWO_MODELS = ("simple_nn2", "conv_nn2")
TWO_MODEL_PARAMS = apply_changes(
    PIPELINE_PARAMS,
    {
        "models": {name: PIPELINE_PARAMS["models"][name] for name in TWO_MODELS},
        "cross_validation.models": {"simple_nn2": "simple_nn2"},
    },
)
