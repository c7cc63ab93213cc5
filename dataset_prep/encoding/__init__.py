"""Texts and images to vectors."""

__all__ = [
    "blocks",
    "command_options",
    "encode_image",
    "encode_text",
    "environment",
    "image_networks",
    "images",
    "model_lookup",
    "running",
    "texts",
    "torchvision_build",
]
