"""One sound as the manifest asks for it, its presets and prompt already resolved into one full kind."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from sfxgen.manifest.base import Between, Spec
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.guide import Guide, switched
from sfxgen.manifest.impact import FromFile, Impact
from sfxgen.manifest.liquid import Liquid
from sfxgen.manifest.master import Master
from sfxgen.manifest.recordings import MAX_VARIATIONS, Edit, Enhance, File, LayerName, Prompt, Separate
from sfxgen.manifest.scene import Scene
from sfxgen.manifest.text import Text
from sfxgen.manifest.texture import Texture

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*"


class Output(Master):
    """Where this sound's files go and how they are mastered, where it differs from the project's `master:`.

    Only the keys that are written count (`model_fields_set`); the rest comes from the project.
    """

    folder: str | None = Field(None, description="Folder below the project's `out` folder.")

    def over(self, master: Master) -> Master:
        """The project's settings with this sound's laid over them."""
        own = {key: getattr(self, key) for key in self.model_fields_set - {"folder"}}
        return master.model_copy(update=own) if own else master


Intensity = Annotated[tuple[float, float], Between(0, 1)]
Tag = Annotated[str, Field(min_length=1, max_length=64)]


def _spread(value: Any) -> Any:
    """Layers without an intensity share 0 to 1 out evenly, softest first: `{soft, medium, hard}` is a whole entry."""
    if not isinstance(value, dict):
        return value
    n = len(value)
    if any(v is None for v in value.values()) and not all(v is None for v in value.values()):
        raise PydanticCustomError(
            "layers", "some layers have an intensity and some have none; expected one for each, or none at all"
        )
    return {name: [i / n, (i + 1) / n] if v is None else v for i, (name, v) in enumerate(value.items())}


class Defaults(Spec):
    """What every sound of a file has unless it says otherwise."""

    variations: Annotated[int, Field(ge=1, le=MAX_VARIATIONS)] = Field(
        1, description="How many variations to make (of each velocity layer)."
    )
    layers: Annotated[dict[LayerName, Intensity], BeforeValidator(_spread), Field(max_length=16)] = Field(
        default_factory=dict,
        description="Velocity layers, softest first: `{soft, medium, hard}`, or each with its intensity "
        "[low, high] within 0 to 1.",
    )
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        None, description="Fixes the random choices; without it the sound's name does."
    )
    duration_s: Annotated[float, Field(ge=0.01, le=120)] | None = Field(
        None, description="Length (s). Without it the sound lasts as long as it rings."
    )
    loop: bool | None = Field(None, description="Repeats without a seam.")
    guide: Annotated[Guide, BeforeValidator(switched)] = Field(
        default_factory=Guide, description="How a prompt guides impact, fm and texture; false: not at all."
    )
    tags: Annotated[tuple[Tag, ...], Field(strict=False, max_length=64)] = Field(
        (), description="Free words, handed on to the index."
    )
    category: Annotated[str, Field(pattern=r"^[A-Z]{2,8}[A-Z]?[A-Za-z]{0,12}$")] | None = Field(
        None, description="UCS category, a CatID such as DOORWood or FEETHmn."
    )
    output: Output = Field(default_factory=Output, description="Folder, format and mastering of these files.")


class Sound(Defaults):
    """One entry under `sounds:`."""

    prompt: Prompt | None = Field(
        None, description="What it sounds like, in plain words. Alone, it also chooses the kind."
    )
    impact: Impact | None = Field(None, description="Something is struck: modal physics.")
    scene: Scene | None = Field(None, description="Bodies fall, roll, pile up: rigid bodies, each rings as it is hit.")
    fm: Fm | None = Field(None, description="Frequency modulation: lasers, coins, engines, interface.")
    texture: Texture | None = Field(None, description="Noise bands and grains: wind, rain, fire, blasts, steps.")
    liquid: Liquid | None = Field(None, description="Bubbles and spray: drips, pours, boils, splashes.")
    text: Text | None = Field(None, description="Sampled from the prior by its prompt, with no synth.")
    edit: Edit | None = Field(None, description="A recording moved towards the prompt.")
    separate: Separate | None = Field(None, description="A recording taken apart into the sounds in it.")
    enhance: Enhance | None = Field(None, description="Speech in a recording without what disturbs it.")
    file: File | None = Field(None, description="A recording that only needs mastering.")

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def body(self) -> Spec:
        """The parameters of the sound's kind."""
        body: Spec = getattr(self, self.kind)
        return body

    @property
    def guidable(self) -> bool:
        """Whether a prompt can guide its kind of body."""
        return guidable(self.kind, self.body)

    @property
    def sources(self) -> tuple[str, ...]:
        """Paths of the recordings or meshes that it begins with, relative to the manifest."""
        if self.impact and isinstance(self.impact.object, FromFile):
            return (self.impact.object.file,)
        if self.scene:
            return tuple(line.object.file for line in self.scene.bodies if isinstance(line.object, FromFile))
        return tuple(getattr(self.body, "source", ()))

    def body_from(self, sources: tuple[str, ...]) -> Spec:
        """The parameters of the sound's kind with these paths for its `sources`."""
        if not sources:
            return self.body
        if self.impact:
            item = self.impact.object.model_copy(update={"file": sources[0]})
            return self.impact.model_copy(update={"object": item})
        if self.scene:
            return self.scene.with_files(sources)
        return self.body.model_copy(update={"source": sources})


KINDS: dict[str, type[Spec]] = {
    "impact": Impact,
    "scene": Scene,
    "fm": Fm,
    "texture": Texture,
    "liquid": Liquid,
    "text": Text,
    "edit": Edit,
    "separate": Separate,
    "enhance": Enhance,
    "file": File,
}


def guidable(kind: str, body: Spec) -> bool:
    """Whether guidance can turn this body: an impact that is one body struck by blows, in no room with walls, an fm, a
    texture."""
    if isinstance(body, Impact):
        return body.contacts is None and body.friction is None and not (body.room and body.room.shoebox)
    return kind in ("fm", "texture")


ONE_EACH = ("file", "separate", "enhance")  # kinds whose recordings or stems say how many files there are
PROMPTED = ("text", "edit")  # kinds that are nothing without a prompt
