"""Signatures: the bytes by which a file's format is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "video", "audio", "font", "document", "archive", "other"]


@dataclass(frozen=True)
class Sniffed:
    """``media_type`` is safe to serve a file with; ``extension`` has no dot.

    ``program`` says in words what would run when the file is opened, such as "a Windows
    program"; of everything else it is None.
    """

    media_type: str
    kind: Kind
    extension: str
    program: str | None = None


UNKNOWN = Sniffed("application/octet-stream", "other", "bin")
SVG = Sniffed("image/svg+xml", "image", "svg")
SVGZ = Sniffed("image/svg+xml-compressed", "image", "svgz")
GZIP = Sniffed("application/gzip", "archive", "gz")
ZIP = Sniffed("application/zip", "archive", "zip")
COMPOUND = Sniffed("application/x-ole-storage", "document", "ole")
BMP = Sniffed("image/bmp", "image", "bmp")
EOT = Sniffed("application/vnd.ms-fontobject", "font", "eot")
MP3 = Sniffed("audio/mpeg", "audio", "mp3")
AAC = Sniffed("audio/aac", "audio", "aac")
MPEG_TS = Sniffed("video/mp2t", "video", "ts")
OGG_VIDEO = Sniffed("video/ogg", "video", "ogv")
QUICKTIME = Sniffed("video/quicktime", "video", "mov")

RENDERED = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "image/tiff",
        "image/avif",
        "image/heic",
        SVG.media_type,
        SVGZ.media_type,
    }
)
"""Media types of which renditions are made. Other pictures are kept as they are."""

MAGIC: tuple[tuple[int, bytes, Sniffed], ...] = (
    (0, b"\xff\xd8\xff", Sniffed("image/jpeg", "image", "jpg")),
    (0, b"\x89PNG\r\n\x1a\n", Sniffed("image/png", "image", "png")),
    (0, b"GIF87a", Sniffed("image/gif", "image", "gif")),
    (0, b"GIF89a", Sniffed("image/gif", "image", "gif")),
    (0, b"II*\x00", Sniffed("image/tiff", "image", "tiff")),
    (0, b"MM\x00*", Sniffed("image/tiff", "image", "tiff")),
    (0, b"II+\x00", Sniffed("image/tiff", "image", "tiff")),
    (0, b"MM\x00+", Sniffed("image/tiff", "image", "tiff")),
    (0, b"8BPS\x00\x01", Sniffed("image/vnd.adobe.photoshop", "image", "psd")),
    (0, b"8BPS\x00\x02", Sniffed("image/vnd.adobe.photoshop", "image", "psb")),
    (0, b"\x00\x00\x01\x00", Sniffed("image/vnd.microsoft.icon", "image", "ico")),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", Sniffed("image/jxl", "image", "jxl")),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", Sniffed("image/jp2", "image", "jp2")),
    (0, b"%PDF-", Sniffed("application/pdf", "document", "pdf")),
    (0, b"%!PS-Adobe-", Sniffed("application/postscript", "document", "ps")),
    (0, b"\xc5\xd0\xd3\xc6", Sniffed("application/postscript", "document", "eps")),
    (0, b"{\\rtf", Sniffed("application/rtf", "document", "rtf")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", COMPOUND),
    (0, b"\x1a\x45\xdf\xa3", Sniffed("video/x-matroska", "video", "mkv")),
    (0, b"\x00\x00\x01\xba", Sniffed("video/mpeg", "video", "mpg")),
    (0, b"\x00\x00\x01\xb3", Sniffed("video/mpeg", "video", "mpg")),
    (0, b"FLV\x01", Sniffed("video/x-flv", "video", "flv")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Sniffed("video/x-ms-asf", "video", "asf")),
    (0, b"wOFF", Sniffed("font/woff", "font", "woff")),
    (0, b"wOF2", Sniffed("font/woff2", "font", "woff2")),
    (0, b"OTTO\x00", Sniffed("font/otf", "font", "otf")),
    (0, b"\x00\x01\x00\x00\x00", Sniffed("font/ttf", "font", "ttf")),
    (0, b"true\x00", Sniffed("font/ttf", "font", "ttf")),
    (0, b"ttcf\x00", Sniffed("font/collection", "font", "ttc")),
    (0, b"ID3", MP3),
    (0, b"OggS\x00", Sniffed("audio/ogg", "audio", "ogg")),
    (0, b"fLaC", Sniffed("audio/flac", "audio", "flac")),
    (0, b"MThd\x00\x00\x00\x06", Sniffed("audio/midi", "audio", "mid")),
    (0, b"#!AMR", Sniffed("audio/amr", "audio", "amr")),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),
    (0, b"\x1f\x8b\x08", GZIP),
    (0, b"7z\xbc\xaf\x27\x1c", Sniffed("application/x-7z-compressed", "archive", "7z")),
    (0, b"Rar!\x1a\x07", Sniffed("application/vnd.rar", "archive", "rar")),
    (0, b"BZh", Sniffed("application/x-bzip2", "archive", "bz2")),
    (0, b"\xfd7zXZ\x00", Sniffed("application/x-xz", "archive", "xz")),
    (0, b"\x28\xb5\x2f\xfd", Sniffed("application/zstd", "archive", "zst")),
    (257, b"ustar", Sniffed("application/x-tar", "archive", "tar")),
)

FORMS = {
    (b"RIFF", b"WEBP"): Sniffed("image/webp", "image", "webp"),
    (b"RIFF", b"WAVE"): Sniffed("audio/wav", "audio", "wav"),
    (b"RF64", b"WAVE"): Sniffed("audio/wav", "audio", "wav"),
    (b"RIFF", b"AVI "): Sniffed("video/x-msvideo", "video", "avi"),
    (b"FORM", b"AIFF"): Sniffed("audio/aiff", "audio", "aiff"),
    (b"FORM", b"AIFC"): Sniffed("audio/aiff", "audio", "aiff"),
}
"""Containers of chunks: by their first four bytes and bytes 8 to 12."""

BRANDS: tuple[tuple[frozenset[bytes], Sniffed], ...] = (
    (frozenset({b"avif", b"avis"}), Sniffed("image/avif", "image", "avif")),
    (
        frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}),
        Sniffed("image/heic", "image", "heic"),
    ),
    (frozenset({b"qt  "}), QUICKTIME),
    (frozenset({b"M4A ", b"M4B ", b"M4P "}), Sniffed("audio/mp4", "audio", "m4a")),
)
MP4 = Sniffed("video/mp4", "video", "mp4")

OFFICE = {
    b"word/": ("wordprocessingml.document", "docx", "ms-word.document", "docm"),
    b"xl/": ("spreadsheetml.sheet", "xlsx", "ms-excel.sheet", "xlsm"),
    b"ppt/": ("presentationml.presentation", "pptx", "ms-powerpoint.presentation", "pptm"),
}
"""Folder in the package: plain type and extension, then those with macros."""

PACKAGED = {
    b"application/epub+zip": Sniffed("application/epub+zip", "document", "epub"),
    **{
        f"application/vnd.oasis.opendocument.{form}".encode(): Sniffed(
            f"application/vnd.oasis.opendocument.{form}", "document", extension
        )
        for form, extension in (
            ("text", "odt"),
            ("spreadsheet", "ods"),
            ("presentation", "odp"),
            ("graphics", "odg"),
        )
    },
}

STREAMS = (
    ("WordDocument", Sniffed("application/msword", "document", "doc")),
    ("Workbook", Sniffed("application/vnd.ms-excel", "document", "xls")),
    ("PowerPoint Document", Sniffed("application/vnd.ms-powerpoint", "document", "ppt")),
)
"""Names in a compound file by which the old Office formats are told apart."""

TEXTS = {
    "csv": Sniffed("text/csv", "document", "csv"),
    "tsv": Sniffed("text/tab-separated-values", "document", "tsv"),
    "json": Sniffed("application/json", "document", "json"),
    "jsonl": Sniffed("application/jsonl", "document", "jsonl"),
    # Never as XML: a browser runs the scripts of an XHTML namespace.
    "xml": Sniffed("text/plain", "document", "xml"),
    "md": Sniffed("text/plain", "document", "md"),
}
"""Harmless kinds of text, among which a name may choose."""
PLAIN = Sniffed("text/plain", "document", "txt")

ALL: tuple[Sniffed, ...] = (
    *(found for _, _, found in MAGIC),
    *FORMS.values(),
    *(found for _, found in BRANDS),
    *PACKAGED.values(),
    *(found for _, found in STREAMS),
    *(
        Sniffed(media_type, "document", extension)
        for plain, extension, macros, with_macros in OFFICE.values()
        for media_type, extension in (
            (f"application/vnd.openxmlformats-officedocument.{plain}", extension),
            (f"application/vnd.{macros}.macroEnabled.12", with_macros),
        )
    ),
    *(SVG, SVGZ, BMP, EOT, AAC, MPEG_TS, OGG_VIDEO, MP4),
    Sniffed("video/webm", "video", "webm"),
    *TEXTS.values(),
    PLAIN,
)
"""Whatever a file can be found to be, except unknown."""
