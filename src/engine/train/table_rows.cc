#include "engine/train/table_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/ngrams.h"
#include "engine/train/schedule.h"

namespace flywheel::train {
namespace {

constexpr double kNegligible = 1e-9;

double correction(double beta, int64_t steps) {
  return 1 - std::pow(beta, static_cast<double>(steps));
}

}  // namespace

TableRows::TableRows(const OptimizerPlan& plan, const recipe::Recipe& recipe, const recipe::Size& size,
                     int64_t elements, int threads)
    : tables_(plan.tables),
      schedule_(recipe.schedule),
      size_(size),
      beta1_(recipe.optimizer.beta1),
      beta2_(recipe.optimizer.beta2),
      threads_(threads) {
  int64_t begin = 0;
  for (const TablePiece& table : tables_) {
    if (table.offset > begin) others_.push_back({begin, table.offset - begin});
    begin = table.offset + table.elements();
    touched_at_.emplace_back(static_cast<size_t>(table.rows), 0);
  }
  if (elements > begin) others_.push_back({begin, elements - begin});
  if (tables_.empty()) return;
  const double ratio = beta1_ / std::sqrt(beta2_);
  for (double power = 1; power > kNegligible; power *= ratio) powers_.push_back(power);
  sums_.assign(static_cast<size_t>(size.steps) + 1, 0.0);
  double fade1 = 1, fade2 = 1;
  do {
    fades1_.push_back(static_cast<float>(fade1));
    fades2_.push_back(static_cast<float>(fade2));
    roots_.push_back(1 / std::sqrt(1 - fade2));
    fade1 *= beta1_;
    fade2 *= beta2_;
  } while (std::max(fade1, fade2) > kNegligible && std::ssize(roots_) <= size.steps);
  size_t most = 0;  // rows that a step can touch
  const int64_t tokens = int64_t{size.batch_sequences} * size.context;
  for (const TablePiece& table : tables_) most += static_cast<size_t>(std::min(table.rows, tokens));
  touched_.reserve(most);
  squares_.resize(most);
}

void TableRows::count_steps(int64_t steps) {
  if (tables_.empty()) return;
  for (; counted_ < steps; ++counted_) {
    const int64_t now = counted_ + 1;
    const double part =
        learning_rate_share(schedule_, size_, counted_) * std::sqrt(correction(beta2_, now)) / correction(beta1_, now);
    const auto reach = std::min<int64_t>(now, static_cast<int64_t>(powers_.size()));
    for (int64_t ago = 1; ago < reach; ++ago)
      sums_[static_cast<size_t>(now - ago)] += part * powers_[static_cast<size_t>(ago)];
  }
}

void TableRows::touch(int64_t step, std::span<const Tokens> sequences) {
  count_steps(step);
  touched_.clear();
  for (size_t t = 0; t < tables_.size(); ++t) {
    for (const Tokens sequence : sequences) {
      const auto inputs = static_cast<int64_t>(sequence.size()) - 1;
      for (int64_t at = 0; at < inputs; ++at) {
        const int64_t row = kernels::ngram_row(sequence.data(), at, tables_[t].ngram, tables_[t].rows);
        if (std::exchange(touched_at_[t][static_cast<size_t>(row)], step + 1) == step + 1) continue;
        touched_.push_back({static_cast<int32_t>(t), static_cast<int32_t>(row)});
      }
    }
  }
}

std::pair<size_t, size_t> TableRows::share_of(int thread) const {
  const size_t count = touched_.size(), threads = static_cast<size_t>(threads_), index = static_cast<size_t>(thread);
  return {count * index / threads, count * (index + 1) / threads};
}

// Of a row that has seen fewer steps than are counted.
kernels::AdamwRest TableRows::rest_of(const TablePiece& table, int64_t seen) const {
  CHECK(seen > 0 && seen <= counted_, "a row has seen {} steps of {}", seen, counted_);
  const auto s = static_cast<size_t>(seen), rested = static_cast<size_t>(counted_ - seen);
  const double root = s < roots_.size() ? roots_[s] : 1;
  return {.rate = static_cast<float>(table.learning_rate * sums_[s] * root),
          .inverse_correction2 = static_cast<float>(root * root),
          .epsilon = static_cast<float>(table.epsilon),
          .keep1 = rested < fades1_.size() ? fades1_[rested] : 0,
          .keep2 = rested < fades2_.size() ? fades2_[rested] : 0};
}

void TableRows::coast(const TablePiece& table, int64_t row, float* weights, float* state) const {
  float& last = state[table.last + row];
  const auto seen = static_cast<int64_t>(last);
  if (seen == 0 || seen == counted_) return;  // a row that never had a gradient has no momentum
  float* moments = state + table.state + row * table.columns;
  kernels::adamw_rest(rest_of(table, seen), weights + table.offset + row * table.columns, moments,
                      moments + table.elements(), table.columns);
  last = static_cast<float>(counted_);
}

void TableRows::catch_up(float* weights, float* state, int thread) const {
  const auto [first, last] = share_of(thread);
  for (size_t i = first; i < last; ++i)
    coast(tables_[static_cast<size_t>(touched_[i].table)], touched_[i].row, weights, state);
}

bool TableRows::holds(std::span<const float> state, int64_t steps) const {
  for (const TablePiece& table : tables_) {
    for (const float seen : state.subspan(static_cast<size_t>(table.last), static_cast<size_t>(table.rows)))
      if (!(seen >= 0 && seen <= static_cast<float>(steps))) return false;
  }
  return true;
}

int64_t TableRows::elements() const {
  return std::accumulate(tables_.begin(), tables_.end(), int64_t{0},
                         [](int64_t sum, const TablePiece& table) { return sum + table.elements(); });
}

void TableRows::wake(float* weights, const float* state, float* before, int thread) const {
  for (const TablePiece& table : tables_) {
    for (int64_t row = table.rows * thread / threads_; row < table.rows * (thread + 1) / threads_; ++row) {
      const int64_t at = row * table.columns;
      float* weight = weights + table.offset + at;
      if (before != nullptr) std::copy_n(weight, table.columns, before + at);
      const auto seen = static_cast<int64_t>(state[table.last + row]);
      if (seen == 0 || seen == counted_) continue;
      const float* moments = state + table.state + at;
      kernels::adamw_rest_weights(rest_of(table, seen), weight, moments, moments + table.elements(), table.columns);
    }
    if (before != nullptr) before += table.elements();
  }
}

void TableRows::put_back(const float* before, float* weights, int thread) const {
  for (const TablePiece& table : tables_) {
    const int64_t first = table.rows * thread / threads_ * table.columns;
    const int64_t last = table.rows * (thread + 1) / threads_ * table.columns;
    std::copy(before + first, before + last, weights + table.offset + first);
    before += table.elements();
  }
}

void TableRows::clear(float* gradient) const {
  for (const Row& touched : touched_) {
    const TablePiece& table = tables_[static_cast<size_t>(touched.table)];
    std::memset(gradient + table.offset + touched.row * table.columns, 0,
                static_cast<size_t>(table.columns) * sizeof(float));
  }
}

void TableRows::reduce(std::span<float* const> gradients, int thread) {
  const auto [first, last] = share_of(thread);
  for (size_t i = first; i < last; ++i) {
    const TablePiece& table = tables_[static_cast<size_t>(touched_[i].table)];
    const int64_t at = table.offset + touched_[i].row * table.columns;
    for (size_t other = 1; other < gradients.size(); ++other)
      kernels::add(gradients[other] + at, gradients[0] + at, table.columns);
    squares_[i] = kernels::sum_of_squares(gradients[0] + at, table.columns);
  }
}

double TableRows::squares() const {
  return std::accumulate(squares_.begin(), squares_.begin() + std::ssize(touched_), 0.0);
}

void TableRows::update(const UpdateStep& step, double share, const float* gradient, float* weights, float* state,
                       int thread) const {
  const auto [first, last] = share_of(thread);
  for (size_t i = first; i < last; ++i) {
    const TablePiece& table = tables_[static_cast<size_t>(touched_[i].table)];
    const int64_t at = touched_[i].row * table.columns;
    kernels::adamw({.learning_rate = static_cast<float>(table.learning_rate) * static_cast<float>(share),
                    .beta1 = step.beta1,
                    .beta2 = step.beta2,
                    .epsilon = static_cast<float>(table.epsilon),
                    .weight_decay = 0,
                    .correction1 = step.correction1,
                    .correction2 = step.correction2,
                    .gradient_scale = step.gradient_scale},
                   gradient + table.offset + at, weights + table.offset + at, state + table.state + at,
                   state + table.state + table.elements() + at, table.columns);
    state[table.last + touched_[i].row] = static_cast<float>(step.index + 1);
  }
}

}  // namespace flywheel::train
