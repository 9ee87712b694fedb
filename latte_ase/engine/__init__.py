"""Evaluation on a device: compiled functions, precision, kernels, threads, neighbour lists, chunks, Hessians."""
