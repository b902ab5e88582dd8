#!/usr/bin/env bash
# Writes .sqlx/ from a freshly migrated database. Runs under with-postgres, which says where one is.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo sqlx migrate run --source migrations
cargo sqlx prepare --workspace -- --all-targets
