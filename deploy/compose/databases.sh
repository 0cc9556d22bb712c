#!/bin/sh
# Databases besides the first one, at PostgreSQL's first start: Dagster's beside ours, and MLflow's with a role of its own.
# The server's image runs it with POSTGRES_USER and POSTGRES_DB set; MLFLOW_PASSWORD_FILE names MLflow's password.
set -eu
password=$(cat "$MLFLOW_PASSWORD_FILE")
psql --set=ON_ERROR_STOP=1 --no-psqlrc --quiet --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=owner="$POSTGRES_USER" --set=password="$password" <<'SQL'
CREATE DATABASE dagster OWNER :"owner";
CREATE ROLE mlflow LOGIN PASSWORD :'password';
CREATE DATABASE mlflow OWNER mlflow;
REVOKE CONNECT ON DATABASE dagster, mlflow, :"owner" FROM PUBLIC;
SQL
