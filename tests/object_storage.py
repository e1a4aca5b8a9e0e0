"""An object storage on this machine that speaks enough of the S3 protocol for Polars and delta-rs."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

_FORBIDDEN = ".forbidden"
_DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


@dataclass(frozen=True)
class ObjectStorage:
    """What is stored, as files named by bucket and key, and how to reach it."""

    address: str
    folder: Path

    @property
    def options(self) -> dict[str, str]:
        """`storage_options` for it."""
        return {
            "aws_endpoint_url": self.address,
            "aws_allow_http": "true",
            "aws_access_key_id": "someone",
            "aws_secret_access_key": "hunter2-hunter2",
            "aws_region": "nowhere-1",
        }

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(key for path in self.folder.iterdir() if (key := unquote(path.name)).startswith(prefix))

    def get(self, key: str) -> bytes | None:
        path = self.folder / quote(key, safe="")
        return path.read_bytes() if path.exists() else None

    def put(self, key: str, data: bytes) -> None:
        (self.folder / quote(key, safe="")).write_bytes(data)

    def remove(self, key: str) -> None:
        (self.folder / quote(key, safe="")).unlink(missing_ok=True)

    def asked(self) -> list[str]:
        """The requests since the last call of this: the method, and the bucket and key or the list's prefix."""
        log = self.folder.with_suffix(".asked")
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.write_text("", encoding="utf-8")
        return lines

    def forbid(self) -> None:
        """Refuse all that comes."""
        self.put(_FORBIDDEN, b"")


class _Handler(BaseHTTPRequestHandler):
    storage: ObjectStorage
    parts: dict[str, dict[int, bytes]]
    lock: threading.Lock
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        with self.storage.folder.with_suffix(".asked").open("a", encoding="utf-8") as log:
            log.write(f"{self.command} {unquote(parts.path).strip('/')}{query.get('prefix', '')}\n")
        return unquote(parts.path).strip("/"), query

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.get("Length", str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return body
        found = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            length = int(size.partition(b";")[0], 16)
            if not length:
                break
            found, body = found + rest[:length], rest[length + 2 :]
        return found

    def do_GET(self) -> None:
        key, query = self._asked()
        if self.storage.get(_FORBIDDEN) is not None:
            self._refuse(403, "AccessDenied")
        elif "list-type" in query:
            self._list(key, query)
        elif (data := self.storage.get(key)) is None:
            self._refuse(404, "NoSuchKey")
        else:
            self._send(data)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def _send(self, data: bytes) -> None:
        about = {"ETag": f'"{hashlib.md5(data).hexdigest()}"', "Last_Modified": _DATE, "Accept_Ranges": "bytes"}  # noqa: S324
        asked = self.headers.get("Range")
        if asked is None or self.command == "HEAD":
            self._answer(200, data if self.command != "HEAD" else b"", Length=str(len(data)), **about)
            return
        start, _, end = asked.removeprefix("bytes=").partition("-")
        first = int(start) if start else max(0, len(data) - int(end))
        last = min(int(end), len(data) - 1) if start and end else len(data) - 1
        piece = data[first : last + 1]
        self._answer(206, piece, Content_Range=f"bytes {first}-{last}/{len(data)}", **about)

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        found, folders = [], set()
        for full in self.storage.keys(f"{bucket}/{prefix}"):
            key = full.removeprefix(f"{bucket}/")
            rest = key.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            elif key > query.get("start-after", ""):
                size = len(self.storage.get(full) or b"")
                about = f"<LastModified>2024-01-01T00:00:00Z</LastModified><ETag>x</ETag><Size>{size}</Size>"
                found.append(f"<Contents><Key>{escape(key)}</Key>{about}</Contents>")
        shared = [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)]
        body = "".join(["<ListBucketResult><IsTruncated>false</IsTruncated>", *found, *shared, "</ListBucketResult>"])
        self._answer(200, body.encode(), Content_Type="application/xml")

    def do_PUT(self) -> None:
        key, query = self._asked()
        body = self._body()
        with self.lock:
            if self.storage.get(_FORBIDDEN) is not None:
                self._refuse(403, "AccessDenied")
                return
            if "uploadId" in query:
                self.parts[query["uploadId"]][int(query["partNumber"])] = body
            elif self.headers.get("If-None-Match") == "*" and self.storage.get(key) is not None:
                self._refuse(412, "PreconditionFailed")
                return
            else:
                self.storage.put(key, body)
        self._answer(200, ETag='"x"')

    def do_POST(self) -> None:
        key, query = self._asked()
        asked = self._body()
        with self.lock:
            if "delete" in query:
                for name in re.findall(r"<Key>(.*?)</Key>", asked.decode()):
                    self.storage.remove(f"{key}/{unescape(name)}")
                body = "<DeleteResult></DeleteResult>"
            elif "uploads" in query:
                name = f"upload-{len(self.parts)}"
                self.parts[name] = {}
                body = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            else:
                parts = self.parts[query["uploadId"]]
                self.storage.put(key, b"".join(parts[number] for number in sorted(parts)))
                body = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
        self._answer(200, body.encode(), Content_Type="application/xml")

    def do_DELETE(self) -> None:
        key, _ = self._asked()
        self.storage.remove(key)
        self._answer(204)


@contextmanager
def object_storage(folder: Path) -> Iterator[ObjectStorage]:
    """A storage on the loopback interface, which keeps its objects in `folder`.

    It is a process of its own: delta-rs holds Python's lock while it waits for an answer.
    """
    folder.mkdir()
    server = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        try:
            yield ObjectStorage(f"http://127.0.0.1:{int(server.stdout.readline())}", folder)
        finally:
            server.terminate()


def _serve(folder: Path) -> None:
    attributes = {"storage": ObjectStorage("", folder), "parts": {}, "lock": threading.Lock()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), attributes))
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
