// Small matrix products whose right factor stays in cache: lanes are columns of the right factor.
#pragma once

#include "vector.hpp"

namespace latte {

// C[r, :] += SUM_k A[r, k] B[k, :] for ROWS rows and LANES * WIDE columns.
template <typename T, int ROWS, int WIDE>
inline void tile(const T *a, int stride_a, const T *b, int stride_b, int depth, T *c, int stride_c) {
  using V = Vector<T>;
  V s[ROWS][WIDE];
  for (int r = 0; r < ROWS; r++)
    for (int w = 0; w < WIDE; w++) s[r][w] = load(c + r * stride_c + w * LANES);
  for (int k = 0; k < depth; k++) {
    V right[WIDE];
    for (int w = 0; w < WIDE; w++) right[w] = load(b + k * stride_b + w * LANES);
    for (int r = 0; r < ROWS; r++) {
      T left = a[r * stride_a + k];
      for (int w = 0; w < WIDE; w++) s[r][w] += left * right[w];
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int w = 0; w < WIDE; w++) store(c + r * stride_c + w * LANES, s[r][w]);
}

// C += A B; the number of columns is a multiple of LANES.  The order of a sum does not depend on the number of rows.
template <typename T>
inline void multiply(const T *a, int stride_a, const T *b, int stride_b, int rows, int depth, int columns, T *c, int stride_c) {
  int j = 0;
  for (; j + 4 * LANES <= columns; j += 4 * LANES) {
    int r = 0;
    for (; r + 4 <= rows; r += 4) tile<T, 4, 4>(a + r * stride_a, stride_a, b + j, stride_b, depth, c + r * stride_c + j, stride_c);
    for (; r < rows; r++) tile<T, 1, 4>(a + r * stride_a, stride_a, b + j, stride_b, depth, c + r * stride_c + j, stride_c);
  }
  for (; j < columns; j += LANES) {
    int r = 0;
    for (; r + 4 <= rows; r += 4) tile<T, 4, 1>(a + r * stride_a, stride_a, b + j, stride_b, depth, c + r * stride_c + j, stride_c);
    for (; r < rows; r++) tile<T, 1, 1>(a + r * stride_a, stride_a, b + j, stride_b, depth, c + r * stride_c + j, stride_c);
  }
}

// The same for the few rows of the components of a tensor, all in registers.
template <typename T>
inline void multiply_tensor(int rank, const T *a, int stride_a, const T *b, int stride_b, int depth, int columns, T *c, int stride_c) {
  int j = 0;
  for (; rank < 3 && j + 2 * LANES <= columns; j += 2 * LANES) {
    if (rank == 0) tile<T, 1, 2>(a, stride_a, b + j, stride_b, depth, c + j, stride_c);
    if (rank == 1) tile<T, 3, 2>(a, stride_a, b + j, stride_b, depth, c + j, stride_c);
    if (rank == 2) tile<T, 6, 2>(a, stride_a, b + j, stride_b, depth, c + j, stride_c);
  }
  for (; j < columns; j += LANES) {
    if (rank == 0) tile<T, 1, 1>(a, stride_a, b + j, stride_b, depth, c + j, stride_c);
    if (rank == 1) tile<T, 3, 1>(a, stride_a, b + j, stride_b, depth, c + j, stride_c);
    if (rank == 2) tile<T, 6, 1>(a, stride_a, b + j, stride_b, depth, c + j, stride_c);
    if (rank == 3) tile<T, 10, 1>(a, stride_a, b + j, stride_b, depth, c + j, stride_c);
  }
}

}  // namespace latte
