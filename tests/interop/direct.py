"""Stores and fetches files directly: sealed here, carried to and from the bucket by URLs that the vault signs.

    export COFFER_URL=https://vault.example COFFER_EMAIL=... COFFER_PASSWORD=...
    python direct.py put FILE            # goes on with an upload of that name and size that was broken off
    python direct.py get ID > FILE

Written from docs/format.md, docs/api.md and the client that openapi-python-client makes of openapi/coffer.json; it shares
no code with the vault. Needs `cryptography` 50 or newer. The vault sees no byte of the content.
"""

import base64
import hashlib
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx
from coffer_client import AuthenticatedClient, Client
from coffer_client.api.files import grant_download
from coffer_client.api.sessions import log_in
from coffer_client.api.uploads import (
    begin_upload,
    cancel_upload,
    complete_upload,
    confirm_parts,
    get_upload,
    list_uploads,
    sign_parts,
)
from coffer_client.models import (
    Checksum,
    Completion,
    Credentials,
    Grant,
    GrantWanted,
    NewUpload,
    Node,
    PartsToConfirm,
    PartsToSign,
    Problem,
    SealedPart,
    SentPart,
    Transport,
    Upload,
)
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CHUNK = 16 * 1024
SALT = 24
ATTEMPTS = 4
SUITE = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"


class Refused(Exception):
    """The vault said no, and why."""


class Changed(Exception):
    """The file is not the one whose parts were sent before."""


def checked(answer):
    if answer is None or isinstance(answer, Problem):
        raise Refused(f"{answer.code}: {answer.detail}" if answer else "an answer that the description does not know")
    return answer


# The format


