// A file of a corpus: plain, compressed, damaged.
#include "engine/data/read/text_reader.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    using namespace flywheel;
    const testing::FileOfBytes file(text);
    size_t bytes = 0;
    data::looks_binary(text.substr(0, 64 << 10), text.size() <= 64 << 10);
    data::read_text(file.path(), [&](std::string_view piece) {
      bytes += piece.size();
      if (bytes > 64 << 20) throw Error(ErrorCode::kFailed, "enough of a bomb");
    });
  });
}
