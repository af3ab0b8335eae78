// The table of forms.
#include "scaling/laws/form.h"

#include <cmath>

namespace flywheel::scaling {
namespace {

using Row = const Form& (*)();
constexpr Row kForms[] = {chinchilla_form, tied_form, kappa_form, data_constrained_form, compute_form, broken_form};

}  // namespace

const Form* find_form(std::string_view name) {
  for (const Row row : kForms)
    if (name == row().name) return &row();
  return nullptr;
}

std::string form_names() {
  std::string names;
  for (const Row row : kForms) names += (names.empty() ? "" : ", ") + std::string(row().name);
  return names;
}

std::vector<const Form*> all_forms() {
  std::vector<const Form*> forms;
  for (const Row row : kForms) forms.push_back(&row());
  return forms;
}

std::map<std::string, double> Form::report(const Theta& theta) const {
  std::map<std::string, double> reported;
  for (size_t i = 0; i < parameters.size(); ++i)
    reported[parameters[i].name] = parameters[i].log ? std::exp(theta[i]) : theta[i];
  return reported;
}

Theta Form::internal(const std::map<std::string, double>& reported) const {
  Theta theta;
  for (const Parameter& p : parameters) {
    const double value = reported.at(p.name);
    theta.push_back(p.log ? std::log(value) : value);
  }
  return theta;
}

}  // namespace flywheel::scaling
