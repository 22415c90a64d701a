# make test is what CI runs; it installs what the tests need.
.PHONY: setup build lint vet test walk bench soak sandbox

setup:
	@scripts/setup

build:
	go build -o bin/ ./cmd/pgupgrade ./cmd/sandbox

lint: vet
	go tool staticcheck ./...

vet:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go vet ./...

test:
	@scripts/test

bench: setup
	go test -run '^$$' -bench . -benchtime 1x -timeout 10m ./cmd/sandbox

# Whole what make test plays a sample of: every moment alone and on PostgreSQL, every cell of
# docs/ways-back.md, every command of the Heroku CLI in a process of its own, every variant of the old guide, every scenario on clusters.
walk: setup
	cd ops/upgrade && go test -timeout 60m -run '^(TestStoppedAnywhere|TestStoppedOnPostgreSQL|TestWaysBack)$$' -walk
	cd cmd/sandbox && go test -timeout 60m -run '^(TestTheOldGuideWithTheCLI|TestCommandsOfTheCLI)$$' -v -walk
	cd cmd/sandbox && go test -timeout 60m -run '^TestScenarios$$' -postgres require

# Twenty upgrades in a row on real clusters: no row lost, nothing left behind.
soak: setup
	go test ./cmd/sandbox -run '^TestOnClusters$$' -v -timeout 60m -soak 20

sandbox:
	go run ./cmd/sandbox
