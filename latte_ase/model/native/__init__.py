"""Kernel in C++ for CPUs: energies and gradients of pairs of a graph in one call, see `src/kernel.cc`."""
