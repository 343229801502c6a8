# Every target sets up its environment by itself when it is missing or older than the
# project's requirements: .venv with the newest TensorFlow that these allow, or with
# TENSORFLOW=2.16, the oldest, .venv-2.16.

TENSORFLOW ?=
OF_TENSORFLOW := $(TENSORFLOW:%=-%)
VENV := .venv$(OF_TENSORFLOW)
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
RUN_DIR ?= runs/rnn_recognizer$(OF_TENSORFLOW)
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# Where `make test` looks for tests, everywhere if empty.
TESTS ?=
# How long `make fuzz` looks for input that breaks something.
MINUTES ?= 10
# Which tests, by their marks.
MARK ?= not slow

.PHONY: train test fuzz lint bench

train: $(STAMP)
	$(BIN)/python -m tfspeech.train rnn_recognizer --run-dir $(RUN_DIR) --resume
	$(BIN)/python -m tfspeech.evaluate $(RUN_DIR)
	$(BIN)/python -m tfspeech.export $(RUN_DIR)

test: $(STAMP)
	$(BIN)/python -m pytest -m "$(MARK)" -n 2 --dist worksteal $(TESTS)

fuzz: $(STAMP)
	@end=$$(( $$(date +%s) + 60 * $(MINUTES) )); \
	while [ $$(date +%s) -lt $$end ]; do \
	    seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); \
	    FUZZ_EXAMPLES=500 $(BIN)/python -m pytest -q -x -m "" tests/fuzz --hypothesis-seed=$$seed \
	        || { echo "seed $$seed: FUZZ_EXAMPLES=500 $(BIN)/python -m pytest -x -m \"\" tests/fuzz --hypothesis-seed=$$seed" >&2; exit 1; }; \
	done

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m pip check

bench: $(STAMP)
	$(BIN)/python -m benchmarks

$(STAMP): setup.cfg pyproject.toml
	@python=$$(for name in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	    if $$name -c '$(SUPPORTED)' 2>/dev/null; then echo $$name; break; fi; done); \
	if [ -z "$$python" ]; then \
	    echo "tfspeech needs Python 3.11, 3.12 or 3.13: install one, or name it: make PYTHON=/path/to/python3.12" >&2; \
	    exit 2; fi; \
	echo "Setting up $(VENV) with $$($$python --version): installing what setup.cfg lists (a few minutes the first time)."; \
	$$python -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' $(TENSORFLOW:%='tensorflow==%.*')
	@touch $@
