"""Tables as CSV and Markdown, and the energy of PSFs in boxes (Table 3 of the paper)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dpcip.optics.psf import PsfBank
from dpcip.utils.files import replacing


def energy_table(bank: PsfBank, psi: float, boxes: tuple[int, ...]) -> pd.DataFrame:
    """Energy in centred boxes at the plane nearest to `psi`, in percent: a row a box, a column a channel (Table 3)."""
    plane = int(np.abs(bank.psi - psi).argmin())
    names = list("RGB") if bank.n_channels == 3 else [f"channel {c}" for c in range(bank.n_channels)]
    rows = [100 * bank.energy(box)[plane] for box in boxes]
    return pd.DataFrame(rows, columns=names, index=pd.Index(boxes, name="box"))


def write_table(path: Path, table: pd.DataFrame, caption: str) -> None:
    """Writes `path`.csv, and `path`.md with the caption above the table."""
    with replacing(path.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    with replacing(path.with_suffix(".md")) as temporary:
        markdown = table.to_markdown(index=False, floatfmt=".4g")
        temporary.write_text(f"{caption}\n\n{markdown}\n", encoding="utf-8")
