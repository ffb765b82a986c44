# The commands of this project; README.md shows the two that matter: `make run` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST := PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest

.PHONY: run console console-lint console-shots test interop again newest dist deb lock lint format envelopes bench bench-smoke bench-paired conformance plugtests codecs codecs-thingsboard fuzz soak campaign campaign-nodes attacks profile docs man peers large-peers clean

run: $(VENV)/.run
	@echo "Starting the gateway; data is in var/iotgw, Ctrl-C stops it. When it says that it is ready (some seconds):"
	@echo "  http://127.0.0.1:8080/       the console; sign in with the token in var/iotgw/admin-token"
	@echo "or in another terminal:"
	@echo "  $(BIN)/iotgwctl status       the gateway at a glance"
	@echo "  $(BIN)/iotgwctl init DIR     write a first configuration: it asks which devices and targets you have"
	$(BIN)/twistd --nodaemon --pidfile= iotgw --config etc/iotgw.toml

# the web console alone, into iotgw/web/static: needs Node with npm on the PATH
console:
	$(PYTHON) buildtools/console.py

# pictures of each page in both themes and widths, in var/console-shots: to be looked at
console-shots: $(VENV)/.test large-peers
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.console.shots $(if $(ONLY),--only $(ONLY))

# most tests wait for a real peer, so three files at a time are quicker on any machine, in the order that tests/conftest.py gives them
TOGETHER = -n $(1) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test peers
	$(PYTEST) -m "not soak and not interop" $(call TOGETHER,3)

# with the peers that are large, or have to be built
interop: $(VENV)/.test $(VENV)/.dist $(VENV)/.docs peers large-peers
	$(PYTEST) -m "interop and not soak" $(call TOGETHER,3)

# what failed in the run before, if it isn't more than three tests, one at a time
again: FAILED = .pytest_cache/v/cache/lastfailed
again:
	@case $$(grep -c '": true' $(FAILED)) in [123]) ;; *) echo "expected one to three failed tests"; exit 1;; esac
	@echo "these failed, and run again alone:"; grep '": true' $(FAILED)
	$(PYTEST) --last-failed --last-failed-no-failures none

# the same suite in an environment of its own, with the newest versions that setup.cfg allows; names what is newer still
newest:
	rm -rf .venv-newest
	$(MAKE) VENV=.venv-newest .venv-newest/.test
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager '.[test]'
	.venv-newest/bin/python -m pip list --disable-pip-version-check --outdated
	$(MAKE) VENV=.venv-newest test

# sdist, wheel, lock files and SBOMs, in dist/: make dist [WITHOUT_GPL=1] [SIGN=KEYID]
dist: $(VENV)/.dist
	$(BIN)/python tools/dist.py $(if $(WITHOUT_GPL),--without-gpl) $(if $(SIGN),--sign "$(SIGN)")

# a Debian package for the Python of this machine's Debian, in dist/
deb: $(VENV)/.dist
	$(BIN)/python tools/deb.py

# the newest versions that setup.cfg allows, with their hashes, for each Python that it allows; the second file has the extras, too
EXTRAS := google kafka opc-ua pgp postgres rabbitmq websockets zstd
COMPILE = $(BIN)/uv pip compile setup.cfg --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --custom-compile-command "make lock"
lock: $(VENV)/.dist
	$(COMPILE) --upgrade --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock $(EXTRAS:%=--extra %) --output-file requirements-extras.lock

soak: $(VENV)/.test $(VENV)/.soak large-peers
	@tests/install-peers soak
	$(PYTEST) -m soak --timeout=3600
	$(MAKE) campaign
	$(MAKE) campaign-nodes
	$(MAKE) attacks

# each attack for some seconds while a device sends, and its slowest acknowledgement: make attacks [SECONDS=10]
attacks: SECONDS = 10
attacks: $(VENV)/.test
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.attacks $(SECONDS)

# kill -9 at any moment, under all kinds of devices and targets: make campaign ROUNDS=300 SEED=...
campaign: ROUNDS = 300
campaign: $(VENV)/.test peers
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.campaign --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

# what befalls three nodes and their replicated database: make campaign-nodes ROUNDS=100 SEED=...
campaign-nodes: ROUNDS = 100
campaign-nodes: $(VENV)/.test large-peers
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.campaign.nodes --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/.lint $(VENV)/.test console-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q --durations=0 tests/unit/test_architecture.py

# types of the console, and the tests of its views' logic
console-lint:
	@command -v npm >/dev/null || tests/install-peers
	$(PYTHON) buildtools/console.py all
	cd console && npm run --silent check && npm test --silent

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

