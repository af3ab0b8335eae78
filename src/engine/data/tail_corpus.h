// A corpus folder whose validation text is the end of one file. Why: published results (nanoGPT's, say) are measured
// on the last tenth of a text, which a split by documents cannot express.
#pragma once

#include "engine/data/corpus.h"

namespace flywheel::data {

// The train split is the first 1 - `fraction` of the text; search, audit and locked are all the rest of it: fit to
// repeat a measurement, not to run a campaign. The file is read as any other: unpacked, converted, and of JSON records
// the texts, each a document, in their order. Held in memory is all of the text. `folder` must not exist or be empty.
// Throws kBadInput on a fraction that is not inside (0, 1), a file that is no text or too short, or a folder that holds
// something.
CorpusManifest build_tail_corpus(const Path& file, double fraction, const ReadingOptions& reading, const Path& folder);

}  // namespace flywheel::data
