#include "report/embedded_page.h"

#include "base/check.h"
#include "base/json.h"

namespace flywheel::report {

template <typename AnyJson>
std::string json_for_script(const AnyJson& data) {
  const std::string json = data.dump(-1, ' ', false, AnyJson::error_handler_t::replace);
  std::string safe;
  safe.reserve(json.size() + json.size() / 16);
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = std::string_view(json).substr(i);
    // Outside of strings JSON has none of these characters, so an escape is always inside a string.
    if (rest[0] == '<') {
      safe += "\\u003c";
    } else if (rest[0] == '>') {
      safe += "\\u003e";
    } else if (rest[0] == '&') {
      safe += "\\u0026";
    } else if (rest.starts_with("\xE2\x80\xA8")) {  // U+2028, a line end in scripts
      safe += "\\u2028";
      i += 2;
    } else if (rest.starts_with("\xE2\x80\xA9")) {  // U+2029
      safe += "\\u2029";
      i += 2;
    } else {
      safe += rest[0];
    }
  }
  return safe;
}

template std::string json_for_script(const Json& data);
template std::string json_for_script(const OrderedJson& data);

std::string page_with_data(std::string_view page, const std::string& json) {
  constexpr std::string_view kOpen = "<script type=\"application/json\" id=\"data\">";
  const size_t open = page.find(kOpen);
  CHECK(open != std::string_view::npos);
  const size_t begin = open + kOpen.size();
  const size_t end = page.find("</script>", begin);
  CHECK(end != std::string_view::npos);
  CHECK(page.find(kOpen, begin) == std::string_view::npos);
  std::string html(page.substr(0, begin));
  html += json;
  html += page.substr(end);
  return html;
}

}  // namespace flywheel::report
