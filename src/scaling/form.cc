// The table of forms.
#include "scaling/form.h"

namespace flywheel::scaling {
namespace {

using Row = const Form& (*)();
constexpr Row kForms[] = {chinchilla_form};

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

}  // namespace flywheel::scaling
