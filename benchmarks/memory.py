"""Peak memory of ``run_recbole`` after each of its phases, for several models: ``python benchmarks/memory.py``.

    python benchmarks/memory.py --data DIR --models R BPR LightGCN

Every model runs in a process of its own. ``R`` and ``P`` are SiBraR in the two configurations of README.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import common

PHASES = ("import", "data set", "split and loaders", "model", "first epoch", "evaluation", "end")


def main() -> None:
    """Run all models and print a table."""
    parser = common.parser_for(__doc__)
    parser.add_argument("--models", nargs="+", default=["R", "BPR", "LightGCN"])
    parser.add_argument("--epochs", type=int, default=1)
    common.add_keys(parser, about="further keys", metavar="[MODEL:]KEY=VALUE")
    args = parser.parse_args()

    rows = []
    with common.open_data(args.data, args.prepared) as data:
        for model in args.models:
            found = common.run_child(
                __file__, specification(model, data, args.epochs, args.set, args.threads)
            )
            peaks = found.get("peaks", {})
            rows.append(
                [model, *(f"{peaks[phase]:.0f}" if phase in peaks else "" for phase in PHASES)]
            )
            rows[-1].append(found.get("error", f"{found.get('total', 0):.1f}"))

    print(f"{data.name}, {args.epochs} epochs, {common.machine(args.threads)}")
    print("peak memory of the process up to the end of each phase, MB")
    print(common.table(("model", *PHASES, "s in total"), rows))


def specification(
    model: str, data: common.Data, epochs: int, pairs: list[str], threads: int
) -> dict[str, Any]:
    """Describe a run for a child process: a model, or a configuration of :data:`common.CONFIGURATIONS`.

    All models rank all items for every user, once an epoch and in the end, with the same metrics.
    """
    name = "SiBraR" if model in common.CONFIGURATIONS else model
    keys = {
        **data.keys_for(name),
        **common.QUIET,
        "epochs": epochs,
        "use_gpu": False,
        "metrics": ["NDCG", "Recall"],
    }
    keys |= {
        "valid_metric": "NDCG@10",
        "topk": [10],
        "stopping_step": epochs + 1,
        "eval_batch_size": 1_000_000,
    }

    if model in common.CONFIGURATIONS:
        keys |= {**common.CONFIGURATIONS[model], "train_batch_size": 10 * 1024}

    keys |= common.settings(pairs, model)
    return {"model": name, "dataset": data.name, "keys": keys, "threads": threads}


def run(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run RecBole's ``run_recbole`` and note the peak memory after each phase and the seconds of epochs.

    Args:
        arguments: Value of :func:`specification`.

    Returns:
        ``peaks`` in MB by phase, ``epochs`` and ``evaluations`` in seconds, ``total`` seconds, ``ndcg`` of the test.
    """
    import recbole.quick_start.quick_start as quick_start
    import torch
    from recbole.trainer import Trainer

    import recbole_sibrar  # noqa: F401

    torch.set_num_threads(arguments["threads"])
    found: dict[str, Any] = {
        "peaks": {"import": common.peak_megabytes()},
        "epochs": [],
        "evaluations": [],
    }
    watch(quick_start, "create_dataset", found, "data set")
    watch(quick_start, "data_preparation", found, "split and loaders")
    watch(quick_start, "get_trainer", found, "model")
    watch(Trainer, "_train_epoch", found, "first epoch", "epochs")
    watch(Trainer, "evaluate", found, "evaluation", "evaluations")

    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        keys = {**arguments["keys"], "checkpoint_dir": folder}
        result = quick_start.run_recbole(arguments["model"], arguments["dataset"], config_dict=keys)

    found["total"] = time.perf_counter() - start
    found["peaks"]["end"] = common.peak_megabytes()
    return {**found, "ndcg": float(result["test_result"]["ndcg@10"])}


def watch(owner: Any, name: str, found: dict[str, Any], phase: str, seconds: str = "") -> None:
    """Let a function of RecBole note the peak memory after its first call, and the seconds of each call if asked."""
    original: Callable[..., Any] = getattr(owner, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = original(*args, **kwargs)
        if seconds:
            found[seconds].append(time.perf_counter() - start)

        found["peaks"].setdefault(phase, common.peak_megabytes())
        return result

    setattr(owner, name, watched)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        given = json.loads(sys.argv.pop())
        sys.argv = sys.argv[:1]
        print(json.dumps(run(given)))
    else:
        main()
