"""The tests' own safety net: nothing beyond this machine is reached, no key is at hand."""

import os
import socket
from pathlib import Path

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "api.openai.com", "2001:db8::1"])
def test_other_machines_are_out_of_reach(host: str) -> None:
    """A connection to anywhere else fails before a single packet is sent."""
    with pytest.raises(RuntimeError, match="tests reach nothing but this machine"):
        socket.create_connection((host, 443), timeout=1)


def test_this_machine_is_in_reach() -> None:
    """The emulator's servers listen on the loopback address."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1])) as connection,
    ):
        assert connection.getpeername() == server.getsockname()


def test_no_setting_of_the_developer_is_seen(tmp_path: Path) -> None:
    """Keys are gone, and jobs are kept in a folder of the test's own."""
    assert "OPENAI_API_KEY" not in os.environ
    assert Path(os.environ["AI_BATCH_HOME"]).parent == tmp_path
