"""Entering RecBole's look-ups: the only place that extends RecBole's functions."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import recbole.data.dataset
import recbole.data.utils
import recbole.utils
import recbole.utils.case_study
import yaml
from recbole.config import Config
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataset import Dataset
from recbole.sampler.sampler import AbstractSampler
from recbole.utils import EvaluatorType, ModelType, get_model

from recbole_sibrar.config import (
    COLD_START,
    ConfigError,
    cold_start_config,
    evaluation_config,
    long_tail_ratio,
    refuse,
    training_config,
)
from recbole_sibrar.config.choices import configuration_file, properties
from recbole_sibrar.config.keys import OTHER_KEYS
from recbole_sibrar.config.text import INTERVALS, has_brackets, is_plain, read_brackets
from recbole_sibrar.data import negatives, partition, saved_loaders
from recbole_sibrar.data.dataloader import (
    CandidateFullSortDataLoader,
    MultimodalTrainDataLoader,
    collate_full_sort,
    items_of,
    restrict_sampling,
)
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.loading import download, labels
from recbole_sibrar.data.loading.feature_files import init_alias
from recbole_sibrar.data.loading.frames import load_feat, load_inter_feat, load_user_or_item_feat
from recbole_sibrar.data.loading.needed import get_load_and_unload_col
from recbole_sibrar.data.record import recording
from recbole_sibrar.data.sampler import pop_sampling, sample_by_key_ids
from recbole_sibrar.data.split import PARTS
from recbole_sibrar.evaluator import requirements
from recbole_sibrar.evaluator.lists import TrainingKnowledge
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import MODELS
from recbole_sibrar.parallel import processes
from recbole_sibrar.plugin import repairs, sharding
from recbole_sibrar.plugin.checks import check_configuration, is_ours
from recbole_sibrar.plugin.evaluation import case_study, hooks
from recbole_sibrar.plugin.training import (
    distributed,
    loaded,
    losses,
    moved_data,
    optimizer,
    outcome,
    process_group,
    resume,
)
from recbole_sibrar.trainer import gap, plain_values, tensorboard

_MARK, _EXTENSION = "_recbole_sibrar_original", "_recbole_sibrar_extension"


def register() -> None:
    """Make RecBole's own functions know our models, data and keys. Calling it again changes nothing."""
    repairs.apply_repairs()
    for name in MODELS:
        module = import_module(f"recbole_sibrar.model.{name.lower()}")
        sys.modules[f"recbole.model.general_recommender.{name.lower()}"] = module
        setattr(recbole.data.dataset, f"{name}Dataset", MultimodalDataset)
    hooks.register_metrics()
    _extend(Config, "_load_config_files", _load_config_files)
    _extend(Config, "_convert_config_dict", _convert_config_dict)
    _extend(Config, "_load_internal_config_dict", _load_internal_config_dict)
    _extend(Config, "_set_default_parameters", _set_default_parameters)
    _extend(Dataset, "_get_load_and_unload_col", get_load_and_unload_col)
    _extend(Dataset, "_load_inter_feat", load_inter_feat)
    _extend(Dataset, "_load_user_or_item_feat", load_user_or_item_feat)
    _extend(Dataset, "_download", download.download)
    _extend(Dataset, "_get_download_url", download.find_url)
    plain_values.extend_configuration(_extend)
    _extend(Dataset, "_load_feat", load_feat)
    _extend(Dataset, "_init_alias", init_alias)
    _extend(Dataset, "_remap_ID_all", _remap_all_ids)
    _extend(Dataset, "build", _build)
    _extend(Dataset, "_normalize", _normalize)
    _extend(Dataset, "_set_label_by_threshold", labels.set_labels)
    _extend(recbole.utils, "get_model", _get_model)
    _extend(recbole.data.utils, "create_dataset", _create_dataset)
    moved_data.extend_loading(_extend)
    _extend(recbole.data.utils, "get_dataloader", _get_dataloader)
    _extend(recbole.data.utils, "data_preparation", _data_preparation)
    _extend(AbstractSampler, "sample_by_key_ids", sample_by_key_ids)
    _extend(AbstractSampler, "_pop_sampling", pop_sampling)
    _extend(FullSortEvalDataLoader, "collate_fn", collate_full_sort)
    _extend(recbole.utils.case_study, "full_sort_scores", case_study.full_sort_scores)
    _extend(recbole.utils.case_study, "full_sort_topk", case_study.full_sort_topk)
    process_group.extend_configuration(_extend)
    sharding.extend_loaders(_extend)
    saved_loaders.extend_preparation(_extend)
    recording.extend_dataset(_extend)
    distributed.extend_trainer(_extend)  # inside of the others, which see the results of all processes
    hooks.extend_evaluation(_extend)
    resume.extend_trainer(_extend)
    loaded.extend_loading(_extend)
    optimizer.extend_trainer(_extend)
    gap.extend_trainer(_extend)
    losses.extend_trainer(_extend)
    tensorboard.extend_trainer(_extend)
    outcome.extend_runs(_extend)


