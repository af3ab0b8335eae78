#include "evidence/document_sums.h"

#include <cmath>

#include "base/cluster_error.h"

namespace flywheel::evidence {

std::optional<double> sampling_sd(std::span<const DocumentSum> sums) {
  std::vector<double> bits, bytes;
  double all = 0;
  for (const DocumentSum& sum : sums) bits.push_back(sum.bits), bytes.push_back(sum.bytes), all += sum.bytes;
  return all > 0 ? ratio_sd(bits, bytes) : std::nullopt;
}

std::optional<double> paired_sampling_sd(std::span<const DocumentSums> base, std::span<const DocumentSums> candidate) {
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
  return sampling_sd(differences);
}

Interval widened(const Interval& interval, const std::optional<double>& sd, double deviations) {
  if (!sd) return interval;
  const double more = deviations * *sd;
  return {interval.value, interval.value - std::hypot(interval.value - interval.low, more),
          interval.value + std::hypot(interval.high - interval.value, more)};
}

}  // namespace flywheel::evidence
