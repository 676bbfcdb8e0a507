"""Distils the sentence embedder into the word vectors that sfxgen ships: `python tools/library/distil_words.py`.

As model2vec (Tulkens and van Dongen 2024) does it: each word goes through the teacher alone, a projection onto the
teacher's main directions, weights by rarity (SIF, Arora et al. 2017). Then what it leaves out: the vectors are fitted,
so that their sum over a phrase points where the teacher puts the phrase. Needs Debian's wordnet-base and the teacher's
package, both fetched once into build/; ten minutes on one core. The bytes are the same each time on a machine; another
processor may round a code differently.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from debian import CannotFetch, unpacked
from numpy.typing import NDArray
from sentence_teacher import HOME, WEIGHTS_SHA256, NoTeacher, Teacher
from torch.nn import functional
from word_phrases import WordNet, captions, ing, phrases, read_wordnet, sound_words

from sfxgen.words.tokens import tokens, words
from sfxgen.words.vectors import FILE, write

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tools" / "library" / "corpus.csv"
N_TOKENS, N_PAIRS, N_DIMENSIONS = 28_000, 4_000, 192
N_GLOSSES, N_PHRASES = 80_000, 90_000
N_EPOCHS, BATCH, RATE = 4, 1024, 4e-3
COMMONNESS = 0.1  # how much a word's rank in the teacher's vocabulary counts beside its nearness to captions
SEED = 3

Floats = NDArray[np.float32]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="CSV with a column `caption`")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order: the same bytes each time
    torch.manual_seed(SEED)
    try:
        distil(options.corpus, options.out)
    except (NoTeacher, CannotFetch) as fault:
        print(f"distil_words.py: {fault}", file=sys.stderr)
        return 1
    return 0


def distil(corpus: Path, out: Path) -> None:
    teacher = Teacher()
    wordnet = read_wordnet(unpacked("wordnet-base", ROOT / "build" / "library") / "usr" / "share" / "wordnet")
    known_captions = captions(corpus)
    vocabulary = choose_vocabulary(teacher, wordnet, known_captions)
    texts, targets = samples(teacher, wordnet, known_captions, vocabulary)
    say(f"{len(vocabulary)} tokens, {len(texts)} texts to fit")
    directions = main_directions(targets, N_DIMENSIONS)
    start = token_embeddings(teacher, vocabulary) @ directions * rarity(teacher, vocabulary)[:, None]
    vectors = fit(texts, targets @ directions, vocabulary, start)
    write(out, vocabulary, vectors)
    say(f"{out}: {out.stat().st_size / 1e6:.2f} MB, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()[:16]}")


def choose_vocabulary(teacher: Teacher, wordnet: WordNet, known_captions: Sequence[str]) -> list[str]:
    """Pieces, the words of sounds and of captions, then what is common or near to captions; N_TOKENS."""
    spoken = sound_words()
    wanted = [word for part in spoken.values() for word in part]
    wanted += [ing(verb) for verb in spoken["action"] + spoken["vocal"]]
    wanted += [word for caption in known_captions for word in words(caption)]
    first = [token for token in teacher.vocabulary if re.fullmatch(r"##[a-z]+|[a-z]", token)]
    first += [word for word in wanted if re.fullmatch(r"[a-z]+( [a-z]+)?", word)]
    common = [token for token in teacher.vocabulary if re.fullmatch(r"[a-z]{2,}", token)]
    others = list(dict.fromkeys([*common, *wordnet.lemmas]))
    near = _nearness(cached(teacher, others), cached(teacher, known_captions))
    rank = {
        word: i / len(common) for i, word in enumerate(common)
    }  # the teacher's vocabulary begins with the commonest
    worth = {
        word: near[i] + COMMONNESS * (max(1 - rank.get(word, 1), min(math.log1p(wordnet.lemmas.get(word, 0)) / 6, 1)))
        for i, word in enumerate(others)
    }
    ranked = sorted(others, key=lambda word: (-worth[word], word))
    pairs = [word for word in ranked if " " in word][:N_PAIRS]
    dropped = {word for word in ranked if " " in word} - set(pairs)
    return list(dict.fromkeys([*first, *(word for word in ranked if word not in dropped)]))[:N_TOKENS]


def _nearness(embeddings: Floats, near_to: Floats) -> Floats:
    """Mean cosine with the five nearest: [n, d], [m, d] → [n]."""
    parts = [
        np.sort(embeddings[i : i + 4096] @ near_to.T, axis=1)[:, -5:].mean(1) for i in range(0, len(embeddings), 4096)
    ]
    return np.concatenate(parts)


def samples(
    teacher: Teacher, wordnet: WordNet, known_captions: Sequence[str], vocabulary: Sequence[str]
) -> tuple[list[str], Floats]:
    """Texts and the teacher's unit vectors of them, [n, 384]."""
    glosses = sorted(set(wordnet.glosses))
    random.Random(SEED).shuffle(glosses)
    alone = [token for token in vocabulary if not token.startswith("##")]
    parts = [known_captions, glosses[:N_GLOSSES], phrases(N_PHRASES, SEED), alone, list(wordnet.lemmas)]
    targets = [cached(teacher, part) for part in parts]
    return [text for part in parts for text in part], np.concatenate(targets)


