#include "evidence/document_sums.h"

#include <cmath>

namespace flywheel::evidence {

std::optional<double> sampling_sd(std::span<const DocumentSum> sums) {
  double bits = 0, bytes = 0;
  for (const DocumentSum& sum : sums) bits += sum.bits, bytes += sum.bytes;
  if (sums.size() < 2 || bytes <= 0) return std::nullopt;
  double squares = 0;
  for (const DocumentSum& sum : sums) squares += std::pow(sum.bits - bits / bytes * sum.bytes, 2);
  const auto n = static_cast<double>(sums.size());
  return std::sqrt(n / (n - 1) * squares) / bytes;
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
