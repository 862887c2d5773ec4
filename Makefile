# Every target sets up what it needs by itself; Python 3.11 is all that has to be there.
.DEFAULT_GOAL := help
.PHONY: help run run-with-emulators test coverage test-promises test-programs check format bench bench-ingest bench-retrieval bench-answers bench-latency admin manage lock clean setup-run setup-dev setup-neural setup-programs
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
INSTALL = python=$$(PYTHON="$(PYTHON)" sh launcher/python.sh) && "$$python" launcher/install.py

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-20s %s\n", $$1, $$2 }'

run: setup-run ## Start everything on this machine: web, agent, worker, PostgreSQL (PORT=8000)
	@exec $(PY) -m launcher run

run-with-emulators: setup-run ## The same against emulated Gemini and Pinecone, with data of its own
	@exec $(PY) -m launcher emulators

admin: setup-run ## Make an administrator; asks for e-mail and password (EMAIL=)
	@exec $(PY) -m launcher admin $(if $(EMAIL),--email "$(EMAIL)")

manage: setup-run ## Run a Django command with the database up: make manage ARGS="ledger_audit"
	@exec $(PY) -m launcher exec -- python manage.py $(ARGS)

test: setup-dev ## Run the tests (ARGS="-k word")
	@exec $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not long" -q $(ARGS)

coverage: override ARGS += --cov --cov-report=term
coverage: test ## Run the tests under coverage: at least 90 % with branches; takes about twice as long

test-promises: setup-dev ## Run the long forms of the promises (minutes)
	@exec $(PY) -m pytest -m long -q --timeout 3600 $(ARGS)

test-programs: setup-dev setup-programs ## Run the tests of programs/, which need DSPy
	@exec $(PY) -m pytest tests/programs -q $(ARGS)

check: setup-dev ## Lint, types, import arrows, migrations, OpenAPI schema, YAML, Dockerfile, locks
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PY) manage.py check --fail-level WARNING
	$(PY) manage.py spectacular --fail-on-warn --validate --file /dev/null
	$(PY) -m yamllint --strict .
	$(PY) -m pre_commit validate-config
	if [ -x .venv/bin/hadolint ]; then .venv/bin/hadolint docker/Dockerfile; fi
	! grep -nE '^ *(-i|-f|--(extra-)?index-url|--find-links)|://' requirements/*.txt

format: setup-dev ## Sort imports, fix what can be fixed, format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: setup-dev ## Measure latency, throughput and ingestion, side by side with a direct call
	@exec $(PY) -m bench $(ARGS)

bench-ingest: setup-dev ## Measure ingestion beside the parser and the embedder alone
	@exec $(PY) -m bench.ingestion $(ARGS)

bench-answers: setup-dev ## Measure what keyless answers cite and refuse on ../shared/data
	@exec $(PY) -m bench.answer_quality $(ARGS)

bench-retrieval: setup-dev ## Measure what is found: BM25, dense and fused on ../shared/data
	@exec $(PY) -m bench.retrieval $(ARGS)

bench-latency: setup-dev ## Measure retrieval over many passages and many bots, beside an exact search (ARGS="--passages 1000000")
	@exec $(PY) -m bench.latency $(ARGS)

lock: ## Re-make requirements/*.txt after editing a *.in
	@python=$$(PYTHON="$(PYTHON)" sh launcher/python.sh) && PYTHON=$$python exec bash requirements/compile.sh

clean: ## Remove the virtual environments and caches; .env and the data in .data stay
	rm -rf .venv .venv-programs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-neural: setup-run ## Install the small neural embedder (LOCAL_NEURAL=1 then offers it)
	@$(INSTALL) neural

setup-programs: ## Install DSPy into an environment of its own, to compile programs with
	@$(INSTALL) programs --venv .venv-programs

setup-run:
	@$(INSTALL) run

setup-dev:
	@$(INSTALL) dev
