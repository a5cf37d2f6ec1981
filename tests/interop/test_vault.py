"""A real vault: Coffer seals files into a folder, stops, and the folder is opened without it.

Runs where `redis-server` and the program are.
"""

import base64
import secrets
import subprocess
import sys
from urllib.parse import quote

import pytest

import coffer_format as coffer
from server import SIZES, Server, can_serve, content

pytestmark = pytest.mark.skipif(not can_serve(), reason="needs the program, built, and redis-server")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A vault that was used and stopped: a folder with two versions of a file, and files of every edge's size."""
    server = Server(tmp_path_factory.mktemp("vault"))
    try:
        server.log_in()
        folder = server.call("POST", "/api/v1/folders", {"parent": "root", "name": "Quarterly secrets"})["id"]
        for size in SIZES:
            name = f"confidential {size}.bin"
            server.call("POST", f"/api/v1/folders/{folder}/files?name={quote(name)}", content(name, size))
        node = server.call("POST", "/api/v1/folders/root/files?name=draft.txt", b"first words")["id"]
        server.call("PUT", f"/api/v1/files/{node}/content", b"final words")
    finally:
        server.stop()
    return server


def test_the_log_and_every_file_open_without_coffer(stopped):
    vault = coffer.Vault(stopped.store, coffer.Keys.from_setting(stopped.keys))
    operations = [operation for _, _, operation in vault.operations()]
    added = {fields[2]: fields[3] for number, fields in operations if number == coffer.ADD_FILE}
    assert len(added) == len(SIZES) + 1
    for name, blob in added.items():
        size = blob[3]
        expected = b"first words" if name == "draft.txt" else content(name, size)
        assert vault.content(blob) == expected, name
    assert vault.content(vault.newest_blob("draft.txt")) == b"final words"


def test_another_root_key_opens_nothing(stopped):
    stranger = coffer.Keys(secrets.token_bytes(32))
    with pytest.raises(KeyError):
        coffer.Vault(stopped.store, stranger)


def test_the_folder_shows_no_name_no_text_and_no_key(stopped):
    vault = coffer.Vault(stopped.store, coffer.Keys.from_setting(stopped.keys))
    deks = [
        coffer.unwrap_dek(vault.keys, vault.vault_id, fields[3][0], "content", fields[3][1])
        for _, _, (number, fields) in vault.operations()
        if number == coffer.ADD_FILE
    ]
    root = base64.b64decode(stopped.keys.split(":")[1])
    needles = [b"confidential", b"Quarterly", b"draft", b"words", stopped.email.encode(), stopped.token.encode(), root]
    needles += deks + [content(f"confidential {size}.bin", size)[:32] for size in SIZES if size > 32]
    for path in stopped.store.rglob("*"):
        held = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        assert not any(needle in held for needle in needles), path


def test_the_module_is_a_command_that_lists_the_log_and_rescues_a_file(stopped):
    def run(*arguments: str) -> bytes:
        command = [sys.executable, coffer.__file__, stopped.store, *arguments]
        return subprocess.run(command, env={"VAULT_KEYS": stopped.keys}, capture_output=True, check=True).stdout

    assert b"Quarterly secrets" in run()
    assert run("draft.txt") == b"final words"
