"""Table of all extensions of RecBole, in the order of their application.

An extension is called with the original function first. Several extensions of one function lie
around each other. A later one is called first, and its original is the earlier one.
"""

from __future__ import annotations

import recbole.data.utils
import recbole.quick_start
import recbole.quick_start.quick_start
import recbole.utils
import recbole.utils.case_study
from recbole.config import Config
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.evaluator import Collector, Evaluator, metrics
from recbole.sampler.sampler import AbstractSampler, Sampler
from recbole.trainer import Trainer
from recbole.trainer.trainer import AbstractTrainer, PretrainTrainer

from recbole_sibrar.data import dataloader, sampler
from recbole_sibrar.data.loading import download, feature_files, frames, labels, needed
from recbole_sibrar.data.record import recording
from recbole_sibrar.data.saved import dataset as saved_dataset
from recbole_sibrar.data.saved import loaders as saved_loaders
from recbole_sibrar.evaluator import ranking
from recbole_sibrar.plugin import configuration, dataset, loaders, models, sharding
from recbole_sibrar.plugin.evaluation import case_study, hooks, short_lists
from recbole_sibrar.plugin.extend import Extension
from recbole_sibrar.plugin.training import (
    distributed,
    half_precision,
    loaded,
    losses,
    memory,
    moved_data,
    optimizer,
    outcome,
    process_group,
    resume,
)
from recbole_sibrar.trainer import gap, log, plain_values, tensorboard

__all__ = ["EXTENSIONS"]

_CONFIGURATION = (
    Extension(
        Config,
        "_load_config_files",
        configuration.load_config_files,
        "configuration files of ours by name",
    ),
    Extension(
        Config,
        "_convert_config_dict",
        configuration.convert_config_dict,
        "lists without inner quotes",
    ),
    Extension(
        Config,
        "_load_internal_config_dict",
        configuration.load_internal_config_dict,
        "our defaults",
    ),
    Extension(
        Config,
        "_set_default_parameters",
        configuration.set_default_parameters,
        "checks of keys and values",
    ),
    Extension(
        Config,
        "_merge_external_config_dict",
        plain_values.merge_external_config_dict,
        "plain values",
    ),
    Extension(Config, "__setitem__", plain_values.set_item, "plain values"),
    Extension(Config, "_init_device", process_group.init_device, "several processes, on CPUs too"),
)

_DATA = (
    Extension(
        Dataset,
        "_get_load_and_unload_col",
        needed.get_load_and_unload_col,
        "columns that other keys need",
    ),
    Extension(
        Dataset, "_load_inter_feat", frames.load_inter_feat, "messages about files of interactions"
    ),
    Extension(
        Dataset, "_load_user_or_item_feat", frames.load_user_or_item_feat, "lines without an id"
    ),
    Extension(Dataset, "_download", download.download, "messages about downloads"),
    Extension(Dataset, "_get_download_url", download.find_url, "the nearest known data set"),
    Extension(
        Dataset, "_load_feat", frames.load_feat, "fast reading, messages with line and field"
    ),
    Extension(Dataset, "_init_alias", feature_files.init_alias, "modalities in additional files"),
    Extension(Dataset, "_remap_ID_all", dataset.remap_all_ids, "cold-start partitions"),
    Extension(Dataset, "build", dataset.build, "checks and files of the parts"),
    Extension(Dataset, "_normalize", dataset.normalize, "normalisation of loaded fields only"),
    Extension(Dataset, "_set_label_by_threshold", labels.set_labels, "messages about threshold"),
    Extension(Dataset, "save", saved_dataset.save_dataset, "saved data sets of one process"),
    Extension(Dataset, "_remap", recording.remap, "ids of a checkpoint"),
    Extension(Dataset, "_fill_nan", recording.fill_nan, "means of a checkpoint"),
    Extension(Dataset, "_normalize", recording.normalize, "scales of a checkpoint"),
    Extension(Dataset, "_discretization", recording.discretization, "buckets of a checkpoint"),
    Extension(
        recbole.data.utils, "create_dataset", models.create_dataset, "data sets of derived models"
    ),
    Extension(
        recbole.data.utils, "create_dataset", saved_dataset.create_dataset, "saved data sets"
    ),
    Extension(
        recbole.data.utils,
        "create_dataset",
        moved_data.create_dataset,
        "moved data of a checkpoint",
    ),
)

_LOADERS = (
    Extension(
        recbole.data.utils, "get_dataloader", loaders.get_dataloader, "loaders of our models"
    ),
    Extension(
        recbole.data.utils, "data_preparation", loaders.data_preparation, "candidates and negatives"
    ),
    Extension(
        recbole.data.utils,
        "save_split_dataloaders",
        saved_loaders.save_split_dataloaders,
        "generators are kept",
    ),
    Extension(
        recbole.data.utils,
        "load_split_dataloaders",
        saved_loaders.load_split_dataloaders,
        "checked before use",
    ),
    Extension(
        Sampler, "get_used_ids", sampler.get_used_ids, "known items without a loop over rows"
    ),
    Extension(
        AbstractSampler,
        "sample_by_key_ids",
        sampler.sample_by_key_ids,
        "sampling without a loop over rows",
    ),
    Extension(
        AbstractSampler,
        "_pop_sampling",
        sampler.pop_sampling,
        "sampling by popularity without a loop",
    ),
    Extension(
        FullSortEvalDataLoader,
        "collate_fn",
        dataloader.collate_full_sort,
        "batches without a loop over users",
    ),
    Extension(
        AbstractDataLoader, "__init__", sharding.init_loader, "the part of one of several processes"
    ),
    Extension(
        AbstractDataLoader, "__iter__", sharding.iterate, "negatives of one of several processes"
    ),
)

