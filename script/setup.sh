# Shared by script/demo and script/test (sourced): install what is missing,
# configure and build in build/, each only when needed.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source_folder=$(pwd)
build_folder=${STELE_BUILD_FOLDER:-build}
jobs=$(nproc 2>/dev/null || echo 2)

packages_build=(gcc libc6-dev make autoconf automake libtool pkg-config
    libsqlite3-dev uuid-dev libmsgpack-dev libjansson-dev libxxhash-dev)
packages_test=(libcmocka-dev g++ clang-format xz-utils)

say() {
    printf '== %s\n' "$*"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "root rights or sudo are needed to run: $*" >&2
        return 1
    fi
}

# Newer Debian has the C part of msgpack under a name of its own.
known_to_apt() {
    apt-cache show "$1" >/dev/null 2>&1
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

present() {
    installed "$1" || { [ "$1" = libmsgpack-dev ] && installed libmsgpack-c-dev; } ||
        { [ "$1" = pkg-config ] && installed pkgconf; }
}

install_with_apt() {
    local missing=() package known
    for package in "$@"; do
        present "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    # A package list that was never fetched knows none of them; an old one may not know all.
    known=yes
    for package in "${missing[@]}"; do
        known_to_apt "$package" || known=no
    done
    [ $known = yes ] || as_root apt-get update -q
    if [[ " ${missing[*]} " == *' libmsgpack-dev '* ]] && ! known_to_apt libmsgpack-dev; then
        missing=("${missing[@]/#libmsgpack-dev/libmsgpack-c-dev}")
    fi
    # The list may be older than the archive: fetch it and try once more.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" || {
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
    }
}

# Without apt: name what is not there.
require_without_apt() {
    local missing=() tool module
    for tool in cc make autoconf automake libtoolize pkg-config; do
        command -v $tool >/dev/null || missing+=("$tool")
    done
    if command -v pkg-config >/dev/null; then
        for module in 'sqlite3 >= 3.40' uuid 'jansson >= 2.14' 'libxxhash >= 0.8' "$@"; do
            pkg-config --exists "$module" || missing+=("$module (library)")
        done
        pkg-config --exists msgpack-c || pkg-config --exists 'msgpack >= 3.1' || missing+=('msgpack-c (library)')
    fi
    [ ${#missing[@]} -eq 0 ] && return 0
    {
        echo "This system has no apt. Please install, with the headers of the libraries:"
        printf '    %s\n' "${missing[@]}"
    } >&2
    exit 1
}

# ensure_packages build|test
ensure_packages() {
    if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
        if [ "$1" = test ]; then
            install_with_apt "${packages_build[@]}" "${packages_test[@]}"
        else
            install_with_apt "${packages_build[@]}"
        fi
    elif [ "$1" = test ]; then
        require_without_apt 'cmocka >= 1.1.5'
    else
        require_without_apt
    fi
}

# ensure_configured OPTION...: make's own rules see to later changes of configure.ac and Makefile.am;
# other options than last time configure again.
ensure_configured() {
    if [ ! -x configure ] || [ ! -f Makefile.in ] || [ ! -f build-aux/ltmain.sh ]; then
        say "generating configure"
        autoreconf -fi
    fi
    mkdir -p "$build_folder"
    if [ ! -f "$build_folder/Makefile" ] || [ "$*" != "$(cat "$build_folder/.options" 2>/dev/null)" ]; then
        say "configuring in $build_folder"
        (cd "$build_folder" && "$source_folder/configure" "$@")
        printf '%s\n' "$*" >"$build_folder/.options"
    fi
}

build() {
    say "building in $build_folder"
    make -C "$build_folder" -j"$jobs"
}
