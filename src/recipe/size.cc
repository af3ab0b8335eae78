#include "recipe/size.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/json.h"
#include "base/json_reader.h"

namespace flywheel::recipe {
namespace {

constexpr double kMaxParameters = 1e15;
constexpr int64_t kMaxSteps = 1'000'000'000'000;
constexpr int kMaxBatchSequences = 1 << 20;
constexpr int kMostLayers = 2000;  // twice the deepest that was published; a graph of more takes long to plan
constexpr int kMinSteps = 50;      // fewer make a schedule meaningless: the batch shrinks first
constexpr int kMinDepth = 2;       // a single layer behaves unlike the rest of a ladder

int rule_depth(const Recipe& recipe, int width) {
  return std::max(kMinDepth, static_cast<int>(std::lround(width / recipe.model.aspect)));
}

int hidden_units(const Recipe& recipe, int width) {
  double ratio = recipe.model.feed_forward_ratio;
  if (ratio == 0) ratio = is_gated(recipe.model.feed_forward) ? 8.0 / 3.0 : 4.0;
  return std::max(16, static_cast<int>(std::lround(ratio * width / 16)) * 16);
}

// Query heads of a model: as many whole groups as its width holds, at least one.
int heads_of(const Recipe& recipe, int width) {
  return recipe.model.kv_group * std::max(1, width / (recipe.model.head_dim * recipe.model.kv_group));
}

// The width after this one. Whole steps hold whole groups of heads; small models have half steps, and one of a quarter
// below the first whole step, because whole ones would lie up to 3x apart in parameters.
int next_width(const Recipe& recipe, int width) {
  const int step = std::lcm(recipe.model.head_dim * recipe.model.kv_group, 16);
  if (width == 0) return step / 2;
  if (width < step) return width + step / 4;
  return width + (width < 4 * step ? step / 2 : step);
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
  size.heads = heads_of(recipe, width);
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
  for (int width = next_width(recipe, 0);; width = next_width(recipe, width)) {
    sizes.push_back(candidate(recipe, width, rule_depth(recipe, width)));
    if (static_cast<double>(sizes.back().parameters) > high) return sizes;
  }
}

void require_positive(double value, const char* what, double high) {
  if (!(value > 0) || value > high)
    throw_bad_input("{}: expected a positive number up to {:g}, found {:g}", what, high, value);
}

// Steps for `sequences` in all, the ramp first where the recipe asks for one: `fraction` of the sequences train in it,
// at a mean batch half way between its ends.
void set_steps(const Recipe::Schedule& schedule, double sequences, Size& size) {
  const double full = size.batch_sequences;
  const double first = std::max(1.0, std::round(schedule.batch_ramp_start * full));
  size.ramp_steps = 0;
  size.ramp_sequences = 0;
  if (schedule.batch_ramp_fraction > 0 && first < full) {
    size.ramp_steps = std::llround(schedule.batch_ramp_fraction * sequences / ((first + full) / 2));
    if (size.ramp_steps > 0) size.ramp_sequences = static_cast<int>(first);
  }
  const auto ramped = static_cast<double>(size.sequences_before(size.ramp_steps));
  const double steps = static_cast<double>(size.ramp_steps) + std::round(std::max(0.0, sequences - ramped) / full);
  size.steps = std::max<int64_t>(1, static_cast<int64_t>(steps));
}

}  // namespace

// A ramp's total is a parabola of the step, rounded down; the batch of a step is its difference, so that any step's
// sequences are found without the steps before it and none is counted twice.
int64_t Size::sequences_before(int64_t step) const {
  if (trunk_steps > 0) return trunk_sequences + (step - trunk_steps) * batch_sequences;
  const int64_t ramp = std::min(step, ramp_steps);
  int64_t sequences = (step - ramp) * batch_sequences;
  if (ramp > 0)
    sequences += ramp * ramp_sequences + (batch_sequences - ramp_sequences) * ramp * (ramp - 1) / (2 * ramp_steps);
  return sequences;
}

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
  model.trunk_steps = model.trunk_sequences = 0;
  const double steps = std::round(flops / (sequence_flops * model.batch_sequences));
  if (steps > static_cast<double>(kMaxSteps))
    throw_bad_input(
        "{:g} FLOPs are {:.3g} steps of a model of width {} and depth {}: at most {:g} make sense; take a larger model",
        flops, steps, model.width, model.layers, static_cast<double>(kMaxSteps));
  set_steps(recipe.schedule, flops / sequence_flops, model);
  set_learning_rates(recipe, model);
  return model;
}