_EVALUATION = (
    Extension(
        Collector,
        "get_data_struct",
        distributed.get_data_struct,
        "recommendations of all processes",
    ),
    Extension(Evaluator, "evaluate", distributed.evaluate, "metrics in the first process"),
    Extension(Trainer, "fit", hooks.fit, "checks of labels"),
    Extension(Trainer, "evaluate", hooks.evaluate, "groups, users, undefined metrics"),
    Extension(
        Collector,
        "eval_batch_collect",
        hooks.eval_batch_collect,
        "recommendation lists, fast ranking",
    ),
    Extension(
        Collector,
        "get_data_struct",
        hooks.get_data_struct,
        "recommendation lists for our metrics, groups and users",
    ),
    Extension(metrics.TailPercentage, "get_tail", ranking.tail_items, "long tail without a loop"),
    Extension(metrics.ItemCoverage, "get_coverage", short_lists.measure_filled, "empty places"),
    Extension(metrics.ShannonEntropy, "get_entropy", short_lists.measure_filled, "empty places"),
    Extension(metrics.GiniIndex, "get_gini", short_lists.measure_filled, "empty places"),
    Extension(metrics.AveragePopularity, "get_pop", short_lists.item_values, "empty places"),
    Extension(metrics.TailPercentage, "get_tail", short_lists.item_values, "empty places"),
    Extension(metrics.AveragePopularity, "metric_info", short_lists.running_mean, "empty places"),
    Extension(metrics.TailPercentage, "metric_info", short_lists.running_mean, "empty places"),
    Extension(
        recbole.utils.case_study,
        "full_sort_scores",
        case_study.full_sort_scores,
        "users without a held-out pair",
    ),
    Extension(
        recbole.utils.case_study,
        "full_sort_topk",
        case_study.full_sort_topk,
        "users without a held-out pair",
    ),
)

_TRAINING = (
    Extension(AbstractTrainer, "__init__", distributed.init_trainer, "several processes"),
    Extension(Trainer, "_map_reduce", distributed.map_reduce, "results in all processes"),
    Extension(
        PretrainTrainer,
        "save_pretrained_model",
        distributed.save_pretrained_model,
        "one process writes",
    ),
    Extension(AbstractTrainer, "__init__", resume.make_folder, "messages about checkpoint_dir"),
    Extension(Trainer, "fit", resume.fit, "states, and resuming from them"),
    Extension(Trainer, "fit", half_precision.fit, "a warning about slow bfloat16"),
    Extension(Trainer, "_train_epoch", resume.train_epoch, "states within an epoch"),
    Extension(
        Trainer, "_valid_epoch", resume.valid_epoch, "learning curve, best validation result"
    ),
    Extension(
        Trainer, "_full_sort_batch_eval", resume.evaluate_batch, "stopping within an evaluation"
    ),
    Extension(
        Trainer, "_neg_sample_batch_eval", resume.evaluate_batch, "stopping within an evaluation"
    ),
    Extension(Trainer, "evaluate", resume.evaluate, "checks of the checkpoint, end of a run"),
    Extension(Trainer, "evaluate", memory.evaluate, "memory of the steps given back"),
    Extension(Trainer, "_save_checkpoint", resume.save_checkpoint, "states in a checkpoint"),
    Extension(Trainer, "resume_checkpoint", resume.resume_checkpoint, "states in a checkpoint"),
    Extension(Trainer, "_build_optimizer", optimizer.build_optimizer, "fused updates"),
    Extension(Trainer, "_train_epoch", gap.train_epoch, "the modality gap during training"),
    Extension(Trainer, "_check_nan", losses.check_nan, "messages about losses without a value"),
    Extension(
        Trainer, "_train_epoch", tensorboard.train_epoch, "parts of the loss for TensorBoard"
    ),
    Extension(
        Trainer,
        "_add_hparam_to_tensorboard",
        tensorboard.end_training,
        "embeddings for TensorBoard",
    ),
    Extension(AbstractTrainer, "__init__", outcome.note_trainer, "the trainer of a run"),
    Extension(Trainer, "_generate_train_loss_output", outcome.name_losses, "names of losses"),
)

_RUNS = (
    Extension(recbole.utils, "get_model", models.get_model, "derived models by name"),
    Extension(recbole.utils, "init_logger", log.init_logger, "a log file for each run"),
    Extension(
        recbole.utils, "get_tensorboard", process_group.get_tensorboard, "one process writes"
    ),
    Extension(
        recbole.quick_start,
        "load_data_and_model",
        moved_data.load_data_and_model,
        "data_path of moved data",
    ),
    Extension(
        recbole.quick_start,
        "load_data_and_model",
        loaded.load_data_and_model,
        "messages about other data",
    ),
    Extension(
        recbole.quick_start,
        "run_recbole",
        outcome.run_recbole,
        "closing block, path of the checkpoint",
    ),
    Extension(
        recbole.quick_start.quick_start,
        "run_recboles",
        process_group.run_rank,
        "each of several processes registers the plugin",
        replaces=True,
    ),
)

EXTENSIONS: tuple[Extension, ...] = (
    *_CONFIGURATION,
    *_DATA,
    *_LOADERS,
    *_EVALUATION,
    *_TRAINING,
    *_RUNS,
)
"""All extensions, in the order of their application."""
