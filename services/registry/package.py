"""A model package: one directory that holds all a model is, named by the hash of its content.

``content.json`` lists the SHA-256 of every other file and is written last, so a package that was cut short or changed
afterwards is refused on load.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec

from packages.common.errors import InvalidInputError, SchemaMismatchError

FORMAT = 1
_NAMESPACE = uuid.UUID("6f1c1f0e-5d0b-5a55-9d0e-70657270696c")  # ids are deterministic (D2): uuid5 in this namespace
_PARTS = ("schema", "label_spec", "manifest", "reference", "metrics")


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """What is stored. ``boosters`` maps target names to LightGBM text.

    ``schema``: feature schema version, keys, and which targets are learned in units of which input column.
    ``label_spec``: fields of the ``LabelSpec`` and its hash. ``manifest``: data, split, parameters. ``reference``:
    feature distributions of the training rows, for drift. ``metrics``: the evaluation. ``report``: the research report
    by format, ``html`` and ``json``; empty where nothing was traded.
    """

    boosters: Mapping[str, str]
    schema: Mapping[str, Any]
    label_spec: Mapping[str, Any]
    manifest: Mapping[str, Any]
    reference: Mapping[str, Any]
    metrics: Mapping[str, Any]
    report: Mapping[str, str] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        """File name → bytes, everything but ``content.json``; equal packages give equal bytes."""
        out = {f"boosters/{target}.txt": text.encode() for target, text in self.boosters.items()}
        out |= {f"report.{form}": text.encode() for form, text in self.report.items()}
        return out | {f"{name}.json": _json(getattr(self, name)) for name in _PARTS}

    @property
    def content_hash(self) -> str:
        """SHA-256 over the names and hashes of all files."""
        return _hash_of({name: hashlib.sha256(data).hexdigest() for name, data in self.files().items()})

    @property
    def model_id(self) -> str:
        """UUID of the content, the key of ``models``."""
        return str(uuid.uuid5(_NAMESPACE, self.content_hash))


def save_package(package: ModelPackage, models_url: str) -> str:
    """Write the package to ``<models_url>/<first 16 digits of its hash>`` and return that URL. Saving the same again
    changes nothing. Any fsspec URL: ``file://``, ``memory://``, ``s3://``."""
    url = f"{models_url.rstrip('/')}/{package.content_hash[:16]}"
    fs, root = fsspec.core.url_to_fs(url)
    files = package.files()
    if _contents(fs, root) is not None:
        load_package(url)  # content-addressed: what is there is the same, or damaged and refused
        return url
    for name, data in files.items():
        path = f"{root}/{name}"
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        fs.pipe_file(path, data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    fs.pipe_file(f"{root}/content.json", _json({"format": FORMAT, "hash": package.content_hash, "files": hashes}))
    return url


def load_package(url: str, *, expected_hash: str | None = None) -> ModelPackage:
    """Read and verify. ``SchemaMismatchError`` names the file when content, list or ``expected_hash`` do not agree;
    ``InvalidInputError`` when there is no complete package."""
    fs, root = fsspec.core.url_to_fs(url)
    root = root.rstrip("/")
    content = _contents(fs, root)
    if content is None:
        raise InvalidInputError("package", url, "a folder with a content.json (a complete model package)")
    if content.get("format") != FORMAT:
        raise SchemaMismatchError(f"package {url}: format {content.get('format')!r}, this release reads {FORMAT}")
    listed: dict[str, str] = content["files"]
    if _hash_of(listed) != content["hash"] or (expected_hash is not None and content["hash"] != expected_hash):
        raise SchemaMismatchError(
            f"package {url}: hash {content['hash']}, expected {expected_hash or _hash_of(listed)}"
        )
    found = {path.removeprefix(root).lstrip("/") for path in fs.find(root)} - {"content.json"}
    if found != set(listed):
        raise SchemaMismatchError(f"package {url}: files {sorted(found ^ set(listed))} are missing or not listed")
    data = {}
    for name, wanted in listed.items():
        data[name] = fs.cat_file(f"{root}/{name}")
        got = hashlib.sha256(data[name]).hexdigest()
        if got != wanted:
            raise SchemaMismatchError(f"package {url}: {name} has hash {got}, expected {wanted}: it was changed")
    boosters = {
        name.removeprefix("boosters/").removesuffix(".txt"): text.decode()
        for name, text in data.items()
        if name.startswith("boosters/")
    }
    report = {name.removeprefix("report."): text.decode() for name, text in data.items() if name.startswith("report.")}
    return ModelPackage(boosters=boosters, report=report, **{name: json.loads(data[f"{name}.json"]) for name in _PARTS})


def _contents(fs: fsspec.AbstractFileSystem, root: str) -> dict[str, Any] | None:
    """``content.json``, or None where a package was not finished: it is absent, or was cut short by a kill."""
    try:
        content = json.loads(fs.cat_file(f"{root}/content.json"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _hash_of(hashes: Mapping[str, str]) -> str:
    return hashlib.sha256(_json(dict(hashes))).hexdigest()


def _json(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no NaN (it is not JSON and would not come back)."""
    if isinstance(value, Mapping):
        value = dict(value)
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()
