# The front door. `make` lists what it opens.
.DEFAULT_GOAL := help
.PHONY: help build demo demo-cluster test fuzz bench lint crds fmt clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## build the release binary
	cargo build --release --locked

demo: ## show the whole flow on this machine: a registry, a repo, a commit
	@scripts/debian-packages
	@cargo build --release --locked
	@$${CARGO_TARGET_DIR:-target}/release/tagtide demo --registry real

demo-cluster: ## the same on a Kubernetes API server, with kubectl
	@scripts/demo-cluster

test: ## run every test against real parts, then print the counts
	@scripts/debian-packages
	@scripts/test-tools >/dev/null
	@scripts/test

fuzz: ## fuzz each parser of foreign bytes, for a minute or SECONDS=; TARGET= names some
	@scripts/debian-packages
	@scripts/fuzz $(or $(SECONDS),60) $(TARGET)

bench: ## measure from a pushed tag to the commit, and scans, beside what Flux does for them; and plan
	@scripts/debian-packages
	@scripts/test-tools >/dev/null
	@scripts/bench-reference >/dev/null
	@scripts/bench-reference reference-scans >/dev/null
	@cargo bench --locked --bench tag_to_commit --bench scans --bench plan

lint: ## formatting, clippy, licences, bans, sources, advisories
	@scripts/lint

crds: ## write the custom resource definitions to crds/
	cargo run -q --locked -- crds --out crds --out charts/tagtide/files/crds

fmt: ## format the code
	cargo fmt

clean: ## remove what cargo built here; the test tools stay in their cache
	cargo clean
