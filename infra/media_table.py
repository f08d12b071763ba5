"""Signatures: the bytes by which a file's format is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "video", "audio", "font", "document", "archive", "other"]


@dataclass(frozen=True)
class Sniffed:
    """``media_type`` is safe to serve a file with; ``extension`` has no dot."""

    media_type: str
    kind: Kind
    extension: str


UNKNOWN = Sniffed("application/octet-stream", "other", "bin")
SVG = Sniffed("image/svg+xml", "image", "svg")
ZIP = Sniffed("application/zip", "archive", "zip")

MAGIC: tuple[tuple[int, bytes, Sniffed], ...] = (
    (0, b"\xff\xd8\xff", Sniffed("image/jpeg", "image", "jpg")),
    (0, b"\x89PNG\r\n\x1a\n", Sniffed("image/png", "image", "png")),
    (0, b"GIF87a", Sniffed("image/gif", "image", "gif")),
    (0, b"GIF89a", Sniffed("image/gif", "image", "gif")),
    (0, b"II*\x00", Sniffed("image/tiff", "image", "tiff")),
    (0, b"MM\x00*", Sniffed("image/tiff", "image", "tiff")),
    (0, b"II+\x00", Sniffed("image/tiff", "image", "tiff")),
    (0, b"MM\x00+", Sniffed("image/tiff", "image", "tiff")),
    (0, b"8BPS\x00\x01", Sniffed("image/vnd.adobe.photoshop", "document", "psd")),
    (0, b"%PDF-", Sniffed("application/pdf", "document", "pdf")),
    (0, b"\x1a\x45\xdf\xa3", Sniffed("video/x-matroska", "video", "mkv")),
    (0, b"wOFF", Sniffed("font/woff", "font", "woff")),
    (0, b"wOF2", Sniffed("font/woff2", "font", "woff2")),
    (0, b"OTTO", Sniffed("font/otf", "font", "otf")),
    (0, b"\x00\x01\x00\x00\x00", Sniffed("font/ttf", "font", "ttf")),
    (0, b"true\x00", Sniffed("font/ttf", "font", "ttf")),
    (0, b"ttcf\x00", Sniffed("font/collection", "font", "ttc")),
    (0, b"ID3", Sniffed("audio/mpeg", "audio", "mp3")),
    (0, b"OggS", Sniffed("audio/ogg", "audio", "ogg")),
    (0, b"fLaC", Sniffed("audio/flac", "audio", "flac")),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),
    (0, b"\x1f\x8b\x08", Sniffed("application/gzip", "archive", "gz")),
    (0, b"7z\xbc\xaf\x27\x1c", Sniffed("application/x-7z-compressed", "archive", "7z")),
    (0, b"Rar!\x1a\x07", Sniffed("application/vnd.rar", "archive", "rar")),
    (0, b"BZh", Sniffed("application/x-bzip2", "archive", "bz2")),
    (0, b"\xfd7zXZ\x00", Sniffed("application/x-xz", "archive", "xz")),
    (0, b"\x28\xb5\x2f\xfd", Sniffed("application/zstd", "archive", "zst")),
    (257, b"ustar", Sniffed("application/x-tar", "archive", "tar")),
)

RIFF = {
    b"WEBP": Sniffed("image/webp", "image", "webp"),
    b"WAVE": Sniffed("audio/wav", "audio", "wav"),
    b"AVI ": Sniffed("video/x-msvideo", "video", "avi"),
}

BRANDS: tuple[tuple[frozenset[bytes], Sniffed], ...] = (
    (frozenset({b"avif", b"avis"}), Sniffed("image/avif", "image", "avif")),
    (
        frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}),
        Sniffed("image/heic", "image", "heic"),
    ),
    (frozenset({b"qt  "}), Sniffed("video/quicktime", "video", "mov")),
    (frozenset({b"M4A ", b"M4B ", b"M4P "}), Sniffed("audio/mp4", "audio", "m4a")),
)
MP4 = Sniffed("video/mp4", "video", "mp4")

OFFICE = {
    b"word/": ("wordprocessingml.document", "docx"),
    b"xl/": ("spreadsheetml.sheet", "xlsx"),
    b"ppt/": ("presentationml.presentation", "pptx"),
}
PACKAGED = {
    b"application/epub+zip": Sniffed("application/epub+zip", "document", "epub"),
    b"application/vnd.oasis.opendocument.text": Sniffed(
        "application/vnd.oasis.opendocument.text", "document", "odt"
    ),
    b"application/vnd.oasis.opendocument.spreadsheet": Sniffed(
        "application/vnd.oasis.opendocument.spreadsheet", "document", "ods"
    ),
}
