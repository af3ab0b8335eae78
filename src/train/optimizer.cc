#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "kernels/elementwise.h"

namespace flywheel::train {
namespace {

constexpr int64_t kChunk = 16384;      // elements reduced at a time
constexpr double kAdamwCost = 20;      // of an element, in multiplications of a matrix product
constexpr double kClipEpsilon = 1e-6;  // as PyTorch's clip_grad_norm_

// Rows of the matrices inside a fused one, in order; one entry for a plain one. A stack of matrices is as many.
std::vector<int64_t> fused_rows(const Recipe& recipe, const Size& size, const model::ParameterInfo& parameter) {
  const int64_t rows = parameter.shape[parameter.shape.rank - 2];
  std::vector<int64_t> parts{rows};
  if (parameter.name.ends_with(".qkv")) {
    const int64_t queries = int64_t{size.heads} * recipe.model.head_dim;
    const int64_t keys = int64_t{size.kv_heads} * recipe.model.head_dim;
    CHECK(queries + 2 * keys == rows, "{} has {} rows", parameter.name, rows);
    parts = {queries, keys, keys};
  }
  if (parameter.name.ends_with(".gate_up")) parts = {rows / 2, rows / 2};
  if (parameter.shape.rank < 3) return parts;
  std::vector<int64_t> all;
  for (int64_t i = 0; i < parameter.shape[0]; ++i) all.insert(all.end(), parts.begin(), parts.end());
  return all;
}

}  // namespace

Optimizer::Optimizer(const Recipe& recipe, const Size& size, std::span<const model::ParameterInfo> parameters,
                     int64_t elements, Dtype compute_dtype, int threads)
    : rules_(recipe.optimizer),
      balance_rate_(static_cast<float>(recipe.model.expert_balance_rate)),
      size_(size),
      elements_(elements),
      dtype_(compute_dtype),
      threads_(threads) {
  for (const model::ParameterInfo& parameter : parameters) add_pieces(recipe, size, parameter);
  state_ = Arena(state_elements_ * int64_t{sizeof(float)});
  chunk_squares_.resize(static_cast<size_t>((elements + kChunk - 1) / kChunk));
  share_out(threads);
}

void Optimizer::add_pieces(const Recipe& recipe, const Size& size, const model::ParameterInfo& parameter) {
  const int64_t elements = parameter.shape.elements();
  if (rules_.kind == OptimizerKind::kMuon && parameter.group == model::ParameterGroup::kMatrix) {
    const int64_t columns = parameter.shape[parameter.shape.rank - 1];
    int64_t offset = parameter.offset;
    for (const int64_t rows : fused_rows(recipe, size, parameter)) {
      pieces_.push_back({.muon = true,
                         .group = parameter.group,
                         .offset = offset,
                         .elements = rows * columns,
                         .rows = rows,
                         .columns = columns,
                         .moment1 = state_elements_,
                         .cost = muon_cost(rows, columns)});
      offset += rows * columns;
      state_elements_ += rows * columns;
    }
    return;
  }
  for (int64_t start = 0; start < elements; start += kChunk) {
    const int64_t count = std::min(kChunk, elements - start);
    pieces_.push_back({.group = parameter.group,
                       .offset = parameter.offset + start,
                       .elements = count,
                       .moment1 = state_elements_ + start,
                       .moment2 = state_elements_ + elements + start,
                       .cost = kAdamwCost * static_cast<double>(count)});
  }
  state_elements_ += 2 * elements;
}

// Largest pieces first, each to the thread with the least work so far.
void Optimizer::share_out(int threads) {
  std::vector<size_t> order(pieces_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return pieces_[a].cost > pieces_[b].cost; });
  std::vector<double> load(static_cast<size_t>(threads), 0);
  pieces_of_thread_.resize(static_cast<size_t>(threads));
  workspaces_.resize(static_cast<size_t>(threads));
  for (const size_t index : order) {
    const size_t thread = static_cast<size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    const Piece& piece = pieces_[index];
    load[thread] += piece.cost;
    pieces_of_thread_[thread].push_back(index);
    if (piece.muon) workspaces_[thread].reserve(piece.rows, piece.columns, dtype_);
  }
}

