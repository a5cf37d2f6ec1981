"""The vectors of tests/vectors, opened by an implementation that shares no code with Coffer."""

import hashlib
import json
from pathlib import Path

import pytest

import coffer_format as coffer

VECTORS = Path(__file__).parent.parent / "vectors"


def cases(name: str) -> list[dict]:
    """The cases of a file; what is lower-case hex of even length becomes bytes."""
    text = (VECTORS / f"{name}.json").read_text()
    return [decode(case) for case in json.loads(text)["cases"]]


def decode(value):
    if isinstance(value, dict):
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, str) and len(value) % 2 == 0 and set(value) <= set("0123456789abcdef"):
        return bytes.fromhex(value)
    return value


def pattern(size: int) -> bytes:
    return bytes((31 * i + i // 251) & 0xFF for i in range(size))


def refused(function, *arguments) -> bool:
    try:
        function(*arguments)
    except Exception:
        return True
    return False


def flips(sealed: bytes):
    for at in range(0, len(sealed), max(1, len(sealed) // 40)):
        yield sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


def test_hchacha20_is_the_drafts():
    # draft-irtf-cfrg-xchacha-03, section 2.2.1
    key = bytes(range(32))
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert coffer.hchacha20(key, nonce).hex() == expected


@pytest.mark.parametrize("case", cases("keys"))
def test_key_schedule(case):
    root = coffer.Root(case["root"])
    assert root.kid == case["kid"]
    assert root.key("coffer/1/descriptor") == case["descriptor_key"]
    for label, key in case["keys"].items():
        assert root.key(label, case["vault_id"]) == key, label


@pytest.mark.parametrize("case", cases("descriptor"))
def test_descriptor(case):
    keys = coffer.Keys(case["root"])
    if not case["opens"]:
        assert refused(coffer.open_descriptor, keys, case["object"])
        return
    expected = {key: case[key] for key in ("format", "vault_id", "created_ms")}
    assert coffer.open_descriptor(keys, case["object"]) == expected


@pytest.mark.parametrize("case", cases("record"))
def test_record(case):
    keys, vault_id = coffer.Keys(case["root"]), case["vault_id"]
    assert coffer.open_record(keys, vault_id, case["label"], case["aad"], case["record"]) == case["plaintext"]
    assert refused(coffer.open_record, keys, vault_id, case["label"], case["aad"] + b"x", case["record"])


@pytest.mark.parametrize("case", cases("wrap"))
def test_wrapped_key(case):
    keys, vault_id, blob_id = coffer.Keys(case["root"]), case["vault_id"], case["blob_id"]
    purpose = next(name for name, number in coffer.PURPOSES.items() if number == case["purpose"])
    assert coffer.unwrap_dek(keys, vault_id, blob_id, purpose, case["wrapped"]) == case["dek"]
    for wrapped in flips(case["wrapped"]):
        assert refused(coffer.unwrap_dek, keys, vault_id, blob_id, purpose, wrapped)


def test_log_entries_open_and_chain():
    prev = None
    for case in cases("entry"):
        keys, vault_id = coffer.Keys(case["root"]), case["vault_id"]
        name = f"{case['seq']:016x}-{case['epoch']:016x}-{case['writer'].hex()}"
        opened = coffer.open_entry(keys, vault_id, case["log"], name, case["object"])
        assert opened == (case["prev"], case["body"])
        assert case["prev"] == (prev if case["seq"] else bytes(32))
        prev = hashlib.sha256(case["object"]).digest()
        assert prev == case["sha256"]
        for sealed in flips(case["object"]):
            assert refused(coffer.open_entry, keys, vault_id, case["log"], name, sealed)


@pytest.mark.parametrize("case", cases("content"), ids=lambda case: f"{case['k']}-{case['size']}")
def test_content(case):
    dek, vault_id, blob_id, k, size = (case[key] for key in ("dek", "vault_id", "blob_id", "k", "size"))
    salts, plaintext = case["salts"], pattern(size)
    assert coffer.content_hash(plaintext, k) == case["content_hash"]
    if "object" not in case:
        return
    sealed = case["object"]
    assert hashlib.sha256(sealed).digest() == case["object_sha256"] and len(sealed) == case["object_size"]
    assert coffer.open_content(dek, vault_id, blob_id, k, size, salts, sealed) == plaintext
    for damaged in [*flips(sealed), sealed[:-1], sealed + b"x"]:
        assert refused(coffer.open_content, dek, vault_id, blob_id, k, size, salts, damaged)
    assert refused(coffer.open_content, dek, vault_id, blob_id, k, size, [bytes(24), *salts[1:]], sealed)


@pytest.mark.parametrize("case", cases("checkpoint"))
def test_checkpoint(case):
    key = coffer.Root(case["root"]).key("coffer/1/checkpoint", case["vault_id"])
    place = [case[name] for name in ("vault_id", "log", "seq", "epoch", "writer", "part", "is_final")]
    opened = coffer.open_message(key, coffer.checkpoint_context(*place), case["salt"], case["sealed"])
    assert opened == pattern(case["size"])


def test_the_example_in_the_documentation_opens_a_file():
    text = (VECTORS.parent.parent / "docs" / "format.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    names = {}
    exec(example, names)  # our own page
    for case in cases("content"):
        if case["k"] == 23 and "object" in case:
            blob = (case["dek"], case["vault_id"], case["blob_id"], case["salts"][0], case["object"])
            assert names["open_one_part"](*blob) == pattern(case["size"])
