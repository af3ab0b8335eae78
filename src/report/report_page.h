// report.html: a campaign on one page.
#pragma once

#include <string>

#include "base/json_fwd.h"

namespace flywheel::report {

// `data` has the shape of ReportData in web/src/data.ts; what embedded_page.h says of strings and numbers holds.
std::string render_report_page(const Json& data);

}  // namespace flywheel::report