def is_registered() -> bool:
    """Whether :func:`register` has run in this process."""
    return hasattr(Config._load_internal_config_dict, _MARK)


def _extend(owner: Any, name: str, extension: Callable[..., Any]) -> None:
    """Replace a function by one that is called with the original first; once only, and wherever it was imported to.

    Several extensions of one function lie around each other, the latest outside.
    """
    original = inner = getattr(owner, name)
    own_name = (extension.__module__, extension.__qualname__)
    while hasattr(inner, _MARK):
        if getattr(inner, _EXTENSION) == own_name:
            return
        inner = getattr(inner, _MARK)

    @functools.wraps(original)
    def extended(*args: Any, **kwargs: Any) -> Any:
        return extension(original, *args, **kwargs)

    setattr(extended, _MARK, original)
    setattr(extended, _EXTENSION, own_name)
    if isinstance(owner, type):
        setattr(owner, name, extended)
    else:
        repairs.rebind(original, extended)


def _load_internal_config_dict(original: Any, config: Config, model: str, model_class: type, dataset: str) -> None:
    """Load our defaults between RecBole's general ones and those of the data set, as RecBole does for its models."""
    original(config, model, model_class, dataset)
    general = general_defaults()
    config.internal_config_dict = {**general, **config.internal_config_dict}
    config.parameters["Evaluation"] = [*config.parameters["Evaluation"], *general]
    if is_ours(model_class):
        in_recbole = Path(recbole.__path__[0]) / "properties" / "dataset" / f"{dataset}.yaml"
        for file in (_defaults_of(model_class), in_recbole):
            if file.is_file():
                config._update_internal_config_dict(str(file))
    _load_dataset_file(config, dataset)
    load_col = config.internal_config_dict.get("load_col")
    if is_ours(model_class) and load_col is not None:
        config.internal_config_dict["load_col"] = {"user": "*", "item": "*", **load_col}


def _defaults_of(model_class: type) -> Path:
    """The file with the defaults of a model of ours, or of the one that a user's own class is derived from."""
    files = (properties() / "model" / f"{base.__name__}.yaml" for base in model_class.__mro__)
    return next((file for file in files if file.is_file()), properties() / "model" / f"{MODELS[0]}.yaml")


def _load_dataset_file(config: Config, dataset: str) -> None:
    """Load the configuration that lies beside the atomic files of a data set, if one does.

    Raises:
        ConfigError: It is no mapping of keys to values.
    """
    external = config.external_config_dict
    data_path = Path(external.get("data_path", config.internal_config_dict["data_path"]) or "")
    folders = [data_path / dataset, *([data_path] if external.get("benchmark_filename") else [])]
    file = next((folder / f"{dataset}.yaml" for folder in folders if (folder / f"{dataset}.yaml").is_file()), None)
    if file is None or dataset == "ml-100k":  # RecBole reads ml-100k from its own folder only
        return
    try:
        keys = yaml.load(file.read_text(encoding="utf-8"), Loader=config.yaml_loader)
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"{file} is not yaml: {' '.join(str(error).split())}") from None
    if not isinstance(keys, dict):
        raise ConfigError(f"{file}: found {keys!r}, allowed are lines 'key: value'")
    if external.get("normalize_all"):
        keys.pop("normalize_field", None)  # RecBole refuses both at once
    keys = plain_values.plain(keys)
    config.internal_config_dict.update(keys)
    listed = config.parameters["Dataset"]
    config.parameters["Dataset"] = [*listed, *(key for key in keys if key not in listed)]


def general_defaults() -> dict[str, Any]:
    """Our keys that every model has, with their defaults."""
    return yaml.safe_load((properties() / "overall.yaml").read_text(encoding="utf-8"))


def known_keys(config: Config) -> set[str]:
    """Every key that RecBole, the model's defaults or the plugin know."""
    listed = {key for keys in config.parameters.values() for key in keys}
    return listed | set(config.internal_config_dict) | OTHER_KEYS


