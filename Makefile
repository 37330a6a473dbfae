# make demo | test | check | docs. Each sets itself up in .venv; a second run starts at once.

PYTHON_FILES := src tests benchmarks migrations notebooks docs/generate.py docs/trace_picture.py
BIN := .venv/bin
USE := .venv/.ready-for-use
DEV := .venv/.ready-for-development

.PHONY: help demo test check crash outage soak fuzz lint docs docs-check clean

help:
	@echo "make demo    record some 200 calls to a stand-in for OpenRouter, and report on them"
	@echo "make test    run the tests (ARGS=... goes to pytest)"
	@echo "make check   all that a change must pass: format, lint, types, imports, docs, tests"
	@echo "make crash   kill recording processes 200 times, fill disks, start processes in all ways"
	@echo "make outage  ten minutes without PostgreSQL; make soak: a million calls"
	@echo "make fuzz    20,000 broken answers: nothing raised, nothing changed, nothing invented"
	@echo "make docs    write the generated pages of docs/ again"

demo: $(USE)
	@$(BIN)/tachograph demo $(ARGS)

test: $(DEV)
	$(BIN)/python -m pytest $(ARGS)

check: lint docs-check test

lint: $(DEV)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/mypy
	$(BIN)/lint-imports

crash: $(DEV)
	TACHOGRAPH_TEST_KILLS=200 TACHOGRAPH_TEST_LOCK=35 \
	TACHOGRAPH_TEST_PROCESSES=8 TACHOGRAPH_TEST_CALLS=1000 \
	$(BIN)/python -m pytest tests/crash --deselect tests/crash/test_outage.py $(ARGS)

outage: $(DEV)
	TACHOGRAPH_TEST_OUTAGE=600 $(BIN)/python -m pytest tests/crash/test_outage.py

fuzz: $(DEV)
	TACHOGRAPH_TEST_FUZZ=20000 $(BIN)/python -m pytest tests/test_fuzz.py

soak: $(DEV)
	$(BIN)/python benchmarks/soak.py

docs: $(DEV)
	$(BIN)/python docs/generate.py

docs-check: $(DEV)
	$(BIN)/python docs/generate.py --check

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(USE): pyproject.toml constraints.txt tools/venv
	@tools/venv demo,httpx2
	@touch $@

$(DEV): pyproject.toml constraints.txt tools/venv
	@tools/venv demo,httpx2,otlp,plots,postgres dev
	@touch $(USE) $@
