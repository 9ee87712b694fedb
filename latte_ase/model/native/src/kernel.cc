// Energies of the atoms of a graph and their gradients for pairs: the last stage of message_passing.py for the descriptor
// `reduced`, block by block, everything of a block in cache.
//
//   D -> r, rhat, R_n -> m[g, c, n] -> A[c, u] = SUM W[s_i, s_g][n, u] m[g, c, n] -> B -> network -> E, and back to dE/dD
//
// Atoms of a block are of one species.  Compiled once for each set of instructions; LATTE_NAME gives its functions their names.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "contractions.hpp"
#include "network.hpp"
#include "pairs.hpp"
#include "radial.hpp"
#include "xla/ffi/api/ffi.h"
#include "zbl.hpp"

namespace ffi = xla::ffi;

namespace latte {
namespace {

// Sizes and constants of a model; see `call.py`, which writes the numbers.
struct Model {
  int species, features, padded_features, radial;
  int columns[4];
  std::vector<int> widths;
  Activation activation;
  bool repulsion;
  double cutoff;
  std::vector<TermBlock> terms;
  bool third() const { return columns[3] > 0; }
};

Model parse_model(ffi::Span<const int64_t> sizes, ffi::Span<const int64_t> terms, double cutoff) {
  Model m;
  const int64_t *p = sizes.begin();
  m.species = int(*p++), m.features = int(*p++), m.padded_features = int(*p++), m.radial = int(*p++);
  for (int &count : m.columns) count = int(*p++);
  m.widths.resize(size_t(*p++));
  for (int &width : m.widths) width = int(*p++);
  m.activation = Activation(*p++), m.repulsion = *p++ != 0;
  m.cutoff = cutoff, m.terms = parse_terms(terms.begin(), terms.size());
  return m;
}

// Weights of all species, arrays with a leading axis (species,).
template <typename T> struct Weights {
  const T *mixing[4], *transposed[4];  // (species, species, radial, columns), and (.., columns, radial)
  const T *mean, *inverse_deviation;   // (species, padded features)
  const T *scale;
  std::vector<const T *> layers;  // of each hidden layer weights, transposed weights, biases; then those of the last, two
  const T *repulsion;             // (species, species, 3)
};

// Neighbours of one group of a block, with the motion of the atoms.
template <typename T> struct Group {
  const T *edges;            // (blocks, block, k, 3)
  const int32_t *neighbour;  // (blocks, block, k)
  const int32_t *species;    // (blocks, block)
  T *gradient;               // (blocks, block, k, 3)
  int k;
};

template <typename T> struct Graph {
  int blocks, block, used;
  const int32_t *species, *structure;
  const T *is_atom, *displacements, *own, *deformation;  // the last three null where nothing moved
  std::vector<Group<T>> groups;
};

// Arrays of a block of atoms.
template <typename T> struct Space {
  std::vector<T> x, y, z, r, inverse, value, slope, moments, columns, columns_bar, features, gradient, outputs, scales;
  std::vector<T *> written;
  std::vector<int> ends, kinds;  // (atoms, groups): end of the pairs of each group, and its species
  NetworkSpace<T> network;
};

template <typename T> class Kernel {
 public:
  Kernel(const Model &model, const Weights<T> &weights, const Graph<T> &graph) : m(model), w(weights), g(graph) {
    size_t at = 0;
    for (int rank = 0; rank < 4; rank++) offset[rank] = at, at += size_t(COMPONENTS[rank]) * m.columns[rank];
    per_atom = at;
    const size_t atoms = size_t(g.block), groups = g.groups.size();
    for (const Group<T> &group : g.groups) places += group.k;
    const size_t pairs = atoms * places + LANES;
    for (auto *v : {&s.x, &s.y, &s.z, &s.r, &s.inverse}) v->resize(pairs);
    s.written.resize(pairs), s.value.resize(pairs * m.radial), s.slope.resize(pairs * m.radial);
    s.moments.resize(ALL_COMPONENTS * size_t(m.radial));
    s.columns.resize(atoms * per_atom), s.columns_bar.resize(per_atom);
    s.features.resize((atoms + 1) * m.padded_features), s.gradient.resize((atoms + 1) * m.padded_features);
    s.outputs.resize(atoms + 1), s.scales.resize(atoms);
    s.ends.resize(atoms * groups), s.kinds.resize(atoms * groups), s.network.resize(network(0), g.block);
    isolated.resize(size_t(m.species)), known.resize(size_t(m.species));
  }

  // Energies (block,), virials (block, 3, 3) and gradients of block b.
  void run(int b, T *energies, T *virials) {
    const int species = g.species[b], groups = int(g.groups.size());
    const Network<T> net = network(species);
    int pairs = 0;
    for (int a = 0; a < g.block; a++) {
      energies[a] = gather(b, a, species, pairs);
      bessel(Bessel{m.radial, m.cutoff}, s.r.data() + first_of(a), pairs - first_of(a), s.value.data() + size_t(first_of(a)) * m.radial,
             s.slope.data() + size_t(first_of(a)) * m.radial);
      mix(a, species);
      T *features = s.features.data() + size_t(a) * m.padded_features;
      contract(m.terms, columns_of(a), features);
      normalise(species, features);
    }
    evaluate(net, s.network, s.features.data(), g.block, s.outputs.data());
    const T *is_atom = g.is_atom + size_t(b) * g.block;
    for (int a = 0; a < g.block; a++) {
      s.scales[a] = *w.scale * is_atom[a];
      energies[a] = is_atom[a] * (energies[a] + *w.scale * (s.outputs[a] - isolated[species]));
    }
    network_gradient(net, s.network, s.scales.data(), g.block, s.gradient.data());
    for (int a = 0; a < g.block; a++) {
      if (s.ends[a * groups + groups - 1] > first_of(a)) back(a, species);
      add_repulsion(b, a, species, virials + 9 * a);
    }
  }

  // Output of the network for an atom without neighbours, which is subtracted from all of its species.
  void prepare(int species) {
    if (known[species]) return;
    std::fill_n(s.features.data(), m.padded_features, T(0));
    normalise(species, s.features.data());
    evaluate(network(species), s.network, s.features.data(), 1, s.outputs.data());
    isolated[species] = s.outputs[0], known[species] = 1;
  }

 private:
  const Model &m;
  const Weights<T> &w;
  const Graph<T> &g;
  Space<T> s;
  size_t offset[4], per_atom;
  int places = 0;
  std::vector<T> isolated;
  std::vector<char> known;

  int first_of(int a) const { return a ? s.ends[a * int(g.groups.size()) - 1] : 0; }

  Network<T> network(int species) const {
    Network<T> n;
    n.activation = m.activation;
    int inputs = m.padded_features;
    size_t k = 0;
    for (int outputs : m.widths) {
      const size_t size = size_t(species) * inputs * outputs;
      n.hidden.push_back({w.layers[k] + size, w.layers[k + 1] + size, w.layers[k + 2] + size_t(species) * outputs, inputs, outputs});
      inputs = outputs, k += 3;
    }
    n.last = {w.layers[k] + size_t(species) * inputs, nullptr, w.layers[k + 1] + species, inputs, 1};
    return n;
  }

  Columns<T> view(T *base) const {
    Columns<T> c;
    for (int rank = 0; rank < 4; rank++) c.of_rank[rank] = base + offset[rank], c.columns[rank] = m.columns[rank];
    return c;
  }
  Columns<T> columns_of(int a) { return view(s.columns.data() + size_t(a) * per_atom); }

  void normalise(int species, T *features) const {
    const T *mean = w.mean + size_t(species) * m.padded_features, *inverse = w.inverse_deviation + size_t(species) * m.padded_features;
    std::fill(features + m.features, features + m.padded_features, T(0));
    for (int f = 0; f < m.padded_features; f++) features[f] = (features[f] - mean[f]) * inverse[f];
  }

  // Pair vectors of an atom: those within the cutoff into the workspace, gradients of the others 0.  Returns the repulsion energy.
  T gather(int b, int a, int species, int &pairs) {
    const size_t atom = size_t(b) * g.block + a;
    const T *f = g.deformation ? g.deformation + 9 * g.structure[atom] : nullptr;
    T own[3] = {0, 0, 0};
    if (g.own) std::copy_n(g.own + 3 * atom, 3, own);
    const T cutoff2 = T(m.cutoff) * T(m.cutoff);
    double repelled = 0;
    for (size_t q = 0; q < g.groups.size(); q++) {
      const Group<T> &group = g.groups[q];
      const T *edges = group.edges + atom * group.k * 3;
      const int32_t *neighbour = group.neighbour + atom * group.k;
      T *gradient = group.gradient + atom * group.k * 3;
      const int kind = group.species[atom];
      const T *constants = m.repulsion ? w.repulsion + 3 * (size_t(species) * m.species + kind) : nullptr;
      std::fill_n(gradient, 3 * group.k, T(0));
      for (int k = 0; k < group.k; k++) {
        T d[3] = {edges[3 * k], edges[3 * k + 1], edges[3 * k + 2]};
        if (f) {
          T e[3];
          for (int c = 0; c < 3; c++) e[c] = d[0] * f[c] + d[1] * f[3 + c] + d[2] * f[6 + c];
          std::copy_n(e, 3, d);
        }
        if (g.displacements) {
          const T *u = g.displacements + 3 * size_t(neighbour[k]);
          for (int c = 0; c < 3; c++) d[c] = (d[c] + u[c]) - own[c];
        }
        T square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
        if (square >= cutoff2) continue;  // false for nan, which has to be seen
        T r = std::sqrt(std::max(square, T(1e-12))), inverse = 1 / r;
        if (std::isnan(square)) r = inverse = square;
        s.x[pairs] = d[0] * inverse, s.y[pairs] = d[1] * inverse, s.z[pairs] = d[2] * inverse;
        s.r[pairs] = r, s.inverse[pairs] = inverse, s.written[pairs] = gradient + 3 * k;
        if (constants && r < constants[2]) {
          double value, slope;
          zbl(r, constants[0], constants[1], constants[2], value, slope);
          repelled += 0.5 * value;
        }
        pairs++;
      }
      s.ends[a * g.groups.size() + q] = pairs, s.kinds[a * g.groups.size() + q] = kind;
    }
    std::fill_n(s.r.begin() + pairs, LANES, T(m.cutoff));
    return T(repelled);
  }

  Neighbours<T> neighbours() {
    return {s.x.data(), s.y.data(), s.z.data(), s.inverse.data(), s.value.data(), s.slope.data(), s.written.data()};
  }

  // Columns A of an atom.
  void mix(int a, int species) {
    const int groups = int(g.groups.size());
    T *columns = s.columns.data() + size_t(a) * per_atom, *moments = s.moments.data();
    std::fill_n(columns, per_atom, T(0));
    for (int q = 0, first = first_of(a); q < groups; q++) {
      const int last = s.ends[a * groups + q];
      if (last == first) continue;
      for (int part = 0; part < m.radial; part += LANES) {
        if (m.third()) add_moments<T, true>(neighbours(), first, last, m.radial, part, moments);
        else add_moments<T, false>(neighbours(), first, last, m.radial, part, moments);
      }
      for (int rank = 0; rank < 4; rank++) {
        if (!m.columns[rank]) continue;
        const size_t pair = size_t(species) * m.species + s.kinds[a * groups + q];
        multiply_tensor(rank, moments + FIRST[rank] * m.radial, m.radial, w.mixing[rank] + pair * m.radial * m.columns[rank],
                        m.columns[rank], m.radial, m.columns[rank], columns + offset[rank], m.columns[rank]);
      }
      first = last;
    }
  }

  // Gradients of the pairs of an atom from those of its features.
  void back(int a, int species) {
    const int groups = int(g.groups.size());
    T *features = s.gradient.data() + size_t(a) * m.padded_features;
    const T *inverse = w.inverse_deviation + size_t(species) * m.padded_features;
    for (int f = 0; f < m.padded_features; f++) features[f] *= inverse[f];
    std::fill(s.columns_bar.begin(), s.columns_bar.end(), T(0));
    contract_adjoint(m.terms, columns_of(a), features, view(s.columns_bar.data()));
    T *moments = s.moments.data();
    for (int q = 0, first = first_of(a); q < groups; q++) {
      const int last = s.ends[a * groups + q];
      if (last == first) continue;
      std::fill(s.moments.begin(), s.moments.end(), T(0));
      for (int rank = 0; rank < 4; rank++) {
        if (!m.columns[rank]) continue;
        const size_t pair = size_t(species) * m.species + s.kinds[a * groups + q];
        multiply_tensor(rank, s.columns_bar.data() + offset[rank], m.columns[rank],
                        w.transposed[rank] + pair * m.radial * m.columns[rank], m.radial, m.columns[rank], m.radial,
                        moments + FIRST[rank] * m.radial, m.radial);
      }
      if (m.third()) pair_gradients<T, true>(neighbours(), first, last, m.radial, moments);
      else pair_gradients<T, false>(neighbours(), first, last, m.radial, moments);
      first = last;
    }
  }

  // Repulsion added to the gradients, and the virial SUM g (x) D of an atom.
  void add_repulsion(int b, int a, int species, T *virial) {
    const int groups = int(g.groups.size());
    const T is_atom = g.is_atom[size_t(b) * g.block + a];
    std::fill_n(virial, 9, T(0));
    for (int q = 0, p = first_of(a); q < groups; q++) {
      const T *constants = m.repulsion ? w.repulsion + 3 * (size_t(species) * m.species + s.kinds[a * groups + q]) : nullptr;
      for (; p < s.ends[a * groups + q]; p++) {
        const T unit[3] = {s.x[p], s.y[p], s.z[p]};
        T *gradient = s.written[p];
        if (constants && s.r[p] < constants[2]) {
          double value, slope;
          zbl(s.r[p], constants[0], constants[1], constants[2], value, slope);
          for (int c = 0; c < 3; c++) gradient[c] += is_atom * T(0.5 * slope) * unit[c];
        }
        for (int c = 0; c < 3; c++)
          for (int d = 0; d < 3; d++) virial[3 * c + d] += gradient[c] * (s.r[p] * unit[d]);
      }
    }
  }
};

// Buffers in the order of `call.py`: of the graph, the weights, and the groups.
template <ffi::DataType TYPE, typename T>
ffi::Error evaluate_graph(ffi::RemainingArgs arguments, ffi::RemainingRets results, ffi::Span<const int64_t> sizes,
                          ffi::Span<const int64_t> terms, double cutoff) {
  const Model model = parse_model(sizes, terms, cutoff);
  size_t next = 0;
  auto floats = [&]() { return arguments.get<ffi::Buffer<TYPE>>(next++).value().typed_data(); };
  auto integers = [&]() { return arguments.get<ffi::Buffer<ffi::S32>>(next++).value(); };
  Graph<T> graph;
  graph.used = *integers().typed_data();
  graph.species = integers().typed_data();
  auto structure = integers();
  graph.structure = structure.typed_data();
  graph.blocks = int(structure.dimensions()[0]), graph.block = int(structure.dimensions()[1]);
  graph.is_atom = floats();
  auto optional = [&]() -> const T * {
    auto buffer = arguments.get<ffi::Buffer<TYPE>>(next++).value();
    return buffer.element_count() ? buffer.typed_data() : nullptr;
  };
  graph.displacements = optional(), graph.own = optional(), graph.deformation = optional();
  Weights<T> weights;
  for (int rank = 0; rank < 4; rank++) {
    weights.mixing[rank] = weights.transposed[rank] = nullptr;
    if (model.columns[rank]) weights.mixing[rank] = floats(), weights.transposed[rank] = floats();
  }
  weights.mean = floats(), weights.inverse_deviation = floats(), weights.scale = floats();
  for (size_t k = 0; k < 3 * model.widths.size() + 2; k++) weights.layers.push_back(floats());
  weights.repulsion = model.repulsion ? floats() : nullptr;
  for (size_t k = 2; k < results.size(); k++) {
    auto edges = arguments.get<ffi::Buffer<TYPE>>(next++).value();
    Group<T> group;
    group.edges = edges.typed_data(), group.k = int(edges.dimensions()[2]);
    group.neighbour = integers().typed_data(), group.species = integers().typed_data();
    group.gradient = (*results.get<ffi::Buffer<TYPE>>(k))->typed_data();
    graph.groups.push_back(group);
  }
  T *energies = (*results.get<ffi::Buffer<TYPE>>(0))->typed_data(), *virials = (*results.get<ffi::Buffer<TYPE>>(1))->typed_data();

  const size_t filled = size_t(graph.used) * graph.block, all = size_t(graph.blocks) * graph.block;
  std::fill(energies + filled, energies + all, T(0)), std::fill(virials + 9 * filled, virials + 9 * all, T(0));
  for (Group<T> &group : graph.groups) std::fill(group.gradient + 3 * filled * group.k, group.gradient + 3 * all * group.k, T(0));
  Kernel<T> kernel(model, weights, graph);
  for (int b = 0; b < graph.used; b++) {
    kernel.prepare(graph.species[b]);
    kernel.run(b, energies + size_t(b) * graph.block, virials + 9 * size_t(b) * graph.block);
  }
  return ffi::Error::Success();
}

}  // namespace
}  // namespace latte

#define LATTE_JOIN(a, b) a##_##b
#define LATTE_SYMBOL(a, b) LATTE_JOIN(a, b)
#define LATTE_HANDLER(precision, TYPE, T)                                                                                   \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(LATTE_SYMBOL(precision, LATTE_NAME), (latte::evaluate_graph<TYPE, T>),                         \
                                ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attr<ffi::Span<const int64_t>>("sizes").Attr< \
                                    ffi::Span<const int64_t>>("terms").Attr<double>("cutoff"))

#pragma GCC visibility push(default)
LATTE_HANDLER(latte_f32, ffi::F32, float);
LATTE_HANDLER(latte_f64, ffi::F64, double);
#pragma GCC visibility pop