def _set_default_parameters(original: Any, config: Config) -> None:
    """Check the user's keys before RecBole completes the configuration."""
    check_configuration(config, known_keys(config), general_defaults())
    # before RecBole completes eval_args, so that group_by has to be the user's own
    if cold_start_config(config) and config["MODEL_TYPE"] not in (ModelType.GENERAL, ModelType.TRADITIONAL):
        refuse("eval_args: split", COLD_START, f"RS, LS or TS for {config.model}, which is no general recommender")
    data_path = config["data_path"]
    original(config)
    if config["benchmark_filename"] is not None:
        config.final_config_dict["data_path"] = str(_benchmark_folder(config, Path(data_path or "")))
    _set_evaluation(config)
    training_config(config)  # refuses wrong values before the data are read
    if config["resume"] and not resume.is_resumable(config["MODEL_TYPE"], config.model):
        raise ConfigError(
            f"resume: found {config['resume']!r}, but {config.model} has a trainer of its own, "
            "which cannot be resumed; leave the key out"
        )


def _benchmark_folder(config: Config, data_path: Path) -> Path:
    """The folder with the files that ``benchmark_filename`` names.

    RecBole looks for them in the folder of ``data_path`` that has the data set's name, and for those of ml-100k in its
    own folder only; here ``data_path`` can also be the folder that holds them.

    Raises:
        ConfigError: No folder has them, or they are not given as a list.
    """
    names, default = config["benchmark_filename"], Path(config["data_path"])
    if not isinstance(names, (list, tuple)) or len(names) != len(PARTS):
        refuse("benchmark_filename", names, f"a list of three parts, such as [{', '.join(PARTS)}]")
    files = [f"{config.dataset}.{name}.inter" for name in names]
    places = list(dict.fromkeys([data_path / config.dataset, data_path, default]))
    for folder in places:
        if all((folder / file).is_file() for file in files):
            return folder
    if any(file.name.startswith(f"{config.dataset}.") for folder in places for file in folder.glob("*")):
        folders = " or ".join(map(str, places))
        refuse("benchmark_filename", names, f"parts whose files {', '.join(files)} are in {folders}")
    return default  # where RecBole would download the data set to


def _convert_config_dict(original: Any, config: Config, config_dict: dict[str, Any]) -> dict[str, Any]:
    """Read values that are given as text: as RecBole does, and lists and dictionaries without inner quotes as yaml."""
    return {key: _convert_value(original, config, key, value) for key, value in config_dict.items()}


def _convert_value(original: Any, config: Config, key: str, value: Any) -> Any:
    """Read one value; RecBole evaluates it as Python, in which ``[id]`` holds a function and ``1/0`` fails."""
    try:
        converted = original(config, {key: value})[key]
    except (Exception, SystemExit):
        converted = value

    interval = key in INTERVALS and value.strip().startswith("[") if isinstance(value, str) else False
    if has_brackets(value) and not interval and (isinstance(converted, str) or not is_plain(converted)):
        return read_brackets(value, config.yaml_loader)
    return converted


def _set_evaluation(config: Config) -> None:
    """Complete and check what holds for the evaluation of every model."""
    settings, model_type = evaluation_config(config), config["MODEL_TYPE"]
    final = config.final_config_dict
    if settings.cold_start and "filter_inter_by_user_or_item" not in config.external_config_dict:
        final["filter_inter_by_user_or_item"] = False  # else models that load .item would get other partitions
    if settings.candidates == "split":
        final["eval_args"]["candidates"] = "split"  # RecBole compares eval_args before it uses saved loaders
    if settings.save_split and model_type is ModelType.SEQUENTIAL:
        refuse(
            "save_split", str(settings.save_split), f"no value for {config.model}, which makes sequences of the parts"
        )
    requirements.check_mode(config)
    labels.check_threshold(config)
    for key in ("eval_groups", "save_per_user"):
        if config[key] and config["eval_type"] is not EvaluatorType.RANKING:
            refuse(key, config[key], f"no value with the metrics {config['metrics']}, which are no ranking metrics")


def _load_config_files(original: Any, config: Config, file_list: list[str] | None) -> dict[str, Any]:
    """Load configuration files, ready-made ones by name."""
    return original(config, [configuration_file(name) for name in file_list] if file_list else file_list)


def _remap_all_ids(original: Any, dataset: Dataset) -> None:
    """Divide the interactions for cold start before RecBole numbers users and items."""
    settings, filtered = evaluation_config(dataset.config), dataset.inter_feat
    if settings.cold_start and dataset.benchmark_filename_list is None:
        partition.divide(dataset, settings.cold_start.ratios, settings.cold_start.group_by, dataset.config["seed"])
    if settings.save_split:
        dataset.split_writer = partition.SplitWriter(dataset, filtered)
    original(dataset)


def _normalize(original: Any, dataset: Dataset) -> None:
    """Normalise the fields that the data set's own configuration names as far as they are loaded."""
    config = dataset.config
    if config["normalize_field"] and "normalize_field" not in config.external_config_dict:
        config.final_config_dict["normalize_field"] = [
            name for name in config["normalize_field"] if name in dataset.field2type
        ]
    original(dataset)


