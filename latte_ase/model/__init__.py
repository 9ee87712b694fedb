"""The potential: descriptors, networks, repulsion; energies, forces and virials of a graph; domain of use; committees."""
