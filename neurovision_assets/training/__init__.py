"""From annotations to a promoted model: data sets, validation, splits, training, gate."""
