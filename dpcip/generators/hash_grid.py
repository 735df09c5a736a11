"""A multi-resolution hash encoding of pixel coordinates (Mueller et al. 2022), in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PRIMES = (1, 2654435761)  # of their spatial hash, row and column


class HashGrid(nn.Module):
    """Learned features on grids from coarse to fine, read at each pixel between their four nearest nodes.

    forward([1, 2, H, W] coordinates in [0, 1]) = [1, n_levels * n_features, H, W]. Level l has `coarsest * growth^l`
    cells along a side; grids with more nodes than the table share its rows by a hash.
    """

    def __init__(
        self, n_levels: int = 12, n_features: int = 2, n_rows: int = 2**14, coarsest: int = 8, finest: int = 256
    ) -> None:
        super().__init__()
        self.n_cells = [round(coarsest * (finest / coarsest) ** (k / (n_levels - 1))) for k in range(n_levels)]
        self.n_channels = n_levels * n_features
        self.table = nn.Parameter(torch.empty(n_levels, n_rows, n_features).uniform_(-1e-4, 1e-4))

    def forward(self, position: Tensor) -> Tensor:
        levels = [self._read(table, position[0], n) for table, n in zip(self.table, self.n_cells, strict=True)]
        return torch.cat(levels, dim=-1).permute(2, 0, 1)[None]

    def _read(self, table: Tensor, position: Tensor, n_cells: int) -> Tensor:
        """One level's features, bilinear between nodes: [H, W, n_features]."""
        scaled = position * n_cells
        node = scaled.floor().clamp(0, n_cells - 1).long()
        row, column = (scaled - node).unsqueeze(-1)
        result = torch.zeros((), device=position.device)
        for down in (0, 1):
            for right in (0, 1):
                share = (row if down else 1 - row) * (column if right else 1 - column)
                result = result + share * table[self._index(node[0] + down, node[1] + right, n_cells, len(table))]
        return result

    @staticmethod
    def _index(row: Tensor, column: Tensor, n_cells: int, n_rows: int) -> Tensor:
        """The row of the table that belongs to a node."""
        if (n_cells + 1) ** 2 <= n_rows:
            return row * (n_cells + 1) + column
        return ((row * PRIMES[0]) ^ (column * PRIMES[1])) % n_rows
