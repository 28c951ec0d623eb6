"""Where `hatchway` begins: ssh and open-tunnel as one types them at once, all else by the whole command.

ssh waits for either, so they load nothing but what they use; `short_lines` knows their usual words.
"""

import os
import sys

_COMPLETING = "_HATCHWAY_COMPLETE"
"""Set by a shell that asks what a word may become."""


def main() -> None:
    """Runs the command and ends the process with its exit code: 0, or that of what kept it from its work."""
    try:
        _run()
    except KeyboardInterrupt:
        # While it was loaded.
        sys.exit(130)


def _run() -> None:
    from hatchway.cli.ending import hold_standard_streams

    hold_standard_streams()
    arguments = sys.argv[1:]
    if arguments[:1] in (["ssh"], ["open-tunnel"]) and _COMPLETING not in os.environ:
        from hatchway.cli.short_lines import read

        line = read(arguments)
        if line is not None:
            from hatchway.cli.ending import end_in_order, ended, escape_what_cannot_be_shown

            end_in_order()
            escape_what_cannot_be_shown()
            sys.exit(ended(line.run))
    from hatchway.cli.main import main as whole

    whole()
