"""`hatchway` for a machine of tests, each a fork of a process that has imported everything before.

`python -m tests.documents.command_server SOCKET PROGRAM` listens on SOCKET and makes PROGRAM, which runs
there what it is called with: with its caller's arguments, environment, directory, standard input, output
and error. An administrator's command costs a twentieth of what it costs to start Python and to import all
of Hatchway.
"""

import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

_PROGRAM = """\
#!{python} -SE
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({socket!r})
    message = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(message)
    sys.exit(int(server.recv(16) or b"1"))
"""


def main() -> None:
    """Serves until it is killed."""
    from tests.forks import PRELOADED

    path, program = sys.argv[1:]
    for name in PRELOADED:
        if not name.startswith("tests.gateway."):
            importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        Path(program).write_text(_PROGRAM.format(python=sys.executable, socket=path))
        Path(program).chmod(0o755)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            caller, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _serve(caller)
            caller.close()


def _serve(caller: socket.socket) -> None:
    """Runs one command in a child, which ends when its caller does, and tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, descriptors, _, _ = socket.recv_fds(caller, 4, 3)
    message = b""
    while len(message) < int.from_bytes(length, "big"):
        message += caller.recv(65536)
    child = os.fork()
    if child == 0:
        caller.close()
        arguments, variables, directory = json.loads(message)
        _run(arguments, variables, directory, descriptors)
    threading.Thread(target=_end_with, args=(caller, child), daemon=True).start()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    caller.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _end_with(caller: socket.socket, child: int) -> None:
    if not caller.recv(1):
        os.kill(child, signal.SIGTERM)


def _run(arguments: list[str], variables: dict[str, str], directory: str, descriptors: list[int]) -> None:
    from hatchway.cli.main import main as run

    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # The former ones know of what they were opened on, such as a file in which one can go back.
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["hatchway", *arguments]
    code = 1
    try:
        os.chdir(directory)
        run()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
