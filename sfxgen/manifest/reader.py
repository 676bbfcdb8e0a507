"""Manifests → entries: names, defaults, presets and prompts resolved, every fault noted with its place."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sfxgen.errors import Fault
from sfxgen.manifest.checks import check_sound, place_of_source
from sfxgen.manifest.choice import Choice, choose, lay_over, merged
from sfxgen.manifest.document import Document, Key
from sfxgen.manifest.faults import nearest, show, validated
from sfxgen.manifest.guide import Candidate
from sfxgen.manifest.master import Master
from sfxgen.manifest.materials import MATERIALS, OwnMaterial
from sfxgen.manifest.paths import inside
from sfxgen.manifest.presets import SYNTH_KINDS, presets
from sfxgen.manifest.sound import KINDS, NAME_PATTERN, ONE_EACH, PROMPTED, Defaults, Sound

MAX_NAME = 100
_RESERVED = re.compile(r"con|prn|aux|nul|com[1-9]|lpt[1-9]", re.IGNORECASE)  # Windows refuses these as file names
_TOP_KEYS = ("version", "defaults", "materials", "sounds")
_ONE_EACH = dict.fromkeys(ONE_EACH, ("variations", "layers"))
_NEVER = {
    **_ONE_EACH,
    "edit": ("layers",),
    "impact": ("loop",),
    "scene": ("loop",),
}  # kind → keys that mean nothing to it
_SOUNDS = "a mapping such as coin: bright coin pickup"


@dataclass(frozen=True)
class Entry:
    """A sound with its name and place. `sources` are project-relative posix paths of what it reads, recordings or
    meshes; source_places: line and column where the manifest names each."""

    name: str
    sound: Sound
    manifest: str
    line: int
    column: int
    sources: tuple[str, ...] = ()
    source_places: tuple[tuple[int, int], ...] = ()
    choice: Choice | None = None
    rivals: tuple[Candidate, ...] = ()


class Reader:
    """Reads manifest after manifest and remembers where each name was first defined.

    sampler: the pretrained prior that bare prompts are sampled from; "" where the project has none.
    """

    def __init__(self, pinned: Mapping[str, Choice], master: Master, sampler: str = "") -> None:
        self.pinned = pinned
        self.sampler = sampler
        self.master = master
        self.faults: list[Fault] = []
        self.entries: dict[str, Entry] = {}
        self.warnings: list[str] = []
        self._first: dict[str, tuple[str, str, int]] = {}  # casefolded name → name, manifest, line
        self._told: set[tuple[str, int, int, str]] = set()

    def read(self, document: Document) -> None:
        """Take in the sounds of one manifest."""
        if document.data is None:
            if not document.faults:
                self._add(document, (), "the manifest is empty", "version: 1 and sounds:")
            return
        if not isinstance(document.data, dict):
            self._add(document, (), f"the file holds {show(document.data)}", "a mapping with version: 1 and sounds:")
            return
        self._top_level(document)
        defaults = self._defaults(document)
        materials = self._materials(document)
        sounds = document.data.get("sounds", {})
        if not isinstance(sounds, dict):
            self._add(document, ["sounds"], f"sounds is {show(sounds)}", _SOUNDS)
            return
        for name, raw in sounds.items():
            self._entry(document, name, _with_materials(raw, materials), defaults, tuple(materials))

    def _top_level(self, document: Document) -> None:
        data = document.data
        unknown = [key for key in data if key not in _TOP_KEYS and not key.startswith("x-")]  # x-…: room for anchors
        cures = {key: nearest(key, _TOP_KEYS) for key in unknown}
        for key, cure in cures.items():
            below = "" if "sounds" in data else "a sound goes below sounds:"
            expected = f"one of {', '.join(_TOP_KEYS)}"
            self._note(document, [document.fault([key], f"unknown key '{key}'", expected, cure or below, at_key=True)])
        version = data.get("version")
        if version is None:
            self._add(document, (), "'version' is missing", "version: 1", "add it as the first line")
        elif version != 1 or not isinstance(version, int) or isinstance(version, bool):
            self._add(document, ["version"], f"version is {show(version)}", "1, a plain number")
        if "sounds" not in data and nearest("sounds", list(cures)) == "":
            self._add(document, (), "'sounds' is missing", _SOUNDS, "add it")

    def _defaults(self, document: Document) -> dict[str, Any]:
        raw = document.data.get("defaults")
        if raw is None:
            return {}
        valid, faults = validated(Defaults, raw, document, ["defaults"])
        self._note(document, faults)
        return raw if valid is not None else {}

    def _materials(self, document: Document) -> dict[str, Any]:
        """The file's own materials, by name."""
        raw = document.data.get("materials")
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            expected = "a mapping such as teak: {like: oak, density_kg_m3: 660}"
            self._add(document, ["materials"], f"materials is {show(raw)}", expected)
            return {}
        found: dict[str, Any] = {}
        for name, body in raw.items():
            if name in MATERIALS:
                problem = f"'{name}' is a material already"
                self._note(document, [document.fault(["materials", name], problem, "another name", at_key=True)])
                continue
            body = _like_own(body, found)
            valid, faults = validated(OwnMaterial, body, document, ["materials", name], materials=tuple(found))
            self._note(document, faults)
            found[name] = body if valid is not None else {"like": "wood"}  # no sound is at fault for it
        return found

    def _entry(
        self, document: Document, name: str, raw: Any, defaults: dict[str, Any], materials: tuple[str, ...]
    ) -> None:
        """One sound. Faults of its name or start do not hide those of its other keys. materials: names of the file's
        own."""
        base = ["sounds", name]
        is_named = self._claim(document, name)
        if isinstance(raw, str):
            raw = {"prompt": raw}
        if not isinstance(raw, dict):
            expected = "a prompt, or a mapping with a prompt or a kind"
            self._add(document, base, f"it is {show(raw)}", expected, sound=name)
            return
        started = self._start(document, name, raw)
        entry, choice = started or (_without_presets(raw), None)
        whole = _over_defaults(entry, raw, defaults)
        sound, faults = validated(Sound, whole, document, base, name, materials)
        if sound is not None and started is not None:
            folder = document.name.rpartition("/")[0]
            faults = list(check_sound(sound, name, document, folder, self.master))
        self._note(document, faults)
        if sound is None or started is None or faults or not is_named:
            return
        sources = tuple(inside(folder, source) or "" for source in sound.sources)
        place = document.place(base, at_key=True)
        rivals = tuple(_rivals(choice, raw)) if choice else ()
        places = tuple(document.place([*base, *place_of_source(sound, i)]) for i in range(len(sources)))
        self.entries[name] = Entry(name, sound, document.name, *place, sources, places, choice, rivals)

    def _claim(self, document: Document, name: str) -> bool:
        """Whether the name may be a file's name and is still free."""
        base = ["sounds", name]
        wrong = _name_fault(name)
        if wrong:
            problem, expected, cure = wrong
            self._note(document, [document.fault(base, problem, expected, cure, sound=name, at_key=True)])
            return False
        line = document.place(base, at_key=True)[0]
        here = (name, document.name, line)
        first = self._first.setdefault(name.casefold(), here)
        if first != here:
            same = "" if first[0] == name else f" as '{first[0]}' (file names differ by case alone)"
            problem = f"the name is taken: {first[1]}:{first[2]} defines it{same}"
            self._note(document, [document.fault(base, problem, cure="rename one of them", sound=name, at_key=True)])
            return False
        return True

    def _start(self, document: Document, name: str, raw: dict[str, Any]) -> tuple[dict[str, Any], Choice | None] | None:
        """The entry with its preset laid under it, and the choice where a prompt made one. None: at fault."""
        base = ["sounds", name]
        kinds = [kind for kind in KINDS if kind in raw]
        if len(kinds) > 1:
            problem, cure = f"it has {len(kinds)} kinds: {', '.join(kinds)}", "split it into several sounds"
            fault = document.fault([*base, kinds[1]], problem, "one", cure, sound=name, at_key=True)
            self._note(document, [fault])
            return None
        kind = kinds[0] if kinds else ""
        body = raw.get(kind)
        prompt = raw.get("prompt")
        if isinstance(body, str) and body in presets():
            cure = f"write {kind}: {{preset: {body}}}"
            self._add(document, [*base, kind], f"{kind} is {show(body)}", "a mapping", cure, name)
            return None
        if isinstance(body, dict) and "preset" in body and kind in SYNTH_KINDS:
            return self._named_preset(document, name, kind, raw)
        has_prompt = isinstance(prompt, str) and bool(prompt.strip())
        if has_prompt and kind in ("", *SYNTH_KINDS) and isinstance(body, dict | None):
            return self._chosen_preset(document, name, kind, raw)
        if kind in PROMPTED and "prompt" not in raw:
            problem, cure = f"{kind} has no prompt to go by", "add prompt: what it shall sound like"
            self._note(document, [document.fault([*base, kind], problem, cure=cure, sound=name, at_key=True)])
            return None
        if kind:
            return {**raw, kind: {} if body is None else body}, None
        self._no_start(document, name, raw)
        return None

    def _no_start(self, document: Document, name: str, raw: dict[str, Any]) -> None:
        """Neither a prompt nor a kind. A key that was meant as one is called unknown already, with the right one."""
        base = ["sounds", name]
        if raw.get("prompt", "") is None:
            self._add(document, [*base, "prompt"], "prompt is empty", "what it sounds like, in plain words", sound=name)
        elif "prompt" not in raw and not any(nearest(key, ("prompt", *KINDS)) for key in raw if key not in _KEYS):
            preset = presets().get(str(raw.get("preset")))
            cure = f"write {preset.kind}: {{preset: {preset.name}}}" if preset else ""
            expected = f"a prompt, or one of {', '.join(KINDS)}"
            problem = "it has neither a prompt nor a kind"
            self._note(document, [document.fault(base, problem, expected, cure, sound=name, at_key=True)])

    def _chosen_preset(
        self, document: Document, name: str, kind: str, raw: dict[str, Any]
    ) -> tuple[dict[str, Any], Choice]:
        choice = choose(raw["prompt"], kind, self.pinned.get(name), self.sampler)
        if not choice.preset:
            return {**raw, "text": {}}, choice
        preset = presets()[choice.preset]
        if choice.is_stand_in:
            place = f"{document.name}:{document.place(['sounds', name], at_key=True)[0]}"
            self.warnings.append(f"{place}: sound '{name}': {choice.why}; `sfxgen presets` lists what there is")
        return lay_over(preset, raw, preset.kind), choice

    def _named_preset(
        self, document: Document, name: str, kind: str, raw: dict[str, Any]
    ) -> tuple[dict[str, Any], None] | None:
        wanted = raw[kind]["preset"]
        of_kind = [preset.name for preset in presets().values() if preset.kind == kind]
        if wanted in of_kind:
            return lay_over(presets()[wanted], raw, kind), None
        other = presets().get(wanted) if isinstance(wanted, str) else None
        problem = f"{kind}.preset is {show(wanted)}" + (f", which is a preset of '{other.kind}'" if other else "")
        cure = nearest(wanted, of_kind) if isinstance(wanted, str) and not other else ""
        expected = f"a preset of '{kind}' (`sfxgen presets --kind {kind}` lists them)"
        self._add(document, ["sounds", name, kind, "preset"], problem, expected, cure, name)
        return None

    def _add(
        self, document: Document, path: Sequence[Key], problem: str, expected: str = "", cure: str = "", sound: str = ""
    ) -> None:
        self._note(document, [document.fault(path, problem, expected, cure, sound=sound)])

    def _note(self, document: Document, faults: Iterable[Fault]) -> None:
        """Each fault once, although an alias may bring it to many sounds; none where YAML itself already has one."""
        spoiled = {(fault.line, fault.column) for fault in document.faults}
        for fault in faults:
            key = (fault.file, fault.line, fault.column, fault.problem)
            if (fault.line, fault.column) not in spoiled and key not in self._told:
                self._told.add(key)
                self.faults.append(fault)


