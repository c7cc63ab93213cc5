"""Search for hyperparameters: ``run_hyper``."""

__all__ = [
    "messages",
    "objective",
    "optuna_tool",
    "parameter",
    "plan",
    "ray_search",
    "ray_searcher",
    "ray_trial",
    "record",
    "runner",
    "search",
    "space",
    "suggestions",
    "trial_process",
]
