"""Parameter, else environment, else default; what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tachograph import Recorder
from tachograph.errors import SettingsError
from tachograph.settings import Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TACHOGRAPH_DB", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)


def test_defaults() -> None:
    settings = Settings.of()
    assert settings.db == "sqlite:///tachograph.db"
    assert settings.durability == "process"
    assert settings.base_urls == ()
    assert settings.service_name is None


def test_a_parameter_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACHOGRAPH_DB", "sqlite:///env.db")
    monkeypatch.setenv("TACHOGRAPH_DURABILITY", "power")
    assert Settings.of().db == "sqlite:///env.db"
    settings = Settings.of(url="sqlite:///given.db", durability=None)
    assert (settings.db, settings.durability) == ("sqlite:///given.db", "power")


def test_base_urls_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACHOGRAPH_BASE_URLS", "https://a.example/v1, https://b.example")
    assert Settings.of().base_urls == ("https://a.example/v1", "https://b.example")


def test_one_base_url_is_given_in_a_list(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"write base_urls=\['https://a.example/v1'\]"):
        Recorder(f"sqlite:///{tmp_path / 'a.db'}", base_urls="https://a.example/v1")


def test_the_service_is_named_as_opentelemetry_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "service.name=shop%20api,deployment.environment.name=prod"
    )
    settings = Settings.of()
    assert (settings.service_name, settings.environment) == ("shop api", "prod")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    assert Settings.of().service_name == "shop"


def test_a_misspelt_setting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACHOGRAPH_DURABILTY", "power")
    with pytest.raises(SettingsError, match="did you mean TACHOGRAPH_DURABILITY"):
        Settings.of()


def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACHOGRAPH_DURABILITY", "forever")
    with pytest.raises(SettingsError, match=r"TACHOGRAPH_DURABILITY.*'forever'"):
        Settings.of()


def test_no_key_is_shown() -> None:
    assert "sk-or" not in repr(Settings.of(openrouter_api_key="sk-or-v1-1"))
