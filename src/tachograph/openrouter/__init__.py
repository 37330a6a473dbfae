"""All that is OpenRouter's: its paths, bodies, failures and listings. Pure."""
