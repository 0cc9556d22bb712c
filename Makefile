# The commands of the project; `make` alone lists them. Each sets up what it needs, once, in .venv.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help process import correct dataset retrain rollback docs reprocess requests plan plans approve refuse index test up down status up-services down-services test-services doctor models simulate bench trace lint format clean

# A path may hold spaces and dollar signs: it goes through the environment, as it was written.
override VIDEO := $(value VIDEO)
override REASON := $(value REASON)
override PATH_TO := $(value PATH_TO)
override FILE := $(value FILE)
override CLIPS := $(value CLIPS)
override SET := $(value SET)

VARIABLES := BY CLIPS DATA DATASET FIGURE FILE ID MODEL N NAME ONLY OPTIONS OUT PATH_TO PLAN PORT PRESET PRIORITY PROFILE \
	REASON REQUESTER SAMPLE SEED SET SETTINGS STAGES VERSION VIDEO VIDEO_ID WAIT
export $(filter-out SETTINGS,$(VARIABLES))

# A misspelt one would pass unseen, and the bundled sample be processed in place of one's own video.
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
UNKNOWN := $(strip $(filter-out $(VARIABLES) PYTHON_BIN BASE,$(GIVEN)))
$(if $(UNKNOWN),$(error There is no variable $(UNKNOWN) here. There are: $(VARIABLES)))

# Without byte code every start takes a second and a half longer.
unexport PYTHONDONTWRITEBYTECODE

PYTHON_BIN := .venv/bin/python
BASE := @sh scripts/setup.sh base
SERVICES := @sh scripts/setup.sh base learn services && sh scripts/system-packages.sh && sh scripts/servers.sh seaweedfs triton

# The settings of a deployment on servers: SETTINGS=data/services/settings.env make process
ifdef SETTINGS
export NEUROVISION_SETTINGS_FILE := $(abspath $(SETTINGS))
endif

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

process: ## Process a video and wait for its report: VIDEO=path PROFILE=name (default: the bundled sample)
	$(BASE)
	@$(PYTHON_BIN) -m commands.process $${VIDEO:+"$$VIDEO"} $${PROFILE:+--profile "$$PROFILE"}

reprocess: ## Have videos computed again: VIDEO_ID="one two" REASON="why" STAGES=phases,events REQUESTER=name ONLY=stale WAIT=1
	$(BASE)
	@$(PYTHON_BIN) -m commands.reprocess $$VIDEO_ID --reason "$$REASON" --stages "$$STAGES" --requester "$$REQUESTER" \
		--priority "$${PRIORITY:-0}" $${ONLY:+--only-stale} $${WAIT:+--wait}

requests: ## Show what was asked to be computed again and what came of it: ID=one of them
	$(BASE)
	@$(PYTHON_BIN) -m commands.requests $${ID:+"$$ID"}

plan: ## Show what is stale, why, and what computing it again would change: SAMPLE=videos to try it on (2)
	$(BASE)
	@$(PYTHON_BIN) -m commands.plans propose $${SAMPLE:+--sample "$$SAMPLE"} $${BY:+--by "$$BY"}

plans: ## List plans and their results: PLAN=one of them, with every pair
	$(BASE)
	@$(PYTHON_BIN) -m commands.plans list $${PLAN:+"$$PLAN"}

approve: ## Let a plan run: PLAN=id BY=name
	$(BASE)
	@$(PYTHON_BIN) -m commands.plans approve "$$PLAN" $${BY:+--by "$$BY"}

refuse: ## Put a plan aside: PLAN=id BY=name REASON="why"
	$(BASE)
	@$(PYTHON_BIN) -m commands.plans refuse "$$PLAN" $${BY:+--by "$$BY"} --reason "$$REASON"

index: ## Make the provenance index again from what is stored
	$(BASE)
	@$(PYTHON_BIN) -m commands.index

up: ## Start the platform: the Dagster UI on 127.0.0.1:3000 (PORT=) and the daemon
	$(BASE)
	@$(PYTHON_BIN) -m commands.up $${PORT:+--port "$$PORT"}

down: ## Stop all that `make up` started
	$(BASE)
	@$(PYTHON_BIN) -m commands.down

status: ## Say whether the platform runs, and where
	$(BASE)
	@$(PYTHON_BIN) -m commands.status || true

doctor: ## Say what is set, what answers and what is wrong
	$(BASE)
	@$(PYTHON_BIN) -m commands.doctor

