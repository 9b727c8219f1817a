"""Run a training step as CUDA graphs: one launch on the GPU in place of dozens."""

from collections.abc import Callable

import torch
from torch import nn

from mri_stages.config.schema import Recipe

StepResult = tuple[torch.Tensor, torch.Tensor]  # loss and number of correct rows, of one batch
Step = Callable[[torch.Tensor, torch.Tensor], StepResult]  # takes images and labels

WARM_UP_STEPS = 3


def should_capture(recipe: Recipe, device: torch.device) -> bool:
    """Return whether the steps of a condensed network run as CUDA graphs: on a GPU, if asked."""
    return device.type == "cuda" and recipe.cuda_graphs


def capture_step(step: Step, module: nn.Module) -> Step:
    """Return `step` as CUDA graphs, one per size of batch.

    Before a capture the step runs for real, so the state of `module` is restored afterwards. A
    call overwrites the tensors that the call before it returned.
    """
    graphs: dict[int, tuple[torch.cuda.CUDAGraph, StepResult, StepResult]] = {}
    # All graphs share one stream, since cuBLAS keeps a workspace for each. Another training must
    # not share it: destroying a graph drops a workspace that the other's graph uses.
    stream = torch.cuda.Stream()

    def capture(images: torch.Tensor, labels: torch.Tensor) -> None:
        graph_images = images.clone()
        graph_labels = labels.clone()
        state = {name: tensor.clone() for name, tensor in module.state_dict().items()}

        # The first steps set up cuDNN and cuBLAS, which no graph may contain.
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                step(graph_images, graph_labels)
        torch.cuda.current_stream().wait_stream(stream)

        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            result = step(graph_images, graph_labels)
        module.load_state_dict(state)
        graphs[len(images)] = graph, (graph_images, graph_labels), result

    def replay(images: torch.Tensor, labels: torch.Tensor) -> StepResult:
        if len(images) not in graphs:
            capture(images, labels)
        graph, (graph_images, graph_labels), result = graphs[len(images)]
        graph_images.copy_(images)
        graph_labels.copy_(labels)
        graph.replay()
        return result

    return replay
