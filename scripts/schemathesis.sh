#!/usr/bin/env bash
# Makes sure of schemathesis, which sends to the APIs what their OpenAPI documents describe, and prints the path of a Python that
# has it. It is installed under the target directory from wherever this machine's pip takes its packages. Fails, and says why, where that
# cannot be.
set -euo pipefail
cd "$(dirname "$0")/.."
version=4.32.5

venv="${CARGO_TARGET_DIR:-$PWD/target}/schemathesis-$version"
if [ ! -d "$venv" ]; then
	command -v python3 >/dev/null || { echo "there is no python3" >&2; exit 1; }
	rm -rf "$venv.new"
	python3 -m venv "$venv.new" >&2 || { echo "python3 cannot make a virtual environment (on Debian: python3-venv)" >&2; exit 1; }
	"$venv.new/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check --only-binary :all: \
		"schemathesis==$version" >&2 || { echo "pip cannot install schemathesis $version" >&2; exit 1; }
	mv "$venv.new" "$venv"
fi
echo "$venv/bin/python"
