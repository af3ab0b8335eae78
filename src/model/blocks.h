// The blocks a decoder is made of, as functions from values to values of a graph. Adding one:
// docs/how-to-add-a-block.md.
#pragma once

#include <string>

#include "graph/graph.h"
#include "model/parameter_table.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::model {

// What building one graph needs. Values shared by the blocks (rotary tables) are made once per graph.
class Builder {
 public:
  Builder(const Recipe& recipe, const Size& size, Dtype compute_dtype, ParameterTable& parameters, graph::Graph& graph);

  const Recipe& recipe;
  const Size& size;
  const Dtype compute_dtype;
  graph::Graph& graph;

  // Declared in the table and in the graph, with the initialisation of its role (initialisation.h).
  graph::ValueId matrix(const std::string& name, int64_t out, int64_t in, bool writes_residual = false);
  graph::ValueId table(const std::string& name, int64_t rows, int64_t columns);
  graph::ValueId head(const std::string& name, int64_t rows, int64_t columns);
  graph::ValueId vector(const std::string& name, int64_t elements, double initial_value);

  struct Rotary {
    graph::ValueId cosines = graph::kNoValue, sines = graph::kNoValue;
  };
  Rotary rotary();

 private:
  graph::ValueId declare(ParameterInfo info);

  ParameterTable& parameters_;
  Rotary rotary_;
};

// Each takes and gives the residual stream (T, C) float32, unless said otherwise.
graph::ValueId embed(Builder& builder, graph::ValueId tokens);
graph::ValueId normalise(Builder& builder, const std::string& name, graph::ValueId x);  // gives compute_dtype
graph::ValueId attention_block(Builder& builder, const std::string& name, graph::ValueId x);
graph::ValueId feed_forward_block(Builder& builder, const std::string& name, graph::ValueId x);
// From tokens (T) to the final norm's output, in compute_dtype.
graph::ValueId decoder(Builder& builder, graph::ValueId tokens);
// The parameter (V, C) that logits are made with: the token table when tied.
graph::ValueId head_weight(Builder& builder);
float logit_scale(const Recipe& recipe, const Size& size);

}  // namespace flywheel::model
