# FinCache. `make run` serves a segment to redis-cli; `make demo` shows it at work; `make test` checks everything. Each does all of its own set-up on a bare Debian 12.
#
#   make setup       compilers, checkers and .venv (tools/setup.sh)      make lint      ruff, mypy, the floors
#   make run         the daemon, with config.yaml                        make fmt       formats the Python files
#   make demo        one writer, three readers, real order flow          make clean
#   make test        everything below that says pass or fail             make bench     figures beside the peers, docs/benchmarks.md
#   make models      the Promela models                                  make soak      the tests' long versions
#   make fuzz        random requests and commands, under sanitizers
#   make sanitize    C tests under ASan+UBSan and TSan, gcc and clang    make wheel     dist/fincache-*.whl for this Python
#
# ARGS goes to what is run: make demo ARGS=--chaos, make run ARGS="--port 7000"
SHELL := /bin/bash
BIN := .venv/bin
MESON := $(BIN)/meson
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: setup build demo run test fuzz models lint fmt soak sanitize bench wheel clean
.DELETE_ON_ERROR:
.SECONDARY:

setup:
	@tools/setup.sh --test

# ---------------------------------------------------------------- the package, used where it stands
# build/release is what a wheel would hold, and later the C tests and benches, too. .venv finds the Python files in fincache/
# (tools/setup.sh sees to that), and there the extension, by a link to where it was built.
release_setup := --buildtype=release -Doptimization=2 --werror

build/release/build.ninja:
	@tools/setup.sh
	@mkdir -p build
	@$(MESON) setup build/release -Dtests=false $(release_setup) >build/setup.log 2>&1 || { cat build/setup.log; exit 1; }

build/release/.with-tests: | build/release/build.ninja
	@tools/setup.sh --test
	@$(MESON) configure build/release -Dtests=true
	@touch $@

# $(1) configuration
define compile
@$(MESON) compile -C build/$(1) >build/$(1).log 2>&1 || { tail -n 60 build/$(1).log; exit 1; }
endef

define link_extension
@cd fincache && ln -sf ../build/release/fincache/_*.so .
endef

build: build/release/build.ninja
	@tools/setup.sh
	$(call compile,release)
	$(call link_extension)

run: build
	@exec $(BIN)/fincache serve --config config.yaml $(ARGS)

demo: build
	@$(BIN)/python -m fincache.demo $(ARGS)

# ---------------------------------------------------------------- other configurations of the C side
asan_setup := -Db_sanitize=address,undefined -Doptimization=1 -Dassertions=true
tsan_setup := -Db_sanitize=thread -Doptimization=1 -Dassertions=true
clang_setup := -Dassertions=false
clang-asan_setup := $(asan_setup) -Db_lundef=false
clang-fuzz_setup := -Db_sanitize=address,undefined -Doptimization=2 -Db_lundef=false -Dtests=false -Dfuzz=true
clang-tsan_setup := $(tsan_setup) -Db_lundef=false
aarch64_setup := --cross-file tools/aarch64-linux-gnu.ini -Dassertions=true

build/%/build.ninja: Makefile meson.options tools/aarch64-linux-gnu.ini | build/release/.with-tests
	@rm -rf build/$*
	@$(if $(findstring clang,$*),CC=clang) $(MESON) setup build/$* -Dpython=$(if $(filter asan,$*),true,false) --werror $($*_setup) \
		>build/$*.log 2>&1 \
		|| { cat build/$*.log; exit 1; }

# Compiles one configuration, tests included: make build-asan
build-release: build/release/.with-tests
	@tools/setup.sh --test
	$(call compile,release)
	$(call link_extension)
build-%: build/%/build.ninja
	$(call compile,$*)

# ---------------------------------------------------------------- checks
test: build-release
	@tools/run_tests.sh

soak: build-release
	@FC_SOAK=1 tools/run_tests.sh
	@tools/soak.sh $(ARGS)

sanitize: build-release
	@tools/run_tests.sh sanitize

# Random requests and commands, for ARGS seconds each (60); what it finds worth keeping stays in build/fuzz.
fuzz: setup
	@tools/fuzz.sh $(ARGS)

models: setup
	@$(if $(wildcard tools/models/run.py),$(BIN)/python tools/models/run.py,tools/models/run.sh) $(ARGS)

lint: build-release
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m mypy.stubtest fincache._native
	@$(BIN)/python tools/check_layers.py

fmt: setup
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# All figures, C and Python, beside the peers: build/bench/results.json, docs/benchmarks.md and its chart, the README's figures.
# make bench ARGS=--quick takes two minutes.
bench: build-release
	@tools/setup.sh --bench
	@$(BIN)/python bench/run_benches.py --build build/release/bench --results build/bench/results.json --publish $(ARGS)

# tools/wheel_backend.py says what the name of the wheel means.
wheel: setup
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist/fincache-*.whl

clean:
	rm -rf build dist fincache/_*.so .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
