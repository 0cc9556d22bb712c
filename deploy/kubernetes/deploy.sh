#!/bin/sh
# Brings a commit's images into a cluster: deploy.sh staging|production REGISTRY/NAME TAG [MORE FOR HELM]. Needs kubectl with a
# context of that name, and helm. Safe to repeat. A rollout that does not become ready fails here and leaves the old pods serving.
# After an update of Dagster: deploy.sh … --set migrate.enabled=true (a job that brings Dagster's tables up to date).
set -eu
stage=$1 images=$2 tag=$3
shift 3
cd "$(dirname "$0")"
chart_version=$(sed -n 's/^dagster==//p' ../../requirements.lock)
rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT

kubectl config use-context "$stage"
# The manifests name a stand-in for the registry and `latest`; this commit's images take their place before anything is applied.
kubectl kustomize "overlays/$stage" >"$rendered"
sed -i "s|ghcr.io/neurovision/neurovision/\([a-z]*\):latest|$images/\1:$tag|" "$rendered"
kubectl apply --server-side --filename "$rendered"

helm upgrade --install dagster dagster --repo https://dagster-io.github.io/helm --version "$chart_version" \
    --namespace neurovision --values dagster-values.yaml --atomic --timeout 15m \
    --set "dagsterWebserver.image.repository=$images/platform,dagsterWebserver.image.tag=$tag" \
    --set "dagsterDaemon.image.repository=$images/platform,dagsterDaemon.image.tag=$tag" \
    --set "dagster-user-deployments.deployments[0].image.repository=$images/platform" \
    --set "dagster-user-deployments.deployments[0].image.tag=$tag" \
    --set "dagster-user-deployments.deployments[1].image.repository=$images/platform" \
    --set "dagster-user-deployments.deployments[1].image.tag=$tag" \
    "$@"

# It reads Dagster's configuration, which the chart has just written, when it starts.
kubectl --namespace neurovision rollout restart deployment/metrics
for name in inference mlflow metrics; do
    kubectl --namespace neurovision rollout status "deployment/$name" --timeout 15m
done
