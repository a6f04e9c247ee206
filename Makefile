# Sluice: `make help` explains every target. Each sets up what it needs by itself.

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench bench-sales bench-finance crash-certificate compose-test bench-workers down clean

BIN := .venv/bin

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  make run TRANSACTIONS=FILE IMPORTANCE=FILE [RATE=1] [CHUNKS=60]   the same on your own files"
	@echo "  make run SEED=2 | FROM_START=1                                    on another synthetic set; on the same source once more"
	@echo "  The command behind it all: $(BIN)/sluice --help"

setup: ## Install everything into this folder: pinned uv, locked packages, pinned jars. The others do it first, quickly when it is done.
	@scripts/setup.sh

run: setup ## Start the services, produce transactions, let Airflow ingest them, watch live, end with what was found.
	@SLUICE_TRANSACTIONS="$$TRANSACTIONS" SLUICE_IMPORTANCE="$$IMPORTANCE" $(BIN)/sluice run $${RATE:+--rate "$$RATE"} \
		$${CHUNKS:+--chunks "$$CHUNKS"} $${SEED:+--seed "$$SEED"} $(if $(filter-out 0 no,$(FROM_START)),--from-start)

test: setup ## Run all tests, in two processes, against services of their own (.sluice/test*) that end with them. ARGS=... goes to pytest.
	@SLUICE_STATE='$(CURDIR)/.sluice/test' $(BIN)/pytest --numprocesses auto --no-loadscope-reorder $(ARGS)

check: setup ## Lint, format, types, architecture, dependencies, generated documents: what CI runs before the tests.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/python -m tools.house
	@$(BIN)/python -m tools.docs --check
	@$(BIN)/hadolint Dockerfile tools/images/Dockerfile
	@$(BIN)/shellcheck scripts/*.sh deploy/*.sh deploy/bin/*.sh .ci/run

bench: setup ## Measure catch-up, pace, growth, gate and memory beside a peer, and print one table. Takes a while.
	@$(BIN)/python -m tools.benchmarks $(ARGS)

bench-sales: setup ## Measure a day of sales (GB=1) by stage beside Spark with JDBC and DuckDB, and print one table. Takes minutes.
	@$(BIN)/python -m tools.benchmarks.sales --gb $${GB:-1} $(ARGS)

bench-finance: setup ## Measure N=1000000 events of finance by stage beside plain PySpark and DuckDB, and print one table. Takes minutes.
	@$(BIN)/python -m tools.benchmarks.finance --rows $${N:-1000000} $(ARGS)

crash-certificate: setup ## Kill whatever works, KILLS=1000 times, and compare with an undisturbed run. SEED=, FEED=sales|finance, ARGS=--help.
	@$(BIN)/python -m tools.certificate --kills $${KILLS:-1000} --seed $${SEED:-1} --feed $${FEED:-transactions} $(ARGS)

compose-test: setup ## Build docker-compose.yaml's images, bring all up, run the main job, kill, compare, take down. CHUNKS=60, S3=versitygw, ARGS=--help.
	@$(BIN)/python -m tools.trial --chunks $${CHUNKS:-60} $${S3:+--s3 $$S3} $(ARGS)

bench-workers: setup ## Measure batches on docker-compose.yaml's Spark cluster with one worker and with two, and print one table. ARGS=--help.
	@$(BIN)/python -m tools.trial.workers $(ARGS)

down: ## Stop the services; data stays.
	@scripts/down.sh

clean: ## Stop the services and delete their data. Asks before it deletes a ledger (YES=1 does not ask).
	@scripts/clean.sh
