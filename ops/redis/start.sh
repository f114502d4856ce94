#!/bin/sh
# Starts Redis with the password of the volume that it shares with the nodes; the first start makes one.
# To change it: remove the file, then restart redis and the nodes.
set -eu
umask 022
secret=/run/argiope/store-password
if [ ! -s "$secret" ]; then
    head -c 32 /dev/urandom | sha256sum | cut -c 1-64 >"$secret.new"
    mv "$secret.new" "$secret"
fi
{
    cat /etc/argiope/redis.conf
    echo "requirepass $(cat "$secret")"
} >/run/redis.conf
# The image's entry point gives up root.
chmod 644 /run/redis.conf
exec docker-entrypoint.sh redis-server /run/redis.conf
