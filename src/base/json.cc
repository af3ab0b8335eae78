#include "base/json.h"

namespace flywheel {

Json parse_json(std::string_view text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    throw_bad_input(
        "{}: not valid JSON at byte {}: expected one complete JSON value. The file is cut short or damaged.", where,
        e.byte);
  }
}

std::string canonical_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace flywheel
