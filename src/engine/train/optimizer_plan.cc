#include "engine/train/optimizer_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/model/initialisation.h"
#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

// In the order of OptimizerKind: on matrices inside blocks, and on everything else.
struct KindRules {
  const UpdateRule *matrices, *others;
};
constexpr KindRules kRules[] = {
    {&kAdamw, &kAdamw},                //
    {&kMuon, &kAdamw},                 //
    {&kLion, &kLion},                  //
    {&kSoap, &kAdamw},                 //
    {&kScheduleFree, &kScheduleFree},  //
};

// Rows of every matrix in it, in order.
std::vector<int64_t> matrices_in(const model::ParameterInfo& parameter) {
  const tensor::Shape& shape = parameter.shape;
  std::vector<int64_t> parts = parameter.parts, all;
  if (parts.empty()) parts = {shape[shape.rank - 2]};
  const int64_t stack = shape.rank == 3 ? shape[0] : 1;
  for (int64_t i = 0; i < stack; ++i) all.insert(all.end(), parts.begin(), parts.end());
  return all;
}

double peak_rate(const recipe::Size& size, model::ParameterGroup group) {
  switch (group) {
    case model::ParameterGroup::kMatrix:
      return size.matrix_learning_rate;
    case model::ParameterGroup::kEmbedding:
      return size.embedding_learning_rate;
    case model::ParameterGroup::kHead:
      return size.head_learning_rate;
    case model::ParameterGroup::kVector:
    case model::ParameterGroup::kBalance:
      break;
  }
  return size.vector_learning_rate;
}

// AdamW on rows that have no gradient is momentum alone, which is made up for later. Not where something else is done
// to all weights in every step; where momentum outlives the mean square, or epsilon weighs in before both have faded,
// since the closed form has it fade too (weights then differ by percents of their way; docs/optimizers.md); nor in runs
// of so many steps that counting them again at every start would take seconds.
bool updates_touched_rows(const recipe::Recipe::Optimizer& rules, double epsilon, int64_t steps) {
  constexpr double kFades = 0.98, kSlowest = 0.9, kLargestEpsilon = 1e-6;
  constexpr int64_t kMostSteps = 4'000'000;
  return steps <= kMostSteps && rules.averaging == recipe::Averaging::kNone && !rules.cautious &&
         rules.beta2 >= kSlowest && epsilon <= kLargestEpsilon && rules.beta1 < kFades * std::sqrt(rules.beta2);
}

}  // namespace

bool keeps_average(const recipe::Recipe& recipe) {
  return recipe.optimizer.averaging != recipe::Averaging::kNone ||
         recipe.optimizer.kind == recipe::OptimizerKind::kScheduleFree;
}

OptimizerPlan::OptimizerPlan(const recipe::Recipe& recipe, const recipe::Size& size,
                             std::span<const model::ParameterInfo> parameters, int64_t elements,
                             tensor::Dtype compute_dtype, int threads, int64_t run) {
  for (const model::ParameterInfo& parameter : parameters) add(recipe, size, parameter, run);
  scalars = state_elements;
  if (recipe.optimizer.kind == recipe::OptimizerKind::kScheduleFree) state_elements += kScalars;
  average = state_elements;
  if (keeps_average(recipe)) state_elements += elements;
  share_out(compute_dtype, threads);
}

void OptimizerPlan::add(const recipe::Recipe& recipe, const recipe::Size& size, const model::ParameterInfo& parameter,
                        int64_t run) {
  const KindRules& rules = kRules[static_cast<size_t>(recipe.optimizer.kind)];
  const bool matrix = parameter.group == model::ParameterGroup::kMatrix;
  const int64_t elements = parameter.shape.elements();
  OptimizerPiece piece{.rule = matrix ? rules.matrices : rules.others,
                       .group = parameter.group,
                       .offset = parameter.offset,
                       .learning_rate = peak_rate(size, parameter.group),
                       .weight_decay = matrix ? model::matrix_weight_decay(recipe, size) : 0,
                       .epsilon = model::adam_epsilon(recipe, size, parameter.name.starts_with("blocks."))};
  if (parameter.group == model::ParameterGroup::kBalance) {
    piece.rule = &kBalance;
    piece.learning_rate = recipe.model.expert_balance_rate;
  }
  if (parameter.ngram > 0 && piece.rule == &kAdamw &&
      updates_touched_rows(recipe.optimizer, piece.epsilon, size.steps)) {
    tables.push_back({.ngram = parameter.ngram,
                      .offset = parameter.offset,
                      .rows = parameter.shape[0],
                      .columns = parameter.shape[1],
                      .state = state_elements,
                      .last = state_elements + 2 * elements,
                      .learning_rate = piece.learning_rate,
                      .epsilon = piece.epsilon});
    state_elements += 2 * elements + parameter.shape[0];
    return;
  }
  if (piece.rule->whole_matrices) {
    piece.columns = parameter.shape[parameter.shape.rank - 1];
    for (const int64_t rows : matrices_in(parameter)) {
      piece.rows = rows;
      piece.state = state_elements;
      piece.plane_stride = piece.elements();
      pieces.push_back(piece);
      piece.offset += piece.elements();
      state_elements += piece.rule->planes * piece.elements();
      if (piece.rule->extra_state != nullptr) state_elements += piece.rule->extra_state(rows, piece.columns);
    }
    return;
  }
  piece.plane_stride = elements;
  for (int64_t start = 0; start < elements; start += piece.columns) {
    piece.columns = std::min(run, elements - start);
    piece.offset = parameter.offset + start;
    piece.state = state_elements + start;
    pieces.push_back(piece);
  }
  state_elements += piece.rule->planes * elements;
}

std::vector<float> OptimizerPlan::state_of_whole_tables(std::span<const float> state, int64_t steps) const {
  int64_t rows = 0;
  for (const TablePiece& table : tables) rows += table.rows;
  std::vector<float> converted;
  if (rows == 0 || std::ssize(state) + rows != state_elements) return converted;
  auto from = state.begin();
  for (const TablePiece& table : tables) {
    const auto upto = from + (table.last - std::ssize(converted));
    converted.insert(converted.end(), from, upto);
    converted.insert(converted.end(), static_cast<size_t>(table.rows), static_cast<float>(steps));
    from = upto;
  }
  converted.insert(converted.end(), from, state.end());
  return converted;
}

// Costliest pieces first, each to the thread with the least work so far.
void OptimizerPlan::share_out(tensor::Dtype dtype, int threads) {
  std::vector<double> costs, load(static_cast<size_t>(threads), 0);
  for (const OptimizerPiece& piece : pieces) {
    costs.push_back(piece.rule->cost(piece.rows, piece.columns));
    largest_piece = std::max(largest_piece, piece.elements());
  }
  std::vector<size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return costs[a] > costs[b]; });
  pieces_of_thread.resize(load.size());
  scratch_bytes.resize(load.size());
  for (const size_t index : order) {
    const size_t thread = static_cast<size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    const OptimizerPiece& piece = pieces[index];
    load[thread] += costs[index];
    pieces_of_thread[thread].push_back(index);
    if (piece.rule->scratch_bytes != nullptr)
      scratch_bytes[thread] =
          std::max(scratch_bytes[thread], piece.rule->scratch_bytes(piece.rows, piece.columns, dtype));
  }
}

}  // namespace flywheel::train
