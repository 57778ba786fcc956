#!/usr/bin/env bash
# Starts both services, from any folder: ./start.sh, or ./start.sh down, logs, ps ... (what follows
# is given to docker compose).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [ ! -e .env ]; then
    cp .env.template .env
    chmod 600 .env
    echo "Made Docker/.env: fill in MONGO_URL (and VISUS_DATASETS), then start this again." >&2
    exit 1
fi
if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
else
    compose=(docker-compose)
fi
if [ $# -gt 0 ]; then
    exec "${compose[@]}" "$@"
fi
docker network inspect docker_visstore_web >/dev/null 2>&1 || docker network create docker_visstore_web
exec "${compose[@]}" up -d --build
