"""`kgzsl vectors …` from the command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from kgzsl.cli.vectors import app
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import Vectors


def test_help_and_the_out_of_vocabulary_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = SimpleNamespace(ids=["cn:a", "cn:b"], labels=["ab", "zz"], texts=["", ""])
    monkeypatch.setattr("kgzsl.cli.inputs.open_graph", lambda _: graph)
    monkeypatch.setenv("KGZSL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "t.txt").write_text("ab 3 4\n", encoding="utf-8")
    arguments = ["encode", "--encoder", str(tmp_path / "t.txt"), "-o", str(tmp_path / "v")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, InvalidInputError) and not (tmp_path / "v").exists()
    result = CliRunner().invoke(app, [*arguments, "--oov", "zero"])
    assert result.exit_code == 0 and "1 out of vocabulary: zero" in result.stdout
    assert Vectors.load(tmp_path / "v").matrix.ravel().tolist() == pytest.approx([0.6, 0.8, 0, 0])
    assert "kgzsl vectors encode" in CliRunner().invoke(app, ["encode", "--help"]).output
