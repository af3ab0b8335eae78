// Payloads of the ledger's records: the first byte chooses the kind. One that is accepted is written and read the same.
#include <tuple>

#include "ledger/records/records.h"
#include "testing/fuzz/fuzz.h"

namespace {

using namespace flywheel::ledger;

template <typename R>
void read(RecordRow<R>, std::string_view text) {
  const std::string once = Codec<R>::encode(Codec<R>::decode(text, "fuzz"));
  if (Codec<R>::encode(Codec<R>::decode(once, "again")) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    if (text.empty()) return;
    const size_t kind = static_cast<unsigned char>(text[0]) % std::tuple_size_v<decltype(kRecordTable)>;
    text.remove_prefix(1);
    std::apply(
        [&](const auto&... row) {
          size_t i = 0;
          ((i++ == kind ? read(row, text) : void()), ...);
        },
        kRecordTable);
  });
}