_KEYS = frozenset(Sound.model_fields)


def _name_fault(name: str) -> tuple[str, str, str] | None:
    """Problem, expected and cure of a name that cannot be a file's everywhere."""
    if len(name) > MAX_NAME:
        return f"the name has {len(name)} characters", f"at most {MAX_NAME}", "shorten it"
    if not re.fullmatch(NAME_PATTERN, name):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        parts = (re.sub(r"[^A-Za-z0-9-]+", "_", part).strip("_-") for part in plain.split("/"))
        better = "/".join(part for part in parts if part)
        cure = f"did you mean '{better}'?" if better else "rename it"
        return "the name cannot be a file's name", "letters, digits, _ and -, with / for folders", cure
    reserved = [part for part in name.split("/") if _RESERVED.fullmatch(part)]
    if reserved:
        return f"Windows keeps the name '{reserved[0]}' for a device", "another name", "rename it"
    return None


def _with_materials(value: Any, own: Mapping[str, Any], key: Key = "") -> Any:
    """The value, which stands under `key`, with the file's own materials in place of their names."""
    if not own:
        return value
    if isinstance(value, list):
        return [_with_materials(part, own) for part in value]
    if key == "material":
        return own.get(value, value) if isinstance(value, str) else _like_own(value, own)
    if not isinstance(value, dict):
        return value
    if key == "materials":  # of the parts of a mesh, by their names
        return {part: _with_materials(material, own, "material") for part, material in value.items()}
    return {name: _with_materials(part, own, name) for name, part in value.items()}


