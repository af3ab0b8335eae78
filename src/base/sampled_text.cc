#include "base/sampled_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace flywheel {
namespace {

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

// Adds units of one stratum to another.
void join(Stratum& to, const Stratum& from) {
  to.y.insert(to.y.end(), from.y.begin(), from.y.end());
  to.x.insert(to.x.end(), from.x.begin(), from.x.end());
}

// Where one document ends and the next begins is chance, and with it which of them a block there is of: by a block, one
// in six on average, a document has more or less than its share, and its neighbour on the other side as much less or
// more. Of documents drawn alike, whose ends come to one fewer than they are, that is a third of a block's squared
// share times the sum of their squared deviations.
double variance_of_shares(const std::vector<Stratum>& documents, const Stratum& others, double all) {
  double y = sum_of(others.y), x = sum_of(others.x), variance = 0;
  for (const Stratum& document : documents) y += sum_of(document.y), x += sum_of(document.x);
  for (const Stratum& document : documents) {
    const double bytes = sum_of(document.x), block = bytes / effective_number(document.x) / all;
    variance += std::pow(block * (sum_of(document.y) / bytes - y / x), 2) / 3;
  }
  return variance;
}

}  // namespace

std::string words(const SampledUnits& units) {
  if (units.cut_documents == 0) return "documents";
  const bool one = units.cut_documents == 1;
  if (units.clusters == 0)
    return one ? "blocks of one document" : fmt::format("blocks of {} documents", units.cut_documents);
  return one ? "documents and blocks of a large one"
             : fmt::format("documents and blocks of {} large ones", units.cut_documents);
}

SampledError sampled_error(std::span<const ScoredText> texts) {
  struct Source {
    Stratum texts;
    bool cut = false;
  };
  std::map<int64_t, Source> sources;
  for (const ScoredText& text : texts) {
    Source& source = sources[text.source];
    source.texts.y.push_back(text.y);
    source.texts.x.push_back(text.x);
    source.cut |= text.block;
  }
  SampledError result;
  std::vector<double> whole;
  for (const auto& [name, source] : sources) whole.push_back(sum_of(source.texts.x));
  const double all = sum_of(whole);
  const bool enough = all > 0 && effective_number(whole) >= kEnoughClusters;
  std::vector<Stratum> strata;
  Stratum clusters, single_blocks;
  for (auto& [name, source] : sources) {
    if (!enough && source.cut && effective_number(source.texts.x) >= kFewestBlocks) {
      ++result.units.cut_documents;
      result.units.blocks += static_cast<int64_t>(source.texts.x.size());
      strata.push_back(std::move(source.texts));
    } else {
      ++result.units.clusters;
      clusters.y.push_back(sum_of(source.texts.y));
      clusters.x.push_back(sum_of(source.texts.x));
      if (source.cut) join(single_blocks, source.texts);
    }
  }
  const double of_shares = variance_of_shares(strata, single_blocks, all);
  const bool sampled = !clusters.x.empty() && effective_number(clusters.x) >= kFewestClusters * (1 - 1e-12);
  if (strata.empty() || sampled) {
    strata.push_back(std::move(clusters));
  } else if (!clusters.x.empty()) {
    // Too few to tell how such documents differ: they count as blocks of the largest document, which errs to the wide
    // side, as what sets them apart from it counts too.
    join(*std::max_element(strata.begin(), strata.end(),
                           [](const Stratum& a, const Stratum& b) { return sum_of(a.x) < sum_of(b.x); }),
         clusters);
    result.units.blocks += result.units.clusters;
    result.units.clusters = 0;
  }
  result.error = ratio_error(strata);
  if (result.error) result.error->sd = std::hypot(result.error->sd, std::sqrt(of_shares));
  return result;
}

}  // namespace flywheel
