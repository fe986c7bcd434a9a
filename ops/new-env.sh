#!/bin/sh
# Makes .env beside docker-compose.yml from .env.example, with a new password in each empty place
# for one, readable by you only. It never overwrites.
set -eu
cd "$(dirname "$0")/.."
[ ! -e .env ] || { echo "there is a .env already; remove it first to have new passwords" >&2; exit 1; }
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
while IFS= read -r line; do
    case $line in
        *_PASSWORD=) printf '%s%s\n' "$line" "$(secret)" ;;
        SIGMAX_FLOWER_LOGIN=) printf '%ssigmax:%s\n' "$line" "$(secret)" ;;
        *) printf '%s\n' "$line" ;;
    esac
done < ops/.env.example > .env
echo "wrote $(pwd)/.env" >&2
