// The names of JSON values for signatures: what a header that only passes them on needs. base/json.h is for those that
// read or make them.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace flywheel {

using Json = nlohmann::json;                 // keys sorted: the canonical form that is hashed
using OrderedJson = nlohmann::ordered_json;  // keys in the order written: what people read

}  // namespace flywheel
