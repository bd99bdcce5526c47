# The two commands of a fresh machine: `make demo` and `make test`. Everything goes through set-up, which
# installs what is missing (a second run needs no network) and, as root, drops to an account of its own.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# run: as the account that the centre runs under.  tool: as whoever calls, for what writes into the checkout.
SETUP := $(PYTHON) callcenter/bootstrap.py
RUN := $(SETUP) run --
TOOL := $(SETUP) tool --

.DEFAULT_GOAL := help
.PHONY: help demo test test-long check format lock sounds states bench wheel wheel-demo up down status clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run the centre with a simulated public network (DEMO_CALLS=20 ends by itself)
	@$(RUN) callcenter demo run $(if $(DEMO_CALLS),--calls $(DEMO_CALLS))

test: ## run the tests
	@$(RUN) python -m pytest -m "not long" $(TESTS)

test-long: ## run the tests that take minutes
	@$(RUN) python -m pytest -m long $(TESTS)

check: ## format, lint, strict types, import contracts
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports --cache-dir .cache/import-linter

format: ## format the code and mend what the linter can
	@$(TOOL) ruff format .
	@$(TOOL) ruff check --fix .

up: ## start the centre on this machine
	@$(RUN) callcenter up

down: ## stop the centre on this machine
	@$(RUN) callcenter down

status: ## show the processes of this machine
	@$(RUN) callcenter status

lock: ## write requirements.lock anew from pyproject.toml
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements.lock pyproject.toml

sounds: ## build the prompts from sounds/prompts.toml
	@$(TOOL) callcenter sounds build

states: ## print the state diagrams from the floor's tables
	@$(RUN) python -m callcenter.floor.states

bench: ## measure against app_queue on this machine, by real calls; as root (BENCH="--quick")
	@$(TOOL) python -m tests.bench $(BENCH)

wheel: ## build dist/*.whl
	@$(TOOL) python -m build --no-isolation --wheel

wheel-demo: wheel ## run the demo once from the wheel, outside the checkout
	@$(RUN) .ci/wheel-demo $(or $(DEMO_CALLS),6)

clean: ## delete the Python environment and all caches (.run stays)
	rm -rf .venv .cache dist
