# Makes .venv from a lock file; sourced by ./scripts/up and ./scripts/test.
#
#   setup local|dev
#
# A second run with nothing changed takes milliseconds: a stamp in .venv remembers what
# was installed. Quiet unless there is something to do; errors are one sentence on stderr.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="$ROOT/.venv"

setup() {
    local wanted="$1"
    # The lock is on this file, so that two set-ups at once do not install into each other.
    exec 9<"$ROOT/scripts/setup.sh"
    if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
        echo "Waiting for another set-up of this folder …" >&2
        flock 9
    fi
    if ! _is_stamped "$wanted"; then
        _make_venv
        _install "$wanted"
        _system_libraries
        _stamp "$wanted"
    fi
    if [[ "$wanted" == dev ]]; then
        _javascript
        _browser
    fi
    exec 9<&-
}

_fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# What the stamp holds: the contents that decide what is installed, and where to.
_print_of() {
    { cat "$ROOT/infra/lock/$1.txt" "$ROOT/pyproject.toml" && echo "$ROOT"; } | _sha256
}

_sha256() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

_is_stamped() {
    [[ -x "$VENV/bin/python" && -x "$VENV/bin/grid8" ]] || return 1
    _has_stamp "$1" || { [[ "$1" == local ]] && _has_stamp dev; }
}

_has_stamp() {
    [[ -f "$VENV/.grid8-$1" && "$(<"$VENV/.grid8-$1")" == "$(_print_of "$1")" ]]
}

_stamp() {
    _print_of "$1" >"$VENV/.grid8-$1"
    # What tests need includes what a local stack needs.
    if [[ "$1" == dev ]]; then _print_of local >"$VENV/.grid8-local"; fi
    echo "$ROOT" >"$VENV/.grid8-root"
}

# Prints a Python from 3.11 to 3.13 that can make a virtual environment, else one that runs.
_find_python() {
    local name path other=""
    for name in python3.11 python3 python3.13 python3.12; do
        # All of PATH: a shim may be first and not run, a system Python may lack ensurepip.
        while IFS= read -r path; do
            "$path" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
                >/dev/null 2>&1 </dev/null || continue
            if "$path" -c 'import ensurepip, venv' >/dev/null 2>&1 </dev/null; then
                echo "$path"
                return 0
            fi
            other="${other:-$path}"
        done < <(type -ap "$name" 2>/dev/null || true)
    done
    [[ -n "$other" ]] && echo "$other"
}

_make_venv() {
    local python version
    if [[ -f "$VENV/.grid8-root" && "$(<"$VENV/.grid8-root")" != "$ROOT" ]]; then
        # Moved or copied here: its scripts still name the old place.
        rm -rf "$VENV"
    fi
    if "$VENV/bin/python" -c \
        'import sys, pip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 </dev/null; then
        return
    fi
    python="$(_find_python)" ||
        _fail "Grid8 needs Python 3.11 to 3.13, and there is none on PATH: apt-get install python3 python3-venv"
    echo "Making .venv with $("$python" --version 2>&1) …"
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        version="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        _apt_install "$version" ||
            _fail "$python cannot make virtual environments: apt-get install $version"
    fi
    rm -rf "$VENV"
    _quietly "$python" -m venv "$VENV" || _fail "$python could not make $VENV (its words are above)."
}

_install() {
    local lock="$ROOT/infra/lock/$1.txt"
    echo "Installing $(grep -c '^[A-Za-z0-9]' "$lock") packages from infra/lock/$1.txt (the first time takes minutes) …"
    _quietly _pip install --require-hashes -r "$lock" ||
        _fail "The packages of infra/lock/$1.txt could not be installed (pip's words are above)."
    _quietly _pip install --no-deps --no-build-isolation -e "$ROOT" ||
        _fail "Grid8 itself could not be installed into .venv (pip's words are above)."
}

# What tests and benchmarks are held against; where it cannot be had, those that need it are skipped.
_javascript() {
    local folder="$ROOT/infra/lock/js" wanted stamp
    wanted="$(_sha256 <"$folder/package-lock.json")"
    stamp="$folder/node_modules/.grid8"
    [[ -f "$stamp" && "$(<"$stamp")" == "$wanted" ]] && return
    if ! command -v npm >/dev/null 2>&1; then
        _apt_install nodejs npm || true
    fi
    if ! command -v npm >/dev/null 2>&1; then
        echo "Tests with a JavaScript client are skipped, there is no npm: apt-get install nodejs npm" >&2
        return
    fi
    echo "Installing JavaScript packages from infra/lock/js/package-lock.json …"
    if _quietly npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund \
        --fetch-retries=1 --fetch-timeout=60000; then
        echo "$wanted" >"$stamp"
    else
        echo "Tests with a JavaScript client are skipped: npm could not install them (its words are above)." >&2
    fi
}

# The browser that the client and the pages are tried in; without one, those tests are skipped.
_browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return
    done
    # It cannot be had again and again in vain: a system without it would ask at each start.
    [[ -f "$VENV/.grid8-no-browser" ]] && return
    if ! _apt_install chromium; then
        touch "$VENV/.grid8-no-browser"
        echo "Tests in a browser are skipped, there is no Chromium: apt-get install chromium" >&2
    fi
}

_pip() {
    # A person's pip settings may ask for --user or refuse root; this environment is ours.
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_NO_INPUT=1 "$VENV/bin/python" -m pip \
        --disable-pip-version-check --quiet "$@" --no-warn-script-location --root-user-action=ignore
}

# MongoDB from a wheel uses libraries of the system; without them `up` says what is missing.
_system_libraries() {
    local packages
    [[ -z "${GRID8_MONGO__URL:-}" ]] || return 0
    packages="$(cd "$ROOT" && "$VENV/bin/python" -m infra.embedded.mongod 2>/dev/null </dev/null)" || return 0
    [[ -n "$packages" ]] || return 0
    # shellcheck disable=SC2086
    _apt_install $packages ||
        echo "MongoDB needs libraries this system lacks: apt-get install $packages" >&2
}

_apt_install() {
    [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null 2>&1 || return 1
    echo "Installing $* …"
    export DEBIAN_FRONTEND=noninteractive
    _quietly apt-get update -qq && _quietly apt-get install -y -qq --no-install-recommends "$@"
}

# Runs a command without its chatter; when it fails, shows what it said.
_quietly() {
    local said status=0
    said="$("$@" 2>&1 </dev/null)" || status=$?
    if [[ $status != 0 ]]; then printf '%s\n' "$said" >&2; fi
    return $status
}
