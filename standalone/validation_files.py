"""Problems of a pack's files as such: YAML and JSON that does not parse, pack.yaml, icon,
licence."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import Any, Dict, Iterator, List

import yaml

__all__ = ["problems"]

_REF = r"^[a-z0-9_]+$"
_SEMVER = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-[\da-z\-]+(\.[\da-z\-]+)*)?(\+[\da-z\-]+(\.[\da-z\-]+)*)?$"
)
_ST2_VERSIONS = r"^((>?>|>=|=|<=|<?<)\s*[0-9]+\.[0-9]+\.[0-9]+?(\s*,)?\s*)+$"
_RESERVED = ("core", "packs", "linux", "chatops", "default", "_global")
_LICENCE_WORDS = ("Apache License", "Version 2.0", "www.apache.org/licenses/LICENSE-2.0")
_NOT_OURS = ("node_modules", "__pycache__")
_ICON_SIZE = (64, 64)


def problems(root: Path) -> Iterator[str]:
    """One line per problem."""
    for path in _text_files(root):
        yield from _parse_problems(path)
    yield from _manifest_problems(root / "pack.yaml")
    yield from _icon_problems(root / "icon.png")
    yield from _licence_problems(root / "LICENSE")


class _UniqueKeys(yaml.SafeLoader):
    """A loader that does not let the second of two equal keys win in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Dict[Any, Any]:
        seen: List[Any] = []
        for key_node, _ in node.value:
            key = key_node.value
            if isinstance(key, str) and key_node.tag != "tag:yaml.org,2002:merge":
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, "the key %r comes twice" % key, key_node.start_mark
                    )
                seen.append(key)
        return dict(super().construct_mapping(node, deep=deep))


def _text_files(root: Path) -> Iterator[Path]:
    """Every YAML and JSON file of the repository; what lies in hidden directories is not its
    content."""
    for directory, names, files in os.walk(str(root)):
        is_root = Path(directory) == root
        names[:] = sorted(
            name
            for name in names
            if name not in _NOT_OURS and
            (not name.startswith(".") or (is_root and name == ".github"))
        )
        for name in sorted(files):
            if name.endswith((".yaml", ".yml", ".json", ".yaml.example")):
                yield Path(directory) / name


def _parse_problems(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            json.loads(text)
        else:
            list(yaml.load_all(text, Loader=_UniqueKeys))
    except (yaml.YAMLError, ValueError) as error:
        yield "%s does not parse: %s" % (path, " ".join(str(error).split()))


def _manifest_problems(path: Path) -> Iterator[str]:
    try:
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        # The file's absence or syntax is reported where it is read.
        return
    if not isinstance(manifest, dict):
        return
    for key in ("name", "description", "version", "author"):
        if not isinstance(manifest.get(key), str):
            yield "%s: %s must be a string, got %r" % (path, key, manifest.get(key))
    ref = manifest.get("ref", manifest.get("name"))
    yield from _pattern_problem(path, "ref", ref, _REF)
    if ref in _RESERVED:
        yield "%s: ref: %s is reserved by StackStorm" % (path, ref)
    yield from _pattern_problem(path, "version", manifest.get("version"), _SEMVER)
    if "stackstorm_version" in manifest:
        yield from _pattern_problem(
            path, "stackstorm_version", manifest["stackstorm_version"], _ST2_VERSIONS
        )
    versions = manifest.get("python_versions", ["3"])
    if versions not in (["2"], ["3"], ["2", "3"], ["3", "2"]):
        yield '%s: python_versions may hold "2" and "3" as strings, got %r' % (path, versions)
    yield from _list_problems(path, manifest)


def _list_problems(path: Path, manifest: Dict[str, Any]) -> Iterator[str]:
    for key in ("keywords", "contributors", "dependencies", "files"):
        items = manifest.get(key, [])
        if not isinstance(items, list) or any(not isinstance(item, str) for item in items):
            yield "%s: %s must be a list of strings, got %r" % (path, key, items)
        elif key == "contributors" and any(len(item) > 100 for item in items):
            yield "%s: contributors: no entry may be longer than 100 characters" % path
    if not isinstance(manifest.get("email", ""), str):
        yield "%s: email must be a string, got %r" % (path, manifest["email"])


def _pattern_problem(path: Path, key: str, value: Any, pattern: str) -> Iterator[str]:
    if not isinstance(value, str) or not re.match(pattern, value):
        yield "%s: %s: %r does not match %s" % (path, key, value, pattern)


def _icon_problems(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield "%s is missing" % path
        return
    head = path.read_bytes()[:24]
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        yield "%s is no PNG" % path
    elif struct.unpack(">II", head[16:24]) != _ICON_SIZE:
        yield "%s must be 64x64, is %dx%d" % ((path,) + struct.unpack(">II", head[16:24]))


def _licence_problems(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield "%s is missing" % path
        return
    text = path.read_text(encoding="utf-8")
    for words in _LICENCE_WORDS:
        if words not in text:
            yield "%s: the Exchange looks for %r in it" % (path, words)