void Optimizer::reduce(std::span<float* const> gradients, int thread) {
  const int64_t chunks = static_cast<int64_t>(chunk_squares_.size());
  const int64_t first = chunks * thread / threads_, last = chunks * (thread + 1) / threads_;
  for (int64_t chunk = first; chunk < last; ++chunk) {
    const int64_t start = chunk * kChunk, count = std::min(kChunk, elements_ - start);
    float* sum = gradients[0] + start;
    for (size_t other = 1; other < gradients.size(); ++other) kernels::add(gradients[other] + start, sum, count);
    chunk_squares_[static_cast<size_t>(chunk)] = kernels::sum_of_squares(sum, count);
  }
}

double Optimizer::gradient_norm() const {
  return std::sqrt(std::accumulate(chunk_squares_.begin(), chunk_squares_.end(), 0.0));
}

void Optimizer::begin(int64_t step, double share, double gradient_norm) {
  share_ = static_cast<float>(share);
  const double scale = rules_.gradient_clip > 0 ? rules_.gradient_clip / (gradient_norm + kClipEpsilon) : 1;
  clip_scale_ = static_cast<float>(std::min(1.0, scale));
  correction1_ = static_cast<float>(1 - std::pow(rules_.beta1, static_cast<double>(step + 1)));
  correction2_ = static_cast<float>(1 - std::pow(rules_.beta2, static_cast<double>(step + 1)));
}

double Optimizer::peak_rate(model::ParameterGroup group) const {
  switch (group) {
    case model::ParameterGroup::kMatrix:
      return size_.matrix_learning_rate;
    case model::ParameterGroup::kEmbedding:
      return size_.embedding_learning_rate;
    case model::ParameterGroup::kHead:
      return size_.head_learning_rate;
    case model::ParameterGroup::kVector:
    case model::ParameterGroup::kBalance:
      break;
  }
  return size_.vector_learning_rate;
}

void Optimizer::update(const float* gradient, float* weights, int thread) {
  float* state = reinterpret_cast<float*>(state_.data());
  for (const size_t index : pieces_of_thread_[static_cast<size_t>(thread)]) {
    const Piece& piece = pieces_[index];
    if (piece.group == model::ParameterGroup::kBalance) {
      // Loss-free balancing: by the sign alone (Wang et al. 2024).
      for (int64_t i = piece.offset; i < piece.offset + piece.elements; ++i)
        weights[i] -= balance_rate_ * static_cast<float>((gradient[i] > 0) - (gradient[i] < 0));
      continue;
    }
    const float rate = static_cast<float>(peak_rate(piece.group)) * share_;
    const float decay = piece.group == model::ParameterGroup::kMatrix ? static_cast<float>(rules_.weight_decay) : 0.0f;
    if (piece.muon) {
      const MuonStep step{.learning_rate = rate,
                          .momentum = static_cast<float>(rules_.momentum),
                          .weight_decay = decay,
                          .gradient_scale = clip_scale_};
      muon_update(step, dtype_, piece.rows, piece.columns, gradient + piece.offset, weights + piece.offset,
                  state + piece.moment1, workspaces_[static_cast<size_t>(thread)]);
      continue;
    }
    const kernels::AdamwStep step{.learning_rate = rate,
                                  .beta1 = static_cast<float>(rules_.beta1),
                                  .beta2 = static_cast<float>(rules_.beta2),
                                  .epsilon = static_cast<float>(rules_.epsilon),
                                  .weight_decay = decay,
                                  .correction1 = correction1_,
                                  .correction2 = correction2_,
                                  .gradient_scale = clip_scale_};
    kernels::adamw(step, gradient + piece.offset, weights + piece.offset, state + piece.moment1, state + piece.moment2,
                   piece.elements);
  }
}

}  // namespace flywheel::train
