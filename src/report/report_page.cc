#include "report/report_page.h"

#include "report/embedded_page.h"
#include "report/page_templates.h"

namespace flywheel::report {

std::string render_report_page(const Json& data) {
  return page_with_data(kReportTemplate, json_for_script(data));
}

}  // namespace flywheel::report
