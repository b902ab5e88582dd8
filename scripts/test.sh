#!/usr/bin/env bash
# `make test` and `make test-fast`: runs the shares of the tests one after the other, and says how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."
export SQLX_OFFLINE=true CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"

with_postgres="$CARGO_TARGET_DIR/debug/with-postgres"
stories='binary_id(tests::stories) + binary_id(tests::faults) + binary_id(tests::overload)'
shares=()

# share NAME COMMAND...: runs a share. The first one that fails is the last.
share() {
    local name=$1 began=$SECONDS
    shift
    shares+=("$name: did not pass")
    "$@"
    shares[${#shares[@]} - 1]="$(minutes "$name" $((SECONDS - began)))"
}

minutes() { printf '%s: %d min %02d s' "$1" $(($2 / 60)) $(($2 % 60)); }

summary() {
    echo
    printf '%s\n' "${shares[@]}" "$(minutes total "$SECONDS")"
}
trap summary EXIT

have_nextest() { cargo nextest --version >/dev/null 2>&1; }

build_and_lint() { make --no-print-directory check && cargo test --workspace --no-run; }

nextest() { "$with_postgres" cargo nextest run --workspace --no-fail-fast "$@"; }

unit_and_integration() {
    nextest -E "not ($stories)" && "$with_postgres" cargo test --quiet --workspace --doc
}

# What fits into three minutes: every unit test, the rules of the house, and the log and the reads against a database.
# The whole workspace is named, so that nothing is built twice: a package alone would have other features.
fast=(--workspace --lib --test it --test tidy)

build_fast() { cargo test "${fast[@]}" --bin with-postgres --no-run; }

run_fast() {
    if have_nextest; then
        nextest --lib --test it --test tidy -E 'kind(lib) + package(/^(event-store|queries|read-api)$/) + binary_id(tests::tidy)'
    else
        "$with_postgres" cargo test --workspace --lib --test tidy
    fi
}

case ${1:-all} in
    all)
        share "building and lints" build_and_lint
        if have_nextest; then
            share "unit and integration" unit_and_integration
            share "stories and faults" nextest -E "$stories"
        else
            share "unit, integration, stories and faults" "$with_postgres" cargo test --workspace --no-fail-fast
        fi
        share "other people's clients" make --no-print-directory described
        ;;
    fast)
        share "building" build_fast
        share "rules, log and reads" run_fast
        ;;
    *)
        echo "usage: $0 [all|fast]" >&2
        exit 2
        ;;
esac
