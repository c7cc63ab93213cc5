from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import locked

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="there are no such locks on Windows"
)

HOLDER = """
import sys, time
from pathlib import Path
from recbole_sibrar.files import locked
with locked(Path(sys.argv[1]), "--output"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_locks_an_output_for_one_command(tmp_path: Path) -> None:
    output = tmp_path / "text.npz"
    with locked(output, "--output"):
        with (
            pytest.raises(DataError, match=r"--output: another command is writing .*text\.npz"),
            locked(output, "--output"),
        ):
            pass
        with locked(tmp_path / "image.npz", "--output"):
            pass
    with locked(output, "--output"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.processes
def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    output = tmp_path / "text.npz"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(output)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match="another command"), locked(output, "--output"):
            pass
        holder.kill()
    with locked(output, "--output"):
        pass
    assert os.listdir(tmp_path) == []
