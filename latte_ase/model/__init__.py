"""The potential: descriptors, networks, repulsion; energies, forces, virials of a graph; domain of use; committees."""
