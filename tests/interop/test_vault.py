"""A real vault: Coffer seals files into a folder, stops, and the folder is opened without it.

Runs where `redis-server` and the program are: COFFER, or target/debug/coffer.
"""

import base64
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

import coffer_format as coffer

PROGRAM = Path(os.environ.get("COFFER", Path(__file__).parents[2] / "target" / "debug" / "coffer"))
MIB = 1024 * 1024
SIZES = [0, 1, 16_383, 16_384, 16_385, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 17 * MIB]
START_SECS = 60



def can_serve() -> bool:
    found = PROGRAM.exists() and shutil.which("redis-server")
    return bool(found) and subprocess.run([PROGRAM, "serve", "--help"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_serve(), reason="needs the program, built, and redis-server")


def content(name: str, size: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(size)


class Server:
    """A vault of its own, with its own Redis, on a free port."""

    def __init__(self, home: Path):
        self.store, self.email, self.password = home / "store", "owner@vault.test", secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.keys = "main:" + base64.b64encode(secrets.token_bytes(32)).decode()
        redis = home / "redis.sock"
        settings = {
            "USER_EMAIL": self.email,
            "USER_PASSWORD": self.password,
            "JWT_SECRET": secrets.token_hex(32),
            "VAULT_KEYS": self.keys,
            "S3_ENDPOINT": f"embedded:{self.store}",
            "S3_BUCKET": "vault",
            "S3_ACCESS_KEY_ID": secrets.token_hex(10),
            "S3_SECRET_ACCESS_KEY": secrets.token_hex(32),
            "REDIS_URL": f"redis+unix://{redis}",
            "BIND": self.url.removeprefix("http://"),
            "PUBLIC_URL": self.url,
        }
        log = (home / "log").open("wb")
        server = ["redis-server", "--port", "0", "--unixsocket", str(redis), "--save", "", "--dir", str(home)]
        self.processes = [
            subprocess.Popen(server, stdout=log, stderr=log),
            subprocess.Popen([PROGRAM, "serve"], env={"PATH": os.environ["PATH"], **settings}, stdout=log, stderr=log),
        ]
        self.token = None

    def call(self, method: str, path: str, body=None) -> dict:
        """A request with JSON, or with bytes as they are; returns the JSON of the answer."""
        raw = isinstance(body, bytes)
        headers = {"Content-Type": "application/octet-stream" if raw else "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = body if raw or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def log_in(self) -> None:
        deadline = time.monotonic() + START_SECS
        while True:
            try:
                self.call("GET", "/health/ready")
                break
            except (urllib.error.URLError, ConnectionError):
                assert self.processes[1].poll() is None and time.monotonic() < deadline, "the vault does not start"
                time.sleep(0.1)
        login = {"email": self.email, "password": self.password, "transport": "bearer"}
        self.token = self.call("POST", "/api/v1/session", login)["access_token"]

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait(60)


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
