// A checkpoint file whose checksum is right, as somebody would forge it: the input is its header, a zero byte, and
// data.
#include <cstring>

#include "base/hash.h"
#include "engine/train/checkpoint.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace flywheel;
  return testing::parse_or_refuse(data, size, [](std::string_view text) {
    const std::string_view header = text.substr(0, text.find('\0'));
    std::string file = "FLYWCKPT";
    const uint32_t numbers[] = {train::kCheckpointVersion, static_cast<uint32_t>(header.size())};
    file.append(reinterpret_cast<const char*>(numbers), sizeof numbers);
    file += header;
    if (header.size() < text.size()) file += text.substr(header.size() + 1);
    const std::string digest = sha256_hex(file);
    for (size_t i = 0; i < digest.size(); i += 2)
      file += static_cast<char>(std::stoi(digest.substr(i, 2), nullptr, 16));
    const testing::FileOfBytes whole(file);
    const train::Checkpoint checkpoint = train::open_checkpoint(whole.path());
    float sum = 0;
    for (const std::span<const float> values : {checkpoint.parameters, checkpoint.optimizer_state})
      for (const float value : values) sum += value;
    static volatile float kept;
    kept = sum;
  });
}