def _build(original: Any, dataset: Dataset) -> list[Dataset]:
    """Split as RecBole does; check the parts of a cold-start split, and write the parts if asked."""
    settings = evaluation_config(dataset.config)
    writer = dataset.__dict__.pop("split_writer", None)
    frames = writer.build(dataset, lambda: original(dataset)) if writer else []
    parts = writer.parts if writer else original(dataset)
    if settings.cold_start:
        getLogger().info(partition.check_parts(parts, settings.cold_start.group_by))
    elif len(parts) == len(PARTS):
        getLogger().info(f"held-out pairs {partition.hash_of(parts)}")
    if writer and settings.save_split:
        if processes.is_main(dataset.config):
            writer.write(dataset, frames, settings.save_split)
        dataset.config.final_config_dict["save_split"] = None  # who loads the checkpoint writes nothing
    negatives.note_split(dataset.config, parts)
    return parts


def _class_of(config: Config) -> type:
    """The class of a configuration's model, which need not be one that RecBole finds by its name."""
    return config.__dict__.get("model_class") or get_model(config["model"])


def _create_dataset(original: Any, config: Config) -> Dataset:
    """Make the data set; RecBole looks for its class by the name of the model, which a user's own class has chosen."""
    name = f"{config['model']}Dataset"
    if is_ours(_class_of(config)) and not hasattr(recbole.data.dataset, name):
        setattr(recbole.data.dataset, name, MultimodalDataset)
    return original(config)


def _get_model(original: Any, model_name: str) -> type:
    """Find a model by its name as RecBole does, or among the classes that are derived from ours."""
    try:
        return original(model_name)
    except (ValueError, ImportError):  # RecBole looks for unknown names in a package that needs LightGBM, too
        derived: dict[str, type] = {found.__name__: found for found in _derived_from(MultimodalRecommender)}
        if model_name not in derived:
            raise
        return derived[model_name]


def _derived_from(base: type[Any]) -> Iterator[type[Any]]:
    for derived in base.__subclasses__():
        yield derived
        yield from _derived_from(derived)


def _get_dataloader(original: Any, config: Config, phase: str) -> type:
    """The loaders that draw negatives independently of the number of workers, and that know the candidates."""
    loader = original(config, phase)
    if is_ours(_class_of(config)) and phase == "train":
        return MultimodalTrainDataLoader
    if issubclass(loader, FullSortEvalDataLoader) and evaluation_config(config).candidates == "split":
        return CandidateFullSortDataLoader
    return loader


def _data_preparation(original: Any, config: Config, dataset: Dataset) -> tuple[Any, Any, Any]:
    """Make the loaders, with negatives drawn from the items that training or the evaluated part may know."""
    for key, value in general_defaults().items():
        config.final_config_dict.setdefault(key, value)  # a checkpoint that was written without the plugin has none
    settings = evaluation_config(config)
    if settings.cold_start != cold_start_config(dataset.config):
        raise ConfigError(
            f"dataset_save_path: the saved data set was split by {dataset.config['eval_args']}, the configuration asks "
            f"for {config['eval_args']}; delete the saved file"
        )
    requirements.check_items(config, dataset)
    train, valid, test = saved_loaders.prepare(config, dataset, lambda: original(config, dataset))
    if config["save_split"]:
        raise ConfigError(
            f"save_split: found {config['save_split']!r}, but nothing was split: the data set or its loaders were read "
            f"from a file that an earlier run saved; delete that file in {config['checkpoint_dir']}"
        )
    evaluated = negatives.note_split(config, [loader._dataset for loader in (train, valid, test)])
    popularity = np.bincount(
        train._dataset.inter_feat[train._dataset.iid_field].numpy(), minlength=train._dataset.item_num
    )
    negatives.restrict_training(config, train, evaluated, popularity)
    held_out = settings.cold_start is not None or config["benchmark_filename"] is not None
    knowledge = TrainingKnowledge(train._dataset, long_tail_ratio(config), held_out and evaluated["item"].all_new)
    for phase, loader in (("valid", valid), ("test", test)):
        n_ranked = len(popularity) - 1
        if settings.candidates == "split":
            pool = items_of(loader._dataset)
            n_ranked = int(pool.sum())
            restrict_sampling(loader, pool, popularity)
            requirements.note_short_lists(config["topk"], phase, n_ranked)
        elif settings.cold_start:
            restrict_sampling(loader, np.arange(len(popularity)) > 0, popularity)
        getLogger().info(f"ranked items: {phase} {n_ranked}")
        hooks.prepare(loader, phase, knowledge)
    train.has_test_part = bool(test)
    train.data_note = recording.note_data(config, train, [loader._dataset for loader in (train, valid, test)])
    if train.data_note:
        getLogger().warning(train.data_note)
    return train, valid, test
