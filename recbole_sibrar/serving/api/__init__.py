"""HTTP server of a portable model, with its page: FastAPI, uvicorn and Prometheus, of the extra ``serve``."""

__all__: list[str] = []
