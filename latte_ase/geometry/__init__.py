"""From ase.Atoms to padded arrays: exact neighbour lists and their reuse, graphs, buckets of shapes, and batches."""
