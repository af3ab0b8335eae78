#include "evidence/document_sums.h"

#include <cmath>

#include "base/sampled_text.h"

namespace flywheel::evidence {

std::optional<ClusterError> sampling_error(std::span<const DocumentSum> sums) {
  std::vector<ScoredText> texts;
  double all = 0;
  for (const DocumentSum& sum : sums) {
    texts.push_back({.y = sum.bits, .x = sum.bytes, .source = sum.source.value_or(sum.document), .block = sum.block});
    all += sum.bytes;
  }
  if (!(all > 0)) return std::nullopt;
  const auto error = sampled_error(texts).error;
  return error ? error : ClusterError{.sd = 0, .degrees = 0};
}

std::optional<ClusterError> paired_sampling_error(std::span<const DocumentSums> base,
                                                  std::span<const DocumentSums> candidate) {
  if (base.empty() || base.size() != candidate.size()) return std::nullopt;
  DocumentSums differences = base.front();
  for (DocumentSum& difference : differences) difference.bits = 0;
  const auto pairs = static_cast<double>(base.size());
  for (size_t pair = 0; pair < base.size(); ++pair) {
    if (base[pair].size() != differences.size() || candidate[pair].size() != differences.size()) return std::nullopt;
    for (size_t d = 0; d < differences.size(); ++d) {
      for (const DocumentSum& sum : {base[pair][d], candidate[pair][d]})
        if (sum.document != differences[d].document || sum.bytes != differences[d].bytes) return std::nullopt;
      differences[d].bits += (candidate[pair][d].bits - base[pair][d].bits) / pairs;
    }
  }
  return sampling_error(differences);
}

std::optional<ClusterError> wider(const std::optional<ClusterError>& a, const std::optional<ClusterError>& b,
                                  double level) {
  if (!a || !b) return a ? a : b;
  return b->half_width(level) > a->half_width(level) ? b : a;
}

Interval widened(const Interval& interval, const std::optional<ClusterError>& error, double level) {
  if (!error) return interval;
  const double more = error->half_width(level);
  return {interval.value, interval.value - std::hypot(interval.value - interval.low, more),
          interval.value + std::hypot(interval.high - interval.value, more)};
}

}  // namespace flywheel::evidence
