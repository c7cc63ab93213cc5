"""Commands that export a trained model and use it."""

__all__ = ["audience", "encode", "export", "recommend", "shared", "similar"]
