// The data that a page of ours holds, for tests of what was written there.
#pragma once

#include <string>

namespace flywheel::testing {

// Text of the page's data element, as it stands in the page.
inline std::string embedded(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = html.find(open) + open.size();
  return html.substr(begin, html.find("</script", begin) - begin);
}

}  // namespace flywheel::testing
