// The built pages (web/), embedded by the build: HTML files with an empty data element each.
#pragma once

#include <string_view>

namespace flywheel::report {

extern const std::string_view kReportTemplate;
extern const std::string_view kFitTemplate;

}  // namespace flywheel::report
