#!/bin/sh
# Starts Redis with the users of users.acl. Their passwords come from the environment and go into
# a file in memory as SHA-256, so that they stand in no process list and in no log.
# Arguments are handed to redis-server.
set -eu
umask 077
users=/tmp/users.acl
grep '^user ' /etc/redis/users.acl > "$users" # Redis takes no comments there

# printf is a part of the shell: no other process sees the password.
set_password() {
    [ -n "$2" ] || { echo "REDIS_$1_PASSWORD is not set" >&2; exit 1; }
    digest=$(printf %s "$2" | sha256sum | cut -d ' ' -f 1)
    sed -i "s/@$1@/$digest/" "$users"
}

set_password WORKER "${REDIS_WORKER_PASSWORD:-}"
set_password SUBMITTER "${REDIS_SUBMITTER_PASSWORD:-}"
set_password BEAT "${REDIS_BEAT_PASSWORD:-}"
set_password VIEWER "${REDIS_VIEWER_PASSWORD:-}"
set_password FLOWER "${REDIS_FLOWER_PASSWORD:-}"
unset REDIS_WORKER_PASSWORD REDIS_SUBMITTER_PASSWORD REDIS_BEAT_PASSWORD \
    REDIS_VIEWER_PASSWORD REDIS_FLOWER_PASSWORD
exec redis-server /etc/redis/redis.conf --aclfile "$users" "$@"
