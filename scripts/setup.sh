#!/usr/bin/env bash
# Brings a fresh machine to where `make demo` and `make test` can run: a C compiler, Rust and PostgreSQL's programs.
# What is there already is left alone; what is missing is named before it is installed. PostgreSQL is only installed,
# never started: Highwater runs a private one.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

# Runs as root, through sudo where that is needed.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "error: installing needs root, and there is no sudo. As root, run: $*"
        exit 1
    fi
}

package_manager() {
    for manager in apt-get dnf yum zypper pacman apk brew; do
        if command -v "$manager" >/dev/null 2>&1; then
            printf '%s' "$manager"
            return
        fi
    done
}

# install WHAT-FOR APT DNF ZYPPER PACMAN APK BREW: installs one thing by the name that the system's manager gives it.
install() {
    local what=$1 manager packages
    manager=$(package_manager)
    case $manager in
        apt-get) packages=$2 ;;
        dnf | yum) packages=$3 ;;
        zypper) packages=$4 ;;
        pacman) packages=$5 ;;
        apk) packages=$6 ;;
        brew) packages=$7 ;;
        *)
            say "error: $what is missing, and no package manager that this script knows is here. Install it and try again."
            exit 1
            ;;
    esac
    say "$what is missing; installing it with $manager: $packages"
    # The package lists are words to be split.
    # shellcheck disable=SC2086
    case $manager in
        apt-get)
            as_root apt-get update -qq
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
            ;;
        dnf | yum) as_root "$manager" install -y -q $packages >&2 ;;
        zypper) as_root zypper --non-interactive --quiet install $packages >&2 ;;
        pacman) as_root pacman -Sy --noconfirm --needed $packages >&2 ;;
        apk) as_root apk add --quiet $packages >&2 ;;
        brew) brew install --quiet $packages >&2 ;;
    esac
}

have_postgres() {
    local folder
    command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1 && return 0
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/lib/postgresql*/bin /usr/libexec/postgresql*/ \
        /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin /usr/local/pgsql/bin; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
            return 0
        fi
    done
    return 1
}

# Debian's package makes and starts a cluster of its own unless it is told not to. The word is taken back afterwards.
install_postgres() {
    local quiet=/etc/postgresql-common/createcluster.d/highwater-setup.conf
    if [ "$(package_manager)" = apt-get ]; then
        as_root mkdir -p "${quiet%/*}"
        printf 'create_main_cluster = false\n' | as_root tee "$quiet" >/dev/null
        # Expanded now: the trap runs when the function's variable is gone.
        # shellcheck disable=SC2064
        trap "as_root rm -f '$quiet'; as_root rmdir --ignore-fail-on-non-empty '${quiet%/*}'" EXIT
    fi
    install PostgreSQL postgresql postgresql-server postgresql-server postgresql postgresql postgresql@17
}

install_rust() {
    command -v curl >/dev/null 2>&1 || install curl "curl ca-certificates" curl curl curl curl curl
    say "Rust is missing; installing it for this user with rustup, from https://sh.rustup.rs"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y --quiet --profile minimal --component clippy,rustfmt --default-toolchain stable >&2
}

cd "$(dirname "$0")/.."
command -v cc >/dev/null 2>&1 || install "A C compiler" build-essential "gcc make" "gcc make" base-devel build-base gcc
command -v cargo >/dev/null 2>&1 || [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] || install_rust
have_postgres || install_postgres
have_postgres || {
    say "error: PostgreSQL was installed, but initdb and postgres are not where they usually are. Put them on PATH and try again."
    exit 1
}
