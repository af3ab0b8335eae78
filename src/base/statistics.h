// The statistics that all rooms share, one definition of each. The distributions are Boost.Math's, seen by
// statistics.cc alone. Pure functions.
#pragma once

#include <span>
#include <vector>

namespace flywheel {

inline constexpr double kNormal90 = 1.6448536269514722;  // half-width of a 90% interval in standard deviations

double mean(std::span<const double> values);                // REQUIRES some
double standard_deviation(std::span<const double> values);  // of a sample, by n - 1; 0 for fewer than two

// Linear between order statistics; p in [0, 1]. Sorts the copy it is given. 0 for an empty list.
double quantile(std::vector<double> values, double p);
double median(std::vector<double> values);  // quantile(values, 0.5): between the two middle ones of an even number
// One of the values: the middle one, the higher of two. REQUIRES some.
double upper_median(std::vector<double> values);
// Median absolute value, scaled to the standard deviation of a normal.
double robust_sd(std::vector<double> residuals);

double normal_density(double z);
double normal_below(double z);                          // probability of a value below z
double normal_quantile(double p);                       // p in (0, 1)
double student_quantile(double p, double degrees);      // degrees above 0
double student_below(double t, double degrees);         // probability of a value below t
double chi_squared_quantile(double p, double degrees);  // degrees above 0

struct ProbabilityInterval {
  double low = 0, high = 1;
};
// Interval for a probability after `hits` in `trials`, each end missed with probability at most (1 - level) / 2
// (Clopper and Pearson 1934). 0 to 1 for no trials.
ProbabilityInterval binomial_interval(int hits, int trials, double level);

}  // namespace flywheel