def main_directions(embeddings: Floats, n_dimensions: int) -> Floats:
    """The projection [384, n] that keeps most of the embeddings' squares; not centred: cosines have to stay."""
    moments = embeddings.T.astype(np.float64) @ embeddings.astype(np.float64)
    _, vectors = np.linalg.eigh(moments)
    return np.ascontiguousarray(vectors[:, ::-1][:, :n_dimensions], np.float32)


def token_embeddings(teacher: Teacher, vocabulary: Sequence[str]) -> Floats:
    """The teacher's vector of each token by itself, [tokens, 384]; a piece goes through it as a piece."""
    whole = [token for token in vocabulary if not token.startswith("##")]
    inside = [token for token in vocabulary if token.startswith("##")]
    table = dict(zip(whole, cached(teacher, whole), strict=True))
    table.update(zip(inside, teacher.embed_pieces(inside), strict=True))
    return np.stack([table[token] for token in vocabulary])


def rarity(teacher: Teacher, vocabulary: Sequence[str]) -> Floats:
    """The first guess of each token's weight, [tokens]: a / (a + p) p by Zipf's law from the teacher's ranks."""
    rank = {token: i for i, token in enumerate(teacher.vocabulary)}
    a = 1e-4
    probability = np.array([0.1 / max(1, rank.get(token, 30_000) - 990) for token in vocabulary])
    return (a / (a + probability)).astype(np.float32)


def fit(texts: Sequence[str], targets: Floats, vocabulary: Sequence[str], start: Floats) -> Floats:
    """Vectors whose sums over the texts' tokens point towards the targets: mean cosine, by Adam. [tokens, d]."""
    index = {token: i for i, token in enumerate(vocabulary)}
    sequences = [[index[part] for unit in tokens(text, index) for part in unit] for text in texts]
    useful = np.array([i for i, sequence in enumerate(sequences) if sequence])
    order = np.random.default_rng(SEED)
    held_back, used = np.split(order.permutation(useful), [4000])
    goal = functional.normalize(torch.from_numpy(targets), dim=1)
    bag = torch.nn.EmbeddingBag(len(vocabulary), start.shape[1], mode="sum", _weight=torch.from_numpy(start.copy()))
    optimiser = torch.optim.Adam(bag.parameters(), lr=RATE, betas=(0.9, 0.99))
    n_steps = N_EPOCHS * math.ceil(len(used) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.02, 1 - step / n_steps))

    def cosine(chosen: NDArray[np.int64]) -> torch.Tensor:
        flat = [sequences[i] for i in chosen]
        offsets = np.cumsum([0, *(len(sequence) for sequence in flat[:-1])])
        summed = bag(torch.tensor([token for sequence in flat for token in sequence]), torch.from_numpy(offsets))
        return (functional.normalize(summed, dim=1) * goal[chosen]).sum(1).mean()

    for epoch in range(N_EPOCHS):
        for chosen in _batches(order.permutation(used)):
            optimiser.zero_grad()
            torch.autograd.backward(1 - cosine(chosen))
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            say(f"epoch {epoch + 1} of {N_EPOCHS}: cosine with the teacher {float(cosine(held_back)):.4f} held back")
    fitted: Floats = bag.weight.detach().numpy()
    return fitted


def _batches(indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    yield from (indices[start : start + BATCH] for start in range(0, len(indices), BATCH))


def cached(teacher: Teacher, texts: Sequence[str]) -> Floats:
    """The teacher's vectors, kept in build/ by the texts' digest: a run again takes minutes less."""
    key = hashlib.sha256("\n".join([WEIGHTS_SHA256, *texts]).encode()).hexdigest()[:24]
    place = HOME / "embeddings" / f"{key}.npy"
    if not place.exists():
        say(f"the teacher reads {len(texts)} texts")
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(".part.npy")
        np.save(partial, teacher.embed(texts))
        partial.rename(place)
    embeddings: Floats = np.load(place)
    return embeddings


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