up-services: ## Start real servers on this machine (PostgreSQL, S3, MLflow, Triton) and the platform on them: PORT=
	$(SERVICES)
	@$(PYTHON_BIN) -m commands.up_services $${PORT:+--port "$$PORT"}

down-services: ## Stop them; what they hold stays
	$(BASE)
	@$(PYTHON_BIN) -m commands.down_services

trace: ## Show where every figure of a report comes from: VIDEO_ID=operation_001-1f3a9c2b FIGURE=phase.0
	$(BASE)
	@$(PYTHON_BIN) -m commands.trace "$$VIDEO_ID" $${FIGURE:+--figure "$$FIGURE"}

import: ## Take in an annotated set: DATASET=cholec80|m2cai16|cholect50|cholecseg8k|simulator PATH_TO=folder NAME=name
	@sh scripts/setup.sh base learn
	@$(PYTHON_BIN) -m commands.import_set "$$DATASET" "$$PATH_TO" $${NAME:+--name "$$NAME"}

correct: ## Take reviewers' corrections into the next version of the data: FILE=corrections.json
	@sh scripts/setup.sh base learn
	@$(PYTHON_BIN) -m commands.correct "$$FILE"

dataset: ## Merge, validate and divide what was imported: a new version; or fetch one: VERSION=v1.0 OUT=folder
	@sh scripts/setup.sh base learn
	@$(PYTHON_BIN) -m commands.dataset $${VERSION:+--fetch "$$VERSION" $${OUT:+--out "$$OUT"}}

retrain: ## Train a model on the newest data; served if better: MODEL=phase_segmenter DATA=v1.0 PRESET=name SEED=0 SET='{"epochs": 3}'
	@sh scripts/setup.sh base train learn
	@$(PYTHON_BIN) -m commands.retrain "$$MODEL" $${DATA:+--data "$$DATA"} $${PRESET:+--preset "$$PRESET"} \
		$${SEED:+--seed "$$SEED"} $${SET:+--set "$$SET"}

rollback: ## Serve the model before this one again: MODEL=phase_segmenter VERSION=number of another
	@sh scripts/setup.sh base train learn
	@$(PYTHON_BIN) -m commands.rollback "$$MODEL" $${VERSION:+--version "$$VERSION"}

docs: ## Build dbt's docs of the marts: their columns, tests and lineage
	@sh scripts/setup.sh base learn
	@$(PYTHON_BIN) -m commands.docs

simulate: ## Make operations with exact truth and an index: N=40 SEED=0 OUT=folder OPTIONS="--duration-s 60 --codec libx265"; OPTIONS=--help lists them
	$(BASE)
	@$(PYTHON_BIN) -m simulator --count "$${N:-1}" --seed "$${SEED:-0}" --out "$${OUT:-data/simulated}" $$OPTIONS

models: ## Train the four default models on simulated operations (an hour on two cores), then their references of drift (half an hour): CLIPS=folder of real clips to score
	@sh scripts/setup.sh base train
	@$(PYTHON_BIN) -m models.build $${CLIPS:+--clips "$$CLIPS"}
	@$(PYTHON_BIN) -m commands.drift_reference

bench: ## Measure what docs/benchmarks.md promises (hours on two cores)
	@sh scripts/setup.sh base test train learn
	@sh scripts/system-packages.sh
	@$(PYTHON_BIN) -m benchmarks

test: ## Set everything up and run all tests
	@sh scripts/setup.sh base test train learn services
	@sh scripts/system-packages.sh
	@sh scripts/servers.sh seaweedfs juicefs triton
	@sh scripts/check.sh
	@$(PYTHON_BIN) -m pytest -n auto --maxprocesses 4 --dist loadgroup

test-services: ## Run the tests that need production's servers
	@sh scripts/setup.sh base test train learn services
	@sh scripts/system-packages.sh
	@sh scripts/servers.sh seaweedfs juicefs triton
	@$(PYTHON_BIN) -m pytest -n auto --maxprocesses 4 --dist loadgroup -m services

lint: ## Lint and type-check only
	@sh scripts/setup.sh base test train learn services
	@sh scripts/check.sh

format: ## Bring the code into the house's form
	@sh scripts/setup.sh base test
	@$(PYTHON_BIN) -m ruff check --fix-only --quiet . && $(PYTHON_BIN) -m ruff format .

clean: ## Remove .venv and caches; the data home stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -not -path './data/*' -prune -exec rm -rf {} +
