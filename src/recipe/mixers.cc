#include "recipe/mixers.h"

#include <algorithm>

#include "base/check.h"
#include "recipe/recurrent.h"

namespace flywheel {
namespace {

// One row per mixer.
struct Row {
  Mixer mixer;
  const char* name;
  bool attends;
  PartCounts (*counts)(const Recipe&, const Size&);
};

PartCounts attention_counts(const Recipe& recipe, const Size& size) {
  const int64_t width = size.width, head_dim = recipe.model.head_dim, attention_width = size.heads * head_dim;
  PartCounts counts;
  counts.matrices = width * (size.heads + 2 * int64_t{size.kv_heads}) * head_dim + attention_width * width;
  counts.extra_flops = 2.0 * size.context * static_cast<double>(attention_width);
  add_convolution(recipe, (size.heads + 2 * int64_t{size.kv_heads}) * head_dim, counts);
  return counts;
}

constexpr Row kRows[] = {
    {Mixer::kAttention, "attention", true, attention_counts},
    {Mixer::kGatedLinear, "gated_linear", false, gated_linear_counts},
    {Mixer::kMamba2, "mamba2", false, mamba2_counts},
    {Mixer::kGatedDelta, "gated_delta", false, gated_delta_counts},
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

bool attends(Mixer mixer) {
  return row_of(mixer).attends;
}

PartCounts mixer_counts(const Recipe& recipe, const Size& size, Mixer mixer) {
  return row_of(mixer).counts(recipe, size);
}

}  // namespace flywheel
