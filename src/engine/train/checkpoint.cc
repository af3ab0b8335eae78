#include "engine/train/checkpoint.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/hash.h"
#include "base/json.h"
#include "engine/data/corpus.h"
#include "protocol/run_events.h"

namespace flywheel::train {
namespace {

static_assert(std::endian::native == std::endian::little, "the file format is little endian");

constexpr char kMagic[] = "FLYWCKPT";
constexpr size_t kMagicBytes = 8, kPrefixBytes = 16, kDigestBytes = 32, kDataAlignment = 64;
constexpr size_t kDifferencesShown = 3;
constexpr double kMostSeconds = 1e11;  // three thousand years: no run trained longer

template <typename T>
std::string_view as_bytes(const T* data, size_t count) {
  return {reinterpret_cast<const char*>(data), count * sizeof(T)};
}

std::array<char, kDigestBytes> digest_of(std::span<const std::string_view> pieces) {
  Sha256 sha;
  for (const std::string_view piece : pieces) sha.update(piece.data(), piece.size());
  const std::string hex = sha.hex();
  std::array<char, kDigestBytes> digest;
  for (size_t i = 0; i < kDigestBytes; ++i) digest[i] = static_cast<char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  return digest;
}

Json tensor_table(std::span<const model::ParameterInfo> parameters) {
  Json table = Json::array();
  for (const model::ParameterInfo& p : parameters) {
    Json shape = Json::array();
    for (int i = 0; i < p.shape.rank; ++i) shape.push_back(p.shape[i]);
    table.push_back({{"name", p.name}, {"shape", shape}, {"offset", p.offset}});
  }
  return table;
}

Json divergence_json(const DivergenceState& state) {
  return Json{{"mean", state.mean}, {"best", state.best}, {"observed", state.observed}, {"above", state.above}};
}

DivergenceState divergence_from_json(const Json& json, const std::string& where) {
  return {.mean = json_field<double>(json, "mean", where),
          .best = json_field<double>(json, "best", where),
          .observed = json_field<int64_t>(json, "observed", where),
          .above = json_field<int64_t>(json, "above", where)};
}

// `name` becomes another name of the current checkpoint: at no moment is there none. False where the file system has no
// links.
bool link_current(const Path& directory, const char* name) {
  const Path current = directory / protocol::kCheckpointFile, other = directory / name;
  std::error_code error;
  if (!std::filesystem::exists(current, error)) return true;
  const Path link = other.string() + fmt::format(".tmp{}", ::getpid());
  std::filesystem::remove(link, error);
  std::filesystem::create_hard_link(current, link, error);
  if (error) return false;
  std::filesystem::rename(link, other, error);
  if (error) std::filesystem::remove(link, error);
  return true;
}

void collect_difference(const Json& from, const Json& to, const std::string& name, std::vector<std::string>& out) {
  if (from.is_object() && to.is_object()) {
    for (const auto& [key, value] : from.items())
      collect_difference(value, to.contains(key) ? to[key] : Json(), name.empty() ? key : name + "." + key, out);
  } else if (from != to) {
    out.push_back(fmt::format("{}: {} -> {}", name, from.dump(), to.dump()));
  }
}

// False only where both are there and hold other text: one that was moved is judged by the list of segments, which its
// spec names.
bool have_same_content(const Path& a, const Path& b) {
  std::error_code ignored;
  if (a == b || std::filesystem::equivalent(a, b, ignored)) return true;
  try {
    return data::Corpus::open(a).manifest().sha256 == data::Corpus::open(b).manifest().sha256;
  } catch (const Error&) {
    return true;
  }
}

}  // namespace

std::string spec_difference(const recipe::RunSpec& from, const recipe::RunSpec& to) {
  // A stopping rule does not affect training and is removed when the run is resumed.
  recipe::RunSpec before = from, now = to;
  before.stop_above.reset();
  now.stop_above.reset();
  // Neither is a precision that was left open: what it became is in the other spec.
  if (before.precision == recipe::Precision::kAuto) before.precision = now.precision;
  // Where the corpus and the trunk lie is no property of a run: what they hold is.
  if (before.branch.empty() == now.branch.empty()) before.branch = now.branch;
  if (have_same_content(before.corpus, now.corpus)) before.corpus = now.corpus;
  std::vector<std::string> out;
  collect_difference(to_json(before), to_json(now), "", out);
  out.resize(std::min(out.size(), kDifferencesShown));
  return fmt::format("{}", fmt::join(out, "; "));
}

void write_checkpoint(FileSystem& files, const Path& directory, const recipe::RunSpec& spec, const Progress& progress,
                      std::span<const model::ParameterInfo> parameters, std::span<const float> values,
                      std::span<const float> optimizer_state) {
  const Json spec_json = to_json(spec);
  const Json header{{"spec", spec_json},
                    {"spec_sha256", sha256_hex(canonical_json(spec_json))},
                    {"step", progress.step},
                    {"seconds", progress.seconds},
                    {"cpu_seconds", progress.cpu_seconds},
                    {"divergence", divergence_json(progress.divergence)},
                    {"tensors", tensor_table(parameters)},
                    {"parameter_elements", values.size()},
                    {"optimizer_elements", optimizer_state.size()}};
  std::string text = header.dump();
  text.resize((kPrefixBytes + text.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment - kPrefixBytes, ' ');
  std::string prefix(kMagic, kMagicBytes);
  const uint32_t numbers[] = {kCheckpointVersion, static_cast<uint32_t>(text.size())};
  prefix += as_bytes(numbers, 2);
  const std::string_view content[] = {prefix, text, as_bytes(values.data(), values.size()),
                                      as_bytes(optimizer_state.data(), optimizer_state.size())};
  const std::array<char, kDigestBytes> digest = digest_of(content);
  const std::string_view pieces[] = {content[0], content[1], content[2], content[3], {digest.data(), kDigestBytes}};
  link_current(directory, protocol::kPreviousCheckpointFile);  // without links one checkpoint is kept
  files.write_atomic_pieces(directory / protocol::kCheckpointFile, pieces);
}

void keep_stable_checkpoint(FileSystem& files, const Path& directory) {
  if (!link_current(directory, protocol::kStableFile))
    files.write_atomic(directory / protocol::kStableFile, files.read(directory / protocol::kCheckpointFile));
}

Checkpoint open_checkpoint(const Path& path) {
  const std::string where = "checkpoint " + path.string();
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) throw_failed("{}: no such file", where);
  Checkpoint checkpoint{.path = path,
                        .spec = {},
                        .progress = {},
                        .tensors = {},
                        .parameters = {},
                        .optimizer_state = {},
                        .file = MappedFile(path)};
  const auto bytes = as_bytes(checkpoint.file.bytes().data(), checkpoint.file.bytes().size());
  if (bytes.size() < kPrefixBytes + kDigestBytes)
    throw_failed("{} is damaged: cut short to {} bytes", where, bytes.size());
  const std::string_view content = bytes.substr(0, bytes.size() - kDigestBytes);
  const std::array<char, kDigestBytes> digest = digest_of({&content, 1});
  if (std::memcmp(digest.data(), bytes.data() + content.size(), kDigestBytes) != 0)
    throw_failed("{} is damaged: its checksum does not match its {} bytes", where, bytes.size());
  uint32_t numbers[2];
  std::memcpy(numbers, content.data() + kMagicBytes, sizeof numbers);
  if (content.substr(0, kMagicBytes) != std::string_view(kMagic, kMagicBytes))
    throw_bad_input("{}: not a Flywheel checkpoint", where);
  if (numbers[0] != kCheckpointVersion)
    throw_bad_input("{}: format version {}, this program reads version {}: use the program that wrote it", where,
                    numbers[0], kCheckpointVersion);
  if (numbers[1] > content.size() - kPrefixBytes) throw_failed("{} is damaged: its header is cut short", where);

  const Json header = parse_json(content.substr(kPrefixBytes, numbers[1]), where);
  checkpoint.spec = recipe::run_spec_from_json(json_field<Json>(header, "spec", where), where + ": spec");
  checkpoint.progress.step = json_field<int64_t>(header, "step", where);
  checkpoint.progress.seconds = json_field<double>(header, "seconds", where);
  checkpoint.progress.cpu_seconds = json_field<double>(header, "cpu_seconds", where);
  checkpoint.progress.divergence = divergence_from_json(json_field<Json>(header, "divergence", where), where);
  const Progress& progress = checkpoint.progress;
  if (progress.step < 0 || progress.step > checkpoint.spec.size.steps)
    throw_failed("{} is damaged: step {}, expected one from 0 to the {} of its spec", where, progress.step,
                 checkpoint.spec.size.steps);
  for (const double seconds : {progress.seconds, progress.cpu_seconds})
    if (!(seconds >= 0 && seconds < kMostSeconds))
      throw_failed("{} is damaged: {:g} seconds of training, expected zero or more", where, seconds);
  for (const Json& tensor : json_field<Json>(header, "tensors", where))
    checkpoint.tensors.push_back({.name = json_field<std::string>(tensor, "name", where),
                                  .shape = json_field<std::vector<int64_t>>(tensor, "shape", where),
                                  .offset = json_field<int64_t>(tensor, "offset", where)});
  const auto parameters = json_field<size_t>(header, "parameter_elements", where);
  const auto state = json_field<size_t>(header, "optimizer_elements", where);
  const std::string_view data = content.substr(kPrefixBytes + numbers[1]);
  const size_t floats_there = data.size() / sizeof(float);
  if (parameters > floats_there || state != floats_there - parameters || data.size() % sizeof(float) != 0)
    throw_failed("{} is damaged: {} bytes of data, its header says {} parameters and {} optimizer values", where,
                 data.size(), parameters, state);
  const auto* floats = reinterpret_cast<const float*>(data.data());
  checkpoint.parameters = {floats, parameters};
  checkpoint.optimizer_state = {floats + parameters, state};
  return checkpoint;
}

std::optional<Checkpoint> find_checkpoint(const Path& directory, const std::function<void(const std::string&)>& warn) {
  bool damaged = false;
  for (const char* name : {protocol::kCheckpointFile, protocol::kPreviousCheckpointFile}) {
    std::error_code error;
    if (!std::filesystem::exists(directory / name, error)) continue;
    try {
      Checkpoint checkpoint = open_checkpoint(directory / name);
      if (damaged) warn(fmt::format("going on from {} instead", checkpoint.path.string()));
      return checkpoint;
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kBadInput) throw;
      damaged = true;
      warn(e.what());
    }
  }
  if (damaged) warn(fmt::format("no good checkpoint is left in {}: starting from the first step", directory.string()));
  return std::nullopt;
}

}  // namespace flywheel::train
