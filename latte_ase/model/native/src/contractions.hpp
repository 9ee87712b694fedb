// Contractions of moments to invariants, as sums of products of packed components.
//
//   B[t] = SUM_products times PRODUCT_factors A_rank[component, first + t],   t = 0..count-1
#pragma once

#include <cstdint>
#include <vector>

#include "vector.hpp"

namespace latte {

struct Factor {
  int rank, first;  // column of the first term among those of this rank
};

struct Product {
  int times;
  std::vector<int> component;  // of each factor
};

struct TermBlock {
  int count;
  std::vector<Factor> factors;
  std::vector<Product> products;
};

// Terms from one row of numbers: for each block count, factors, (rank, first) each, products, (times, components) each.
inline std::vector<TermBlock> parse_terms(const int64_t *p, size_t size) {
  std::vector<TermBlock> blocks;
  for (const int64_t *end = p + size; p < end;) {
    TermBlock block;
    block.count = int(*p++);
    block.factors.resize(size_t(*p++));
    for (Factor &f : block.factors) f.rank = int(*p++), f.first = int(*p++);
    block.products.resize(size_t(*p++));
    for (Product &product : block.products) {
      product.times = int(*p++);
      for (size_t k = 0; k < block.factors.size(); k++) product.component.push_back(int(*p++));
    }
    blocks.push_back(block);
  }
  return blocks;
}

// Columns of an atom: for each rank an array (components, columns).
template <typename T> struct Columns {
  T *of_rank[4];
  int columns[4];
  T *row(const Factor &f, int component) const { return of_rank[f.rank] + component * columns[f.rank] + f.first; }
};

template <typename T> inline void contract(const std::vector<TermBlock> &terms, const Columns<T> &a, T *features) {
  for (const TermBlock &block : terms) {
    for (int t = 0; t < block.count; t++) features[t] = 0;
    for (const Product &product : block.products) {
      const T times = T(product.times), *x = a.row(block.factors[0], product.component[0]);
      const int count = block.count;
      switch (block.factors.size()) {
        case 1:
          for (int t = 0; t < count; t++) features[t] += times * x[t];
          break;
        case 2: {
          const T *y = a.row(block.factors[1], product.component[1]);
          for (int t = 0; t < count; t++) features[t] += times * x[t] * y[t];
          break;
        }
        case 3: {
          const T *y = a.row(block.factors[1], product.component[1]), *z = a.row(block.factors[2], product.component[2]);
          for (int t = 0; t < count; t++) features[t] += times * x[t] * y[t] * z[t];
          break;
        }
        default:
          for (int t = 0; t < count; t++) {
            T all = times;
            for (size_t k = 0; k < block.factors.size(); k++) all *= a.row(block.factors[k], product.component[k])[t];
            features[t] += all;
          }
      }
    }
    features += block.count;
  }
}

// Cotangents of the columns, added to `bar`, from those of the features.
template <typename T>
inline void contract_adjoint(const std::vector<TermBlock> &terms, const Columns<T> &a, const T *features, const Columns<T> &bar) {
  for (const TermBlock &block : terms) {
    const int count = block.count;
    for (const Product &product : block.products) {
      const T times = T(product.times), *x = a.row(block.factors[0], product.component[0]);
      T *x_bar = bar.row(block.factors[0], product.component[0]);
      switch (block.factors.size()) {
        case 1:
          for (int t = 0; t < count; t++) x_bar[t] += times * features[t];
          break;
        case 2: {
          const T *y = a.row(block.factors[1], product.component[1]);
          T *y_bar = bar.row(block.factors[1], product.component[1]);
#pragma GCC ivdep
          for (int t = 0; t < count; t++) {
            T f = times * features[t], xt = x[t], yt = y[t];
            x_bar[t] += f * yt, y_bar[t] += f * xt;
          }
          break;
        }
        case 3: {
          const T *y = a.row(block.factors[1], product.component[1]), *z = a.row(block.factors[2], product.component[2]);
          T *y_bar = bar.row(block.factors[1], product.component[1]), *z_bar = bar.row(block.factors[2], product.component[2]);
#pragma GCC ivdep
          for (int t = 0; t < count; t++) {
            T f = times * features[t], xt = x[t], yt = y[t], zt = z[t];
            x_bar[t] += f * yt * zt, y_bar[t] += f * xt * zt, z_bar[t] += f * xt * yt;
          }
          break;
        }
        default:
          for (size_t j = 0; j < block.factors.size(); j++) {
            T *own = bar.row(block.factors[j], product.component[j]);
            for (int t = 0; t < count; t++) {
              T all = times * features[t];
              for (size_t k = 0; k < block.factors.size(); k++)
                if (k != j) all *= a.row(block.factors[k], product.component[k])[t];
              own[t] += all;
            }
          }
      }
    }
    features += count;
  }
}

}  // namespace latte
