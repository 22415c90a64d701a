# make test is what CI runs; it installs what the tests need.
.PHONY: setup build lint test race bench soak sandbox

setup:
	@scripts/setup

build:
	go build -o bin/ ./cmd/pgupgrade ./cmd/sandbox

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

test: setup lint
	@scripts/test

bench: setup
	go test -run '^$$' -bench . -benchtime 1x -timeout 10m ./cmd/sandbox

# Twenty upgrades in a row on real clusters: no row lost, nothing left behind.
soak: setup
	go test ./cmd/sandbox -run '^TestOnClusters$$' -v -timeout 60m -soak 20

sandbox:
	go run ./cmd/sandbox
