# Everything a clean checkout needs: `make run` and `make test` make the environment themselves.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

# One at a time: `make run` and `make mailbox`, started at once, install into the same environment.
INSTALL = @mkdir -p $(VENV) && $(PYTHON) -c 'import fcntl, subprocess, sys; lock = open(sys.argv[1], "a"); \
	fcntl.flock(lock, fcntl.LOCK_EX); sys.exit(subprocess.call(sys.argv[2:]))' $(VENV)/.lock $(MAKE) --no-print-directory

.PHONY: run test check bench mailbox clean

run:
	$(INSTALL) $(VENV)/.run
	$(BIN)/overture serve

test:
	$(INSTALL) $(VENV)/.dev $(VENV)/.peers
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
	$(BIN)/overture test rulesets --fail-on-empty

check:
	$(INSTALL) $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/overture check rulesets/*.yaml
	$(BIN)/overture fmt --check rulesets/*.yaml
	$(BIN)/overture test rulesets --fail-on-empty

bench:
	$(INSTALL) $(VENV)/.dev
	$(BIN)/python -m bench.throughput
	$(BIN)/python -m bench.trial
	$(BIN)/python -m bench.chaos --seconds 180

# A mail server for trying things out: shows each mail and keeps it in ./mail
mailbox:
	$(INSTALL) $(VENV)/.run
	$(BIN)/python -m overture.testing.mailserver --port 1025 --dir mail

clean:
	rm -rf $(VENV) build dist tests/peers/node_modules tests/peers/segment-2.2.2

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else "Overture needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[mailbox]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(VENV)/.run $@

# Other people's clients and servers that the tests run: those of npm (Node is needed), and a second version of one of PyPI.
$(VENV)/.peers: $(VENV)/bin/python tests/peers/package-lock.json tests/peers/segment-2.2.2.txt
	@command -v npm >/dev/null || { echo "make test needs Node with npm: tests run the clients of other products." >&2; exit 1; }
	npm ci --prefix tests/peers --ignore-scripts --no-audit --no-fund --loglevel=error
	$(BIN)/python -m pip install --quiet --upgrade --target tests/peers/segment-2.2.2 -r tests/peers/segment-2.2.2.txt
	touch $@
