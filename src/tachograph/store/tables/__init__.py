"""The tables, by what they are about; `store/schema.py` gathers them."""
