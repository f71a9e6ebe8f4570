"""A page → PDF, by a browser that is on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from kgzsl.errors import KgzslError, MissingDataError

#: Names under which a browser that prints is looked for.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
#: Seconds that printing may take.
PATIENCE = 180


def find_browser() -> str:
    """Return the browser that `KGZSL_BROWSER` names, or the first one on the PATH.

    Raises
    ------
    MissingDataError : there is none; says what to do.
    """
    given = os.environ.get("KGZSL_BROWSER")
    names = (given,) if given else BROWSERS
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise MissingDataError(
            "a PDF is printed by Chromium or Chrome",
            received=f"KGZSL_BROWSER={given}, which is no program" if given else f"none of {', '.join(BROWSERS)} on the PATH",
            remedy="install one, name it in KGZSL_BROWSER, or write .html and print that",
        )
    return found


def print_page(page: str, out: Path) -> None:
    """Print an HTML page to the file `out`.

    Raises
    ------
    MissingDataError : there is no browser.
    KgzslError : the browser did not print.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        # the sandbox needs rights that containers and root do not have; the page is our own and may load nothing
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={folder}/profile"]
        command = [browser, *options, f"--print-to-pdf={target}", source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KgzslError("the browser prints the page", received=str(error)[-300:], remedy="check KGZSL_BROWSER") from error
        if not target.is_file() or not target.read_bytes().startswith(b"%PDF"):
            said = done.stderr.strip()[-300:] or f"no PDF from {browser}, exit status {done.returncode}"
            raise KgzslError("the browser prints the page", received=said, remedy="name another in KGZSL_BROWSER, or write .html")
        shutil.copyfile(target, out)
