"""Items of arrays of any lengths come back from mapped files; a folder is complete or absent."""

from __future__ import annotations

import numpy as np
import pytest

from latte_ase.io.ragged_arrays import RaggedArrays, write_ragged


def items(count):
    rng = np.random.default_rng(0)
    for k in range(count):
        yield {"x": rng.normal(size=(k % 3, 3)), "n": np.arange(k, dtype=np.int16), "none": np.zeros((0, 2))}


def test_items_come_back_as_views_of_mapped_files(tmp_path):
    write_ragged(tmp_path / "a", items(7), {"of": "mine"})
    stored = RaggedArrays(tmp_path / "a")
    assert len(stored) == 7 and stored.facts["of"] == "mine"
    for found, given in zip((stored[k] for k in range(7)), items(7), strict=True):
        assert found.keys() == given.keys()
        for name in given:
            np.testing.assert_array_equal(found[name], given[name])
            assert found[name].dtype == given[name].dtype
    assert isinstance(stored[5]["x"].base, np.memmap) or isinstance(stored[5]["x"], np.memmap)
    np.testing.assert_array_equal(stored[-1]["n"], np.arange(6))
    with pytest.raises(IndexError):
        stored[7]
    assert np.load(tmp_path / "a" / "n.npy").shape == (21,)  # files of NumPy's format


def test_a_writing_that_was_killed_leaves_nothing_that_is_read(tmp_path):
    def killed():
        yield from items(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ragged(tmp_path / "a", killed(), {})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".a.123").mkdir()  # of a process that had no time to clean up
    (tmp_path / ".a.123" / "x.npy").write_bytes(b"half")
    write_ragged(tmp_path / "a", items(3), {})
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and len(RaggedArrays(tmp_path / "a")) == 3


@pytest.mark.parametrize("change", ["shorter", "missing", "facts"])
def test_a_damaged_folder_is_told(tmp_path, change):
    write_ragged(tmp_path / "a", items(5), {})
    if change == "shorter":
        np.save(tmp_path / "a" / "x.npy", np.zeros((1, 3)))
    elif change == "missing":
        (tmp_path / "a" / "n.npy").unlink()
    else:
        (tmp_path / "a" / "facts.json").write_text("{")
    with pytest.raises(ValueError, match=r"a is damaged \(.*\)\. Delete it; it is then written again\."):
        RaggedArrays(tmp_path / "a")


def test_no_items_are_an_empty_set(tmp_path):
    write_ragged(tmp_path / "a", [], {})
    assert len(RaggedArrays(tmp_path / "a")) == 0
