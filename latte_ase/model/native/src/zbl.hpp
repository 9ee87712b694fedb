// Ziegler-Biersack-Littmark repulsion within the closest approach R of two species, see repulsion.py.
//
//   V(r) = p / r SUM_m a_m exp(-b_m r / a) (1 - r^2 / R^2)^3
#pragma once

#include <cmath>

namespace latte {

// V and dV/dr in eV and eV/Angstrom, for 0 < r < R.
inline void zbl(double r, double product, double screening, double reach, double &value, double &slope) {
  constexpr double weights[4] = {0.18175, 0.50986, 0.28022, 0.02817}, exponents[4] = {3.19980, 0.94229, 0.40290, 0.20162};
  const double least = 1e-3, near = r > least ? r : least;
  double screened = 0, change = 0;
  for (int m = 0; m < 4; m++) {
    double term = weights[m] * std::exp(-exponents[m] * near / screening);
    screened += term, change -= term * exponents[m] / screening;
  }
  double x = near / reach, left = 1 - x * x, fade = left * left * left, falls = -6 * x * left * left / reach;
  value = product / near * screened * fade;
  slope = r > least ? product / near * ((change - screened / near) * fade + screened * falls) : 0.0;
}

}  // namespace latte
