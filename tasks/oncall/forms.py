"""A form as a browser sends it, read with limits; a file in it goes to disk as it comes."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

FIELDS_BYTES = 65_536
_MOST_PARTS = 200
_PIECE_BYTES = FIELDS_BYTES // 4
_NAME = "corrected"
_PREFIX = "upload-"
# No decision takes so long; what is older was left by a process that was killed.
_LEFT_SECONDS = 86_400.0


class BadForm(ValueError):
    """The body is no form, or too much of one; `status` is the answer's."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


@dataclass(slots=True)
class Form:
    """Fields by name, each value as it came; `file` lies in a folder of its own, if one was sent.

    Whoever reads the form calls `discard` when the file has been used.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    file: Path | None = None

    def one(self, name: str) -> str:
        values = self.fields.get(name, [])
        return values[0] if values else ""

    def discard(self) -> None:
        if self.file is not None:
            shutil.rmtree(self.file.parent, ignore_errors=True)
            self.file = None


def clear_uploads(uploads: Path) -> None:
    """Remove files that a killed process has left: they hold rows as they were delivered."""
    oldest = time.time() - _LEFT_SECONDS
    for folder in uploads.glob(f"{_PREFIX}*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


async def read_form(request: Request, *, uploads: Path | None = None, file_bytes: int = 0) -> Form:
    """The multipart form of a request. Raises BadForm (400, 413, 415).

    Without `uploads` no file is taken.
    """
    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

    found = re.fullmatch(
        r'multipart/form-data;\s*boundary="?([^"]{1,70})"?',
        request.headers.get("content-type", "").strip(),
    )
    if found is None:
        raise BadForm(415, "The request is no form.")
    decoder = MultipartDecoder(
        found[1].encode("latin-1"), max_form_memory_size=FIELDS_BYTES, max_parts=_MOST_PARTS
    )
    form, target = Form(), _Target()
    size, ended = 0, False
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > FIELDS_BYTES + (file_bytes if uploads is not None else 0):
                raise BadForm(413, "The form is larger than the page takes.")
            for piece in _cut(chunk):
                decoder.receive_data(piece)
                while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
                    if isinstance(event, Field):
                        target.begin_field(event.name)
                    elif isinstance(event, File):
                        target.begin_file(form, uploads, event.filename or "")
                    elif isinstance(event, Data):
                        target.take(form, event.data, more=event.more_data)
                ended = isinstance(event, Epilogue)
                if ended:
                    break
            if ended:
                break
        if not ended:
            raise BadForm(400, "The form was cut off.")
    except RequestEntityTooLarge:
        form.discard()
        raise BadForm(413, "The form is larger than the page takes.") from None
    except ValueError as error:  # a BadForm too
        form.discard()
        raise error if isinstance(error, BadForm) else BadForm(400, "The form is broken.") from None
    except BaseException:
        form.discard()  # whoever sent it has gone
        raise
    finally:
        target.close()
    return form


def _cut(chunk: bytes) -> Iterator[bytes | None]:
    """A chunk as the network gave it, in pieces that the decoder's own limit does not refuse.

    It counts what it has not given back yet, and a chunk may be as large as all fields may be.
    """
    if not chunk:
        yield None
    for start in range(0, len(chunk), _PIECE_BYTES):
        yield chunk[start : start + _PIECE_BYTES]


class _Target:
    """Where the part that is being read goes."""

    def __init__(self) -> None:
        self._name = ""
        self._value = bytearray()
        self._fields_bytes = 0
        self._file: IO[bytes] | None = None
        self._is_file = False

    def begin_field(self, name: str) -> None:
        self._name, self._is_file = name, False
        self._value.clear()

    def begin_file(self, form: Form, uploads: Path | None, filename: str) -> None:
        self._is_file = True
        if not filename:
            return  # the field was left empty
        if uploads is None or form.file is not None:
            raise BadForm(400, "There is a file where none is taken.")
        uploads.mkdir(parents=True, mode=0o700, exist_ok=True)
        clear_uploads(uploads)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=uploads))
        # Of the sender's name only a plain ending is kept.
        ending = re.search(r"(?:\.[A-Za-z0-9]{1,8}){1,2}$", filename)
        form.file = folder / f"{_NAME}{ending[0].lower() if ending else ''}"
        self._file = form.file.open("xb")

    def take(self, form: Form, data: bytes | bytearray, *, more: bool) -> None:
        if self._is_file:
            if self._file is not None:
                self._file.write(data)
                if not more:
                    self.close()
            return
        self._fields_bytes += len(data)
        if self._fields_bytes > FIELDS_BYTES:
            raise BadForm(413, "The form is larger than the page takes.")
        self._value += data
        if not more:
            try:
                text = self._value.decode("utf-8")
            except UnicodeDecodeError:
                raise BadForm(400, "A field is not UTF-8.") from None
            form.fields.setdefault(self._name, []).append(text)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
