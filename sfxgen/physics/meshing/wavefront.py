"""The parts of an .obj file by what its faces stand under: object, group, material."""

from __future__ import annotations

_NAMES, _NUMBERS = ("o", "g", "usemtl"), ("v", "vn", "vt", "f")


def numbered(text: str) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The same points and faces in objects named 0, 1, …, and the names of each: of its object, or in a file without
    objects of its group, and of its material.

    Of these words trimesh keeps the object's name alone, though it splits by materials.
    """
    lines = text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines()
    words = [line.split(maxsplit=1) for line in lines]
    kept = ("o" if any(word[:1] == ["o"] for word in words) else "g", "usemtl")
    under = dict.fromkeys(kept, "")
    numbers: dict[tuple[str, ...], int] = {}
    found, last = [], -1
    for line, word in zip(lines, words, strict=True):
        if word and word[0] in _NAMES:
            under |= {word[0]: "".join(word[1:]).strip()} if word[0] in kept else {}
        elif word and word[0] in _NUMBERS:  # not comments: trimesh would split at a word in them
            if word[0] == "f":
                number = numbers.setdefault(tuple(under.values()), len(numbers))
                if number != last:
                    found.append(f"o {number}")
                last = number
            found.append(line.strip())
    return "\n".join(found), tuple(tuple(name for name in names if name) for names in numbers)
