// flywheel corpus: files and folders become a corpus folder, for specs that are written by hand.
#include "engine/data/corpus.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/error.h"
#include "base/format.h"
#include "base/host/machine_limits.h"
#include "base/host/ownership.h"
#include "base/json.h"
#include "base/stop_signals.h"
#include "cli/cli.h"
#include "cli/lab_setup.h"
#include "engine/data/tail_corpus.h"

namespace flywheel::cli {
namespace {

struct CorpusOptions {
  std::vector<std::string> sources;
  std::string folder;
  std::optional<double> validation_tail;
  data::ReadingOptions reading;
  bool overwrite = false, json = false;
};

void refuse_to_overwrite(const Path& folder) {
  if (!std::filesystem::exists(folder / "manifest.json")) return;
  throw_bad_input("--dir {} holds a corpus already; give --overwrite to make it anew, or name another folder",
                  folder.string());
}

data::CorpusManifest build(const CorpusOptions& options) {
  if (!options.overwrite) refuse_to_overwrite(options.folder);
  if (options.validation_tail) {
    if (options.sources.size() != 1)
      throw_bad_input("--validation-tail takes one file, found {}", options.sources.size());
    return data::build_tail_corpus(options.sources.front(), *options.validation_tail, options.reading, options.folder);
  }
  data::BuildOptions request;
  for (const std::string& source : options.sources) request.sources.emplace_back(source);
  request.reading = options.reading;
  request.threads = usable_cores();
  request.should_stop = [] { return stop_signal() != 0; };
  return data::build_corpus(request, options.folder);
}

int corpus(const CorpusOptions& options) {
  catch_stop_signals();
  follow_permissions_of(options.sources);
  const data::CorpusManifest manifest = build(options);
  if (options.json) {
    fmt::print("{}\n", json_line(to_json(manifest)));
  } else {
    fmt::print("{}: {} of text, documents {}, files {}\n", options.folder,
               format_bytes(static_cast<double>(manifest.bytes)), manifest.documents, manifest.files);
    if (manifest.reading)
      for (const std::string& line : data::reading_lines(*manifest.reading)) fmt::print("  {}\n", line);
    if (manifest.splitting) {
      const data::SplittingFacts& facts = *manifest.splitting;
      for (size_t i = 0; i < data::kSplits; ++i) {
        fmt::print("  {:7} {:>9} in {} documents{}", name(static_cast<data::Split>(i)),
                   format_bytes(static_cast<double>(manifest.split_bytes[i])), manifest.split_documents[i],
                   facts.cut_documents > 0 ? " and blocks of cut ones" : "");
        if (i > 0) fmt::print(", {:.1f}% of its bytes stand verbatim in train", 100 * facts.overlap[i - 1]);
        fmt::print("\n");
      }
      const bool equal_only = facts.rule.find("only equal texts") != std::string::npos;
      fmt::print("  {} {}: kept on one side{}; the largest cluster holds {} in {}\n",
                 equal_only ? "copies" : "near-duplicates", facts.near_duplicates,
                 equal_only ? ", and nothing else, because nearly all text is alike" : " with what they resemble",
                 format_bytes(static_cast<double>(facts.largest_cluster_bytes)), facts.largest_cluster_documents);
      fmt::print("  only trained on {}: alike in too large a part, or mostly found in other documents\n",
                 format_bytes(static_cast<double>(facts.train_only_bytes)));
      if (facts.cut_documents > 0)
        fmt::print("  cut {} documents of {} into blocks; {} between the blocks are in no split\n", facts.cut_documents,
                   format_bytes(static_cast<double>(facts.cut_bytes)),
                   format_bytes(static_cast<double>(facts.gap_bytes)));
    }
  }
  return 0;
}

}  // namespace

Action declare_corpus(Arguments& arguments) {
  auto options = std::make_shared<CorpusOptions>();
  arguments.option("SOURCE", options->sources, "files and folders of text").required().type_name("PATH");
  arguments.option("--dir", options->folder, "the corpus folder to make").required().type_name("FOLDER");
  arguments.option("--validation-tail", options->validation_tail,
                   "split one file in order instead of documents by hash: the last part, 0.1 say, is for validation");
  arguments.option("--text-field", options->reading.text_field, kTextFieldHelp).type_name("NAME");
  arguments.flag("--follow-links", options->reading.follow_links, kFollowLinksHelp);
  arguments.flag("--overwrite", options->overwrite, "make a corpus anew that is in the folder already");
  arguments.flag("--json", options->json, "print the manifest as one JSON object");
  return [options] { return corpus(*options); };
}

}  // namespace flywheel::cli
