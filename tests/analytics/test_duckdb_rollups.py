"""Reports from rollups against DuckDB on the calls: sums are equal, quantiles within 1 %."""

from __future__ import annotations

import pytest

from tachograph.analytics import by_model, by_provider, roll_up, scan_rollups
from tests.analytics.proof import Proof
from tests.analytics.test_duckdb_groups import Report, grouped, per_thousand


@pytest.mark.parametrize(("report", "key"), [(by_model, "model"), (by_provider, "provider")])
def test_reports_from_rollups(proof: Proof, report: Report, key: str) -> None:
    roll_up(proof.url, archive=proof.archive)
    found = report(scan_rollups(proof.url)).collect()
    answer = proof.engine.sql(grouped(key))
    expected = [dict(zip(answer.columns, line, strict=True)) for line in answer.fetchall()]
    assert [line[key] for line in expected] == found[key].to_list()
    for mine, theirs in zip(found.iter_rows(named=True), expected, strict=True):
        assert mine.pop("spent_usd_per_1000_calls") == per_thousand(
            mine["spent_usd"], mine["calls"]
        )
        for name, value in theirs.items():
            if name.endswith("_seconds"):
                assert mine[name] == (value if value is None else pytest.approx(value, rel=0.0101))
            elif isinstance(value, float):
                assert mine[name] == pytest.approx(value, rel=1e-12)
            else:
                assert mine[name] == value
