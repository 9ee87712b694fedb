"""A labelling process: `python -m latte_ase.labelling.worker HANDLE`.

It receives a pickled factory, makes the calculator, and then answers tasks until the other end is closed or its parent process
is gone.  It is started as a program and not by multiprocessing, which would import the user's script once more, and which cannot
end a calculation that hangs.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection

from latte_ase.labelling.tasks import perform


def main(handle: int) -> None:
    """Answer tasks: ("labelled", structures) or ("failed", reason)."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with Connection(handle) as connection:
        calculator = None

        def prepare(message: bytes) -> None:
            nonlocal calculator
            calculator = pickle.loads(message)()

        _answer(connection, prepare)
        while True:
            _answer(connection, lambda message: perform(pickle.loads(message), calculator))


def _answer(connection: Connection, function) -> None:
    """Receive a message, and send what the function makes of it."""
    try:
        message = connection.recv_bytes()
    except (EOFError, OSError):
        sys.exit()
    try:
        answer = "labelled", function(message)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        answer = "failed", f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}, line {where.lineno})"
    connection.send_bytes(pickle.dumps(answer))


def _end_with_parent(parent: int) -> None:
    """End this process when its parent was killed: a calculation that hangs would not see the closed connection."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
