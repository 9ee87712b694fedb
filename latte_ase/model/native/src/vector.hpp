// Vectors of numbers in GCC's vector extension, which the compiler maps to the registers of the instruction set.
#pragma once

#include <cstdint>
#include <cstring>

namespace latte {

// LANES numbers of the radial stage: eight are the default number of radial functions.
constexpr int LANES = 8;

template <typename T> struct VectorOf;
template <> struct VectorOf<float> {
  typedef float type __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
  typedef int32_t integer __attribute__((vector_size(4 * LANES)));
};
template <> struct VectorOf<double> {
  typedef double type __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
  typedef int64_t integer __attribute__((vector_size(8 * LANES)));
};

template <typename T> using Vector = typename VectorOf<T>::type;
template <typename T> using Integer = typename VectorOf<T>::integer;

template <typename T> inline Vector<T> load(const T *p) {
  return *reinterpret_cast<const Vector<T> *>(p);
}
template <typename T> inline void store(T *p, Vector<T> v) { *reinterpret_cast<Vector<T> *>(p) = v; }
template <typename T> inline Vector<T> all(T x) { return Vector<T>{} + x; }

// Sum of the lanes, in a fixed order.
template <typename T> inline T sum(Vector<T> v) {
  T a = v[0] + v[4], b = v[1] + v[5], c = v[2] + v[6], d = v[3] + v[7];
  return (a + c) + (b + d);
}

template <typename T> inline Vector<T> choose(Integer<T> condition, Vector<T> yes, Vector<T> no) {
  Integer<T> y, n, r;
  std::memcpy(&y, &yes, sizeof y);
  std::memcpy(&n, &no, sizeof n);
  r = (condition & y) | (~condition & n);
  Vector<T> out;
  std::memcpy(&out, &r, sizeof out);
  return out;
}

// exp(x) = 2^k exp(f), |f| <= ln(2) / 2, by a Taylor series; k is kept in the range of normal numbers.
template <typename T> struct ExpRange;
template <> struct ExpRange<float> {
  static constexpr int terms = 7, bits = 23, bias = 127;
  static constexpr float limit = 87.0f;
};
template <> struct ExpRange<double> {
  static constexpr int terms = 13, bits = 52, bias = 1023;
  static constexpr double limit = 708.0;
};
template <typename T> inline Vector<T> exponential(Vector<T> x) {
  using R = ExpRange<T>;
  constexpr T log2e = T(1.4426950408889634074), high = T(0.693145751953125), low = T(1.4286068203094172321e-6);
  x = choose<T>(x > R::limit, all<T>(R::limit), x);
  x = choose<T>(x < -R::limit, all<T>(-R::limit), x);  // false for nan, which stays
  Vector<T> scaled = x * log2e;
  Integer<T> k = __builtin_convertvector(scaled + choose<T>(scaled < 0, all<T>(-0.5), all<T>(0.5)), Integer<T>);
  Vector<T> whole = __builtin_convertvector(k, Vector<T>), f = (x - whole * high) - whole * low;
  Vector<T> series = all<T>(1);
  for (int n = R::terms; n > 0; n--) series = 1 + series * f / T(n);
  Integer<T> power = (k + R::bias) << R::bits;
  Vector<T> two;
  std::memcpy(&two, &power, sizeof two);
  return series * two;
}

// sin and cos of angles from 0 to pi: of half the distance to pi/2 by Taylor series, then doubled.
template <typename T> inline void sine_and_cosine(Vector<T> angle, Vector<T> &sine, Vector<T> &cosine) {
  constexpr int last = sizeof(T) == 4 ? 5 : 9;
  Vector<T> half = (angle - T(1.57079632679489661923)) / 2, square = half * half;
  Vector<T> s = all<T>(1), c = all<T>(1);
  for (int n = last; n > 0; n--) {
    s = 1 - square * s * (T(1) / T((2 * n) * (2 * n + 1)));
    c = 1 - square * c * (T(1) / T((2 * n - 1) * (2 * n)));
  }
  s *= half;
  sine = 1 - 2 * s * s;
  cosine = -2 * s * c;
}

template <typename T> inline Vector<T> root(Vector<T> x) {
  for (int k = 0; k < LANES; k++) x[k] = __builtin_sqrt(x[k]);
  return x;
}

}  // namespace latte
