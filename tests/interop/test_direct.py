"""The example client against a real vault: what it writes, the gateway reads, and the reverse."""

import hashlib
import io
import subprocess
import sys

import direct
import pytest
from server import MIB, SIZES, Server, can_serve, content

pytestmark = pytest.mark.skipif(not can_serve(), reason="needs the program, built, and redis-server")

SEVERAL_PARTS = 41 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("direct"))
    try:
        server.log_in()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def client(server):
    return direct.connect(server.url, server.email, server.password)


def through_gateway(server: Server, node: str) -> bytes:
    return server.fetch(f"/api/v1/files/{node}/content")


def directly(client, node: str) -> bytes:
    held = io.BytesIO()
    direct.download(client, node, held)
    return held.getvalue()


@pytest.mark.parametrize("size", [*SIZES, SEVERAL_PARTS])
def test_what_one_way_wrote_the_other_reads(server, client, tmp_path, size):
    expected = content(f"up {size}", size)
    path = tmp_path / f"direct {size}.bin"
    path.write_bytes(expected)
    node = direct.upload(client, path)
    assert (node.name, node.file.size_bytes) == (path.name, size)
    assert through_gateway(server, node.id) == expected
    assert directly(client, node.id) == expected

    other = server.call("POST", f"/api/v1/folders/root/files?name=gateway%20{size}.bin", expected)
    assert other["file"]["content_hash"] == node.file.content_hash
    assert directly(client, other["id"]) == expected


class BrokenOff(Exception):
    pass


def break_off(client, monkeypatch, path, after: int) -> None:
    """Begins an upload that ends in the middle."""
    send, sent = direct.send, []

    def failing(*arguments):
        if len(sent) == after:
            raise BrokenOff
        sent.append(arguments)
        send(*arguments)

    monkeypatch.setattr(direct, "send", failing)
    with pytest.raises(BrokenOff):
        direct.upload(client, path)
    monkeypatch.setattr(direct, "send", send)


def count_sends(monkeypatch) -> list[int]:
    send, parts = direct.send, []

    def counting(client, draft, part, sealed):
        parts.append(part)
        send(client, draft, part, sealed)

    monkeypatch.setattr(direct, "send", counting)
    return parts


def test_an_upload_that_broke_off_goes_on_with_the_parts_that_lack(server, client, tmp_path, monkeypatch):
    expected = content("resumed", SEVERAL_PARTS)
    path = tmp_path / "resumed.bin"
    path.write_bytes(expected)
    break_off(client, monkeypatch, path, after=3)
    sent = count_sends(monkeypatch)
    node = direct.upload(client, path)
    assert sent == [3, 4, 5]
    assert through_gateway(server, node.id) == expected


def test_a_file_that_changed_meanwhile_starts_over(server, client, tmp_path, monkeypatch):
    path = tmp_path / "changed.bin"
    path.write_bytes(content("before", SEVERAL_PARTS))
    break_off(client, monkeypatch, path, after=2)
    expected = content("after", SEVERAL_PARTS)
    path.write_bytes(expected)
    sent = count_sends(monkeypatch)
    node = direct.upload(client, path)
    assert sent == [0, 1, 2, 3, 4, 5]
    assert through_gateway(server, node.id) == expected
    assert server.call("GET", "/api/v1/uploads")["items"] == []


def test_a_refusal_says_why(client, tmp_path):
    path = tmp_path / "taken.bin"
    path.write_bytes(b"one")
    direct.upload(client, path)
    with pytest.raises(direct.Refused, match="DUPLICATE_RESOURCE"):
        direct.upload(client, path)
    with pytest.raises(direct.Refused, match="NOT_FOUND"):
        directly(client, "f" * 32)


def test_the_module_is_a_command(server, tmp_path):
    expected = content("command", 9 * MIB)
    path = tmp_path / "command.bin"
    path.write_bytes(expected)

    def run(*arguments: str) -> bytes:
        environment = {"COFFER_URL": server.url, "COFFER_EMAIL": server.email, "COFFER_PASSWORD": server.password}
        command = [sys.executable, direct.__file__, *arguments]
        paths = {"PYTHONPATH": ":".join(sys.path)}
        return subprocess.run(command, env={**environment, **paths}, capture_output=True, check=True).stdout

    node = run("put", str(path)).decode().strip()
    assert hashlib.sha256(run("get", node)).digest() == hashlib.sha256(expected).digest()
