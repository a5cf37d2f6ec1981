"""The real program as a server of its own, for the tests beside: COFFER, or target/debug/coffer."""

import base64
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PROGRAM = Path(os.environ.get("COFFER", Path(__file__).parents[2] / "target" / "debug" / "coffer"))
MIB = 1024 * 1024
SIZES = [0, 1, 16_383, 16_384, 16_385, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 17 * MIB]
START_SECS = 60


def can_serve() -> bool:
    found = PROGRAM.exists() and shutil.which("redis-server")
    return bool(found) and subprocess.run([PROGRAM, "serve", "--help"], capture_output=True).returncode == 0


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

    def fetch(self, path: str) -> bytes:
        """The bytes of a download."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

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
