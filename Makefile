# Everything here needs Python 3.11, make and git alone. `make help` lists the targets.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo up test lint types imports docs chart observe sizing images lock bench performance chaos drill eval eval-plan clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

# The environment is made anew when what it is made from changes.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; say PYTHON=..." >&2; exit 1; }
	@echo "setting up $(VENV) (once, about a minute)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/.ready ## ask a real question about this repository; a cited report
	@$(BIN)/concertino ask "How does a worker keep its lease?" \
		--code libs --code services --docs README.md --docs docs

up: $(VENV)/.ready ## start a server and every service, until Ctrl-C
	@$(BIN)/concertino up

# Tests of services wait for the most part, so more of them go on at once than there are processors.
JOBS ?= 4

test: lint types imports ## everything that must hold (JOBS at once; docs/testing.md says how to run a part)
	$(BIN)/pytest -q -n $(JOBS) --dist loadgroup

lint: $(VENV)/.ready ## style, by ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready ## types, by mypy --strict
	$(BIN)/mypy

imports: $(VENV)/.ready ## who may depend on whom, by import-linter
	$(BIN)/lint-imports

docs: $(VENV)/.ready ## write the parts of docs/ that are drawn from the code
	$(BIN)/python docs/generate.py
	$(BIN)/python -m tests.benchmark.page
	$(BIN)/python -m deploy.chart_readme
	$(BIN)/python -m deploy.dashboards
	$(BIN)/python -m concertino.runtime.users --template > helm/concertino/permissions.json

chart: $(VENV)/.ready ## the Helm chart in every combination that matters, by Helm's own code
	$(BIN)/pytest -q tests/deploy/test_chart*.py

observe: $(VENV)/.ready ## metrics, dashboards, alerts, traces, operations.md: in a real Prometheus (of Debian's package prometheus)
	@command -v prometheus promtool >/dev/null || { echo "make: prometheus is missing: apt-get install prometheus" >&2; exit 1; }
	$(BIN)/pytest -q tests/unit/telemetry tests/e2e/tracing tests/deploy/test_observability.py \
		tests/deploy/test_dashboards_live.py tests/deploy/test_fire_drill.py \
		tests/deploy/test_operations.py tests/deploy/test_backup.py

sizing: $(VENV)/.ready ## what each service takes, idle and at work: memory, processor, bytes (Linux)
	$(BIN)/python -m tests.benchmark.sizing

# Names as the chart wants them: <REGISTRY>/concertino-<service>:<TAG>. BASE replaces the base image, FLAGS go to the builder.
SERVICES ?= orchestrator synthesizer web code docs general worker
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
TAG ?= $(VERSION)
BUILDER ?= docker build

images: $(addprefix image-,$(SERVICES)) ## an image for each service (REGISTRY, TAG, BASE, INDEX, SERVICES; docs/images.md)

image-%:
	@echo "building $(if $(REGISTRY),$(REGISTRY)/)concertino-$*:$(TAG)" >&2
	@$(BUILDER) --file deploy/Dockerfile --build-arg SERVICE=$* --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) \
		$(if $(BASE),--build-arg BASE=$(BASE)) $(if $(INDEX),--build-arg INDEX=$(INDEX)) $(FLAGS) \
		--quiet --tag $(if $(REGISTRY),$(REGISTRY)/)concertino-$*:$(TAG) .

lock: $(VENV)/.ready ## pin what images are made of, by digest: uv.lock and deploy/build-tools.txt
	$(BIN)/uv lock
	$(BIN)/uv export --quiet --frozen --only-group build --no-annotate --no-header --output-file deploy/build-tools.txt

bench: $(VENV)/.ready ## the cost of everything around the work, against the design's skeleton and the bare bus (docs/performance.md)
	@$(BIN)/python -m tests.benchmark $(if $(JSON),--json $(JSON))

performance: $(VENV)/.ready ## the same, into docs/performance.md and README.md: a quarter of an hour of a quiet machine
	@$(BIN)/python -m tests.benchmark --json docs/performance.json
	@$(BIN)/python -m tests.benchmark.page

chaos: $(VENV)/.ready ## everything breaks at random, and nothing is lost: a verdict (SEED, MINUTES, NODES)
	@SEED=$(SEED) MINUTES=$(MINUTES) NODES=$(NODES) $(BIN)/python -m tests.chaos

drill: $(VENV)/.ready ## what one SIGKILL costs, of each kind of service and of the server in turn
	@$(BIN)/python -m tests.chaos.drill

eval-plan: $(VENV)/.ready ## decomposition: fifty requests split by rule, and by a model where there is a key
	$(BIN)/python evals/decomposition

eval: $(VENV)/.ready ## retrieval: forty questions on code and documents nobody here wrote
	$(BIN)/python evals/retrieval

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
