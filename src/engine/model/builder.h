// What building one graph of a model needs: the recipe, the parameters it declares, and the values that blocks share.
#pragma once

#include <map>
#include <string>

#include "engine/graph/graph.h"
#include "engine/model/parameter_table.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::model {

// A graph is made in one of two forms that give the same numbers: kParallel takes a whole sequence (T = context),
// kRecurrent one token (T = 1) with what came before it in states.
enum class Form { kParallel, kRecurrent };

class Builder {
 public:
  Builder(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype compute_dtype, Form form,
          ParameterTable& parameters, graph::Graph& graph);

  const recipe::Recipe& recipe;
  const recipe::Size& size;
  const tensor::Dtype compute_dtype;
  const Form form;
  graph::Graph& graph;
  graph::ValueId tokens = graph::kNoValue;    // (T) uint16
  graph::ValueId position = graph::kNoValue;  // kRecurrent only: int32, the tokens before this one

  graph::ValueId loss_scale = graph::kNoValue;  // training only: float, of gradients

  bool recurrent() const { return form == Form::kRecurrent; }

  // Declared in the table and in the graph, with the initialisation of its role (initialisation.h).
  graph::ValueId matrix(const std::string& name, int64_t out, int64_t in, bool writes_residual = false);
  // Several matrices of one input in one product, one below the other.
  graph::ValueId fused(const std::string& name, std::vector<int64_t> parts, int64_t in);
  graph::ValueId table(const std::string& name, int64_t rows, int64_t columns, int ngram = 0);
  graph::ValueId head(const std::string& name, int64_t rows, int64_t columns);
  // `count` matrices of one shape, (count, out, in), each fused of `parts`: of experts.
  graph::ValueId stacked(const std::string& name, int64_t count, std::vector<int64_t> parts, int64_t in,
                         bool writes_residual = false);
  // ParameterGroup::kBalance; starts at zero.
  graph::ValueId balance(const std::string& name, int64_t elements);
  graph::ValueId vector(const std::string& name, int64_t elements, double initial_value);
  // A vector, or another small shape that no matrix product sees, that starts by a rule of its own.
  graph::ValueId ruled(const std::string& name, tensor::Shape shape, std::function<double(Rng&, int64_t)> initial_rule);

  struct Rotary {
    graph::ValueId cosines = graph::kNoValue, sines = graph::kNoValue;
  };
  Rotary rotary(int width);  // tables for heads of which `width` elements are rotated

  // Of the first layer that keeps them: for value_residual, which is refused with RWKV-7, and for RWKV-7's own.
  graph::ValueId first_values = graph::kNoValue;

 private:
  graph::ValueId declare(ParameterInfo info);
  graph::ValueId declare_matrix(const std::string& name, const tensor::Shape& shape, std::vector<int64_t> parts,
                                bool writes_residual);

  ParameterTable& parameters_;
  std::map<int, Rotary> rotary_;
};

}  // namespace flywheel::model
