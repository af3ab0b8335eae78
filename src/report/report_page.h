// report.html: the data put into the built page, so that one file opens without a server or a network.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace flywheel {

// `data` has the shape of ReportData in web/src/data.ts. Any strings are safe: they can neither end the element that
// holds the data nor start markup; bytes that are not UTF-8 become U+FFFD. Numbers that are not finite become null.
std::string render_report_page(const Json& data);

// JSON text that may stand inside <script type="application/json">.
std::string json_for_script(const Json& data);

}  // namespace flywheel
