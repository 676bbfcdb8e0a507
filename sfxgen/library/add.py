"""A game's own recordings as a library: `sfxgen library add FOLDER`, and how to take sounds out again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from sfxgen.codec import decode
from sfxgen.errors import BadInput, ProgramMissing, SourceUnreadable
from sfxgen.library.captions import captions_from_name
from sfxgen.library.features import Facts, Sound, Unusable, digest_of, library_of, sound_of
from sfxgen.library.places import INDEX_FILE
from sfxgen.library.store import Exemplar, Library, read_library, write_library
from sfxgen.library.tables import Entry, read_table

SOUND_ENDINGS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".caf", ".au", ".w64", ".rf64", ".voc"),
    *(".m4a", ".aac", ".wma", ".webm"),
)
TABLE = "captions.csv"  # found in the folder by itself
OWN = "own"
_TAGS = ("title", "comment")
_NO_CAPTION = ("http", "www.", "encoded", "created with", "made with", "copyright", "lavf", "audacity")


@dataclass(frozen=True)
class Added:
    """What `add_folder` did. left_out: file and why, in a few words."""

    library: Library
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    unchanged: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def add_folder(
    folder: Path, library_folder: Path, *, table: Path | None = None, licence: str = OWN, credit: str = ""
) -> Added:
    """Add every recording under `folder` to the library in `library_folder`, which is made where there is none.

    Captions come from the table, the files' own tags, and file and folder names (UCS names too). table: a CSV with the
    columns file,caption[,licence,credit]; without one, captions.csv in the folder where there is such. licence, credit:
    of all that the table does not speak of. A file that is there already changes nothing; one that changed since, or
    is now captioned otherwise, replaces what was made from it. Silent, short, unreadable and repeated files are left
    out and told. The same files give the same bytes.

    Raises BadInput for a folder without sounds, a faulty table or a damaged library, and CannotWrite.
    """
    files = _sound_files(folder)
    if table is None and (folder / TABLE).exists():
        table = folder / TABLE
    entries = read_table(table, list(files)) if table else {}
    before = read_library(library_folder) if (library_folder / INDEX_FILE).exists() else library_of([])
    todo = _Intake(folder.resolve().name, entries, licence, credit, before)
    for file, path in files.items():
        todo.look(file, path)
    library = todo.library()
    if todo.changed:
        write_library(library_folder, library)
    return Added(library, tuple(todo.added), tuple(todo.replaced), tuple(todo.unchanged), tuple(todo.left_out))


def remove(library_folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Take exemplars out by name or glob ("footsteps/*"); gives their names. Raises BadInput where one fits nothing."""
    library = read_library(library_folder)
    known = [exemplar.name for exemplar in library.exemplars]
    for name in names:
        if not any(fnmatchcase(one, name) for one in known):
            raise BadInput(f"no sound in {library_folder} is called {name}; `sfxgen library list` shows their names")
    keep = [i for i, one in enumerate(known) if not any(fnmatchcase(one, name) for name in names)]
    write_library(library_folder, library.subset(keep))
    kept = set(keep)
    return tuple(one for i, one in enumerate(known) if i not in kept)


class _Intake:
    """The files of one folder, looked at one by one against what the library holds."""

    def __init__(self, source: str, entries: Mapping[str, Entry], licence: str, credit: str, before: Library) -> None:
        self.source, self.entries, self.licence, self.credit, self.before = source, entries, licence, credit, before
        self.held = {exemplar.name: i for i, exemplar in enumerate(before.exemplars)}
        self.digests = {exemplar.digest: exemplar.name for exemplar in before.exemplars}
        self.sounds: list[Sound] = []
        self.told: dict[str, Exemplar] = {}  # known sounds of which something else is now said
        self.added: list[str] = []
        self.replaced: list[str] = []
        self.unchanged: list[str] = []
        self.left_out: list[tuple[str, str]] = []

    @property
    def changed(self) -> bool:
        return bool(self.added or self.replaced)

    def look(self, file: str, path: Path) -> None:
        """Decide on one file: unchanged, captioned anew, new, changed, or left out."""
        try:
            data = path.read_bytes()
            facts = self._facts(file, data)
            same = self.digests.get(facts.digest, facts.name)
            if same != facts.name:
                self.left_out.append((file, f"the same as {same}"))
                return
            held = self.held.get(facts.name)
            if held is not None and self.before.exemplars[held].digest == facts.digest:
                self._tell(self.before.exemplars[held], facts)
                return
            audio = decode(path)
            self.sounds.append(sound_of(facts, audio.samples, audio.rate_hz))
        except (SourceUnreadable, ProgramMissing, Unusable) as error:
            self.left_out.append((file, str(error)))
        except OSError as error:
            self.left_out.append((file, f"cannot be read: {(error.strerror or str(error)).lower()}"))
        else:
            self.digests[facts.digest] = facts.name
            (self.added if held is None else self.replaced).append(facts.name)

    def _tell(self, exemplar: Exemplar, facts: Facts) -> None:
        now = replace(exemplar, captions=facts.captions, licence=facts.licence, credit=facts.credit)
        (self.unchanged if now == exemplar else self.replaced).append(facts.name)
        if now != exemplar:
            self.told[facts.name] = now

    def library(self) -> Library:
        """What was there, in its order, with what changed in its place, then what is new, by name."""
        measured = library_of(sorted(self.sounds, key=lambda sound: sound.facts.name))
        fresh = {exemplar.name: i for i, exemplar in enumerate(measured.exemplars)}
        both = self.before.plus(measured)
        n_before = len(self.before.exemplars)
        order = [n_before + fresh[name] if name in fresh else i for name, i in self.held.items()]
        order += [n_before + i for name, i in fresh.items() if name not in self.held]
        chosen = both.subset(order)
        return Library(tuple(self.told.get(e.name, e) for e in chosen.exemplars), chosen.codes)

    def _facts(self, file: str, data: bytes) -> Facts:
        entry = self.entries.get(file, Entry((), "", ""))
        return Facts(
            name=f"{self.source}/{file}",
            captions=captions_from_name(file, (*entry.captions, *_tagged(data))),
            source=self.source,
            licence=entry.licence or self.licence,
            credit=entry.credit or self.credit,
            use="effect",
            digest=digest_of(data),
        )


def _sound_files(folder: Path) -> dict[str, Path]:
    """Recordings under the folder by their path within it, sorted; hidden ones are passed over. Raises BadInput."""
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}; expected one that holds recordings")
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in SOUND_ENDINGS and path.is_file()]
    inside = {path.relative_to(folder).as_posix(): path for path in paths}
    files = {file: inside[file] for file in sorted(inside) if not _hidden(file.split("/"))}
    if not files:
        raise BadInput(f"{folder} holds no recordings; expected files that end in {', '.join(SOUND_ENDINGS[:6])} …")
    return files


def _hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith(".") for part in parts)


def _tagged(data: bytes) -> tuple[str, ...]:
    """What the file's own tags (RIFF INFO, Vorbis comments, ID3) say of the sound, where they say anything."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            tags = file.copy_metadata()
    except soundfile.LibsndfileError:
        return ()
    texts = [tags.get(key, "").strip() for key in _TAGS]
    return tuple(text for text in texts if _tells(text))


def _tells(text: str) -> bool:
    """A caption, and no software's name, address or take number."""
    n_words = len([word for word in text.split() if any(map(str.isalpha, word))])
    return 2 <= n_words <= 30 and not any(mark in text.lower() for mark in _NO_CAPTION)
