# Every target does its own set-up (see scripts/setup); a second run finds it done.

VENV := .venv
BIN  := $(VENV)/bin

# Without bytecode each of the hundreds of processes that the tests start would compile all of Hatchway.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-pythons test-postgresql test-sdks properties core wheel test-core faults check coverage fuzz mutation attack autobahn soak bench bench-api bench-client bench-ha bench-iam simulate-scale ha upgrades map tables docs lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: ## tell the whole story on this machine, in a minute, leaving nothing behind
	@scripts/setup demo
	@$(BIN)/hatchway demo

# Many tests wait more than they compute: four at a time keep two processors busy. Meanwhile there is time for the
# checks.
test: ## check, and every test: units, and end to end with the AWS CLI and OpenSSH
	@scripts/setup test
	@failed=; said=$$(mktemp); trap 'rm -f "$$said"' EXIT; \
	scripts/check >"$$said" 2>&1 & checks=$$!; \
	$(BIN)/python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder || failed="$$failed, the tests"; \
	wait $$checks || failed="$$failed, the checks"; cat "$$said"; \
	if [ -n "$$failed" ]; then echo "make test: failed are$${failed#,}" >&2; exit 1; fi

PYTHONS ?= 3.11 3.12 3.13 3.14
TESTS ?= tests --ignore=tests/e2e --ignore=tests/attack
test-pythons: ## the tests but those end to end, with each Python that is here; PYTHONS="3.13 3.14" TESTS=tests/iam
	@scripts/setup check
	@scripts/pythons "$(PYTHONS)" -q -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

EXAMPLES ?= 1000
properties: ## the tests of what holds for any input, EXAMPLES (1000) each: `make test` tries 30, other ones each time
	@scripts/setup check
	HATCHWAY_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q -n 2 -m hypothesis --timeout=3600

test-postgresql: ## the tests of the API and of who may do what, on PostgreSQL instead of SQLite
	@scripts/setup test
	HATCHWAY_TEST_STORE=postgresql $(BIN)/python -m pytest -q -n 3 --dist loadfile tests/access tests/control \
		"tests/fuzz/test_targets.py::test_a_target_holds_on_its_seeds_and_on_changes_of_them[api_calls]"

test-sdks: ## the AWS SDK for JavaScript against a control plane
	@scripts/setup check
	@sdks/setup
	$(BIN)/python -m pytest -q sdks

core: ## compile the core in this checkout, for the servers that are started from it (see docs/gateway.md)
	@scripts/setup check
	@$(BIN)/python scripts/build_core.py

wheel: ## build a wheel with the compiled core into dist/, for machines of this one's kind
	@scripts/setup check
	HATCHWAY_BUILD_CORE=on $(BIN)/hatchling build -t wheel

