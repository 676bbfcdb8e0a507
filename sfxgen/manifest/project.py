"""A project's folder as the flow sees it: its settings and all its sounds, or every fault at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sfxgen.errors import BadInput, Fault, ManifestError
from sfxgen.manifest.checks import check_master
from sfxgen.manifest.choice import Choice
from sfxgen.manifest.config import Config
from sfxgen.manifest.document import Document
from sfxgen.manifest.faults import show, validated
from sfxgen.manifest.paths import inside, is_path
from sfxgen.manifest.reader import Entry, Reader

CONFIG_FILE = "sfxgen.yaml"
LOCK_FILE = "sfxgen.lock"
SEARCHES = 3  # of a folder in which something goes away meanwhile


@dataclass(frozen=True)
class Project:
    """Everything that the manifests say. `manifest_files` and `watched` are project-relative posix paths."""

    root: Path
    config: Config
    entries: tuple[Entry, ...]
    manifest_files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds sfxgen.yaml, sfxgen.lock or sounds/; else `start`.

    Raises BadInput where `start` is no folder.
    """
    if not start.is_dir():
        raise BadInput(f"{start} is not a folder; give the game project's folder with --project")
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / CONFIG_FILE).is_file() or (folder / LOCK_FILE).is_file() or (folder / "sounds").is_dir():
            return folder
    return start


def load_project(
    root: Path, pinned: Mapping[str, Choice] | None = None, also: Callable[[Entry], Iterable[Fault]] = lambda _: ()
) -> Project:
    """All sounds of the project, presets resolved (by the pinned choices where they still fit).

    Raises ManifestError with every fault of every file, BadInput where there is no project. also: what is to be told of
    an entry without faults where there are faults.
    """
    if not root.is_dir():
        raise BadInput(f"{root} is not a folder; give the game project's folder with --project")
    faults: list[Fault] = []
    config = _config(root, faults)
    paths = manifest_paths(root, config)
    if not paths and not faults:
        wanted = ", ".join(config.manifests)
        raise BadInput(f"no manifests in {root} (looked for: {wanted}); `sfxgen init` writes a first one")
    names = tuple(path.relative_to(root).as_posix() for path in paths)
    documents = [_document(path, name, faults) for path, name in zip(paths, names, strict=True)]
    return _read(root, config, documents, pinned or {}, faults, also)


def project_from_text(root: Path, text: str, config: Config | None = None) -> Project:
    """A project of one manifest that is in no file; default settings where none are given. Raises ManifestError."""
    document = Document("(manifest)", text.encode())
    return _read(root, config or Config(), [document], {}, list(document.faults))


def load_config(root: Path) -> Config:
    """The project's settings alone. Raises ManifestError."""
    faults: list[Fault] = []
    config = _config(root, faults)
    if faults:
        raise ManifestError(faults)
    return config


def _read(
    root: Path, config: Config, documents: Sequence[Document], pinned: Mapping[str, Choice], faults: list[Fault],
    also: Callable[[Entry], Iterable[Fault]] = lambda _: (),
) -> Project:  # fmt: skip
    reader = Reader(pinned, config.master, _sampler(root, config))
    for document in documents:
        reader.read(document)
    if faults or reader.faults:
        told = [fault for entry in reader.entries.values() for fault in also(entry)]
        raise ManifestError([*faults, *reader.faults, *told])
    names = tuple(document.name for document in documents)
    return Project(root, config, tuple(reader.entries.values()), names, tuple(reader.warnings))


def _sampler(root: Path, config: Config) -> str:
    """The pretrained prior that the project has set; "" where it samples from sound libraries."""
    for name in config.prior:
        if name != "library" and (not is_path(name) or (root / name / "model_index.json").is_file()):
            return name
    return ""


def _matches(root: Path, pattern: str) -> list[Path]:
    """What lies in a folder or fits a glob; of a folder that is not there, nothing."""
    for _ in range(SEARCHES):
        try:
            if (root / pattern).is_dir():
                return [path for suffix in ("*.yaml", "*.yml") for path in (root / pattern).rglob(suffix)]
            return list(root.glob(pattern))
        except FileNotFoundError:  # gone amid the search, as when it is replaced
            continue
        except (OSError, ValueError) as error:
            raise BadInput(f"{CONFIG_FILE}: manifests {show(pattern)} cannot be searched: {error}") from error
    return []


def manifest_paths(root: Path, config: Config) -> list[Path]:
    """The manifests in a stable order: folders are searched through, globs expanded, editors' own files left out."""
    found: dict[Path, None] = {}
    for pattern in config.manifests:
        for path in sorted(_matches(root, pattern)):
            hidden = any(part.startswith((".", "~")) for part in path.relative_to(root).parts)
            if path.is_file() and not hidden and path.name not in (CONFIG_FILE, LOCK_FILE):
                found[path] = None
    return list(found)


def _config(root: Path, faults: list[Fault]) -> Config:
    path = root / CONFIG_FILE
    if not path.is_file():
        return Config()
    document = _document(path, CONFIG_FILE, faults)
    if document.data is None:
        return Config()
    config, found = validated(Config, document.data, document, ())
    if config is not None:
        found = [*_leaving(config, document), *check_master(config.master, document)]
    faults.extend(found)
    return config if config and not found else Config()


def _leaving(config: Config, document: Document) -> Iterator[Fault]:
    """The folders of sfxgen.yaml that lie outside of the project."""
    paths = [(("out",), config.out), *((("manifests", i), path) for i, path in enumerate(config.manifests))]
    for place, path in paths:
        if path is not None and inside("", path) is None:
            problem = f"{place[0]} {show(path)} leaves the project"
            yield document.fault(place, problem, "a relative path below the folder that holds sfxgen.yaml")


def _document(path: Path, name: str, faults: list[Fault]) -> Document:
    try:
        document = Document.read(path, name)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        faults.append(Fault(name, 0, 0, "", f"cannot be read: {reason}"))
        return Document(name, b"")
    faults.extend(document.faults)
    return document
