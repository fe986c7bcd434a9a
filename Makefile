# Two commands are enough: `make demo` and `make test`. Both set up what they need first.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

.PHONY: demo test switches lint audit manifests bench chaos clean setup

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 " + "demo")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@# As in an installed package: a quarter of a start would be compiling, where Python may not keep it.
	$(BIN)/python -m compileall -q sigmax_planner sigmax_tasks
	@touch $(READY)

# The main job on simulated data: plan, chords on a private Redis and worker, decision.
demo: $(READY)
	$(BIN)/sigmax-submit BTC/USDT --data simulated
	@echo
	@echo "That was a simulated market. With a network: $(BIN)/sigmax-submit BTC/USDT"

test: $(READY)
	$(BIN)/python -m pytest -q

# All tests, and the matrix of faults, with each switch of the engine turned (tests/switches.py);
# about as long as `make test` each.
switches: $(READY)
	@for switch in engine.lean_chords=false planning.batching=critical_path; do \
	  echo "== $$switch"; \
	  SIGMAX_TEST_SWITCH=$$switch $(BIN)/python -m pytest -q || exit 1; \
	done
	@echo "== the matrix of faults by chords of Celery (by critical path goes every other run anyway)"
	@SIGMAX_TEST_SWITCH=engine.lean_chords=false $(BIN)/python -m tests.chaos.matrix 5

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pip check --disable-pip-version-check
	$(BIN)/python -m tests.lint.dependencies

# The Kubernetes manifests against its schemas, in an environment of its own (108 MB).
manifests:
	$(PYTHON) -m venv $(VENV)-manifests
	$(VENV)-manifests/bin/python -m pip install --quiet --disable-pip-version-check 'kubernetes-validate>=1.37' pyyaml
	$(VENV)-manifests/bin/python tests/lint/manifests.py

# Known vulnerabilities of the pinned packages; asks the network, so it is no part of lint.
audit: $(READY)
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# Benchmarks, each a module of its own, as tables and JSON in .bench/; see docs/BENCHMARKS.md.
# `make bench QUICK=--quick` takes a few minutes and gives rough figures.
QUICK ?=
BENCHES = bench_engine bench_start bench_scale bench_planner bench_batching bench_estimates \
	bench_priority bench_budget bench_sentiment bench_watchlist bench_leftovers
bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	@mkdir -p .bench
	@for name in $(BENCHES); do \
	  echo "== $$name"; case $$name in bench_engine|bench_start|bench_scale) options="$(QUICK)";; *) options=;; esac; \
	  BENCH_OUT=.bench $(BIN)/python -m tests.bench.$$name $$options || exit 1; \
	done

# Every fault at every moment on real processes, five runs each, as a table;
# then two hosts of which one is cut off (network namespaces: root).
chaos: $(READY)
	$(BIN)/python -m tests.chaos.matrix 5
	SIGMAX_LONG_TESTS=1 $(BIN)/python -m pytest -q tests/integration/test_two_hosts.py

clean:
	rm -rf $(VENV) $(VENV)-audit $(VENV)-manifests .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
