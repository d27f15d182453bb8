"""What the restricted zone holds for what computes, and shows to nobody who asks."""

from __future__ import annotations

import pytest
from small_lake import Small, failed

from carelake.errors import QuestionRefused
from carelake.lake import opened


def test_exact_birth_dates_are_there_for_what_computes_and_for_nobody_who_asks(small: Small) -> None:
    asked = "SELECT birth.birth_date FROM restricted.patient_birth AS birth ORDER BY ALL"
    with opened(small.project, small.environment, writing=False) as lake:
        shown = lake.engine.ask("SELECT * FROM restricted.patient_birth")
        assert (shown.column_names, shown.num_rows) == (["patient_key", "birth_date"], 3)
        dates = [str(day) for day in lake.engine.ask(asked)["birth_date"].to_pylist()]
    assert dates == ["1958-04-23", "1978-11-07", "1980-12-10"]
    with pytest.raises(QuestionRefused):
        small.ask("SELECT * FROM restricted.patient_birth")
    small.sql("UPDATE patients SET DOB = '1980-12-11', ModifiedDate = '2024-06-01' WHERE PatientID = 'P1'")
    small.sql("DELETE FROM patients WHERE PatientID = 'P2'")
    assert failed(small.run(1, reconcile=True)) == {}
    with opened(small.project, small.environment, writing=False) as lake:
        assert [str(day) for day in lake.engine.ask(asked)["birth_date"].to_pylist()] == ["1978-11-07", "1980-12-11"]
