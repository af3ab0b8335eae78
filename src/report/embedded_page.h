// A page of web/ with data inside, so that one file opens without a server or a network.
#pragma once

#include <string>
#include <string_view>

#include "base/json_fwd.h"

namespace flywheel::report {

// JSON text that may stand inside <script type="application/json">. Any strings are safe: they can neither end the
// element nor start markup; bytes that are not UTF-8 become U+FFFD. Numbers that are not finite become null.
template <typename AnyJson>
std::string json_for_script(const AnyJson& data);
extern template std::string json_for_script(const Json& data);
extern template std::string json_for_script(const OrderedJson& data);

// `page` with `json`, as json_for_script writes it, as the text of its data element.
std::string page_with_data(std::string_view page, const std::string& json);

}  // namespace flywheel::report
