#include "report/fit/fit_page.h"

#include "report/embedded_page.h"
#include "report/page_templates.h"

namespace flywheel::report {

std::string fit_page(const OrderedJson& data) {
  return page_with_data(kFitTemplate, json_for_script(data));
}

}  // namespace flywheel::report
