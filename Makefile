# Sluice: `make help` explains every target. Each sets up what it needs by itself.

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench bench-sales bench-finance crash-certificate compose-test bench-workers down clean

BIN := .venv/bin

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  make run TRANSACTIONS=FILE IMPORTANCE=FILE [RATE=1] [CHUNKS=60]   the same on your own files"
	@echo "  The command behind it all: $(BIN)/sluice --help"

setup: ## Install everything into this folder: pinned uv, locked packages, pinned jars. The others do it first, quickly when it is done.
	@scripts/setup.sh

run: setup ## Start the services, produce transactions, let Airflow ingest them, watch live, end with what was found.
	@$(BIN)/sluice run $${TRANSACTIONS:+--transactions "$$TRANSACTIONS"} $${IMPORTANCE:+--importance "$$IMPORTANCE"} \
		$${RATE:+--rate "$$RATE"} $${CHUNKS:+--chunks "$$CHUNKS"}

test: setup ## Run all tests, in two processes, against services of their own (.sluice/test*) that end with them. ARGS=... goes to pytest.
	@SLUICE_STATE='$(CURDIR)/.sluice/test' $(BIN)/pytest --numprocesses auto --no-loadscope-reorder $(ARGS)

check: setup ## Lint, format, types, architecture, dependencies, generated documents: what CI runs before the tests.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/python scripts/docs.py --check
	@$(BIN)/hadolint Dockerfile deploy/go/Dockerfile
	@$(BIN)/shellcheck scripts/*.sh deploy/*.sh deploy/bin/*.sh .ci/run

bench: setup ## Measure catch-up, pace, growth, gate and memory beside a peer, and print one table. Takes a while.
	@$(BIN)/python -m benchmarks $(ARGS)

bench-sales: setup ## Measure a day of sales (GB=1) by stage beside Spark with JDBC and DuckDB, and print one table. Takes minutes.
	@$(BIN)/python -m benchmarks.sales --gb $${GB:-1} $(ARGS)

bench-finance: setup ## Measure N=1000000 events of finance by stage beside plain PySpark and DuckDB, and print one table. Takes minutes.
	@$(BIN)/python -m benchmarks.finance --rows $${N:-1000000} $(ARGS)

crash-certificate: setup ## Kill whatever works, KILLS=1000 times, and compare with an undisturbed run. SEED=, FEED=sales|finance, ARGS=--help.
	@$(BIN)/python -m certificate --kills $${KILLS:-1000} --seed $${SEED:-1} --feed $${FEED:-transactions} $(ARGS)

compose-test: setup ## Build docker-compose.yaml's images, bring all up, run the main job, kill, compare, take down. CHUNKS=60, S3=versitygw, ARGS=--help.
	@$(BIN)/python -m deploy.trial --chunks $${CHUNKS:-60} $${S3:+--s3 $$S3} $(ARGS)

bench-workers: setup ## Measure batches on docker-compose.yaml's Spark cluster with one worker and with two, and print one table. ARGS=--help.
	@$(BIN)/python -m deploy.trial.workers $(ARGS)

down: ## Stop the services; data stays.
	@scripts/down.sh

clean: ## Stop the services and delete their data. Asks before it deletes a ledger (YES=1 does not ask).
	@scripts/clean.sh
