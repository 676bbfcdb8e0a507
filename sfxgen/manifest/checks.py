"""What single fields cannot say of themselves: keys that contradict one another, and paths that leave the project."""

from __future__ import annotations

from collections.abc import Iterator

from sfxgen.errors import Fault
from sfxgen.manifest.document import Document, Key
from sfxgen.manifest.faults import show
from sfxgen.manifest.impact import FromFile
from sfxgen.manifest.master import RATES_HZ, Master
from sfxgen.manifest.paths import inside
from sfxgen.manifest.sound import ONE_EACH, Sound

_FORMAT_KEYS = {"format", "encoding", "rate_hz"}


def check_sound(sound: Sound, name: str, document: Document, folder: str, master: Master) -> Iterator[Fault]:
    """The faults of one entry whose fields are valid.

    folder: the manifest's, from which its paths count. master: the project's settings, below the sound's own.
    """

    def fault(path: list[Key], problem: str, expected: str = "", cure: str = "") -> Fault:
        return document.fault(["sounds", name, *path], problem, expected, cure, sound=name)

    output = sound.output.over(master)
    rubbed = sound.impact is not None and sound.impact.friction is not None
    if sound.kind in ("impact", "scene") and not rubbed and sound.loop:
        which, expected = ("an impact", "no loop, friction, or another kind")
        if sound.kind == "scene":
            which, expected = ("a scene", "no loop, or another kind")
        yield fault(["loop"], f"{which} dies away and cannot loop", expected, "write loop: false")
    elif sound.loop and output.format in ("mp3", "m4a"):
        formats = "wav, flac, ogg or opus"
        yield fault(["output", "format"], f"{output.format} cannot loop without a gap", formats, "or loop: false")
    made = sound.kind in ("impact", "scene")  # of meshes, not of recordings
    if sound.sources and sound.layers and not made:
        yield fault(["layers"], "a recording has no velocity layers", "layers with impact, fm or texture")
    if sound.separate and sound.variations > 1:
        cure = "each stem is one file"
        yield fault(["variations"], "a recording is taken apart in one way", "variations with another kind", cure)
    elif sound.kind in ONE_EACH and sound.variations > 1:
        cure = "write a list of recordings as its source"
        yield fault(["variations"], "one recording gives one variation", "variations with another kind", cure)
    if sound.output.model_fields_set & _FORMAT_KEYS:
        for key, problem, expected in _contradictions(output):
            yield fault(["output", key], problem, expected)
    if sound.output.folder is not None and inside("", sound.output.folder) is None:
        problem = f"{show(sound.output.folder)} leaves the output folder"
        yield fault(["output", "folder"], problem, "a relative path below it, without ..")
    for index, source in enumerate(sound.sources):
        if inside(folder, source) is None:
            what = "mesh" if made else "recording"
            place = place_of_source(sound, index)
            problem, cure = f"{show(source)} leaves the project", f"copy the {what} into the project"
            yield fault(place, problem, "a path relative to this manifest", cure)


def place_of_source(sound: Sound, index: int) -> list[Key]:
    """Where in its entry a sound names a source."""
    if sound.scene:
        files = [k for k, line in enumerate(sound.scene.bodies) if isinstance(line.object, FromFile)]
        return ["scene", "bodies", files[index], "object", "file"]
    return ["impact", "object", "file"] if sound.impact else [sound.kind, "source", index]


def check_master(master: Master, document: Document) -> Iterator[Fault]:
    """The faults of the section `master:` of sfxgen.yaml, whose fields are valid."""
    for key, problem, expected in _contradictions(master):
        yield document.fault(["master", key], problem, expected)


def _contradictions(master: Master) -> Iterator[tuple[str, str, str]]:
    """Key, problem and expected where a format cannot hold what the other keys ask."""
    if master.format == "flac" and master.encoding == "float32":
        yield "encoding", "flac holds whole numbers only, not float32", "pcm16 or pcm24, or format: wav"
    rates = RATES_HZ.get(master.format)
    if rates and master.rate_hz not in rates:
        expected = f"one of {', '.join(map(str, rates))}, or another format"
        yield "rate_hz", f"{master.format} cannot hold {master.rate_hz} Hz", expected
