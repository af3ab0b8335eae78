#include "recipe/mixers.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace flywheel {
namespace {

// One row per mixer, in the order of the enumerators.
struct Row {
  const char* name;
  bool attends;
  PartCounts (*counts)(const Recipe&, const Size&);
};

// What attends whatever its keys are: the output matrix, the gate, the sinks, and scores and weighted values of the
// band of `window` tokens: a query at t sees min(t, window), T window - window² / 2 in all, as a causal half is T² / 2.
PartCounts heads_counts(const Recipe& recipe, const Size& size, int window) {
  const int64_t attention_width = size.heads * int64_t{recipe.model.head_dim};
  const double tokens = size.context, seen = std::min(window, size.context);
  PartCounts counts;
  counts.matrices = (recipe.model.attention_gate ? 2 : 1) * attention_width * size.width;
  if (recipe.model.attention_sink) counts.vectors = size.heads;
  counts.extra_flops = 2.0 * (seen * (2 * tokens - seen) / tokens) * static_cast<double>(attention_width);
  return counts;
}

PartCounts qkv_counts(const Recipe& recipe, const Size& size, int window) {
  PartCounts counts = heads_counts(recipe, size, window);
  counts.matrices += int64_t{size.width} * (size.heads + 2 * int64_t{size.kv_heads}) * recipe.model.head_dim;
  return counts;
}
PartCounts attention_counts(const Recipe& recipe, const Size& size) {
  return qkv_counts(recipe, size, size.context);
}
PartCounts window_counts(const Recipe& recipe, const Size& size) {
  return qkv_counts(recipe, size, recipe.model.window);
}

PartCounts latent_counts(const Recipe& recipe, const Size& size) {
  const int64_t heads = size.heads, head_dim = recipe.model.head_dim, latent = latent_width(recipe);
  const int64_t rotary = recipe.model.positions == Positions::kRope ? rotary_width(recipe, Mixer::kLatent) : 0;
  PartCounts counts = heads_counts(recipe, size, size.context);
  counts.matrices += (heads * head_dim + latent + rotary) * size.width + heads * (2 * head_dim - rotary) * latent;
  counts.vectors += latent;
  return counts;
}

constexpr Row kRows[] = {
    {"attention", true, attention_counts},
    {"window", true, window_counts},
    {"latent", true, latent_counts},
};

}  // namespace

std::vector<std::string> mixer_names() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.emplace_back(row.name);
  return names;
}

std::vector<Mixer> layer_mixers(const Recipe& recipe, int layers) {
  const std::vector<std::string> names = mixer_names();
  const std::string& pattern = recipe.model.mixers;
  std::vector<Mixer> period, result;
  for (size_t start = 0; start <= pattern.size();) {
    const size_t end = std::min(pattern.find(',', start), pattern.size());
    const auto found = std::find(names.begin(), names.end(), pattern.substr(start, end - start));
    CHECK(found != names.end(), "mixers {}", pattern);
    period.push_back(static_cast<Mixer>(found - names.begin()));
    start = end + 1;
  }
  for (int layer = 0; layer < layers; ++layer) result.push_back(period[static_cast<size_t>(layer) % period.size()]);
  return result;
}

bool has_mixer(const Recipe& recipe, Mixer mixer) {
  const auto names = mixer_names();
  const std::string wanted = "," + names[static_cast<size_t>(mixer)] + ",";
  return ("," + recipe.model.mixers + ",").find(wanted) != std::string::npos;
}

bool attends(Mixer mixer) {
  return kRows[static_cast<size_t>(mixer)].attends;
}

int rotary_width(const Recipe& recipe, Mixer mixer) {
  const int head_dim = recipe.model.head_dim;
  const int width = static_cast<int>(std::lround(recipe.model.rope_fraction * head_dim));
  return mixer == Mixer::kLatent ? std::min(width, head_dim / 4 * 2) : width;
}

int latent_width(const Recipe& recipe) {
  return recipe.model.latent_dim > 0 ? recipe.model.latent_dim : 4 * recipe.model.head_dim;
}

PartCounts mixer_counts(const Recipe& recipe, const Size& size, Mixer mixer) {
  return kRows[static_cast<size_t>(mixer)].counts(recipe, size);
}

}  // namespace flywheel
