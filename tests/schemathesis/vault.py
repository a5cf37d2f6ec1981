"""Starts a vault of its own (private Redis, embedded bucket, nothing kept), runs schemathesis on it and stops it."""

import base64
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

START_LIMIT_SECS = 60
STOP_LIMIT_SECS = 30

# Requests for each operation and phase, and a seed that makes each short run the same.
SHORT = ["--max-examples", "12", "--seed", "1", "--generation-deterministic"]
LONG = ["--max-examples", "500"]


def main(arguments):
    long = "--long" in arguments or os.environ.get("COFFER_LONG") == "1"
    arguments = [argument for argument in arguments if argument != "--long"]
    coffer = build()
    with tempfile.TemporaryDirectory(prefix="coffer-st-") as folder:
        folder = Path(folder)
        redis = start_redis(folder)
        try:
            settings = settings_of(folder)
            url = settings["PUBLIC_URL"]
            with open(folder / "coffer.log", "wb") as log:
                vault = subprocess.Popen([coffer, "serve"], env=settings, cwd=folder, stdout=log, stderr=log)
            try:
                wait_until_ready(vault, url)
                command = [HERE / ".venv/bin/st", "run", url + "/openapi.json", *(LONG if long else SHORT), *arguments]
                environment = os.environ | settings | {"COFFER_URL": url, "HYPOTHESIS_STORAGE_DIRECTORY": folder / "hypothesis"}
                status = subprocess.run(command, env=environment, cwd=HERE).returncode
            finally:
                died = stop(vault)
                problems = alarms(folder / "coffer.log")
        finally:
            stop(redis)
    if died:
        print(f"the vault ended by itself or badly: {died}")
    for line in problems:
        print("the vault's log:", line)
    return 1 if status or died or problems else 0


def build():
    """The program, built together with the tests as they are: alone it would have other features, and be built again."""
    if "COFFER" in os.environ:
        return os.environ["COFFER"]
    cargo = os.environ.get("CARGO", "cargo")
    subprocess.run([cargo, "build", "--quiet", "--locked", "--workspace", "--bins", "--tests"], cwd=REPOSITORY, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "debug/coffer"


def start_redis(folder):
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        sys.exit("redis-server is missing: install Redis 6 or newer")
    options = ["--port", "0", "--unixsocket", folder / "redis.sock", "--save", "", "--appendonly", "no", "--dir", folder]
    return subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)


def settings_of(folder):
    bucket = folder / "bucket"
    bucket.mkdir(mode=0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    return {
        "PATH": os.environ["PATH"],
        "USER_EMAIL": "owner@coffer.test",
        "USER_PASSWORD": "glacier-umbrella-7-quartz-lantern",
        "JWT_SECRET": secrets.token_urlsafe(48),
        "VAULT_KEYS": "test:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "REDIS_URL": f"redis+unix://{folder}/redis.sock",
        "S3_ENDPOINT": f"embedded:{bucket}",
        "S3_BUCKET": "coffer-test",
        "S3_ACCESS_KEY_ID": "CK" + secrets.token_hex(10),
        "S3_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        "PUBLIC_URL": f"http://{address}",
        "BIND": address,
        "LOG_FORMAT": "json",
        # A flood of wrong passwords is what this is: 429 is right, but nothing else would be seen behind it.
        "LOGIN_LIMIT": "1000",
        "LOGIN_WINDOW_SECS": "10",
        "OWNER_REQUESTS": "10000000",
        "OWNER_UPLOADS": "10000000",
        "STRANGER_REQUESTS": "10000000",
        "STRANGER_UPLOADS": "10000000",
    }


def wait_until_ready(vault, url):
    deadline = time.monotonic() + START_LIMIT_SECS
    while True:
        try:
            with urllib.request.urlopen(url + "/health/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if vault.poll() is not None or time.monotonic() > deadline:
                sys.exit("the vault does not get ready")
        time.sleep(0.05)


def alarms(log):
    """What the vault itself calls an error, a panic included."""
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if '"level":"ERROR"' in line or "panicked" in line][:20]


def stop(process):
    """Asks a process to end; what was wrong with its end."""
    if process.poll() is not None:
        return f"status {process.returncode}"
    process.terminate()
    try:
        status = process.wait(STOP_LIMIT_SECS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "it did not stop"
    return f"status {status}" if status else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