@dataclass(frozen=True)
class Blob:
    """What seals and opens one version of one file."""

    key: bytes
    vault_id: bytes
    blob_id: bytes
    k: int
    size: int

    @classmethod
    def of(cls, answer: Upload | Grant) -> "Blob":
        if answer.format_ != 1:
            raise ValueError("a newer format")
        ids = (bytes.fromhex(text) for text in (answer.key, answer.vault_id, answer.blob_id))
        return cls(*ids, answer.part_size_log2, answer.size)

    @property
    def parts(self) -> int:
        return max(1, -(-self.size >> self.k))

    def sealed_range(self, part: int) -> tuple[int, int]:
        """Where a part begins in the object, and its length."""
        plain = min(1 << self.k, self.size - (part << self.k))
        return part * sealed_length(1 << self.k), sealed_length(plain)

    def context(self, part: int) -> bytes:
        final = part + 1 == self.parts
        return b"coffer/1/content" + self.vault_id + self.blob_id + struct.pack(">QBIB", 1, self.k, part, final)

    def seal(self, part: int, plaintext: bytes, salt: bytes) -> bytes:
        """One Cobblestone-256 message. The salt must be fresh, or that of the very same plaintext."""
        keys = HKDFExpand(SHA512(), 76, SUITE + salt + self.context(part)).derive(self.key)
        aead, nonce, commitment = AESGCM(keys[:32]), int.from_bytes(keys[32:44]), keys[44:]
        chunks = (plaintext[at : at + CHUNK] for at in range(0, len(plaintext) // CHUNK * CHUNK + 1, CHUNK))
        sealed = (aead.encrypt((nonce ^ i).to_bytes(12), chunk, None) for i, chunk in enumerate(chunks))
        return b"".join([salt, commitment, *sealed])

    def open(self, part: int, salt: bytes, sealed: bytes) -> bytes:
        if sealed[:SALT] != salt:
            raise ValueError("another attempt than the one that counts")
        opener = Cobblestone256Decryptor(self.key, self.context(part))
        return opener.update(sealed) + opener.finalize()


def sealed_length(plain: int) -> int:
    return 56 + plain + 16 * (plain // CHUNK + 1)


def content_hash(part_hashes: list[bytes]) -> str:
    return hashlib.sha256(b"".join(part_hashes)).hexdigest()


# Up


def connect(url: str, email: str, password: str) -> AuthenticatedClient:
    api = url + "/api/v1"
    credentials = Credentials(email=email, password=password, transport=Transport.BEARER)
    token = checked(log_in.sync(client=Client(base_url=api), body=credentials)).access_token
    return AuthenticatedClient(base_url=api, token=token, timeout=httpx.Timeout(60))


def upload(client: AuthenticatedClient, path: Path, name: str | None = None, parent: str = "root") -> Node:
    """Stores a new file; goes on with an upload of the same name and size that was broken off before."""
    name, size = name or path.name, path.stat().st_size
    draft = unfinished(client, name, size)
    if draft is not None:
        try:
            return send_all(client, path, draft)
        except Changed:
            checked_status(cancel_upload.sync_detailed(draft.id, client=client))
    new = NewUpload(parent=parent, name=name, size=size)
    return send_all(client, path, checked(begin_upload.sync(client=client, body=new)))


def unfinished(client: AuthenticatedClient, name: str, size: int) -> Upload | None:
    for summary in checked(list_uploads.sync(client=client)).items:
        if (summary.name, summary.size) == (name, size):
            return checked(get_upload.sync(summary.id, client=client))
    return None


def send_all(client: AuthenticatedClient, path: Path, draft: Upload) -> Node:
    blob, confirmed, hashes = Blob.of(draft), {sent.part: sent for sent in draft.parts}, []
    with path.open("rb") as file:
        for part in range(blob.parts):
            plaintext = file.read(1 << blob.k)
            hashes.append(hashlib.sha256(plaintext).digest())
            before = confirmed.get(part)
            if before is None:
                send(client, draft, part, blob.seal(part, plaintext, os.urandom(SALT)))
            elif hashlib.sha256(blob.seal(part, plaintext, bytes.fromhex(before.salt))).hexdigest() != before.sha256:
                raise Changed(f"part {part} of {path} is not what was sent before")
    completion = Completion(content_hash=content_hash(hashes))
    return checked(complete_upload.sync(draft.id, client=client, body=completion))


def send(client: AuthenticatedClient, draft: Upload, part: int, sealed: bytes) -> None:
    """Brings one part to the bucket and has it confirmed. A repetition sends the same bytes, by a fresh URL."""
    salt = sealed[:SALT].hex()
    wanted = SealedPart(part=part, length=len(sealed), salt=salt, sha256=hashlib.sha256(sealed).hexdigest())
    if draft.checksum == Checksum.MD5:
        wanted.md5 = hashlib.md5(sealed).hexdigest()
    for attempt in range(1, ATTEMPTS + 1):
        signed = checked(sign_parts.sync(draft.id, client=client, body=PartsToSign(parts=[wanted]))).items[0]
        try:
            answer = httpx.put(signed.url, content=sealed, headers=signed.headers.additional_properties, timeout=60)
        except httpx.TransportError:
            if attempt == ATTEMPTS:
                raise
            continue
        if answer.status_code < 500 or attempt == ATTEMPTS:
            break
    sent = SentPart(part=part, salt=salt)
    # 412: an attempt without an answer had put these bytes there, and nothing is ever overwritten.
    if not (draft.single_put and answer.status_code == 412):
        answer.raise_for_status()
        sent.etag = answer.headers["etag"]
    checked(confirm_parts.sync(draft.id, client=client, body=PartsToConfirm(parts=[sent])))


def checked_status(answer) -> None:
    if answer.status_code >= 400:
        checked(answer.parsed)


# Down


def download(client: AuthenticatedClient, file_id: str, to: BinaryIO) -> None:
    """Writes a file's content part by part; what was written is verified, and an error comes before a wrong byte."""
    grant = checked(grant_download.sync(file_id, client=client, body=GrantWanted()))
    blob, salts, hashes = Blob.of(grant), base64.b64decode(grant.salts, validate=True), []
    if len(salts) != blob.parts * SALT:
        raise ValueError("not a salt for each part")
    for part in range(blob.parts):
        sealed, grant = fetch(client, file_id, grant, *blob.sealed_range(part))
        plaintext = blob.open(part, salts[part * SALT : (part + 1) * SALT], sealed)
        hashes.append(hashlib.sha256(plaintext).digest())
        to.write(plaintext)
    if content_hash(hashes) != grant.content_hash:
        raise ValueError("not the content that was granted")


def fetch(client: AuthenticatedClient, file_id: str, grant: Grant, start: int, length: int) -> tuple[bytes, Grant]:
    """Bytes of the object, and the grant that was good for them: a URL that has ended is replaced."""
    wanted = {"Range": f"bytes={start}-{start + length - 1}"}
    answer = httpx.get(grant.url, headers=wanted, timeout=60)
    if answer.status_code in (400, 403):
        grant = checked(grant_download.sync(file_id, client=client, body=GrantWanted(version=grant.version)))
        answer = httpx.get(grant.url, headers=wanted, timeout=60)
    answer.raise_for_status()
    if answer.status_code != 206 or len(answer.content) != length:
        raise ValueError("not the range that was asked for")
    return answer.content, grant


def main() -> None:
    verb, subject = sys.argv[1:]
    client = connect(*(os.environ[name] for name in ("COFFER_URL", "COFFER_EMAIL", "COFFER_PASSWORD")))
    if verb == "put":
        print(upload(client, Path(subject)).id)
    else:
        download(client, subject, sys.stdout.buffer)


if __name__ == "__main__":
    main()
