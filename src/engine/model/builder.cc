#include "engine/model/builder.h"

#include <fmt/format.h>

#include <numeric>

#include "engine/kernels/attention.h"
#include "engine/model/initialisation.h"

namespace flywheel::model {

using graph::kNoValue;
using graph::ValueId;

Builder::Builder(const recipe::Recipe& r, const recipe::Size& s, tensor::Dtype dtype, Form f,
                 ParameterTable& parameters, graph::Graph& g)
    : recipe(r), size(s), compute_dtype(dtype), form(f), graph(g), parameters_(parameters) {}

ValueId Builder::declare(ParameterInfo info) {
  const ParameterInfo& placed = parameters_.declare(std::move(info));
  return graph.parameter(placed.name, placed.shape, placed.offset);
}

ValueId Builder::declare_matrix(const std::string& name, const tensor::Shape& shape, std::vector<int64_t> parts,
                                bool writes_residual) {
  // Where residual scaling makes what blocks add smaller, the matrices need not be.
  const bool shrinks = writes_residual && recipe.model.residual_scaling == recipe::ResidualScaling::kNone;
  const double sd = matrix_initial_sd(recipe, size, static_cast<double>(shape[shape.rank - 1]), shrinks);
  return declare(
      {.name = name, .shape = shape, .parts = std::move(parts), .group = ParameterGroup::kMatrix, .initial_sd = sd});
}

ValueId Builder::matrix(const std::string& name, int64_t out, int64_t in, bool writes_residual) {
  return declare_matrix(name, {out, in}, {}, writes_residual);
}

ValueId Builder::fused(const std::string& name, std::vector<int64_t> parts, int64_t in) {
  const int64_t out = std::accumulate(parts.begin(), parts.end(), int64_t{0});
  return declare_matrix(name, {out, in}, std::move(parts), false);
}

ValueId Builder::stacked(const std::string& name, int64_t count, std::vector<int64_t> parts, int64_t in,
                         bool writes_residual) {
  const int64_t out = std::accumulate(parts.begin(), parts.end(), int64_t{0});
  return declare_matrix(name, {count, out, in}, std::move(parts), writes_residual);
}

ValueId Builder::balance(const std::string& name, int64_t elements) {
  return declare({.name = name, .shape = {elements}, .group = ParameterGroup::kBalance});
}

ValueId Builder::table(const std::string& name, int64_t rows, int64_t columns, int ngram) {
  return declare({.name = name,
                  .shape = {rows, columns},
                  .group = ParameterGroup::kEmbedding,
                  .initial_sd = table_initial_sd(recipe),
                  .ngram = ngram});
}

ValueId Builder::head(const std::string& name, int64_t rows, int64_t columns) {
  return declare(
      {.name = name, .shape = {rows, columns}, .group = ParameterGroup::kHead, .initial_sd = kHeadInitialSd});
}

ValueId Builder::vector(const std::string& name, int64_t elements, double initial_value) {
  return declare({.name = name, .shape = {elements}, .group = ParameterGroup::kVector, .initial_value = initial_value});
}

ValueId Builder::ruled(const std::string& name, tensor::Shape shape,
                       std::function<double(Rng&, int64_t)> initial_rule) {
  return declare(
      {.name = name, .shape = shape, .group = ParameterGroup::kVector, .initial_rule = std::move(initial_rule)});
}

Builder::Rotary Builder::rotary(int width) {
  Rotary& rotary = rotary_[width];
  if (rotary.cosines != kNoValue) return rotary;
  const tensor::Shape shape{size.context, width / 2};
  std::vector<float> cosines(static_cast<size_t>(shape.elements())), sines(cosines.size());
  kernels::rope_table(size.context, width, recipe.model.rope_base, cosines.data(), sines.data());
  const std::string name = fmt::format("rotary.{}", width);
  rotary = {graph.constant(name + ".cosines", shape, std::move(cosines)),
            graph.constant(name + ".sines", shape, std::move(sines))};
  return rotary;
}

}  // namespace flywheel::model
