"""A training step as CUDA graphs."""

from collections.abc import Callable

import torch
from torch import nn

Pair = tuple[torch.Tensor, torch.Tensor]


Step = Callable[[torch.Tensor, torch.Tensor], Pair]  # images and labels to loss and right rows


def capture_step(step: Step, module: nn.Module) -> Step:
    """Return `step` as CUDA graphs, one per size of batch: one launch in place of dozens.

    Before a capture the step runs for real, so the state of `module` is restored afterwards. A
    call overwrites what the call before returned.
    """
    graphs = dict[int, tuple[torch.cuda.CUDAGraph, Pair, Pair]]()
    # One stream for all: cuBLAS keeps a workspace for each. A stream that another training shares
    # would not do: destroying a graph drops a workspace that the other's graph uses.
    stream = torch.cuda.Stream()

    def capture(batch: torch.Tensor, labels: torch.Tensor) -> None:
        held = batch.clone(), labels.clone()
        state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # cuDNN and cuBLAS set themselves up
                step(*held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            outputs = step(*held)
        module.load_state_dict(state)
        graphs[len(batch)] = graph, held, outputs

    def replay(batch: torch.Tensor, labels: torch.Tensor) -> Pair:
        if len(batch) not in graphs:
            capture(batch, labels)
        graph, held, outputs = graphs[len(batch)]
        held[0].copy_(batch)
        held[1].copy_(labels)
        graph.replay()
        return outputs

    return replay
