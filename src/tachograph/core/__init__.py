"""Pure parts: no I/O, no clock of their own, nothing of OpenRouter."""
