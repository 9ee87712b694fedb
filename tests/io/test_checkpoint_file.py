"""Checkpoint files keep every bit, and are refused where they are damaged or of another kind."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from latte_ase.io.checkpoint_file import CheckpointFile

FILE = CheckpointFile(kind="walks", version=3, after_failed_write="Walk on.", otherwise="start again")
ARRAYS = {f"a/{k}": np.full((2, k), k / 3, np.float32) for k in range(12)} | {"": np.asarray(17, np.int32)}


def test_a_round_trip_keeps_every_bit(tmp_path):
    facts = {"history": [{"loss": 1 / 3, "epoch": 1}], "best": {"loss": np.inf}}
    FILE.save(tmp_path / "new" / "c", ARRAYS, facts)
    found, found_facts = FILE.load(tmp_path / "new" / "c")
    assert found_facts == FILE.facts(tmp_path / "new" / "c") == facts | {"kind": "walks", "version": 3}
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape, found[name].tobytes()) == (
            array.dtype,
            array.shape,
            array.tobytes(),
        )


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_damaged_one_is_refused(tmp_path, share):
    FILE.save(tmp_path / "c", ARRAYS, {})
    content = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        ValueError, match=r"c is not a complete checkpoint of walks \(.*copy it again, or start again\."
    ):
        FILE.load(tmp_path / "c")


@pytest.mark.parametrize("metadata", [None, {"latte_ase": "{}"}, {"facts": "{"}, {"facts": "[]"}, {"facts": "{}"}])
def test_another_safetensors_file_is_refused(tmp_path, metadata):
    save_file({"a": np.zeros(3)}, tmp_path / "c", metadata)
    with pytest.raises(ValueError, match="is not a complete checkpoint of walks"):
        FILE.load(tmp_path / "c")


@pytest.mark.parametrize(("kind", "version"), [("runs", 3), ("walks", 2)])
def test_one_of_another_kind_or_version_is_refused(tmp_path, kind, version):
    CheckpointFile(kind=kind, version=version, after_failed_write="", otherwise="").save(tmp_path / "c", ARRAYS, {})
    with pytest.raises(
        ValueError, match=rf"c is a checkpoint of {kind} {version}; walks 3 is needed\. .*, or start again\."
    ):
        FILE.facts(tmp_path / "c")


def test_a_full_disk_leaves_the_last_one_and_says_how_to_go_on(tmp_path, monkeypatch):
    FILE.save(tmp_path / "c", ARRAYS, {"epoch": 1})

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match=r"No space left .* unchanged\. Free space.* Walk on\."):
            FILE.save(tmp_path / "c", ARRAYS, {"epoch": 2})
    assert FILE.facts(tmp_path / "c")["epoch"] == 1
    assert os.listdir(tmp_path) == ["c"]
