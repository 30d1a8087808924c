# Everything is built in release mode, tests and lints too: one build of llama.cpp (minutes) serves them all,
# and the tests run what users run.

# Where rustup puts Rust, in a shell that does not know yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.DEFAULT_GOAL := help
.PHONY: help setup build chat test compile-tests test-eval test-schemas soak lint fuzz ci dist screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what the build needs
	@scripts/setup

build: setup ## Build tuichat for this machine
	@cargo build --release

chat: build ## Build tuichat, get a first model, and chat (ARGS="--resume")
	@scripts/starter-model $(ARGS)
	@exec cargo run --release --quiet -- $(ARGS)

test: setup ## Run all tests, with a small real model
	@TUICHAT_TEST_MODEL="$$(scripts/test-model)" && export TUICHAT_TEST_MODEL && \
		cargo test --release --no-fail-fast $(CARGO_FLAGS)

test-eval: setup ## Run the tests that need larger models' vocabularies and templates (870 MB, fetched the first time)
	@models="$$(scripts/eval-models)" && TUICHAT_EVAL_MODELS="$$(dirname "$${models%%.gguf*}")" && \
		export TUICHAT_EVAL_MODELS && \
		cargo test --release $(CARGO_FLAGS) --test vocabularies && \
		cargo test --release $(CARGO_FLAGS) --lib kv::measured
	@cargo build --release $(CARGO_FLAGS)
	@TUICHAT="$${CARGO_TARGET_DIR:-target}/release/tuichat" scripts/check-templates.py

test-schemas: build ## Have 1,000 answers under schemas judged by Python's jsonschema (a quarter of an hour)
	@model="$$(scripts/test-model)" && TUICHAT="$${CARGO_TARGET_DIR:-target}/release/tuichat" scripts/check-schemas.py "$$model"

soak: setup ## Run the tests that take hours: soaks, 500 kills, 19,000 power cuts (TUICHAT_SOAK_SECONDS=600 shortens the soaks)
	@TUICHAT_TEST_MODEL="$$(scripts/test-model)" && export TUICHAT_TEST_MODEL && cargo test --release --no-fail-fast \
		--test soak --test soak_real_model --test survival --test faulty_disk -- --ignored --nocapture --test-threads 1

lint: setup ## Check format, code, documentation and dependencies
	cargo fmt --check
	cargo clippy --locked --release --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --release --no-deps
	@if command -v cargo-deny >/dev/null; then \
		set -x; cargo deny check; \
	else \
		echo 'cargo deny: skipped, it is not installed (type `cargo install cargo-deny --locked`, which takes minutes)'; \
	fi

TARGET ?= $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
SECONDS ?= 600
fuzz: ## Give the readers of files what a fuzzer thinks of (TARGET=chats SECONDS=600); needs a nightly Rust and cargo-fuzz
	@fuzz/seeds.py fuzz/corpus
	@for target in $(TARGET); do \
		mkdir -p fuzz/corpus/$$target && \
		case $$target in config|snapshot) features=--features=whole;; *) features=;; esac && \
		cargo +nightly fuzz run --sanitizer none $$features $$target fuzz/corpus/$$target fuzz/corpus/seeds/$$target -- \
			-dict=fuzz/corpus/$$target.dict -max_total_time=$(SECONDS) -max_len=16384 -use_value_profile=1 \
			-timeout=10 -rss_limit_mb=1024 || exit 1; \
	done

# Tuichat's own code is optimised less here than elsewhere (llama.cpp is as ever), and all tests are compiled at once, so that
# no core waits for another: compiling them is a third of the time.
ci: CARGO_FLAGS = --config profile.release.package.tuichat.opt-level=1
ci: lint compile-tests test-eval test ## What has to pass before a change is taken

compile-tests: setup
	cargo test --release --no-run $(CARGO_FLAGS)

dist: setup ## Make an archive and a package that run on other machines, in target/dist
	@scripts/dist.py

screenshots: build ## Make the pictures in assets/screenshots again; needs tmux
	@scripts/screenshots

clean: ## Remove everything that was built or set up in this folder
	cargo clean
	rm -rf .tools
