"""Run any RecBole script, unmodified, with the plugin loaded: ``python -m recbole_sibrar SCRIPT [ARGUMENT ...]``."""

import os
import runpy
import sys

if __name__ == "__main__":
    if len(sys.argv) < 2 or not os.path.isfile(sys.argv[1]):
        found = (
            f"found '{sys.argv[1]}', which is no file"
            if len(sys.argv) > 1
            else "no script is given"
        )
        sys.exit(f"usage: python -m recbole_sibrar SCRIPT [ARGUMENT ...]: {found}")
    del sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
