#include "recipe/mixers.h"

#include <algorithm>

#include "base/check.h"

namespace flywheel {
namespace {

// One row per mixer, in the order of the enumerators.
struct Row {
  const char* name;
  bool attends;
  PartCounts (*counts)(const Recipe&, const Size&);
};

PartCounts attention_counts(const Recipe& recipe, const Size& size) {
  const int64_t width = size.width, head_dim = recipe.model.head_dim, attention_width = size.heads * head_dim;
  PartCounts counts;
  counts.matrices = width * (size.heads + 2 * int64_t{size.kv_heads}) * head_dim + attention_width * width;
  counts.extra_flops = 2.0 * size.context * static_cast<double>(attention_width);
  return counts;
}

constexpr Row kRows[] = {
    {"attention", true, attention_counts},
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

PartCounts mixer_counts(const Recipe& recipe, const Size& size, Mixer mixer) {
  return kRows[static_cast<size_t>(mixer)].counts(recipe, size);
}

}  // namespace flywheel
