"""The demo: real clients, a stand-in for OpenRouter on this machine, and everything recorded."""
