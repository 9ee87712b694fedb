// The sum over pairs, forward and adjoint.
//
//   m[g, c, n] = SUM_{j in group g} T_c(rhat_j) R_n(r_j)          T_c = x^a y^b z^d of the unit vector, packed
//
// A group holds the neighbours of one species.  With V = SUM_c (dT_c / drhat) mbar[c], a vector over n, and by Euler's theorem
// p SUM_c T_c mbar[c] = rhat . V for the part of rank p,
//
//   dE/dr = SUM_n R'_n SUM_c T_c mbar[c, n]      dE/drhat = SUM_n R_n V_n
//   dE/dD = rhat (dE/dr - rhat . dE/drhat / r) + dE/drhat / r
#pragma once

#include "vector.hpp"

namespace latte {

constexpr int COMPONENTS[4] = {1, 3, 6, 10}, FIRST[4] = {0, 1, 4, 10}, ALL_COMPONENTS = 20;

// Neighbours of an atom within the cutoff, group by group.
template <typename T> struct Neighbours {
  T *x, *y, *z, *inverse;  // unit vectors, 1/r
  T *value, *slope;        // (pairs, radial): R_n and its derivative
  T **gradient;            // where dE/dD of a pair is written
};

// m[c] of the pairs first..last of one group, added up over blocks of LANES radial functions; (components, radial).
template <typename T, bool THIRD>
inline void add_moments(const Neighbours<T> &n, int first, int last, int radial, int part, T *m) {
  using V = Vector<T>;
  V s{}, v0{}, v1{}, v2{}, t0{}, t1{}, t2{}, t3{}, t4{}, t5{};
  for (int p = first; p < last; p++) {
    V g = load(n.value + p * radial + part);
    T x = n.x[p], y = n.y[p], z = n.z[p];
    s += g;
    V gx = g * x, gy = g * y, gz = g * z;
    v0 += gx, v1 += gy, v2 += gz;
    t0 += gx * x, t1 += gx * y, t2 += gx * z, t3 += gy * y, t4 += gy * z, t5 += gz * z;
  }
  const V sums[10] = {s, v0, v1, v2, t0, t1, t2, t3, t4, t5};
  for (int c = 0; c < 10; c++) store(m + c * radial + part, sums[c]);
  if constexpr (THIRD) {
    V u[10] = {};
    for (int p = first; p < last; p++) {
      V g = load(n.value + p * radial + part);
      T x = n.x[p], y = n.y[p], z = n.z[p];
      V xx = g * (x * x), yy = g * (y * y), zz = g * (z * z);
      u[0] += xx * x, u[1] += xx * y, u[2] += xx * z, u[3] += yy * x, u[4] += g * (x * y * z), u[5] += zz * x;
      u[6] += yy * y, u[7] += yy * z, u[8] += zz * y, u[9] += zz * z;
    }
    for (int c = 0; c < 10; c++) store(m + (10 + c) * radial + part, u[c]);
  }
}

// dE/dD of the pairs first..last of one group, from mbar (components, radial).
template <typename T, bool THIRD>
inline void pair_gradients(const Neighbours<T> &n, int first, int last, int radial, const T *m) {
  using V = Vector<T>;
  for (int p = first; p < last; p++) {
    T x = n.x[p], y = n.y[p], z = n.z[p];
    V along{}, over_x{}, over_y{}, over_z{};
    for (int part = 0; part < radial; part += LANES) {
      auto at = [&](int c) { return load(m + c * radial + part); };
      V a = at(1), b = at(2), c = at(3);
      V h = at(0) + a * x + b * y + c * z;
      V xx = at(4), xy = at(5), xz = at(6), yy = at(7), yz = at(8), zz = at(9);
      V dx = 2 * x * xx + y * xy + z * xz, dy = x * xy + 2 * y * yy + z * yz, dz = x * xz + y * yz + 2 * z * zz;
      h += T(0.5) * (dx * x + dy * y + dz * z);
      a += dx, b += dy, c += dz;
      if constexpr (THIRD) {
        V xxx = at(10), xxy = at(11), xxz = at(12), xyy = at(13), xyz = at(14), xzz = at(15);
        V yyy = at(16), yyz = at(17), yzz = at(18), zzz = at(19);
        T x2 = x * x, y2 = y * y, z2 = z * z, xyd = x * y, xzd = x * z, yzd = y * z;
        dx = 3 * x2 * xxx + 2 * xyd * xxy + 2 * xzd * xxz + y2 * xyy + yzd * xyz + z2 * xzz;
        dy = x2 * xxy + 2 * xyd * xyy + xzd * xyz + 3 * y2 * yyy + 2 * yzd * yyz + z2 * yzz;
        dz = x2 * xxz + xyd * xyz + 2 * xzd * xzz + y2 * yyz + 2 * yzd * yzz + 3 * z2 * zzz;
        h += T(1.0 / 3) * (dx * x + dy * y + dz * z);
        a += dx, b += dy, c += dz;
      }
      V value = load(n.value + p * radial + part), slope = load(n.slope + p * radial + part);
      along += h * slope, over_x += a * value, over_y += b * value, over_z += c * value;
    }
    T ax = sum<T>(over_x), ay = sum<T>(over_y), az = sum<T>(over_z), inverse = n.inverse[p];
    T radially = sum<T>(along) - (x * ax + y * ay + z * az) * inverse;
    T *g = n.gradient[p];
    g[0] = x * radially + ax * inverse, g[1] = y * radially + ay * inverse, g[2] = z * radially + az * inverse;
  }
}

}  // namespace latte
