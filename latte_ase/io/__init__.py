"""Files: models, checkpoints and labelled structures; names of models; the cache of compiled functions."""
