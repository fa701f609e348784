"""Values that a hostile or mistaken client may send, as Hypothesis strategies; other test modules use them too."""

from __future__ import annotations

from hypothesis import strategies as st
from shopfloor_jobs.request import FIELDS

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "4G",
            "1.5 GB",
            "512M",
            "999999999T",
            "2h",
            "1 h 30 min",
            "90m",
            "1-00:00:00",
            "999-9999:59:59",
            "-1",
            "0",
            "٣",
            "1e3",
            "0x10",
            " 7 ",
            "4G\n#SBATCH --partition=gpu",
            "$(id)",
            "x" * 1_000_000,
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(allow_nan=True, allow_infinity=True),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)
KEYS = st.one_of(
    st.sampled_from([*FIELDS, "preset", "Memory", "mem", "options", "__class__"]),
    st.text(max_size=80),
)
OPTIONS = st.dictionaries(KEYS, JSON, max_size=6)
