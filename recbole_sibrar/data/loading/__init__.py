"""Reading the files of a data set as RecBole does, with checks that name file, line and field."""

__all__ = [
    "download",
    "feature_files",
    "feature_frames",
    "frames",
    "ids",
    "labels",
    "matrices",
    "needed",
    "served",
]
