from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.processes]

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "modality_gap.py"


def test_gap_benchmark_draws_when_large(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(SCRIPT),
        "--items",
        "50",
        "4500",
        "--modalities=2",
        "--size=4",
        "--threads=1",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=True
    )
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()[-2:]
    ]
    assert [row[:4] for row in rows] == [
        ["50", "2", "4", "50"],
        ["4,500", "2", "4", f"{4000**2 // 4500:,}"],
    ]
    assert all(float(row[4]) >= 0 and float(row[5]) > 50 for row in rows)
