// The sampling error of a ratio of sums whose parts come in clusters: what a loss over documents, or a difference of
// two, would have been off by with other documents of the same source. Pure.
//
// The claim is about the source, not about the split at hand: there is no correction for a finite population, since the
// rest of the split is no better known than other text of the source.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace flywheel {

struct ClusterError {
  double sd = 0;  // standard error of the ratio
  // Those of the Student's t that the ratio's error over `sd` follows; 0: too few clusters to tell.
  double degrees = std::numeric_limits<double>::infinity();

  // Half of the interval of this level about the ratio: 0.9 for 90%. Infinite where it cannot be told.
  double half_width(double level) const;
};

// Below this effective number of clusters, (sum x)^2 / sum x^2, no error is told.
inline constexpr double kFewestClusters = 2;

// Of sum(y) / sum(x) over clusters, which hold y[i] and x[i] each. Residuals are scaled for their leverage (CR2: Bell
// and McCaffrey 2002), as a cluster that is a large part of the whole draws the ratio to itself. The degrees of freedom
// are those whose 90% quantile is the one of normal clusters of one variance per y / x with these x: a few long
// documents leave few, however many short ones stand beside them. Empty with fewer than two clusters. REQUIRES y and x
// of one length, x at least 0 and of a sum above 0.
std::optional<ClusterError> ratio_error(std::span<const double> y, std::span<const double> x);

// Clusters of which another sample would hold just as large a share of x.
struct Stratum {
  std::vector<double> y, x;
};
// Of sum(y) / sum(x) over all strata, each sampled by its own clusters: what sets strata apart is no error. The degrees
// of freedom take clusters of all strata to have one variance per y / x. Empty where a stratum has fewer than two.
std::optional<ClusterError> ratio_error(std::span<const Stratum> strata);
// (sum x)^2 / sum x^2: how many clusters of one length would say as much. REQUIRES a sum above 0.
double effective_number(std::span<const double> x);

}  // namespace flywheel
