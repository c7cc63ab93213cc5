"""Training and evaluation of one model by several processes, on any device.

Results are independent of the number of processes. RecBole's use of DistributedDataParallel is
kept.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from recbole.config import Config
from recbole.evaluator import Collector, Evaluator
from recbole.evaluator.collector import DataStruct
from recbole.trainer import Trainer
from recbole.trainer.trainer import AbstractTrainer, PretrainTrainer
from recbole.utils import ModelType, init_seed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recbole_sibrar.model.layers import BatchNorm
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.parallel import processes
from recbole_sibrar.parallel.synchronization import Ranks, synchronize_batch_norms
from recbole_sibrar.trainer.state import random_state, set_random_state

# The second is its name before torch 2.13.
_OPTIONS = inspect.signature(DistributedDataParallel.__init__).parameters
_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _OPTIONS else "broadcast_buffers"
"""Option to send the buffers in every step; ours are data, and running statistics are equal
everywhere."""

_COLLECTED = ("rec.topk", "rec.meanrank", "rec.score", "rec.items", "data.label")
"""Data that RecBole's collector gathers batch by batch."""


def init_trainer(
    original: Callable[..., None],
    trainer: AbstractTrainer,
    config: Config,
    model: nn.Module,
) -> None:
    """Take the model; where there are several processes, let torch average their gradients."""
    if processes.count(config) == 1:
        original(trainer, config, model)
        return

    # RecBole's constructor would wrap the model for CUDA alone
    original(trainer, {"single_spec": True}, model)
    trainer.config = config
    trainer.model = synchronized(model)
    devices = [config["device"]] if config["device"].type == "cuda" else None

    # Before 2.13 torch sends them in every step or never.
    for buffer in saved_buffers(trainer.model):
        dist.broadcast(buffer, 0)
    options: dict[str, Any] = {_BUFFERS: False}
    trainer.distributed_model = DistributedDataParallel(trainer.model, devices, **options)

    # Each process does all of it, and has to do the same.
    rank = processes.rank(config)
    if config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        set_random_state(processes.broadcast(config, random_state()))
    # rank 0 draws what a process of its own would draw
    elif rank:
        sequence = np.random.SeedSequence((config["seed"], rank))
        seed = int(sequence.generate_state(1)[0])
        init_seed(seed, config["reproducibility"])


def synchronized(model: nn.Module) -> nn.Module:
    """Extend batch norm, and the contrastive losses of our models, to the rows of all processes.

    Args:
        model: The model, which is changed in place.
    """
    together = Ranks(dist.new_group())
    if isinstance(model, MultimodalRecommender):
        model.synchronize(together)
        # modalities and interactions, which every process has read itself
        saved = {id(buffer) for buffer in saved_buffers(model)}
        fixed = [name for name, buffer in model.named_buffers() if id(buffer) not in saved]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, fixed)
    return synchronize_batch_norms(model, together, BatchNorm)


def saved_buffers(model: nn.Module) -> list[Tensor]:
    """Dense buffers of a checkpoint, such as running statistics."""
    buffers = []
    saved = model.state_dict(keep_vars=True)
    for name, buffer in model.named_buffers():
        if name in saved and not buffer.is_sparse:
            buffers.append(buffer)
    return buffers


def get_data_struct(original: Callable[..., Any], collector: Collector) -> Any:
    """Gather the collected data of all processes at rank 0, in the order of the users."""
    if processes.count(collector.config) == 1:
        return original(collector)

    for key in _COLLECTED:
        if key in collector.data_struct:
            # [n_users, ...] of each process; no part but in the first
            own = collector.data_struct.get(key).cpu()
            parts = processes.gather(collector.config, own)
            collector.data_struct.set(key, torch.cat(parts) if parts else torch.empty(0))
    return original(collector)


def evaluate(original: Callable[..., Any], evaluator: Evaluator, dataobject: DataStruct) -> Any:
    """Compute the metrics, in the process that has collected all recommendations."""
    if not processes.is_main(evaluator.config):
        return OrderedDict()
    return original(evaluator, dataobject)


def map_reduce(original: Callable[..., Any], trainer: Trainer, result: Any, num_sample: int) -> Any:
    """Let every process have the metrics of all recommendations."""
    # RecBole's mean over processes is wrong for many metrics
    return processes.broadcast(trainer.config, result)


def save_pretrained_model(
    original: Callable[..., None],
    trainer: PretrainTrainer,
    epoch: int,
    saved_model_file: str,
) -> None:
    """Write pre-trained parameters in one process."""
    # all processes have the same name for the file
    if processes.is_main(trainer.config):
        original(trainer, epoch, saved_model_file)
    trainer.saved_model_file = saved_model_file
