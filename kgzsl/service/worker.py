"""One worker process: `python -m kgzsl.service.worker FD`, its settings in the environment."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

from kgzsl.service.serve import run_worker
from kgzsl.service.settings import Settings


def _end_with(parent: int) -> None:
    """End when the parent has died: nobody would watch or end this process."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(4)


def main() -> int:
    """Answer on the socket that the parent handed over."""
    settings = Settings.from_json(os.environ.pop("KGZSL_SERVICE"))
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    return run_worker(settings, socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
