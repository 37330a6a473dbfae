"""Every setting, spelled once: parameter, else environment, else default.

Our own variables begin with TACHOGRAPH_; OpenRouter's and OpenTelemetry's names keep their owners'
meaning. An unknown TACHOGRAPH_ variable is an error, since it is most likely a misspelt one.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tachograph.errors import SettingsError

Durability = Literal["process", "power", "memory"]

PREFIX = "TACHOGRAPH_"
DEFAULT_DB = "sqlite:///tachograph.db"
OPENROUTER_URL = "https://openrouter.ai/api/v1"


class Settings(BaseSettings):
    """What the environment and the parameters of a recorder say."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    db: str = DEFAULT_DB
    """URL of the database."""
    base_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Further base URLs to record, separated by commas or spaces."""
    durability: Durability = "process"
    journal_dir: Path | None = None
    """Where journals go; else beside a SQLite file, or in the user's state directory."""
    api_key_salt: str | None = Field(None, repr=False)
    """Tells API keys apart by a hash with this salt; None: not at all."""
    capture_content: Literal["off", "metadata", "full"] = "off"
    """Whether prompts and answers are kept: not at all, their shape alone, or their text."""
    semconv: Literal["main", "1.42"] = "main"
    """Whose names spans and metrics have: of the GenAI conventions' main branch, or of 1.42."""
    disabled: bool = False
    """Record nothing."""
    openrouter_api_key: str | None = Field(None, validation_alias="OPENROUTER_API_KEY", repr=False)
    openrouter_base_url: str = Field(OPENROUTER_URL, validation_alias="OPENROUTER_BASE_URL")
    otel_service_name: str | None = Field(None, validation_alias="OTEL_SERVICE_NAME")
    otel_resource_attributes: str = Field("", validation_alias="OTEL_RESOURCE_ATTRIBUTES")

    @field_validator("base_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("capture_content", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if str(value).lower() in ("false", "0", "no", "") else value

    @classmethod
    def of(cls, *, url: str | None = None, **given: Any) -> Settings:
        """The settings with these parameters; those that are None or empty are not given.

        Raises SettingsError.
        """
        refuse_unknown()
        if isinstance(base_urls := given.get("base_urls"), str):
            raise SettingsError(f"base_urls takes several: write base_urls=[{base_urls!r}]")
        given = {name: value for name, value in given.items() if value not in (None, ())}
        if url is not None:
            given["db"] = url
        try:
            return cls(**given)
        except ValidationError as exc:
            first = exc.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "?"
            raise SettingsError(
                f"{PREFIX}{name.upper()} (parameter {name}): {first['msg']}, not {first['input']!r}"
            ) from None

    @property
    def contents(self) -> Literal["metadata", "full"] | None:
        """How content is captured; None: not at all."""
        return None if self.capture_content == "off" else self.capture_content

    @property
    def service_name(self) -> str | None:
        return self.otel_service_name or self._resource("service.name")

    @property
    def environment(self) -> str | None:
        return self._resource("deployment.environment.name") or self._resource(
            "deployment.environment"
        )

    def _resource(self, name: str) -> str | None:
        for pair in self.otel_resource_attributes.split(","):
            key, _, value = pair.partition("=")
            if key.strip() == name and value.strip():
                return unquote(value.strip())
        return None


def refuse_unknown() -> None:
    """SettingsError where the environment has a TACHOGRAPH_ variable that is none of ours."""
    known = {
        PREFIX + name.upper()
        for name, field in Settings.model_fields.items()
        if field.validation_alias is None
    }
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known and not name.startswith(_FOR_TESTS):
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise SettingsError(f"the environment has an unknown setting {name}{hint}")


_FOR_TESTS = (PREFIX + "TEST_", PREFIX + "REQUIRE_")
