#include "recipe/size.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/json_reader.h"

namespace flywheel {
namespace {

constexpr double kMaxParameters = 1e15;
constexpr int64_t kMaxSteps = 1'000'000'000'000;
constexpr int kMaxBatchSequences = 1 << 20;
constexpr int kMinSteps = 50;  // fewer make a schedule meaningless: the batch shrinks first
constexpr int kMinDepth = 2;   // a single layer behaves unlike the rest of a ladder

int rule_depth(const Recipe& recipe, int width) {
  return std::max(kMinDepth, static_cast<int>(std::lround(width / recipe.model.aspect)));
}

int hidden_units(const Recipe& recipe, int width) {
  double ratio = recipe.model.feed_forward_ratio;
  if (ratio == 0) ratio = is_gated(recipe.model.feed_forward) ? 8.0 / 3.0 : 4.0;
  return std::max(16, static_cast<int>(std::lround(ratio * width / 16)) * 16);
}

int width_grid(const Recipe& recipe) {
  return std::lcm(recipe.model.head_dim * recipe.model.kv_group, 16);
}

struct Candidate {
  Size size;
  int64_t parameters = 0;
};

Candidate candidate(const Recipe& recipe, int width, int layers) {
  Candidate result;
  Size& size = result.size;
  size.layers = layers;
  size.width = width;
  size.heads = width / recipe.model.head_dim;
  size.kv_heads = size.heads / recipe.model.kv_group;
  size.feed_forward = hidden_units(recipe, width);
  size.context = recipe.model.context;
  result.parameters = count(recipe, size).active_matrix_parameters;
  return result;
}

// Every size of the family up to `high` parameters and one beyond, smallest first. One depth per width: neighbours on
// an isoFLOP curve differ in size and not in shape, so the curve is smooth.
std::vector<Candidate> candidates(const Recipe& recipe, double high) {
  std::vector<Candidate> sizes;
  const int grid = width_grid(recipe);
  for (int width = grid;; width += grid) {
    sizes.push_back(candidate(recipe, width, rule_depth(recipe, width)));
    if (static_cast<double>(sizes.back().parameters) > high) return sizes;
  }
}

void require_positive(double value, const char* what, double high) {
  if (!(value > 0) || value > high)
    throw_bad_input("{}: expected a positive number up to {:g}, found {:g}", what, high, value);
}

}  // namespace

std::vector<Size> family(const Recipe& recipe, double low, double high) {
  require_positive(high, "largest model size", kMaxParameters);
  std::vector<Size> sizes;
  for (const Candidate& c : candidates(recipe, high)) {
    const auto parameters = static_cast<double>(c.parameters);
    if (parameters >= low && parameters <= high) sizes.push_back(c.size);
  }
  return sizes;
}

Size nearest_size(const Recipe& recipe, double parameters) {
  require_positive(parameters, "model size", kMaxParameters);
  const std::vector<Candidate> all = candidates(recipe, parameters * 2);
  auto distance = [&](const Candidate& c) {
    return std::abs(std::log(static_cast<double>(c.parameters) / parameters));
  };
  return std::min_element(all.begin(), all.end(),
                          [&](const auto& a, const auto& b) { return distance(a) < distance(b); })
      ->size;
}

Size with_flops(const Recipe& recipe, Size model, double flops) {
  require_positive(flops, "training FLOPs", 1e40);
  const double sequence_flops = count(recipe, model).flops_per_token * model.context;
  const double batch_tokens =
      recipe.scaling.batch_tokens * std::pow(flops / recipe.scaling.base_flops, recipe.scaling.batch_exponent);
  double batch = std::max(1.0, std::round(batch_tokens / model.context));
  batch = std::min(batch, std::max(1.0, std::floor(flops / (sequence_flops * kMinSteps))));
  model.batch_sequences = static_cast<int>(std::min<double>(batch, kMaxBatchSequences));
  const double steps = std::round(flops / (sequence_flops * model.batch_sequences));
  if (steps > static_cast<double>(kMaxSteps))
    throw_bad_input(
        "{:g} FLOPs are {:.3g} steps of a model of width {} and depth {}: at most {:g} make sense; take a larger model",
        flops, steps, model.width, model.layers, static_cast<double>(kMaxSteps));
  model.steps = std::max<int64_t>(1, static_cast<int64_t>(steps));

  const auto& optimizer = recipe.optimizer;
  const bool muon = optimizer.kind == OptimizerKind::kMuon;
  const double others = muon ? optimizer.adam_learning_rate : optimizer.learning_rate;
  model.matrix_learning_rate = optimizer.learning_rate;
  // muP: AdamW's updates of hidden matrices shrink with the fan-in; Muon's are orthogonalised and scaled by the shape.
  if (recipe.initialisation.transfer == Transfer::kMup && !muon)
    model.matrix_learning_rate *= static_cast<double>(recipe.initialisation.base_width) / model.width;
  model.embedding_learning_rate = model.head_learning_rate = model.vector_learning_rate = others;
  return model;
}

Size size_for_flops(const Recipe& recipe, double flops, double tokens_per_parameter) {
  require_positive(flops, "training FLOPs", 1e31);
  const double ratio = tokens_per_parameter > 0 ? tokens_per_parameter : recipe.scaling.tokens_per_parameter;
  // Attention only adds FLOPs, so N is at most this.
  const double largest = std::min(std::sqrt(flops / (6 * ratio)), kMaxParameters / 2);
  const std::vector<Candidate> all = candidates(recipe, largest * 2);
  auto distance = [&](const Candidate& c) {
    const double tokens = flops / count(recipe, c.size).flops_per_token;
    return std::abs(std::log(tokens / static_cast<double>(c.parameters) / ratio));
  };
  const auto best =
      std::min_element(all.begin(), all.end(), [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  return with_flops(recipe, best->size, flops);
}

Json to_json(const Size& size) {
  return Json{{"vocabulary", size.vocabulary},
              {"layers", size.layers},
              {"width", size.width},
              {"heads", size.heads},
              {"kv_heads", size.kv_heads},
              {"feed_forward", size.feed_forward},
              {"context", size.context},
              {"batch_sequences", size.batch_sequences},
              {"steps", size.steps},
              {"matrix_learning_rate", size.matrix_learning_rate},
              {"embedding_learning_rate", size.embedding_learning_rate},
              {"head_learning_rate", size.head_learning_rate},
              {"vector_learning_rate", size.vector_learning_rate}};
}

Size size_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where, "size.");
  Size size;
  auto integer = [&](const char* field, int64_t low, int64_t high) {
    return static_cast<int>(reader.integer(field, low, high));
  };
  size.vocabulary = integer("vocabulary", 2, 65535);
  size.layers = integer("layers", 1, 100'000);
  size.width = integer("width", 1, 1 << 20);
  size.heads = integer("heads", 1, 1 << 16);
  size.kv_heads = integer("kv_heads", 1, 1 << 16);
  size.feed_forward = integer("feed_forward", 1, 1 << 22);
  size.context = integer("context", 2, 1 << 20);
  size.batch_sequences = integer("batch_sequences", 1, kMaxBatchSequences);
  size.steps = reader.integer("steps", 1, kMaxSteps);
  size.matrix_learning_rate = reader.real("matrix_learning_rate", 0, 1000);
  size.embedding_learning_rate = reader.real("embedding_learning_rate", 0, 1000);
  size.head_learning_rate = reader.real("head_learning_rate", 0, 1000);
  size.vector_learning_rate = reader.real("vector_learning_rate", 0, 1000);
  reader.refuse_unknown();
  if (size.heads % size.kv_heads != 0)
    throw_bad_input("{}: field \"size.kv_heads\": expected a number that divides the {} heads, found {}", where,
                    size.heads, size.kv_heads);
  if (static_cast<double>(size.steps) * size.batch_sequences * size.context > 9e18)
    throw_bad_input(
        "{}: field \"size.steps\": {} steps of {} sequences of {} tokens are more tokens than can be counted", where,
        size.steps, size.batch_sequences, size.context);
  return size;
}

void validate(const Recipe& recipe, const Size& size, const std::string& where) {
  const int64_t attention_width = static_cast<int64_t>(size.heads) * recipe.model.head_dim;
  if (size.width != attention_width)
    throw_bad_input(
        "{}: field \"size.heads\": expected heads that divide the width, heads * head_dim = {}, found {} * {}", where,
        size.width, size.heads, recipe.model.head_dim);
  if (size.kv_heads < 1 || size.heads % size.kv_heads != 0 || size.heads / size.kv_heads != recipe.model.kv_group)
    throw_bad_input("{}: field \"size.kv_heads\": expected heads / kv_group = {} / {}, found {}", where, size.heads,
                    recipe.model.kv_group, size.kv_heads);
}

}  // namespace flywheel
