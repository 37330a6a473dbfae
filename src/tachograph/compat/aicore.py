"""AiCore's `LlmOperationCollector`, as far as notebooks use it: frames of what was recorded.

`from tachograph.compat.aicore import LlmOperationCollector` is the one line of a notebook that
changes. Recording is the recorder's work, and AiCore's own methods for it are not here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tachograph.analytics.aicore_frame import Wanted, read_aicore_frame
from tachograph.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from tachograph.analytics.sources import Source

__all__ = ["LlmOperationCollector"]


class LlmOperationCollector:
    """Where AiCore's notebooks get their frames from."""

    @classmethod
    def polars_from_db(
        cls,
        agent_id: str | None = None,
        action_id: str | None = None,
        session_id: str | None = None,
        workspace: str | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
        *,
        provider: str | None = None,
        operation_type: str | None = None,
        min_tokens: int | None = None,
        max_tokens: int | None = None,
        min_latency: float | None = None,
        max_latency: float | None = None,
        db: Source | None = None,
    ) -> pl.DataFrame:
        """Recorded operations in AiCore's 26 columns, the newest first; all 26 also without rows.

        Without dates all that is stored. (AiCore gave only what came since midnight of yesterday,
        and did not say so.) Dates are ISO, UTC where they name no zone, and stand for when a call
        began; `end_date` is an instant, so a day as end is its midnight. Bounds are inclusive:
        tokens in total, latency in milliseconds. None and "" filter nothing.

        `provider` is "openrouter" for every call. agent, action and workspace are the tags
        `agent` or `agent_id`, `action` or `action_id`, and `workspace`; `extras` is JSON of the
        other tags. Prompts, answers and `completion_args` are null where content was not kept.
        `cost` is USD; what is not known is null, never 0. Whether a call was awaited is not
        recorded: `operation_type="completion"` and `"acompletion"` find both.

        `db` is a URL, an engine or a recorder; else TACHOGRAPH_DB. Raises StoreError.
        """
        wanted = Wanted(
            agent_id=agent_id,
            action_id=action_id,
            session_id=session_id,
            workspace=workspace,
            start_date=start_date,
            end_date=end_date,
            provider=provider,
            operation_type=operation_type,
            min_tokens=min_tokens,
            max_tokens=max_tokens,
            min_latency=min_latency,
            max_latency=max_latency,
        )
        return read_aicore_frame(Settings.of().db if db is None else db, wanted)

    @classmethod
    async def apolars_from_db(cls, *args: Any, **filters: Any) -> pl.DataFrame:
        """The same as `polars_from_db`, with the same arguments, without blocking the loop."""
        return await asyncio.to_thread(cls.polars_from_db, *args, **filters)