conformance: $(VENV)/.test
	$(PYTEST) tests/conformance

# a plugtest checker against a running gateway: make plugtests CHECKER="java -jar cf-plugtest-checker.jar"
plugtests: $(VENV)/.test
	@[ -n "$(CHECKER)" ] || { echo 'usage: make plugtests CHECKER="COMMAND…", which gets the address behind it'; exit 2; }
	$(BIN)/python -m tests.conformance.checker $(CHECKER)

# public decoders here and in node: make codecs CORPUS=folder-of-checkouts [ONLY=akenza]; goes on where it was stopped
codecs: $(VENV)/.test
	@[ -n "$(CORPUS)" ] || { echo "usage: make codecs CORPUS=DIR [ONLY=text in paths] [STATE=codecs.jsonl]"; exit 2; }
	$(BIN)/python -m tests.codecs --corpus "$(CORPUS)" $(if $(ONLY),--only "$(ONLY)") $(if $(STATE),--state "$(STATE)")

# converters of ThingsBoard's form, in JavaScript and in TBEL: make codecs-thingsboard CORPUS=folder
codecs-thingsboard: $(VENV)/.test
	@[ -n "$(CORPUS)" ] || { echo "usage: make codecs-thingsboard CORPUS=DIR"; exit 2; }
	$(BIN)/python -m tests.corpus.thingsboard "$(CORPUS)"

fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz
	$(BIN)/python -m tests.fuzz.converters
	$(BIN)/python -m tests.fuzz.decoders 1e6 --large 10000

# envelopes that others wrote: make envelopes CORPUS=DIR, a checkout of github.com/thingsboard/data-converters
envelopes: $(VENV)/.test
	@[ -n "$(CORPUS)" ] || { echo "usage: make envelopes CORPUS=DIR, with a checkout of thingsboard/data-converters"; exit 2; }
	$(BIN)/python -m tests.corpus $(CORPUS)

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py

bench-smoke: $(VENV)/.run
	$(BIN)/python benchmarks/run.py --smoke

# has the working tree become slower than a revision? make bench-paired REV=v1.0
ROUNDS ?= 20
WORKLOAD ?= B
LIMIT ?= 1.03
bench-paired: $(VENV)/.run
	@[ -n "$(REV)" ] || { echo "usage: make bench-paired REV=<revision> [ROUNDS=20] [WORKLOAD=B] [LIMIT=1.03]"; exit 2; }
	$(BIN)/python benchmarks/paired.py --rounds $(ROUNDS) --workload $(WORKLOAD) --limit $(LIMIT) $(REV)

profile: $(VENV)/.bench
	$(BIN)/python benchmarks/flame.py

# the tables that are made from the code, then the pages as a site in site/, links and anchors checked
docs: $(VENV)/.run $(VENV)/.docs docs/site/_static/mermaid
	$(BIN)/python -m iotgw.ctl.settings_tables docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs/site . site
	@echo "Open site/index.html"

docs/site/_static/mermaid: docs/site/fetch_mermaid.py $(VENV)/bin/python
	@$(BIN)/python docs/site/fetch_mermaid.py
	@touch $@

# a manual page for each command of iotgwctl: man -l man/iotgwctl.1
man: $(VENV)/.run
	$(BIN)/python -m iotgw.ctl.man man

# the real programs that the tests talk to; says what is missing, installs it when it may
peers:
	@tests/install-peers

large-peers: peers
	@tests/install-peers large

$(VENV)/bin/python:
	@echo "Making a Python environment in $(VENV): some seconds."
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  echo "python3-venv is missing: apt-get install python3-venv"; \
	  [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv && rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }

# Installed as a user has it: twistd finds its plugins in site-packages, not beside an editable install.
SOURCES := $(shell find iotgw twisted buildtools console -type f -not -name '*.pyc' -not -path '*/node_modules/*' -not -path 'iotgw/web/static/*')
$(VENV)/.run: $(VENV)/bin/python setup.cfg pyproject.toml $(SOURCES)
	@rm -rf build
	@echo "Installing iotgw into $(VENV): a minute or two the first time, while its packages are downloaded; later some ten seconds."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[docs]'
	@touch $@

$(VENV)/.soak: $(VENV)/.test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[soak]'
	@touch $@

$(VENV)/.bench: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[bench]'
	@touch $@

$(VENV)/.dist: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[dist]'
	@touch $@

$(VENV)/.lint: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[lint]'
	@touch $@

clean:
	rm -rf build dist man site *.egg-info .pytest_cache .mypy_cache .ruff_cache