def _like_own(body: Any, own: Mapping[str, Any]) -> Any:
    """A material's numbers over those of the file's own that it is like."""
    like = body.get("like") if isinstance(body, dict) else None
    return {**own[like], **body, "like": own[like]["like"]} if isinstance(like, str) and like in own else body


def _rivals(choice: Choice, raw: Mapping[str, Any]) -> Iterator[Candidate]:
    """The choice's rivals with the person's own keys laid over them."""
    for name in choice.rivals:
        preset = presets().get(name)
        if preset is not None:
            yield Candidate(preset.kind, name, lay_over(preset, raw, preset.kind)[preset.kind])


def _without_presets(raw: dict[str, Any]) -> dict[str, Any]:
    """What can be checked of an entry whose start is at fault."""

    def bare(kind: str, body: Any) -> Any:
        is_body = kind in SYNTH_KINDS and isinstance(body, dict)
        return {key: value for key, value in body.items() if key != "preset"} if is_body else body

    return {key: bare(key, value) for key, value in raw.items()}


def _over_defaults(entry: dict[str, Any], raw: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The keys of the entry before the manifest's defaults before the preset's; only `output` is merged key by key.

    A default that a kind cannot have is for the other sounds of the file.
    """
    kind = next((kind for kind in KINDS if kind in entry), "")
    fitting = {key: value for key, value in defaults.items() if key not in _NEVER.get(kind, ())}
    whole = {**entry, **fitting, **raw, **{kind: entry[kind] for kind in KINDS if kind in entry}}
    if isinstance(raw.get("output"), dict):
        whole["output"] = merged(fitting.get("output") or {}, raw["output"])
    return whole
