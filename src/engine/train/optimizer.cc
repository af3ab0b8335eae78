#include "engine/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/kernels/elementwise.h"

namespace flywheel::train {
namespace {

constexpr int64_t kChunk = 16384;      // elements reduced at a time
constexpr double kClipEpsilon = 1e-6;  // as PyTorch's clip_grad_norm_

}  // namespace

Optimizer::Optimizer(const recipe::Recipe& recipe, const recipe::Size& size,
                     std::span<const model::ParameterInfo> parameters, int64_t elements, tensor::Dtype compute_dtype,
                     int threads)
    : rules_(recipe.optimizer),
      steps_(size.steps),
      dtype_(compute_dtype),
      threads_(threads),
      plan_(recipe, size, parameters, elements, compute_dtype, threads),
      table_rows_(plan_, recipe, size, elements, threads),
      state_(plan_.state_elements * int64_t{sizeof(float)}) {
  for (const TableRows::Range& range : table_rows_.others()) {
    for (int64_t done = 0; done < range.count; done += kChunk)
      chunks_.push_back({range.begin + done, std::min(kChunk, range.count - done)});
  }
  chunk_squares_.resize(chunks_.size());
  for (const int64_t bytes : plan_.scratch_bytes) {
    scratch_.emplace_back(bytes);
    if (rules_.decay_form == recipe::WeightDecay::kL2)
      decayed_gradients_.emplace_back(plan_.largest_piece * int64_t{sizeof(float)});
  }
}

void Optimizer::start(std::span<float> weights) {
  if (!average().empty()) std::copy(weights.begin(), weights.end(), average().begin());
  for (const OptimizerPiece& piece : plan_.pieces) {
    if (piece.rule->start != nullptr) piece.rule->start(data_of(piece, weights.data(), 0));
  }
}

void Optimizer::prepare(float* weights, float* gradient, int thread) {
  table_rows_.catch_up(weights, state().data(), thread);
  if (gradient == nullptr) return;
  for (const TableRows::Range& range : table_rows_.others())
    std::memset(gradient + range.begin, 0, static_cast<size_t>(range.count) * sizeof(float));
  table_rows_.clear(gradient);
}

void Optimizer::reduce(std::span<float* const> gradients, int thread) {
  const int64_t chunks = std::ssize(chunks_);
  const int64_t first = chunks * thread / threads_, last = chunks * (thread + 1) / threads_;
  for (int64_t chunk = first; chunk < last; ++chunk) {
    const auto [start, count] = chunks_[static_cast<size_t>(chunk)];
    float* sum = gradients[0] + start;
    for (size_t other = 1; other < gradients.size(); ++other) kernels::add(gradients[other] + start, sum, count);
    chunk_squares_[static_cast<size_t>(chunk)] = kernels::sum_of_squares(sum, count);
  }
  table_rows_.reduce(gradients, thread);
}

double Optimizer::gradient_norm() const {
  return std::sqrt(std::accumulate(chunk_squares_.begin(), chunk_squares_.end(), table_rows_.squares()));
}

void Optimizer::begin(int64_t step, double share, double gradient_norm) {
  share_ = share;
  const double scale = rules_.gradient_clip > 0 ? rules_.gradient_clip / (gradient_norm + kClipEpsilon) : 1;
  step_ = {.index = step,
           .gradient_scale = static_cast<float>(std::min(1.0, scale)),
           .beta1 = static_cast<float>(rules_.beta1),
           .beta2 = static_cast<float>(rules_.beta2),
           .momentum = static_cast<float>(rules_.momentum),
           .correction1 = static_cast<float>(1 - std::pow(rules_.beta1, static_cast<double>(step + 1))),
           .correction2 = static_cast<float>(1 - std::pow(rules_.beta2, static_cast<double>(step + 1))),
           .soap_interval = rules_.soap_interval,
           .cautious = rules_.cautious,
           .decoupled = rules_.decay_form == recipe::WeightDecay::kDecoupled,
           .dtype = dtype_};
  average_share_ = average_share(step, share);
  step_.average_share = static_cast<float>(average_share_);
}

// The weight of this step's parameters in their average.
double Optimizer::average_share(int64_t step, double share) {
  if (rules_.kind == recipe::OptimizerKind::kScheduleFree) {
    // By the squares of the learning rates so far (Defazio et al. 2024), whose sum is a scalar of the state.
    const double weight = share * share * (1 - std::pow(rules_.beta2, static_cast<double>(step + 1)));
    float* place = state().data() + plan_.scalars;
    double sum = 0;
    std::memcpy(&sum, place, sizeof sum);
    sum += weight;
    std::memcpy(place, &sum, sizeof sum);
    return sum > 0 ? weight / sum : 1;
  }
  if (rules_.averaging == recipe::Averaging::kExponential) {
    // Bias-corrected as in Adam, so that the initial weights do not contribute.
    const double decay = rules_.average_decay;
    return (1 - decay) / (1 - std::pow(decay, static_cast<double>(step + 1)));
  }
  // Tail: the newest weights until it begins, then the mean since.
  const auto tail = std::max<int64_t>(1, std::llround(rules_.average_fraction * static_cast<double>(steps_)));
  return 1.0 / static_cast<double>(std::max<int64_t>(1, step + 1 - (steps_ - tail)));
}

PieceData Optimizer::data_of(const OptimizerPiece& piece, float* weights, int thread) {
  return {.rows = piece.rows,
          .columns = piece.columns,
          .weight = weights + piece.offset,
          .state = state().data() + piece.state,
          .plane_stride = piece.plane_stride,
          .average = average().empty() ? nullptr : average().data() + piece.offset,
          .scratch = scratch_[static_cast<size_t>(thread)].data()};
}

// Adds weight decay to the gradient, after clipping (the L2 form).
void Optimizer::decay_gradient(const OptimizerPiece& piece, UpdateStep& step, PieceData& data, int thread) const {
  auto* sum = reinterpret_cast<float*>(decayed_gradients_[static_cast<size_t>(thread)].data());
  const auto decay = static_cast<float>(piece.weight_decay);
  for (int64_t i = 0; i < piece.elements(); ++i)
    sum[i] = data.gradient[i] * step.gradient_scale + decay * data.weight[i];
  data.gradient = sum;
  step.gradient_scale = 1;
}

void Optimizer::update(const float* gradient, float* weights, int thread) {
  table_rows_.update(step_, share_, gradient, weights, state().data(), thread);
  for (const size_t index : plan_.pieces_of_thread[static_cast<size_t>(thread)]) {
    const OptimizerPiece& piece = plan_.pieces[index];
    PieceData data = data_of(piece, weights, thread);
    data.gradient = gradient + piece.offset;
    UpdateStep step = step_;
    step.learning_rate = static_cast<float>(piece.learning_rate) * static_cast<float>(share_);
    step.epsilon = static_cast<float>(piece.epsilon);
    const auto decay = static_cast<float>(piece.weight_decay);
    switch (rules_.decay_form) {
      case recipe::WeightDecay::kDecoupled:
        step.weight_decay = decay;
        step.keep = 1.0f - step.learning_rate * decay;
        break;
      case recipe::WeightDecay::kIndependent:
        step.keep = 1.0f - static_cast<float>(share_) * decay;
        break;
      case recipe::WeightDecay::kL2:
        if (decay != 0) decay_gradient(piece, step, data, thread);
        break;
    }
    piece.rule->update(step, data);
    if (rules_.averaging == recipe::Averaging::kNone) continue;
    const auto newest = static_cast<float>(average_share_);
    for (int64_t i = 0; i < piece.elements(); ++i) {
      // Copied exactly when the share is 1.
      data.average[i] = newest == 1 ? data.weight[i] : data.average[i] + newest * (data.weight[i] - data.average[i]);
    }
  }
}

}  // namespace flywheel::train
