"""CREDITS.txt beside the library that ships: whose recordings it holds, one by one, and the licences' own words."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from sfxgen.library.store import Library

_BSD = """\
Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:
  * Redistributions of source code must retain the above copyright notice, this list of conditions and the following
    disclaimer.
  * Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
    disclaimer in the documentation and/or other materials provided with the distribution.
  * Neither the name of the freedoom project nor the names of its contributors may be used to endorse or promote
    products derived from this software without specific prior written permission.
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""
_FESTIVAL = """\
Spoken by Flite. Copyright (c) Carnegie Mellon University, Centre for Speech Technology Research (University of
Edinburgh), Cepstral, LLC. Permission is hereby granted, free of charge, to use and distribute this software and its
documentation without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of this work, and to permit persons to whom this work is furnished to do so,
subject to the following conditions: 1. The code must retain the above copyright notice, this list of conditions and the
following disclaimer. 2. Any modifications must be clearly marked as such. 3. Original authors' names are not deleted.
4. The authors' names are not used to endorse or promote products derived from this software without specific prior
written permission. The authors disclaim all warranties with regard to this software.
"""
_TERMS = {
    "BSD-3-Clause": _BSD,
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/legalcode\n",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/legalcode\n",
    "LicenseRef-public-domain": "In the public domain, as their packages state.\n",
    "MIT-Festival": _FESTIVAL,
}
_HEAD = """\
The sound library that ships with sfxgen

levels.bin holds log-mel levels in 8 bits, measured from the sounds below after cutting, resampling and mixing to mono:
that is how they were changed. A sound made from it names whose recordings it comes from: `sfxgen report --credits`.
"""


def write_notices(library: Library, folder: Path) -> None:
    """One section a licence, one entry a credit, every sound by name. Raises KeyError for a licence without words."""
    held: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for exemplar in library.exemplars:
        held[exemplar.licence][exemplar.credit].append(exemplar.name)
    parts = [_HEAD]
    for licence, by_credit in sorted(held.items()):
        parts.append(f"\n{licence}\n{'=' * len(licence)}\n{_TERMS[licence]}")
        for credit, names in sorted(by_credit.items()):
            parts.append(f"\n{credit}\n" + "".join(f"  {name}\n" for name in sorted(names)))
    (folder / "CREDITS.txt").write_text("".join(parts), encoding="utf-8", newline="\n")
