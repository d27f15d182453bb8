"""Whole numbers -> Arrow columns as a hospital writes them: ids, words, days, amounts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .draw import Flags, Ints

NO_DAY = -(10**6)
MONEY = pa.decimal128(18, 2)


def numbered(prefix: str, numbers: Ints, width: int = 6) -> Any:
    """`PREFIX000001`: the numbers, with zeros in front up to `width` digits."""
    return pc.binary_join_element_wise(prefix, digits(numbers, width), "")


def digits(numbers: Ints, width: int = 0) -> Any:
    """The numbers as text."""
    text = pc.cast(pa.array(numbers), pa.string())
    return pc.utf8_lpad(text, width, "0") if width else text


def words(known: tuple[str, ...], places: Ints) -> Any:
    """The words at those places of the list, dictionary encoded."""
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int16)), pa.array(known, pa.string()))


def days(numbers: Ints) -> Any:
    """Dates, from days since 1970. NO_DAY is NULL."""
    return pa.array(numbers.astype(np.int32), mask=numbers == NO_DAY).cast(pa.date32())


def money(cents: Ints) -> Any:
    """Amounts of two decimals, exact: the cents are the decimal's own unscaled digits, widened to 128 bits."""
    wide = np.empty((len(cents), 2), dtype=np.int64)
    wide[:, 0] = cents
    wide[:, 1] = cents >> 63  # the sign
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(wide)])


def only_where(true: Flags, column: Any) -> Any:
    """The column, and NULL elsewhere."""
    return pc.if_else(pa.array(true), column, pa.scalar(None, column.type))


def joined(*parts: Any) -> Any:
    """The texts of each row, one behind the other. Plain words stand in every row."""
    plain = [part.dictionary_decode() if isinstance(part, pa.DictionaryArray) else part for part in parts]
    return pc.binary_join_element_wise(*plain, "")
