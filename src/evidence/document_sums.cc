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
  if (base.empty() || candidate.empty()) return std::nullopt;
  DocumentSums differences = base.front();
  for (DocumentSum& difference : differences) difference.bits = 0;
  // False where a run was not scored on the same documents.
  const auto add = [&](std::span<const DocumentSums> runs, double sign) {
    for (const DocumentSums& run : runs) {
      if (run.size() != differences.size()) return false;
      for (size_t d = 0; d < differences.size(); ++d) {
        if (run[d].document != differences[d].document || run[d].bytes != differences[d].bytes) return false;
        differences[d].bits += sign * run[d].bits / static_cast<double>(runs.size());
      }
    }
    return true;
  };
  if (!add(candidate, 1) || !add(base, -1)) return std::nullopt;
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
