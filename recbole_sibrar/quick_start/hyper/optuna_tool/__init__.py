"""Search with Optuna: ``run_hyper --tool=Optuna``."""

__all__ = ["distributions", "results", "search"]
