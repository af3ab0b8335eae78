// Several forms fitted to the same runs, weighed against each other: the small-sample Akaike criterion of the robust
// likelihood (Burnham and Anderson 2002, sections 2.4 and 4.2). No single form is true; the data determine the weight
// of each. Pure, deterministic for a seed.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

enum class RunsFitted { kAll, kFrontier };  // the frontier: the best run of each compute level
std::string_view name_of(RunsFitted runs);  // "all", "frontier": as in JSON

struct FormFit {
  std::string form;
  std::string left_out;  // why it was not fitted; empty: it was
  Fit fit;
  RunsFitted runs = RunsFitted::kAll;
  double aicc = 0;     // smaller is better, among forms of the same runs; infinity: too few runs to say
  double seconds = 0;  // that the fit took
  double weight = 0;   // among the forms of the same runs, summing to 1
};

// AICc of a fit to `runs` runs: the density of a log residual r is proportional to exp(-huber(r) / (delta b)), b its
// maximum-likelihood scale, which counts as a parameter. Plain fits only (published_options).
double aicc(double objective, double huber_delta, double runs, int parameters);

// Names that --forms takes as "all": every form of the table.
std::vector<std::string> all_form_names();

// One fit per name, `options.form` aside. A form whose covariates the runs lack, or that has no more different runs
// than parameters, is left out with its reason; the first name is always fitted. Throws kBadInput as fit() does, and
// for a name twice.
std::vector<FormFit> fit_forms(std::span<const Point> points, const FitOptions& options,
                               std::span<const std::string> names);

// Mean of the forms' losses by their weights, over those fitted to all runs; when all of these weigh 0, the first.
double averaged_loss(std::span<const FormFit> fits, double N, double D, double flops = 0, double unique_tokens = 0);

}  // namespace flywheel::scaling
