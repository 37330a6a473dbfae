"""Tools to test apps that call OpenRouter: a stand-in server that needs no key and no money.

    with FakeOpenRouter() as server:
        client = OpenAI(base_url=server.base_url, api_key="any")

Under pytest, the fixture `fake_openrouter` gives one that is already running.
"""

from __future__ import annotations




