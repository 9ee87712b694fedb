// Radial Bessel functions R_n(r) = sqrt(2/c) sin(n pi r/c) / r f(r/c), n = 1..count, and their derivatives (arXiv:2003.03123),
// with f(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8.  One sine and cosine for each pair; further ones by rotation.
#pragma once

#include "vector.hpp"

namespace latte {

struct Bessel {
  int count;  // multiple of LANES; those beyond the number of functions have weight 0
  double cutoff;
};

// Values and derivatives (pairs, count) of `pairs` distances; reads and writes up to a multiple of LANES pairs.
template <typename T> inline void bessel(const Bessel &b, const T *r, int pairs, T *value, T *slope) {
  using V = Vector<T>;
  const T cutoff = T(b.cutoff), norm = T(__builtin_sqrt(2 / b.cutoff)), wave = T(3.14159265358979323846 / b.cutoff);
  for (int p = 0; p < pairs; p += LANES) {
    V d = load(r + p), x = d / cutoff, s1, c1;
    V x2 = x * x, x4 = x2 * x2;
    V f = 1 - x4 * x2 * (28 - x * (48 - 21 * x)), df = T(-168) * x4 * x * (1 - x) * (1 - x) / cutoff;
    V inverse = 1 / d, amplitude = norm * f * inverse, change = norm * (df - f * inverse) * inverse;
    sine_and_cosine<T>(d * wave, s1, c1);
    V s = s1, c = c1;
    for (int n = 0; n < b.count; n++) {
      V v = s * amplitude, w = s * change + c * (amplitude * (wave * T(n + 1)));
      for (int k = 0; k < LANES; k++) value[(p + k) * b.count + n] = v[k], slope[(p + k) * b.count + n] = w[k];
      V next = s * c1 + c * s1;
      c = c * c1 - s * s1, s = next;
    }
  }
}

}  // namespace latte
