"""Words for missing values, as pandas, other programs and people write them."""

from __future__ import annotations

from recbole_sibrar.data.atomic.tables import MISSING

PANDAS_WORDS = frozenset(MISSING) - {""}
"""Words for a missing value in pandas.

RecBole reads atomic files by pandas, so it misses the same cells.
"""

# Errors of formulas in a spreadsheet.
_SPREADSHEET_WORDS = frozenset({"#null!", "#value!", "#div/0!", "#ref!"})

# Dashes, question marks, and \N as MySQL and Hive export NULL.
_MARKS = frozenset({"-", "--", "\u2013", "\u2014", "?", ".", "\\n"})

_OTHER_WORDS = frozenset({"n.a.", "nil", "nat", "missing", "unknown", "undefined"})

_LOWERED = frozenset(word.lower() for word in PANDAS_WORDS)

MISSING_NUMBERS = _LOWERED | _SPREADSHEET_WORDS | _MARKS | _OTHER_WORDS
"""Words for a missing number, in small letters.

A column of numbers and such words holds numbers.
"""
