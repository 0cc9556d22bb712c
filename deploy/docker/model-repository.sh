#!/bin/sh
# Copies our models into Triton's layout: model-repository.sh SOURCE TARGET. What is not part of the layout stays behind.
set -eu
source=$1 target=$2
for config in "$source"/*/config.pbtxt; do
    model=$(basename "$(dirname "$config")")
    mkdir -p "$target/$model"
    for part in "$source/$model"/config.pbtxt "$source/$model"/labels.txt "$source/$model"/configs; do
        [ ! -e "$part" ] || cp -R "$part" "$target/$model/"
    done
    for file in "$source/$model"/[1-9]*/model.onnx; do
        version=$(basename "$(dirname "$file")")
        mkdir -p "$target/$model/$version"
        cp "$file" "$target/$model/$version/"
    done
done
