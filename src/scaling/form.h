// Functional forms of scaling laws: one table row each. Why: fitting, intervals, allocation and backtests know a form
// only through its row, so that a new law is a row and a file of its own (docs/how-to-add-a-law.md).
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flywheel::scaling {

inline constexpr int kMaxParameters = 8;

// Logs of the runs, in the caller's order.
struct Sample {
  std::vector<double> ln_n, ln_d, ln_l;
  size_t size() const { return ln_l.size(); }
};

// A normal prior on one internal parameter.
struct PriorTerm {
  int parameter;
  double mean, sd;
};

using Theta = std::vector<double>;  // internal, unconstrained parameters

struct Form {
  const char* name;
  std::vector<std::string> parameters;  // reported names; as many as internal parameters
  // ln L at theta. gradient: kMaxParameters values; hessian: row-major with stride kMaxParameters, upper triangle only.
  // Either may be null.
  double (*log_loss)(const double* theta, double ln_n, double ln_d, double* gradient, double* hessian);
  // Starting points, many and cheap: the fit polishes the best few.
  std::vector<Theta> (*starts)(const Sample& sample, std::span<const double> weights);
  std::vector<PriorTerm> (*prior)(const Sample& sample);
  std::map<std::string, double> (*report)(const Theta& theta);
  Theta (*internal)(const std::map<std::string, double>& parameters);
};

// Null for an unknown name.
const Form* find_form(std::string_view name);
std::string form_names();  // "chinchilla, ..." for messages

const Form& chinchilla_form();

}  // namespace flywheel::scaling
