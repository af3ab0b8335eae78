// The built report page (web/), embedded by the build: an HTML file with an empty data element.
#pragma once

#include <cstddef>

namespace flywheel {

extern const char* const kReportTemplate;
extern const std::size_t kReportTemplateSize;

}  // namespace flywheel
