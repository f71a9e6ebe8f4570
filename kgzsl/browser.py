"""A page → PDF or PNG, by a browser that is on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kgzsl.errors import KgzslError, MissingDataError

#: Names under which a browser that prints is looked for.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
#: Seconds that printing may take.
PATIENCE = 180
_STARTS = {"PDF": b"%PDF", "PNG": b"\x89PNG"}


def find_browser(what: str, instead: str) -> str:
    """Return the browser that `KGZSL_BROWSER` names, or the first one on the PATH.

    Parameters
    ----------
    what, instead : the kind of file that is wanted (`PDF`), and what to do without a browser.

    Raises
    ------
    MissingDataError : there is none; says what to do.
    """
    given = os.environ.get("KGZSL_BROWSER")
    names = (given,) if given else BROWSERS
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise MissingDataError(
            f"a {what} is printed by Chromium or Chrome",
            received=f"KGZSL_BROWSER={given}, which is no program" if given else f"none of {', '.join(BROWSERS)} on the PATH",
            remedy=f"install one, name it in KGZSL_BROWSER, or {instead}",
        )
    return found


def print_page(page: str, out: Path, *, what: str, options: Sequence[str] = (), instead: str = "write .html and print that") -> None:
    """Print an HTML page to the file `out`.

    Parameters
    ----------
    what : `PDF` or `PNG`.
    options : further options of the browser.

    Raises
    ------
    MissingDataError : there is no browser.
    KgzslError : the browser did not print.
    """
    browser = find_browser(what, instead)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "page.html", Path(folder) / f"page.{what.lower()}"
        source.write_text(page, encoding="utf-8")
        # the sandbox needs rights that containers and root do not have; the page is our own and may load nothing
        common = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
        how = "print-to-pdf" if what == "PDF" else "screenshot"
        command = [browser, *common, *options, f"--{how}={target}", source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KgzslError("the browser prints the page", received=str(error)[-300:], remedy="check KGZSL_BROWSER") from error
        if not target.is_file() or not target.read_bytes().startswith(_STARTS[what]):
            said = done.stderr.strip()[-300:] or f"no {what} from {browser}, exit status {done.returncode}"
            raise KgzslError("the browser prints the page", received=said, remedy=f"name another in KGZSL_BROWSER, or {instead}")
        shutil.copyfile(target, out)
