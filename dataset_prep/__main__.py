"""``python -m recbole_sibrar.dataset_prep`` is ``recbole-sibrar prepare``."""

import sys

from recbole_sibrar.cli import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
