"""Run any RecBole script, unmodified, with the plugin loaded.

Usage: ``python -m recbole_sibrar SCRIPT [ARGUMENT ...]``.
"""

import os
import runpy
import sys

if __name__ == "__main__":
    usage = "usage: python -m recbole_sibrar SCRIPT [ARGUMENT ...]"
    if len(sys.argv) < 2:
        sys.exit(f"{usage}: no script is given")
    if not os.path.isfile(sys.argv[1]):
        sys.exit(f"{usage}: found '{sys.argv[1]}', which is no file")

    # As Python itself starts a script: its name first, its folder in front of the path of modules.
    del sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
