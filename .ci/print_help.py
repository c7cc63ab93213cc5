"""Print the help of all commands, which works on every Python with PyYAML and the files of RecBole alone."""

import contextlib
import io

from recbole_sibrar import cli

PROGRAMS = [cli.run_recbole, cli.run_recbole_group, cli.run_hyper, cli.main]


def main() -> None:
    """Call each program and each command with ``--help``."""
    calls = [(program, ["--help"]) for program in PROGRAMS]
    calls += [(cli.main, [name, "--help"]) for name in cli.COMMANDS]

    for program, arguments in calls:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            try:
                status = program(arguments)
            except SystemExit as end:
                status = end.code

        if status or "usage: " not in output.getvalue():
            raise SystemExit(
                f"{program.__name__} {' '.join(arguments)}: status {status}, and no help"
            )


if __name__ == "__main__":
    main()
