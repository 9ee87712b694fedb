"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os

import pytest

from latte_ase.io.atomic_file import remove_leftovers, write_atomically


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EACCES, None])
def test_a_failed_write_leaves_the_old_file_and_says_so(tmp_path, monkeypatch, step, number):
    file = tmp_path / "model.safetensors"
    write_atomically(file, b"before")

    def fail(*_):
        raise OSError("no disk") if number is None else OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    why = "no disk" if number is None else os.strerror(number)
    message = (
        rf"{file} \([\d.e-]+ MiB\) could not be written: {why}; the file that was there is unchanged\. Free space on that "
        r"disk, or look at its quota and permissions, and run again\.$"
    )
    with pytest.raises(OSError, match=message) as caught:
        write_atomically(file, b"after")
    assert caught.value.errno == number
    assert type(caught.value) is (PermissionError if number == errno.EACCES else OSError)
    assert file.read_bytes() == b"before"
    assert os.listdir(file.parent) == [file.name]


def test_a_first_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match=r"could not be written: (Not a directory|File exists); nothing is left of it\..* Resume\.$"
    ):
        write_atomically(tmp_path / "file" / "model.safetensors", b"new", advice="Resume.")
    assert os.listdir(tmp_path) == ["file"]


def test_leftovers_of_a_killed_writer_are_removed_and_nothing_else(tmp_path):
    path = tmp_path / "model[1].safetensors"
    others = [path.name, f".{path.name}", f".{path.name}.bak", f".other.{'0' * 32}", "model.safetensors"]
    for name in [*others, f".{path.name}.{'0' * 32}", f".{path.name}.{'f' * 32}"]:
        (tmp_path / name).write_text("")
    remove_leftovers(path)
    assert sorted(os.listdir(tmp_path)) == sorted(others)
    remove_leftovers(tmp_path / "nowhere" / "a")


def test_others_may_read_it_as_any_other_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "new" / "file", b"content")
    assert (tmp_path / "new" / "file").read_bytes() == b"content"
    assert (tmp_path / "new" / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
def test_a_link_stays_and_its_target_is_replaced(tmp_path, there):
    target, link = tmp_path / "store" / "model-3", tmp_path / "model"
    if there:
        write_atomically(target, b"before")
    link.symlink_to(os.path.join("store", "model-3"))
    (tmp_path / f".model.{'0' * 32}").write_text("of another file")
    write_atomically(link, b"after")
    assert link.is_symlink()
    assert target.read_bytes() == link.read_bytes() == b"after"
    assert os.listdir(target.parent) == [target.name]
    (target.parent / f".model-3.{'0' * 32}").write_text("")
    remove_leftovers(link)
    assert os.listdir(target.parent) == [target.name]
