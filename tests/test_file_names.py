"""What is told of a file's name: what was declared of it, and nothing that a sender may have put into it of anybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_lake import Small, everything_said, failed

from carelake import declare
from carelake.source.files_names import WORDS, shown

LANDING = Path("/landing")
CASES = {  # pattern of the feed -> names in its folder, and what is told of each
    "claims/*hospital1*": {
        "claims/hospital1_claim_data.csv": "claims/hospital1_claim_data.csv",
        "claims/hospital1_2024-10.csv.gz": "claims/hospital1_2024-10.csv.gz",
        "claims/hospital1_20241031.csv": "claims/hospital1_20241031.csv",
        "claims/hospital1_Ada_Byron.csv": "claims/hospital1_xxx_xxxxx.csv",
        "claims/hospital1_ADABYRON_001.csv": "claims/hospital1_xxxxxxxx_001.csv",
        "claims/hospital1 Müller's claims.csv": "claims/hospital1 xxxxxx's claims.csv",
        "claims/hospital1_123456789.csv": "claims/hospital1_999999999.csv",
        "claims/hospital1_123-45-6789.csv": "claims/hospital1_999-99-9999.csv",
        "claims/hospital1.123_45_6789.csv": "claims/hospital1.999_99_9999.csv",
        "claims/hospital1-2024-10-31_001.csv": "claims/hospital1-2024-10-31_001.csv",
        "claims/20241031_0600_hospital1.csv": "claims/20241031_0600_hospital1.csv",
        "claims/20241031_123_45_6789_hospital1.csv": "claims/20241031_999_99_9999_hospital1.csv",
        "claims/hospital1_19581204.csv": "claims/hospital1_99999999.csv",  # a day of birth is none of delivery
        "claims/hospital1_20241399.csv": "claims/hospital1_99999999.csv",  # no day at all
        "claims/hospital1_MRN00012.csv": "claims/hospital1_xxx99999.csv",
        "claims/hospital1_a\nb\u202e.csv": "claims/hospital1_a?b?.csv",
    },
    "claims/ada*": {"claims/ada_lovelace.csv": "claims/ada_xxxxxxxx.csv"},
}


@pytest.mark.parametrize("pattern", CASES)
def test_of_a_name_what_is_declared_stands_and_the_rest_is_masked(small: Small, pattern: str) -> None:
    feed = next(one for one in declare.read(small.project).feeds if one.reader == "files")
    told = {name: shown(LANDING / name, LANDING, replace(feed, at=pattern)) for name in CASES[pattern]}
    assert told == CASES[pattern]


def test_no_word_that_stands_is_a_first_name() -> None:
    assert not WORDS & {
        "april",
        "june",
        "may",
        "august",
        "mark",
        "bill",
        "grant",
        "grace",
        "rose",
        "frank",
        "art",
        "pat",
    }


def test_no_table_and_no_message_has_a_name_that_was_in_the_name_of_a_file(small: Small) -> None:
    small.put("claims/hospital1_Zebedina_Quuxworth.csv", "broken")
    small.put("claims/hospital1_Zebedina_Quuxworth_2.csv", "")
    did = small.run(1)
    assert failed(did)
    said = everything_said(small, did) + small.command("status").stdout.decode()
    assert "hospital1_xxxxxxxx_xxxxxxxxx" in said
    assert "Zebedina" not in said
    assert "Quuxworth" not in said
