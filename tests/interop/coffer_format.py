"""Opens a Coffer vault without Coffer, from nothing but docs/format.md, a root key and the bucket's objects.

    VAULT_KEYS=main:... python coffer_format.py FOLDER              # what the vault is, and every operation in its log
    VAULT_KEYS=main:... python coffer_format.py FOLDER NAME > file  # the newest content of the first file of that name

FOLDER is an embedded bucket, or any copy of a bucket as files. Needs `cryptography` 50 or newer, and `cbor2`.
Opening raises `cryptography.exceptions.InvalidTag` or `ValueError` for whatever is not what was sealed.
"""

import base64
import hashlib
import hmac
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import cbor2
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 16 * 1024
TAG = 16
HEADER = 24 + 32
PURPOSES = {"content": 1, "thumbnail": 2, "preview": 3}
ADD_FILE, ADD_VERSION = 33, 34


# Keys


@dataclass(frozen=True)
class Root:
    """A root key: 32 bytes of the vault's environment."""

    secret: bytes

    def key(self, label: str, vault_id: bytes = b"", length: int = 32) -> bytes:
        return HKDF(SHA512(), length, salt=vault_id or None, info=label.encode()).derive(self.secret)

    @property
    def kid(self) -> bytes:
        return self.key("coffer/1/kid", length=16)


class Keys:
    """The roots of VAULT_KEYS, found by the id that sealed bytes carry."""

    def __init__(self, *roots: bytes):
        self.roots = {Root(secret).kid: Root(secret) for secret in roots}

    @classmethod
    def from_setting(cls, text: str) -> "Keys":
        return cls(*(base64.b64decode(entry.split(":", 1)[1], validate=True) for entry in text.split(",")))

    def root_of(self, sealed: bytes) -> Root:
        if sealed[0] != 1:
            raise ValueError("not version 1")
        return self.roots[sealed[1:17]]


# XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), which `cryptography` does not offer


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    def rotate(x: int, bits: int) -> int:
        return (x << bits | x >> 32 - bits) & 0xFFFFFFFF

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[first] = s[first] + s[second] & 0xFFFFFFFF
            s[third] = rotate(s[third] ^ s[first], bits)

    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for diagonal in range(4):
            quarter(diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4, 12 + (diagonal + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def xchacha20poly1305_open(key: bytes, aad: bytes, sealed: bytes) -> bytes:
    """Opens `nonce(24) | ciphertext | tag(16)`."""
    nonce, sealed = sealed[:24], sealed[24:]
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(bytes(4) + nonce[16:], sealed, aad)


# Small objects


def open_record(keys: Keys, vault_id: bytes, label: str, aad: bytes, record: bytes) -> bytes:
    key = keys.root_of(record).key(label, vault_id)
    return xchacha20poly1305_open(key, label.encode() + b"\0" + aad, record[17:])


def open_descriptor(keys: Keys, sealed: bytes) -> dict:
    label = "coffer/1/descriptor"
    aad = label.encode() + b"\0" + sealed[:17]
    body = cbor2.loads(xchacha20poly1305_open(keys.root_of(sealed).key(label), aad, sealed[17:]))
    if body[1] != 1:
        raise ValueError("not format 1")
    return {"format": body[1], "vault_id": body[2], "created_ms": body[3]}


def unwrap_dek(keys: Keys, vault_id: bytes, blob_id: bytes, purpose: str, wrapped: bytes) -> bytes:
    label = "coffer/1/wrap"
    aad = label.encode() + b"\0" + vault_id + blob_id + bytes([PURPOSES[purpose]]) + wrapped[:17]
    return xchacha20poly1305_open(keys.root_of(wrapped).key(label, vault_id), aad, wrapped[17:])


# Content


def part_context(vault_id: bytes, blob_id: bytes, k: int, part: int, final: bool) -> bytes:
    return b"coffer/1/content" + vault_id + blob_id + struct.pack(">QBIB", 1, k, part, final)


def open_message(key: bytes, context: bytes, salt: bytes, message: bytes) -> bytes:
    """Opens a Cobblestone-256 message, if it begins with the salt that was pinned for it."""
    if not hmac.compare_digest(message[:24], salt):
        raise ValueError("another attempt than the one that counts")
    opener = Cobblestone256Decryptor(key, context)
    return opener.update(message) + opener.finalize()


def sealed_len(plain_len: int) -> int:
    return HEADER + plain_len + TAG * (plain_len // CHUNK + 1)


def open_content(dek: bytes, vault_id: bytes, blob_id: bytes, k: int, size: int, salts: list[bytes], sealed) -> bytes:
    """Opens a whole blob; `sealed` is its object, as bytes or anything that slices like them."""
    count = max(1, -(-size >> k))
    if len(salts) != count or len(sealed) != (count - 1) * sealed_len(1 << k) + sealed_len(size - (count - 1 << k)):
        raise ValueError("not the parts or the size that were promised")
    opened = []
    for part, salt in enumerate(salts):
        start = part * sealed_len(1 << k)
        context = part_context(vault_id, blob_id, k, part, part + 1 == count)
        opened.append(open_message(dek, context, salt, sealed[start : start + sealed_len(1 << k)]))
    return b"".join(opened)


def content_hash(plaintext: bytes, k: int) -> bytes:
    starts = range(0, max(1, len(plaintext)), 1 << k)
    parts = (hashlib.sha256(plaintext[start : start + (1 << k)]).digest() for start in starts)
    return hashlib.sha256(b"".join(parts)).digest()


# The log


def unpad(padded: bytes) -> bytes:
    length = int.from_bytes(padded[:4], "big")
    if len(padded) != -(-(4 + length) // 256) * 256 or any(padded[4 + length :]):
        raise ValueError("padding")
    return padded[4 : 4 + length]


def open_entry(keys: Keys, vault_id: bytes, log: str, name: str, sealed: bytes) -> tuple[bytes, bytes]:
    """Opens the entry of that name (`seq-epoch-writer` in hex); returns the previous entry's hash, and the CBOR."""
    seq, epoch, writer = (bytes.fromhex(field) for field in name.split("-"))
    label, prev = f"coffer/1/log/{log}", sealed[33:65]
    if sealed[17:33] != vault_id:
        raise ValueError("another vault's entry")
    aad = label.encode() + b"\0" + vault_id + seq + epoch + writer + prev
    return prev, unpad(xchacha20poly1305_open(keys.root_of(sealed).key(label, vault_id), aad, sealed[65:]))


def checkpoint_context(vault_id: bytes, log: int, seq: int, epoch: int, writer: bytes, part: int, final: bool) -> bytes:
    return b"coffer/1/check\0\0" + vault_id + struct.pack(">BQQ8sIB", log, seq, epoch, writer, part, final)


def chain(entries: dict[str, bytes]) -> list[str]:
    """The names of the entries that count, oldest first, out of all that lie in the bucket.

    The head is the entry with the highest (epoch, writer, seq); from there it goes back by hash. Others are forks.
    """
    by_hash = {hashlib.sha256(sealed).digest(): name for name, sealed in entries.items()}
    names, name = [], max(entries, key=lambda name: (name.split("-")[1:], name))
    while name:
        names.append(name)
        name = by_hash.get(entries[name][33:65])
    return names[::-1]


def operations(keys: Keys, vault_id: bytes, log: str, entries: dict[str, bytes]):
    """Every operation of the log, as (sequence number, commit, [number, {key: value}])."""
    for name in chain(entries):
        _, body = open_entry(keys, vault_id, log, name, entries[name])
        for commit in cbor2.loads(body)[2]:
            for operation in commit[5]:
                yield int(name[:16], 16), commit, operation


# A vault in a folder


class Vault:
    def __init__(self, folder: Path, keys: Keys):
        self.folder, self.keys = Path(folder), keys
        self.descriptor = open_descriptor(keys, (self.folder / "vault").read_bytes())
        self.vault_id = self.descriptor["vault_id"]

    def operations(self, log: str = "catalog"):
        entries = {path.name: path.read_bytes() for path in (self.folder / "log" / log).iterdir()}
        return operations(self.keys, self.vault_id, log, entries)

    def newest_blob(self, name: str) -> dict:
        """What the log says of the newest version of the first file that was added under this name."""
        node, blob = None, None
        for _, _, (number, fields) in self.operations():
            if number == ADD_FILE and node is None and fields[2] == name:
                node, blob = fields[0], fields[3]
            elif number == ADD_VERSION and fields[0] == node:
                blob = fields[1]
        if blob is None:
            raise FileNotFoundError(name)
        return blob

    def content(self, blob: dict) -> bytes:
        """Opens a blob: {0: id, 1: wrapped key, 2: k, 3: size, 4: salts, 5: hash, 6: media type}."""
        dek = unwrap_dek(self.keys, self.vault_id, blob[0], "content", blob[1])
        salts = [blob[4][start : start + 24] for start in range(0, len(blob[4]), 24)]
        sealed = (self.folder / "blob" / blob[0].hex()).read_bytes()
        plaintext = open_content(dek, self.vault_id, blob[0], blob[2], blob[3], salts, sealed)
        if content_hash(plaintext, blob[2]) != blob[5]:
            raise ValueError("the content is not what its hash says")
        return plaintext


def readable(value):
    """Bytes as hex, so that operations print."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    return [readable(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    folder, *name = sys.argv[1:]
    vault = Vault(Path(folder), Keys.from_setting(os.environ["VAULT_KEYS"]))
    if name:
        sys.stdout.buffer.write(vault.content(vault.newest_blob(name[0])))
        return
    print(readable(vault.descriptor))
    for seq, commit, operation in vault.operations():
        print(seq, commit[0], readable(operation))


if __name__ == "__main__":
    main()
