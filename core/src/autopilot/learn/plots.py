"""Pictures of a training: label distribution, confusion, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from autopilot.api.types import ActionSpace


def plot_labels(path: Path, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Draw how often each action occurs in each part of the data (part -> action -> frames)."""
    actions = list(next(iter(counts.values())))
    figure = Figure(figsize=(max(6, 0.9 * len(actions)), 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(counts)
    for i, (part, of) in enumerate(counts.items()):
        total = max(sum(of.values()), 1)
        x = np.arange(len(actions)) + (i - (len(counts) - 1) / 2) * width
        bars = axes.bar(x, [100 * of[a] / total for a in actions], width, label=f"{part} ({total})")
        axes.bar_label(bars, [str(of[a]) for a in actions], fontsize=7)
    axes.set_xticks(range(len(actions)), actions, rotation=20, ha="right")
    axes.set_ylabel("share of frames, %")
    axes.set_title("Label distribution")
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=120)


def plot_confusion(path: Path, confusion: Mapping[str, Any], space: ActionSpace) -> None:
    """Draw a confusion matrix per axis: rows are what was held, columns what the network picks."""
    figure = Figure(figsize=(4.2 * len(space.axes), 4), layout="constrained")
    for plot, axis in zip(figure.subplots(1, len(space.axes), squeeze=False)[0], space.axes, strict=True):
        counts = np.asarray(confusion[axis.name])
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        plot.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.5 else "black"
            text = f"{share:.2f}\n{counts[row, column]}"
            plot.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        plot.set_xticks(range(len(axis.values)), axis.values)
        plot.set_yticks(range(len(axis.values)), axis.values)
        plot.set_xlabel("decided")
        plot.set_ylabel("held")
        plot.set_title(axis.name)
    figure.savefig(path, dpi=120)


def plot_curves(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Draw loss, accuracy and the learning rate over the epochs."""
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    epochs = [h["epoch"] for h in history]
    loss.plot(epochs, [h["train_loss"] for h in history], "o-", label="train")
    loss.plot(epochs, [h["loss"] for h in history], "o-", label="validation")
    accuracy.plot(epochs, [100 * h["accuracy"] for h in history], "o-", label="all axes")
    for name in history[0]["accuracy_by_axis"]:
        shares = [100 * h["accuracy_by_axis"][name] for h in history]
        accuracy.plot(epochs, shares, "--", label=name)
    rate.semilogy(epochs, [h["learning_rate"] for h in history], "o-", label="the optimiser's")
    titles = ("loss", "upper right"), ("validation accuracy, %", "lower right"), ("learning rate", "lower left")
    for plot, (title, corner) in zip((loss, accuracy, rate), titles, strict=True):
        plot.set_title(title)
        plot.set_xlabel("epoch")
        plot.xaxis.get_major_locator().set_params(integer=True)
        plot.grid(alpha=0.3)
        plot.legend(loc=corner)
    figure.savefig(path, dpi=120)
