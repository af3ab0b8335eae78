#include "campaign/bracket.h"

#include <algorithm>
#include <cmath>

namespace flywheel::campaign {

Side side_of_minimum(const RungMinimum& rung) {
  if (rung.is_inner) return Side::kInner;
  // Where noise alone makes an edge of the minimum, the better end says on which side to look.
  return rung.points.front().L <= rung.points.back().L ? Side::kSmaller : Side::kLarger;
}

std::optional<double> compute_of_inner_minimum(std::span<const RungMinimum> rungs) {
  struct Gap {
    double ln_flops, value;
  };
  std::vector<Gap> gaps;
  for (const RungMinimum& rung : rungs)
    if (rung.points.size() >= 2 && rung.points[0].N == rungs[0].points[0].N && rung.points[1].N == rungs[0].points[1].N)
      gaps.push_back({std::log(rung.rung_flops), std::log(rung.points[1].L / rung.points[0].L)});
  if (gaps.size() < 2) return std::nullopt;
  const Gap &before = gaps[gaps.size() - 2], &last = gaps.back();
  const double slope = (last.value - before.value) / (last.ln_flops - before.ln_flops);
  if (!(slope < 0)) return std::nullopt;
  return std::exp(last.ln_flops - last.value / slope);
}

std::vector<double> without_rungs_below(std::vector<double> rungs, size_t last, double flops) {
  const size_t kept_above = std::min<size_t>(2, rungs.size() - std::min(rungs.size(), last + 1));
  const auto begin = rungs.begin() + static_cast<std::ptrdiff_t>(std::min(rungs.size(), last + 1));
  const auto end = rungs.end() - static_cast<std::ptrdiff_t>(kept_above);
  if (begin < end) rungs.erase(begin, std::find_if(begin, end, [&](double rung) { return rung >= flops; }));
  return rungs;
}

}  // namespace flywheel::campaign
