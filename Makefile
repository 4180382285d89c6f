# Everything a developer does; CI runs the same targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first Python on the PATH that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3.13 python3.14 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; \
	done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AUDIT := build/audit-venv
AUDIT_READY := $(AUDIT)/.ready
CHECKOV := build/checkov-venv
CHECKOV_READY := $(CHECKOV)/.ready
EMULATOR := build/emulator-venv
EMULATOR_READY := $(EMULATOR)/.ready
BENCH := build/bench-venv
BENCH_READY := $(BENCH)/.ready
MUTANTS := build/mutants-venv
MUTANTS_READY := $(MUTANTS)/.ready
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-strip-extras --generate-hashes \
	--custom-compile-command "make lock"

.PHONY: help run stack reset key bootstrap-key test load stack-test infra-test lambda-test audit audit-test pictures dashboards lint format fuzz smoke soak mutants bench bench-cold package lock upgrade

help:  ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(READY)  ## Serve the API on http://127.0.0.1:8000 (PORT changes it)
	@exec $(BIN)/python -m tests.support.launch

stack: $(READY)  ## Serve the API with node-exporter and Prometheus beside it, as the task does
	@exec $(BIN)/python -m tests.support.stack

reset:  ## Forget the tasks that make run kept
	rm -rf .data

key:  ## Make an API key and print it once (URL, BOOTSTRAP_KEY, WORKSPACE, SCOPES, LABEL, EXPIRES_AT)
	@$(PYTHON) terraform/scripts/key.py

bootstrap-key:  ## Print a fresh BOOTSTRAP_KEY, which opens /v1/keys for the first key
	@$(PYTHON) terraform/scripts/new_key.py

test: $(READY)  ## Run every test, with coverage and the time it took
	@mkdir -p build
	@$(BIN)/python -m pytest --cov --cov-report=term --durations=5 \
		--numprocesses=auto --maxprocesses=4 --dist=loadfile $(ARGS)

stack-test: $(READY)  ## Try rules, dashboards and alerts on a live Prometheus, under real traffic
	@$(BIN)/python -m pytest tests/stack --no-cov -q $(ARGS)

infra-test: $(READY) $(CHECKOV_READY)  ## Apply, change and destroy the infrastructure on an emulated AWS (needs Terraform)
	@CHECKOV=$(CHECKOV)/bin/checkov $(BIN)/python -m pytest tests/infra --no-cov -q $(ARGS)

lambda-test: $(READY) $(EMULATOR_READY)  ## Run the package as Lambda does, under AWS's own emulator of its runtime
	@$(BIN)/python -m pytest tests/emulator --no-cov -q $(ARGS)

audit: $(READY) $(AUDIT_READY) $(CHECKOV_READY)  ## Look for what is known against what ships, and write its bill
	$(BIN)/zizmor --offline --quiet .github
	@CHECKOV=$(CHECKOV)/bin/checkov $(BIN)/python -m pytest tests/infra/terraform_test.py --no-cov -q -k checkov
	@$(BIN)/python -m tests.audit

audit-test: $(READY) $(AUDIT_READY)  ## Try the audit on packages with and without something known
	@$(BIN)/python -m pytest tests/audit --no-cov -q $(ARGS)

pictures: $(BENCH_READY)  ## Draw the dashboards from what the last stack-test saw
	@$(BENCH)/bin/python -m tests.stack.pictures

dashboards: $(READY)  ## Write the dashboards anew from monitoring/grafana/dashboards.py
	@$(BIN)/python -m monitoring.grafana.dashboards

lint: $(READY)  ## Check style and types, and the workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github
	bash tests/lint/actionlint.sh

format: $(READY)  ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

load: $(READY)  ## Send more than the API can do, and write down what it comes to
	@$(BIN)/python -m pytest tests/load --no-cov -q $(ARGS)
	@$(BIN)/python -m tests.load.report

fuzz: $(READY)  ## Fuzz the running API for longer (FUZZ_EXAMPLES an operation)
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/python -m pytest tests/api/fuzz_test.py --no-cov $(ARGS)

smoke: $(READY)  ## Walk the API at URL from end to end (KEY opens it), and leave nothing behind
	@$(BIN)/python terraform/scripts/smoke.py

soak: $(READY)  ## Try the promises for much longer (50 minutes at most), and write down the figures
	@SOAK=1 $(BIN)/python -m pytest tests/reliability --no-cov -q $(ARGS)
	@$(BIN)/python -m tests.support.figures

mutants: $(MUTANTS_READY)  ## Put faults into the code one at a time, and print how many are noticed
	@$(MUTANTS)/bin/python -m tests.mutants.run $(ARGS)
	@$(MUTANTS)/bin/python -m tests.support.figures

bench: $(BENCH_READY)  ## Measure this app beside its peers (20 minutes at most; needs wrk)
	@$(BENCH)/bin/python -m tests.bench.bench $(ARGS)

bench-cold: $(READY)  ## Measure a start of the function, and calls after it, beside peers (5 minutes at most)
	@$(BIN)/python -m tests.bench.cold $(ARGS)

package: $(READY)  ## Make what Lambda runs, build/lambda-arm64.zip and -x86_64.zip (ARCH names one)
	@$(BIN)/python terraform/scripts/package.py $(or $(ARCH),arm64 x86_64)

lock: $(READY)  ## Write all requirement files anew from pyproject.toml
	$(UV_COMPILE) pyproject.toml -o requirements.txt $(UPGRADE)
	$(UV_COMPILE) --group dev -c requirements.txt -o tests/requirements.txt $(UPGRADE)
	$(UV_COMPILE) --group mutants -c requirements.txt -c tests/requirements.txt \
		-o tests/mutants/requirements.txt $(UPGRADE)
	$(UV_COMPILE) --group audit -o tests/audit/requirements.txt $(UPGRADE)
	$(UV_COMPILE) --group infra -o tests/infra/requirements.txt $(UPGRADE)
	$(UV_COMPILE) --group package -c requirements.txt -o handlers/requirements.txt $(UPGRADE)
	$(UV_COMPILE) --no-deps --group emulator -o tests/emulator/requirements.txt $(UPGRADE)
	$(UV_COMPILE) --group bench -o tests/bench/requirements.txt $(UPGRADE)

upgrade:  ## Lock the newest releases
	$(MAKE) lock UPGRADE=--upgrade

$(AUDIT_READY): tests/audit/requirements.txt
	@$(PYTHON) -m venv --clear $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(CHECKOV_READY): tests/infra/requirements.txt
	@$(PYTHON) -m venv --clear $(CHECKOV)
	@$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Without what they depend on: of sam-cli the emulator alone is used.
$(EMULATOR_READY): tests/emulator/requirements.txt
	@$(PYTHON) -m venv --clear $(EMULATOR)
	@$(EMULATOR)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

$(BENCH_READY): tests/bench/requirements.txt
	@$(PYTHON) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(MUTANTS_READY): requirements.txt tests/requirements.txt tests/mutants/requirements.txt
	@$(PYTHON) -m venv --clear $(MUTANTS)
	@$(MUTANTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		$(addprefix -r ,$^)
	@touch $@

$(READY): requirements.txt tests/requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; PYTHON=/path/to/it make ..."; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.txt -r tests/requirements.txt
	@touch $@