# Sanitized, it is in a copy of the checkout, so that nobody else here loads it.
SANITIZED := .cache/sanitized
CORE_TESTS := tests/transport tests/gateway/tunnel tests/gateway/test_garbage.py tests/gateway/test_autobahn.py
test-core: core ## the tests of connections and tunnels with the compiled core; then with AddressSanitizer and UBSan
	HATCHWAY_COMPILED_CORE=on $(BIN)/python -m pytest -q $(CORE_TESTS) tests/gateway/test_fairness.py tests/gateway/test_memory.py
	@rm -rf $(SANITIZED) && mkdir -p $(SANITIZED) && cp -a src tests scripts pyproject.toml $(SANITIZED)
	@$(BIN)/python $(SANITIZED)/scripts/build_core.py --sanitize
	cd $(SANITIZED) && LD_PRELOAD=$$(cc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 HATCHWAY_COMPILED_CORE=on \
		PYTHONPATH=src $(CURDIR)/$(BIN)/python -m pytest -q -p no:cacheprovider tests/transport/core tests/transport/websocket \
		tests/gateway/tunnel/test_relay.py tests/gateway/test_garbage.py tests/client/tunnel/test_asyncio_relay.py tests/client/tunnel/test_listener.py

ROUNDS ?= 10
faults: ## kill, fill and lock a server under load, ROUNDS times (10), and the host script at each of its steps
	@scripts/setup test
	HATCHWAY_FAULT_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -v tests/e2e/test_faults.py tests/host/test_places.py

check: ## lint, format, types and the table of who may import whom
	@scripts/setup check
	@scripts/check

COVERAGE := .cache/coverage
# Measured, code is slower than what is asked of it; and what runs coverage itself is not run by it.
UNMEASURED := --ignore=tests/gateway/test_fairness.py --ignore=tests/scripts/test_own_tests.py
coverage: ## what the tests reach: modules by their own tests, and packages by all (see CONTRIBUTING.md)
	@scripts/setup test
	@$(BIN)/python scripts/own_tests.py
	@rm -rf $(COVERAGE) && mkdir -p -m 1777 $(COVERAGE)
	$(BIN)/coverage run -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(UNMEASURED)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage json --quiet -o $(COVERAGE)/report.json
	@$(BIN)/python scripts/coverage_floors.py $(COVERAGE)/report.json

FUZZ_SECONDS ?= 60
fuzz: ## each parser that meets strangers, FUZZ_SECONDS (60), two at a time (see fuzz/README.md); TARGET=name for one
	@scripts/setup check
	@fuzz/setup
	.cache/fuzz/venv/bin/python -m fuzz --seconds $(FUZZ_SECONDS) $(TARGET)

mutation: ## small changes to iam, sigv4, keys and access, each of which a test must notice (CONTRIBUTING.md); MODULE=iam/trust.py
	@scripts/setup check
	@mutation/setup
	.cache/mutation/venv/bin/python -m mutation $(MODULE)

attack: ## attack running servers on loopback, in about ten minutes (see docs/security.md); ATTACK=name or --list
	@scripts/setup test
	$(BIN)/python -m tests.attack $(ATTACK)

autobahn: ## every case of Autobahn|Testsuite against the gateway (see docs/gateway.md)
	@scripts/setup autobahn
	$(BIN)/python -m tests.gateway.autobahn

soak: ## 10 GB each way through one gateway worker, under every hardship (see docs/gateway.md); SOAK=--help
	@scripts/setup check
	$(BIN)/python -m tests.gateway.soak $(SOAK)

bench-iam: ## decisions per second, beside cedarpy and iam-simulate (see bench/iam.md)
	@scripts/setup check
	@bench/setup iam
	.cache/bench/bin/python bench/iam.py --node-modules .cache/bench/node_modules

bench: ## the gateway beside HAProxy and websockify (see bench/gateway/README.md); BENCH=--quick only tries it out
	@scripts/setup check
	@bench/setup gateway
	.cache/bench/bin/python -m bench.gateway $(BENCH)

bench-api: ## the API of a large account beside a small one and moto (see bench/api/README.md); BENCH=--quick only tries it out
	@scripts/setup check
	@bench/setup api
	.cache/bench/bin/python -m bench.api $(BENCH)

bench-ha: ## four gateways beside one on PostgreSQL (see bench/ha/README.md); BENCH=--quick only tries it out
	@scripts/setup check
	$(BIN)/python -m bench.ha $(BENCH)

HA_SECONDS ?= 600
ha: ## kill control planes, gateways, PgBouncer and the PostgreSQL primary for HA_SECONDS (600) under load; then cut their wires, kill API processes, its models, and machines that join
	@scripts/setup test
	$(BIN)/python -u -m tests.ha --seconds $(HA_SECONDS) $(HA)
	$(BIN)/python -u -m tests.ha.network
	$(BIN)/python -u -m tests.ha.workers
	HATCHWAY_MODEL_DEPTH=3 $(BIN)/python -m pytest -q --timeout=3600 tests/ha
	$(BIN)/python -m pytest -q --timeout=3600 tests/deploy/scaling.py

upgrades: ## programs of before, from git, on stores that this one migrates under load (docs/upgrading.md); UPGRADES="0028 --store sqlite"
	@scripts/setup test
	$(BIN)/python -u -m tests.ha.upgrades $(UPGRADES)

simulate-scale: ## what an installation of a given size asks of each part (see docs/scale.md); SCALE="--hosts 10000"
	@scripts/setup check
	$(BIN)/python -m bench.scale $(SCALE)

bench-client: ## hatchway beside the AWS CLI, as root (see bench/client/README.md); BENCH=--quick only tries it out
	@scripts/setup test
	@bench/setup client
	.cache/bench-client/bin/python -m bench.client --aws "$$($(BIN)/python scripts/fetch_program.py aws --cached)" $(BENCH)

map: ## draw who imports whom in CONTRIBUTING.md
	@scripts/setup check
	@$(BIN)/python scripts/map.py

tables: ## write the tables of docs/api.md, settings.md and metrics.md, which follow from the code
	@scripts/setup check
	@$(BIN)/python scripts/api_tables.py
	@$(BIN)/python -m scripts.reference_tables

docs: ## build the documents as a site into .cache/site
	@scripts/setup check
	@$(BIN)/python scripts/site.py

lock: ## write the requirements files from pyproject.toml; LOCK=--upgrade renews the versions (see CONTRIBUTING.md)
	@scripts/setup check
	@$(BIN)/python scripts/lock.py $(LOCK)

clean: ## remove what the other targets made here (the downloaded AWS CLI stays in the user's cache)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests scripts -type d -name __pycache__ -prune -exec rm -rf {} +
