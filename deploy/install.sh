#!/bin/sh
# install.sh NAME [EXTRA ...] or install.sh FILE.whl: a step of the Dockerfile. Puts into /opt/concertino what the lock pins for
# these extras and for those of every service (pinned-NAME.txt says what), or the wheel alone; leaves in /added, as a layer of an
# image, what was not there before.
set -eu
before=$(mktemp)
# At the first step everything is new, the environment itself included.
if [ -e /added ]; then find /opt | sort > "$before"; fi
rm -rf /added && mkdir /added

case "$1" in
*.whl)
    /tools/bin/uv pip install --quiet --python /opt/concertino/bin/python --no-deps "$1"
    ;;
*)
    pinned=/opt/concertino/pinned-$1.txt
    shift
    set -- anthropic otel "$@"
    for extra; do
        set -- "$@" --extra "$extra"
        shift
    done
    /tools/bin/uv export --quiet --frozen --no-default-groups --no-emit-project "$@" --output-file "$pinned"
    # nkeys is published as source alone, of pure Python; what it is built with is pinned as well.
    /tools/bin/uv pip install --quiet --python /opt/concertino/bin/python --require-hashes --requirements "$pinned" \
        --only-binary :all: --no-binary nkeys --require-build-hashes
    ;;
esac

find /opt | sort | comm -13 "$before" - | tar --create --no-recursion --files-from - | tar --extract --directory /added
