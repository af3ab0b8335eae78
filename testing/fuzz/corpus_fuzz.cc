// The token file of a corpus: the input is that of every split, beside a manifest that names its size.
#include <array>

#include "engine/data/corpus.h"
#include "engine/data/segments.h"
#include "engine/data/token_file.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    using namespace flywheel;
    const Path& folder = testing::scratch_folder();
    data::CorpusManifest manifest;
    for (const data::Split split :
         {data::Split::kTrain, data::Split::kSearch, data::Split::kAudit, data::Split::kLocked}) {
      manifest.split_tokens[static_cast<size_t>(split)] = static_cast<int64_t>(text.size() / sizeof(uint16_t));
      real_file_system().write_atomic(folder / data::token_file_name(split), text);
    }
    data::write_manifest(manifest, folder);
    const data::Corpus corpus = data::Corpus::open(folder);
    data::check_tokens(corpus.tokens(data::Split::kTrain));
  });
}
