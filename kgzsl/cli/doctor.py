"""`kgzsl doctor`: versions, devices, data and models, and what to do about the rest."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from kgzsl.cli.output import emit_json, emit_table

#: Package → the extra that brings it; None for core.
PACKAGES = {
    "torch": None,
    "numpy": None,
    "scipy": None,
    "pyarrow": None,
    "safetensors": None,
    "torch-geometric": "graphs",
    "networkx": "graphs",
    "rdflib": "graphs",
    "nltk": "graphs",
    "duckdb": "graphs",
    "ibis-framework": "graphs",
    "pyoxigraph": "graphs",
    "py-horned-owl": "graphs",
    "owlready2": "graphs",
    "fastobo": "graphs",
    "pyspark": "spark",
    "pykeen": "kge",
    "sentence-transformers": "text",
    "efficientnet-lite-pytorch": "images",
    "transformers": "images",
    "pillow": "images",
}


def examine() -> dict[str, Any]:
    """Return what `kgzsl doctor` reports, as JSON values."""
    import torch

    import kgzsl
    from kgzsl.data import status

    packages = {}
    for name, extra in PACKAGES.items():
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = f"missing: pip install 'kgzsl[{extra}]'" if extra else "missing: reinstall kgzsl"
    devices = {"cpu": f"{os.cpu_count()} processors, {torch.get_num_threads()} threads"}
    devices["cuda"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none (the CPU is used)"
    devices["mps"] = "available" if torch.backends.mps.is_available() else "none"
    benchmarks = os.environ.get("KGZSL_DATA")
    found = benchmarks if benchmarks and Path(benchmarks).is_dir() else "not set: benchmarks that need real images are skipped"
    return {
        "kgzsl": kgzsl.__version__,
        "python": platform.python_version(),
        "packages": packages,
        "devices": devices,
        "data": [item if isinstance(item, dict) else vars(item) for item in status()],
        "KGZSL_DATA": found,
    }


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show versions, devices and which data and models are found, and what to do about the rest.

    Example: `kgzsl doctor --json`
    """
    report = examine()
    if as_json:
        emit_json(report)
        return
    typer.echo(f"kgzsl {report['kgzsl']} on Python {report['python']}")
    emit_table(["package", "version"], report["packages"].items())
    emit_table(["device", "state"], report["devices"].items())
    emit_table(["data or model", "state", "what for"], [(d["name"], d["state"], d["use"]) for d in report["data"]])
    for d in report["data"]:
        if d["state"] != "present":
            typer.echo(f"{d['name']} is {d['state']}: {d['detail']}\n")
    typer.echo(f"KGZSL_DATA: {report['KGZSL_DATA']}")
