# Two commands for a new user: `make demo` and `make test`. All that is needed is python3 (3.11 or later) and pip.
PY ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# uv does not read pip's settings: hand it pip's folder of local wheels, where there is one.
export UV_FIND_LINKS ?= $(or $(PIP_FIND_LINKS),$(shell $(PY) -m pip config get global.find-links 2>/dev/null))
# Two test processes on two cores: more threads than that only get in each other's way.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test check format examples bench clean

help:
	@echo "make demo     audit a shipped network on real images; prints where the report is"
	@echo "make test     all tests, with the examples in docstrings"
	@echo "make examples real models attacked: pictures, faces, a wake word, digits, spam"
	@echo "make check    lint, types, architecture"
	@echo "make format   put the source in shape"
	@echo "make bench    the measurements behind the tables in benchmarks/ (long)"

$(VENV)/.installed: pyproject.toml constraints.txt examples/requirements.txt
	test -x $(BIN)/python || $(PY) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev]'
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -r examples/requirements.txt
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/saddlepoint audit zoo:fashion-pgd-linf --data 'fashion-mnist-1k[:200]' --threat linf:0.1 --out runs/demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

examples: $(VENV)/.installed
	@mkdir -p runs/examples
	cd runs/examples && for name in panda hide_face wake_word lenets spam_filter unseen_service; do \
	  echo "== examples/$$name.py"; $(abspath $(BIN))/python $(abspath examples)/$$name.py || exit 1; done

bench: $(VENV)/.installed
	cd benchmarks && ./run

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
