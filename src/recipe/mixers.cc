#include "recipe/mixers.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "recipe/recurrent.h"

namespace flywheel::recipe {
namespace {

// One row per mixer.
struct Row {
  Mixer mixer;
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
  const int64_t qkv = (size.heads + 2 * int64_t{size.kv_heads}) * recipe.model.head_dim;
  counts.matrices += size.width * qkv;
  add_convolution(recipe, qkv, counts);
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
    {Mixer::kAttention, "attention", true, attention_counts},
    {Mixer::kWindow, "window", true, window_counts},
    {Mixer::kLatent, "latent", true, latent_counts},
    {Mixer::kGatedLinear, "gated_linear", false, gated_linear_counts},
    {Mixer::kMamba2, "mamba2", false, mamba2_counts},
    {Mixer::kGatedDelta, "gated_delta", false, gated_delta_counts},
    {Mixer::kRwkv7, "rwkv7", false, rwkv7_counts},
};

const Row& row_of(Mixer mixer) {
  const Row* row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.mixer == mixer; });
  CHECK(row != std::end(kRows), "mixer {} is not in the table", static_cast<int>(mixer));
  return *row;
}

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
    period.push_back(kRows[found - names.begin()].mixer);
    start = end + 1;
  }
  for (int layer = 0; layer < layers; ++layer) result.push_back(period[static_cast<size_t>(layer) % period.size()]);
  return result;
}

bool has_mixer(const Recipe& recipe, Mixer mixer) {
  const std::string wanted = std::string(",") + row_of(mixer).name + ",";
  return ("," + recipe.model.mixers + ",").find(wanted) != std::string::npos;
}

bool any_attends(const Recipe& recipe) {
  return std::any_of(std::begin(kRows), std::end(kRows),
                     [&](const Row& row) { return row.attends && has_mixer(recipe, row.mixer); });
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
  return row_of(mixer).counts(recipe, size);
}

}  // namespace flywheel::recipe
