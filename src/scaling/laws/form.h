// Functional forms of scaling laws: one table row each. Why: fitting, intervals, allocation and backtests know a form
// only through its row, so that a new law is a formula and a row (docs/how-to-add-a-law.md). Pure, thread safe.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scaling/laws/evaluate.h"

namespace flywheel::scaling {

// A normal prior on one internal parameter.
struct PriorTerm {
  int parameter;
  double mean, sd;
};

using Theta = std::vector<double>;  // internal, unconstrained parameters

struct Parameter {
  const char* name;  // as people and the ledger see it
  bool log;          // the internal one is its logarithm
};

struct Form {
  enum class Sees { kSizes, kUniqueTokens, kCompute };  // N and D; U as well; C alone

  const char* name;
  const char* formula;  // in words of the report
  const char* source;   // paper, section
  Sees sees;
  std::vector<Parameter> parameters;  // in the formula's order
  FormulaFunctions evaluate;
  // Starting points, many and cheap: the fit polishes the best of them. The better ones come first.
  std::vector<Theta> (*starts)(const Sample& sample);
  std::vector<PriorTerm> (*prior)(const Sample& sample);

  double log_loss(const double* theta, const Run& run, double* gradient, double* hessian) const {
    return evaluate.log_loss(theta, run, gradient, hessian);
  }
  std::map<std::string, double> report(const Theta& theta) const;
  Theta internal(const std::map<std::string, double>& reported) const;
};

struct Point;
Run run_of(const Point& point);  // its logs; law.h

// Null for an unknown name.
const Form* find_form(std::string_view name);
std::string form_names();  // "chinchilla, ..." for messages
std::vector<const Form*> all_forms();

const Form& chinchilla_form();
const Form& tied_form();
const Form& kappa_form();
const Form& data_constrained_form();
const Form& compute_form();
const Form& broken_form();

}  // namespace flywheel::scaling
