"""Plots as files: by a path or a text, and in no form that is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tachograph import analytics
from tachograph.testing import generate_calls


def test_a_plot_goes_where_a_text_says_and_into_no_other_form(tmp_path: Path) -> None:
    plot = analytics.plot_spend(analytics.by_model(generate_calls(50)))
    analytics.save_plot(plot, f"{tmp_path}/spend.svg")
    assert (tmp_path / "spend.svg").read_text().startswith("<svg")
    with pytest.raises(ValueError, match=r"spend\.pdf ends with none of \.png, \.svg, \.html"):
        analytics.save_plot(plot, tmp_path / "spend.pdf")
    assert [file.name for file in tmp_path.iterdir()] == ["spend.svg"]
