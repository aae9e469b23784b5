# make run: a running system. make test: the quick tests. Python 3.11 or newer is all they need.
.PHONY: install run env venv check test test-slow test-all test-release screenshots bench torture torture-smoke torture-mutants test-tools lock docs site pictures app words image deb upgrade downgrade help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One test process for each core; the tests of one file stay in one process.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile
SLOW := browser or processes or faults

install: $(VENV)/.runtime env ## virtual environment, locked dependencies, .env with its own keys

run: install ## set everything up and serve
	@exec $(BIN)/gunicorn -c gunicorn.conf.py wsgi:app

test: $(VENV)/.dev ## the quick tests, PostgreSQL included (docs/testing.md)
	$(PYTEST) -m "not ($(SLOW) or release)"

test-slow: $(VENV)/.dev ## what make test leaves out: browsers, processes, faults
	$(PYTEST) -m "(browser or processes) and not faults and not release"
	$(BIN)/python -m pytest -m "faults and not release"

test-all: $(VENV)/.dev ## every test but those of a release
	$(PYTEST) -m "not faults and not release"
	$(BIN)/python -m pytest -m "faults and not release"

test-release: $(VENV)/.dev ## what takes hours: before a release; BEFORE=folder: as for screenshots
	$(PYTEST) -m release
	$(BIN)/python -m torture
	$(BIN)/python -m torture --mutants
	$(MAKE) image
	$(MAKE) screenshots

screenshots: $(VENV)/.dev ## pictures of every page, in screenshots/; BEFORE=folder: what changed since
	$(BIN)/python -m tests.screenshots $(if $(BEFORE),--before $(BEFORE))

check: $(VENV)/.dev ## formatting, lint, types, import rules, code rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/project/test_code_rules.py

bench: $(VENV)/.dev ## speed and memory, compared with the limits of this machine
	$(BIN)/python -m bench

torture: $(VENV)/.dev ## the promises of docs/reliability.md under faults: 30 to 45 minutes
	$(BIN)/python -m torture

torture-smoke: $(VENV)/.dev ## the same at its smallest; a part of make test-slow
	$(BIN)/python -m torture --scale smoke

torture-mutants: $(VENV)/.dev ## prove that each of the fault checks can fail
	$(BIN)/python -m torture --mutants

lock: $(VENV)/.dev ## renew the locked versions of the dependencies
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --upgrade pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --upgrade pyproject.toml --group dev -o requirements/dev.lock

test-tools: ## on Debian, as root: what the tests of databases, browsers, mailboxes, SIP and faults need
	apt-get update -q && apt-get install -y -q postgresql chromium firefox-esr fonts-liberation \
	  fonts-noto-color-emoji nginx-light dovecot-imapd strace gcc libc6-dev procps e2fsprogs util-linux git \
	  mariadb-server kamailio kamailio-tls-modules kamailio-presence-modules linphone-cli baresip
	apt-get install -y -q caddy debootstrap default-jre-headless webkit2gtk-driver xvfb
	command -v npm > /dev/null || apt-get install -y -q nodejs npm

words: $(VENV)/.dev ## collect the sentences for translators, and write the catalogues that are loaded
	$(BIN)/python -m scripts.translations

docs: $(VENV)/.dev ## write the generated parts of docs/
	$(BIN)/python -m scripts.write_docs

site: $(VENV)/.dev ## the documentation as a site, in dist/site; every link is checked
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --conf-dir docs \
	  --doctree-dir dist/site.parts . dist/site
	@echo "Open dist/site/index.html."

pictures: $(VENV)/.dev ## the screenshots that README and docs show, in docs/images
	$(BIN)/python -m tests.screenshots --docs

app: $(VENV)/.dev node_modules/.package-lock.json ## build the files of the phone app that browsers load; copy Swagger UI
	$(BIN)/python -m scripts.build_app
	$(BIN)/python -m scripts.copy_swagger_ui

image: ## the container image, by docker, podman or buildah
	scripts/build_image.sh

deb: $(VENV)/.runtime ## the Debian package, in dist/
	scripts/build_deb.sh

upgrade: ## a copy of everything, then the newest version (or TO=v0.3.0)
	@BACKUPS="$(BACKUPS)" scripts/upgrade.sh $(TO)

downgrade: ## back to the version before the last upgrade, with the copy
	@BACKUPS="$(BACKUPS)" scripts/upgrade.sh --back

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

env: venv
	@$(BIN)/python scripts/make_env.py

# Always looked at: an attempt without python3-venv or with an old Python leaves half of one.
venv:
	@command -v $(PYTHON) > /dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer:" >&2; \
	  echo "  Debian, Ubuntu: sudo apt-get install python3 python3-venv" >&2; \
	  echo "  Fedora:         sudo dnf install python3 python3-pip" >&2; \
	  echo "  macOS:          brew install python@3.13" >&2; \
	  echo "Then run make again. Under another name: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) scripts/make_venv.py $(VENV)

# No scripts of the packages: esbuild needs none, and others report the installation.
node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(VENV)/.runtime: requirements/runtime.lock | venv
	@echo "Installing the packages of requirements/runtime.lock into $(VENV) …"
	@$(PYTHON) scripts/make_venv.py $(VENV) requirements/runtime.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime | venv
	@echo "Installing the packages of requirements/dev.lock into $(VENV) …"
	@$(PYTHON) scripts/make_venv.py $(VENV) requirements/dev.lock
	@touch $@
