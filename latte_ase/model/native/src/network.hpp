// Multilayer perceptron of the atoms of a block, and its gradient with respect to the features.
#pragma once

#include <vector>

#include "matrix.hpp"

namespace latte {

enum class Activation { silu, tanh, gaussian };

// Value and derivative of the activation, in place of x and in `slope`.
template <typename T> inline void activate(Activation kind, T *x, T *slope, int size) {
  using V = Vector<T>;
  for (int k = 0; k < size; k += LANES) {
    V v = load(x + k), value, derivative;
    if (kind == Activation::silu) {
      V s = 1 / (1 + exponential<T>(-v));
      value = v * s, derivative = s * (1 + v * (1 - s));
    } else if (kind == Activation::tanh) {
      value = 1 - 2 / (exponential<T>(2 * v) + 1), derivative = 1 - value * value;
    } else {
      value = exponential<T>(-v * v), derivative = -2 * v * value;
    }
    store(x + k, value), store(slope + k, derivative);
  }
}

// A layer: weights (inputs, outputs), their transpose, and biases; sizes are multiples of LANES, but for the one output of the last.
template <typename T> struct Layer {
  const T *weights, *transposed, *biases;
  int inputs, outputs;
};

template <typename T> struct Network {
  std::vector<Layer<T>> hidden;
  Layer<T> last;  // weights (inputs,), one bias
  Activation activation;
};

// Workspace of the network for a number of atoms.
template <typename T> struct NetworkSpace {
  std::vector<std::vector<T>> values, slopes;
  std::vector<T> one, other;

  void resize(const Network<T> &network, int atoms) {
    int widest = network.last.inputs;
    values.resize(network.hidden.size()), slopes.resize(network.hidden.size());
    for (size_t k = 0; k < network.hidden.size(); k++) {
      values[k].resize(size_t(atoms) * network.hidden[k].outputs);
      slopes[k].resize(values[k].size());
      widest = std::max({widest, network.hidden[k].inputs, network.hidden[k].outputs});
    }
    one.resize(size_t(atoms) * widest), other.resize(size_t(atoms) * widest);
  }
};

// Outputs (atoms,) for features (atoms, inputs).
template <typename T>
inline void evaluate(const Network<T> &network, NetworkSpace<T> &space, const T *features, int atoms, T *outputs) {
  const T *x = features;
  int width = network.hidden.empty() ? network.last.inputs : network.hidden[0].inputs;
  for (size_t k = 0; k < network.hidden.size(); k++) {
    const Layer<T> &layer = network.hidden[k];
    T *y = space.values[k].data();
    for (int a = 0; a < atoms; a++) std::copy(layer.biases, layer.biases + layer.outputs, y + a * layer.outputs);
    multiply(x, width, layer.weights, layer.outputs, atoms, layer.inputs, layer.outputs, y, layer.outputs);
    activate(network.activation, y, space.slopes[k].data(), atoms * layer.outputs);
    x = y, width = layer.outputs;
  }
  for (int a = 0; a < atoms; a++) {
    Vector<T> s{};
    for (int k = 0; k < width; k += LANES) s += load(x + a * width + k) * load(network.last.weights + k);
    outputs[a] = network.last.biases[0] + sum<T>(s);
  }
}

// Gradients (atoms, inputs) of the outputs that `evaluate` computed last, times `scales` (atoms,).
template <typename T>
inline void network_gradient(const Network<T> &network, NetworkSpace<T> &space, const T *scales, int atoms, T *gradient) {
  const size_t layers = network.hidden.size();
  int width = network.last.inputs;
  T *bar = layers ? space.one.data() : gradient, *spare = space.other.data();
  for (int a = 0; a < atoms; a++)
    for (int k = 0; k < width; k += LANES) store(bar + a * width + k, load(network.last.weights + k) * scales[a]);
  for (size_t k = layers; k-- > 0;) {
    const Layer<T> &layer = network.hidden[k];
    const T *slopes = space.slopes[k].data();
    for (int j = 0; j < atoms * layer.outputs; j += LANES) store(bar + j, load(bar + j) * load(slopes + j));
    T *below = k ? spare : gradient;
    std::fill(below, below + size_t(atoms) * layer.inputs, T(0));
    multiply(bar, layer.outputs, layer.transposed, layer.inputs, atoms, layer.outputs, layer.inputs, below, layer.inputs);
    spare = bar, bar = below;
  }
}

}  // namespace latte