void set_learning_rates(const Recipe& recipe, Size& model) {
  const auto& optimizer = recipe.optimizer;
  const bool adam_on_others = optimizer.kind == OptimizerKind::kMuon || optimizer.kind == OptimizerKind::kSoap;
  const double others = adam_on_others ? optimizer.adam_learning_rate : optimizer.learning_rate;
  model.matrix_learning_rate = optimizer.learning_rate * matrix_rate_factor(recipe, model.width);
  model.embedding_learning_rate = model.head_learning_rate = model.vector_learning_rate = others;
}

double matrix_rate_factor(const Recipe& recipe, int width) {
  const bool follows_width = recipe.initialisation.transfer != Transfer::kStandard;
  if (!follows_width || recipe.optimizer.kind == OptimizerKind::kMuon) return 1;
  return static_cast<double>(recipe.initialisation.base_width) / width;
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
  Json json{{"vocabulary", size.vocabulary},
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
  if (size.ramp_steps > 0) {
    json["ramp_steps"] = size.ramp_steps;
    json["ramp_sequences"] = size.ramp_sequences;
  }
  if (size.trunk_steps > 0) {
    json["trunk_steps"] = size.trunk_steps;
    json["trunk_sequences"] = size.trunk_sequences;
  }
  return json;
}

Size size_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where, "size.");
  Size size;
  auto integer = [&](const char* field, int64_t low, int64_t high) {
    return static_cast<int>(reader.integer(field, low, high));
  };
  size.vocabulary = integer("vocabulary", 2, 65535);
  size.layers = integer("layers", 1, kMostLayers);
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
  if (reader.has("ramp_steps")) {
    size.ramp_steps = reader.integer("ramp_steps", 1, size.steps);
    size.ramp_sequences = integer("ramp_sequences", 1, size.batch_sequences);
  }
  if (reader.has("trunk_steps")) {
    size.trunk_steps = reader.integer("trunk_steps", 1, size.steps - 1);
    size.trunk_sequences = reader.integer("trunk_sequences", 1, INT64_MAX / 4);
  }
  reader.refuse_unknown();
  if (size.heads % size.kv_heads != 0)
    throw_bad_input("{}: field \"size.kv_heads\": expected a number that divides the {} heads, found {}", where,
                    size.heads, size.kv_heads);
  if (size.ramp_steps > 0 && size.trunk_steps > 0)
    throw_bad_input("{}: field \"size.ramp_steps\": a run that goes on from another's has no batch ramp of its own",
                    where);
  const auto ramp = static_cast<double>(size.ramp_steps);
  if (ramp * ramp * size.batch_sequences > 9e18)
    throw_bad_input("{}: field \"size.ramp_steps\": a ramp of {} steps is longer than can be counted", where,
                    size.ramp_steps);
  const double sequences =
      static_cast<double>(size.steps) * size.batch_sequences + static_cast<double>(size.trunk_sequences);
  if (sequences * size.context > 9e18)
    throw_bad_input(
        "{}: field \"size.steps\": {} steps of {} sequences of {} tokens are more tokens than can be counted", where,
        size.steps, size.batch_sequences, size.context);
  return size;
}

void validate(const Recipe& recipe, const Size& size, const std::string& where) {
  if (size.heads != heads_of(recipe, size.width))
    throw_bad_input(
        "{}: field \"size.heads\": expected {}, as many whole groups of {} heads of {} as a width of {} holds, at "
        "least "
        "one, found {}",
        where, heads_of(recipe, size.width), recipe.model.kv_group, recipe.model.head_dim, size.width, size.heads);
  if (size.kv_heads < 1 || size.heads % size.kv_heads != 0 || size.heads / size.kv_heads != recipe.model.kv_group)
    throw_bad_input("{}: field \"size.kv_heads\": expected heads / kv_group = {} / {}, found {}", where, size.heads,
                    recipe.model.kv_group, size.kv_heads);
}

}  // namespace flywheel::recipe
