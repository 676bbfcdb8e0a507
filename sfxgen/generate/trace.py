"""What a descent did, for a person: a picture of loss, targets and sound over the steps, and every parameter."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sfxgen import mel
from sfxgen.distill.optimise import Start, Step, Walk, render
from sfxgen.errors import ProgramMissing
from sfxgen.priors.contract import Prior

N_PICTURES = 5  # places along the descent that are shown


class Trace:
    """Listens to one descent. names: of θ's entries, one list a start."""

    def __init__(self, starts: Sequence[Start], names: Sequence[Sequence[str]], n_steps: int, prior: Prior) -> None:
        self._starts, self._names, self._prior = starts, names, prior
        self._shown = set(np.linspace(0, n_steps - 1, min(N_PICTURES, n_steps)).round().astype(int).tolist())
        self._losses: list[tuple[float, ...]] = []
        self._thetas: list[NDArray[np.float64]] = []
        self._frames: list[tuple[int, float, NDArray[np.float32], NDArray[np.float32]]] = []

    def on_step(self, step: Step, walk: Walk) -> None:
        """Note the loss and θ; now and then also how the first start sounds and what it shall sound like."""
        self._losses.append(step.losses)
        self._thetas.append(walk.theta.numpy().copy())
        if step.number in self._shown:
            with torch.no_grad():
                audio = render(self._starts[:1], walk.theta[:1], [self._starts[0].seed], self._prior)
                goal = step.wanted[0][0].float().cpu().numpy()
                found = self._prior.features(audio)[0][0].float().cpu().numpy()
            self._frames.append((step.number, step.t, _levels(found), _levels(goal)))

    def write(self, folder: Path) -> list[Path]:
        """descent.png and parameters.csv; gives their paths. Raises ProgramMissing without matplotlib."""
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / "parameters.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            titles = [f"start {i + 1} {name}" for i, names in enumerate(self._names) for name in names]
            losses = [f"loss {i + 1}" for i in range(len(self._names))]
            writer.writerow(["step", *losses, *titles])
            for number, (loss, theta) in enumerate(zip(self._losses, self._thetas, strict=True)):
                every = [f"{x:.5g}" for i, names in enumerate(self._names) for x in theta[i, : len(names)]]
                writer.writerow([number, *(f"{x:.6g}" for x in loss), *every])
        picture = folder / "descent.png"
        self._draw(picture)
        return [picture, table]

    def _draw(self, path: Path) -> None:
        try:
            import matplotlib as mpl
        except ImportError:
            raise ProgramMissing("a trace is drawn with matplotlib: pip install matplotlib") from None
        mpl.use("Agg")
        from matplotlib import pyplot

        n = max(1, len(self._frames))
        figure = pyplot.figure(figsize=(3.2 * n, 8))
        grid = figure.add_gridspec(3, n, height_ratios=[1.2, 1, 1])
        axis = figure.add_subplot(grid[0, :])
        for i, row in enumerate(zip(*self._losses, strict=True)):
            axis.plot(row, label=f"start {i + 1}: {self._starts[i].prompt}")
        axis.set(xlabel="step", ylabel="loss", yscale="log")
        axis.legend(fontsize=8)
        for column, (number, t, found, goal) in enumerate(self._frames):
            for line, (what, levels) in enumerate((("sound", found), ("target", goal))):
                below = figure.add_subplot(grid[1 + line, column])
                below.imshow(levels, origin="lower", aspect="auto")
                below.set(title=f"{what}, step {number}, t {t:.2f}", xticks=[], yticks=[])
        figure.tight_layout()
        figure.savefig(path, dpi=80, metadata={"Software": ""})
        pyplot.close(figure)


def _levels(feature: NDArray[np.float32]) -> NDArray[np.float32]:
    """As a picture, low frequencies at the bottom: levels [frames, bands] turned, magnitudes [bins, frames] in dB."""
    if feature.shape[-1] == mel.N_MELS:
        return np.asarray(feature.T)
    return np.asarray(20.0 * np.log10(np.maximum(feature, 1e-5)), dtype=np.float32)
