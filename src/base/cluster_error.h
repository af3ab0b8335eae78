// The sampling error of a ratio of sums whose parts come in clusters: what a loss over documents, or a difference of
// two, would have been off by with other documents of the same source. Pure.
#pragma once

#include <optional>
#include <span>

namespace flywheel {

// Standard error of sum(y) / sum(x) over clusters, which hold y[i] and x[i] each: of a ratio estimator, by
// linearisation (Cochran 1977, section 6.4). Empty with fewer than two clusters. REQUIRES y and x of one length, x of a
// sum above 0.
std::optional<double> ratio_sd(std::span<const double> y, std::span<const double> x);

}  // namespace flywheel
