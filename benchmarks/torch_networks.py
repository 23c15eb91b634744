"""The bundled networks in PyTorch, for the benchmarks: same layers, order and number of parameters."""

from __future__ import annotations

import torch
from torch import nn


def conv(i, o, k, stride=1, pad=None):
    return nn.Sequential(nn.Conv2d(i, o, k, stride, k // 2 if pad is None else pad), nn.ReLU(inplace=True))


class Block(nn.Module):
    def __init__(self, i, one, r3, three, r5, five, pool):
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv(i, one, 1),
                nn.Sequential(conv(i, r3, 1), conv(r3, three, 3)),
                nn.Sequential(conv(i, r5, 1), conv(r5, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(i, pool, 1)),
            ]
        )

    def forward(self, x):
        return torch.cat([b(x) for b in self.branches], 1)


def dense(i, o, drop=0.0):
    return nn.Sequential(nn.Linear(i, o), nn.ReLU(inplace=True), nn.Dropout(drop))


def halve():
    return nn.MaxPool2d(3, 2, 1)


def build(network, classes):
    """Return `nvidia` (PilotNet) or `inception` (GoogLeNet) for images (N, 3, 90, 160) in [-1, 1]."""
    if network == "nvidia":
        sizes = ((3, 24, 5, 2), (24, 36, 5, 2), (36, 48, 5, 2), (48, 64, 3, 1), (64, 64, 3, 1))
        return nn.Sequential(
            *(conv(i, o, k, s, 0) for i, o, k, s in sizes),
            nn.Flatten(),
            dense(64 * 4 * 13, 1164, 0.5),
            dense(1164, 100, 0.5),
            dense(100, 50),
            dense(50, 10),
            nn.Linear(10, classes),
        )
    return nn.Sequential(
        conv(3, 64, 7, 2),
        halve(),
        conv(64, 64, 1),
        conv(64, 192, 3),
        halve(),
        Block(192, 64, 96, 128, 16, 32, 32),
        Block(256, 128, 128, 192, 32, 96, 64),
        halve(),
        Block(480, 192, 96, 208, 16, 48, 64),
        Block(512, 160, 112, 224, 24, 64, 64),
        Block(512, 128, 128, 256, 24, 64, 64),
        Block(512, 112, 144, 288, 32, 64, 64),
        Block(528, 256, 160, 320, 32, 128, 128),
        halve(),
        Block(832, 256, 160, 320, 32, 128, 128),
        Block(832, 384, 192, 384, 48, 128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(1024, classes),
    )
