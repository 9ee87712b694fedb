"""The widget of a notebook: one module, and messages through the kernel where no socket can be reached."""

from __future__ import annotations

import re
import sys
import threading
from importlib import resources

import pytest

from latte_ase.live.widget import page_module, widget


def names(text):
    """Names at the top level of a module."""
    return re.findall(r"^(?:export )?(?:const|let|class|function) (\w+)", text, re.MULTILINE)


def test_the_module_is_the_page_in_one_text():
    module = page_module()
    assert not re.search(r"^import |\bfrom \"\./", module, re.MULTILINE)
    assert re.findall(r"^export.*", module, re.MULTILINE) == ["export default { render };"]
    assert sorted(names(module)) == sorted(set(names(module)))  # files that become one text share their names
    files = [file for file in (resources.files("latte_ase.live") / "page").iterdir() if file.name.endswith(".js")]
    for file in files:
        assert set(names(file.read_text())) <= set(names(module)), file.name


class Kernel:
    """What a widget sends through the kernel."""

    def __init__(self, widget, monkeypatch):
        self.messages, self.frames, self.changed = [], [], threading.Condition()
        monkeypatch.setattr(widget, "send", self.send)

    def send(self, content, buffers=None):
        with self.changed:
            (self.frames if buffers else self.messages).append(buffers[0] if buffers else content)
            self.changed.notify_all()

    def until(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, timeout=60)


def test_messages_through_the_kernel_show_and_steer(chain, start, monkeypatch):
    session = start(chain)
    shown = widget(session)
    assert shown.url == session.url
    kernel = Kernel(shown, monkeypatch)
    shown._handle_custom_msg({"type": "open"}, [])
    kernel.until(lambda: len(kernel.frames) > 2)
    kinds = [message["type"] for message in kernel.messages[:3]]
    assert kinds == ["hello", "structure", "status"]
    assert all(frame[:4] == b"LAT1" for frame in kernel.frames)
    shown._handle_custom_msg({"type": "pull", "atoms": [2], "to": [3.0, 1.0, 0.0]}, [])
    session.wait(5, timeout=60)
    assert [pull.atom for pull in session.frame.pulls] == [2]
    shown._handle_custom_msg({"type": "pull", "atoms": [9], "to": [3.0, 1.0, 0.0]}, [])
    kernel.until(lambda: any(message["type"] == "error" for message in kernel.messages))
    assert len(session.hub) == 1
    shown._handle_custom_msg({"type": "close"}, [])
    assert len(session.hub) == 0


def test_a_closed_widget_leaves_its_session(chain, start, monkeypatch):
    session = start(chain)
    shown = widget(session)
    Kernel(shown, monkeypatch)
    shown._handle_custom_msg({"type": "open"}, [])
    shown.close()
    assert len(session.hub) == 0
    assert session.running


def test_a_notebook_shows_a_session_as_its_widget(chain, start):
    data = start(chain)._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert "application/vnd.jupyter.widget-view+json" in data


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "latte_ase.live.widget")
    with pytest.raises(ImportError, match=r"anywidget is not installed.*pip install 'latte_ase\[live\]'"):
        import latte_ase.live.widget  # noqa: F401
