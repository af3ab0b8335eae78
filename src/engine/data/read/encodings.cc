#include "engine/data/read/encodings.h"

#include <iconv.h>
#include <uchardet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"

namespace flywheel::data {
namespace {

using Verdict = Recognised::Verdict;

constexpr size_t kNulSampleBytes = 8 << 10;
constexpr double kMostStrange = 0.05;
constexpr double kMostMeaningless = 0.001;  // of the bytes of a sample, in the encoding that it is said to be in
// Of what is beyond ASCII in a text, quotation marks included. What is neither a letter nor a mark is mostly what a
// wrong guess looks like: boxes, symbols, single halves of characters.
constexpr double kFewestLetters = 0.3, kMostOthers = 0.05;
constexpr size_t kFewestForeign = 8;  // characters beyond ASCII; fewer say nothing of an encoding
constexpr size_t kGoodForOneBad = 8;  // characters of UTF-8 for each byte that is none: damaged UTF-8
constexpr size_t kFewestUnits = 8;    // of UTF-16 or UTF-32 without a mark

struct Encoding {
  std::string_view found;  // by uchardet
  std::string_view name;   // ours
  const char* iconv;       // the widest superset that text under this name is written in
  size_t unit = 1;
};
constexpr Encoding kEncodings[] = {
    {"UTF-16LE", "UTF-16LE", "UTF-16LE", 2},
    {"UTF-16BE", "UTF-16BE", "UTF-16BE", 2},
    {"UTF-32LE", "UTF-32LE", "UTF-32LE", 4},
    {"UTF-32BE", "UTF-32BE", "UTF-32BE", 4},
    {"ISO-8859-1", "windows-1252", "CP1252"},
    {"WINDOWS-1252", "windows-1252", "CP1252"},
    {"ISO-8859-2", "ISO-8859-2", "ISO-8859-2"},
    {"ISO-8859-3", "ISO-8859-3", "ISO-8859-3"},
    {"ISO-8859-4", "ISO-8859-4", "ISO-8859-4"},
    {"ISO-8859-5", "ISO-8859-5", "ISO-8859-5"},
    {"ISO-8859-6", "ISO-8859-6", "ISO-8859-6"},
    {"ISO-8859-7", "ISO-8859-7", "ISO-8859-7"},
    {"ISO-8859-8", "ISO-8859-8", "ISO-8859-8"},
    {"ISO-8859-9", "ISO-8859-9", "ISO-8859-9"},
    {"ISO-8859-10", "ISO-8859-10", "ISO-8859-10"},
    {"ISO-8859-11", "ISO-8859-11", "ISO-8859-11"},
    {"ISO-8859-13", "ISO-8859-13", "ISO-8859-13"},
    {"ISO-8859-15", "ISO-8859-15", "ISO-8859-15"},
    {"ISO-8859-16", "ISO-8859-16", "ISO-8859-16"},
    {"WINDOWS-1250", "windows-1250", "CP1250"},
    {"WINDOWS-1251", "windows-1251", "CP1251"},
    {"WINDOWS-1253", "windows-1253", "CP1253"},
    {"WINDOWS-1255", "windows-1255", "CP1255"},
    {"WINDOWS-1256", "windows-1256", "CP1256"},
    {"WINDOWS-1257", "windows-1257", "CP1257"},
    {"WINDOWS-1258", "windows-1258", "CP1258"},
    {"KOI8-R", "KOI8-R", "KOI8-R"},
    {"KOI8-U", "KOI8-U", "KOI8-U"},
    {"IBM852", "IBM852", "IBM852"},
    {"IBM855", "IBM855", "IBM855"},
    {"IBM865", "IBM865", "IBM865"},
    {"IBM866", "IBM866", "IBM866"},
    {"MAC-CYRILLIC", "Mac Cyrillic", "MAC-CYRILLIC"},
    {"TIS-620", "TIS-620", "TIS-620"},
    {"VISCII", "VISCII", "VISCII"},
    {"SHIFT_JIS", "Shift-JIS", "CP932"},
    {"EUC-JP", "EUC-JP", "EUC-JP"},
    {"ISO-2022-JP", "ISO-2022-JP", "ISO-2022-JP"},
    {"GB18030", "GB18030", "GB18030"},
    {"BIG5", "Big5", "CP950"},
    {"EUC-KR", "EUC-KR", "CP949"},
    {"UHC", "EUC-KR", "CP949"},
    {"EUC-TW", "EUC-TW", "EUC-TW"},
};

const Encoding* encoding_named(std::string_view name) {
  for (const Encoding& encoding : kEncodings)
    if (encoding.name == name) return &encoding;
  return nullptr;
}

// Length of the valid UTF-8 sequence that starts at s[i]; 0 when there is none, -1 when the text ends inside one.
int utf8_length(std::string_view s, size_t i) {
  const auto lead = static_cast<unsigned char>(s[i]);
  const int length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  for (int k = 1; k < length; ++k) {
    if (i + static_cast<size_t>(k) >= s.size()) return -1;
    if ((static_cast<unsigned char>(s[i + static_cast<size_t>(k)]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// True where every byte of the block is 0x20 to 0x7e or white space; a loop that compilers make vectors of.
constexpr size_t kBlockBytes = 64;
bool all_printable(const char* block) {
  uint8_t strange = 0;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    const auto byte = static_cast<uint8_t>(block[i]);
    const bool printable = static_cast<uint8_t>(byte - 0x20) < 0x5f, blank = static_cast<uint8_t>(byte - '\t') < 5;
    strange |= static_cast<uint8_t>(!(printable | blank));
  }
  return strange == 0;
}

struct Utf8Counts {
  size_t control = 0, invalid = 0, characters = 0;  // the last: valid ones beyond ASCII
};
Utf8Counts counts_of(std::string_view sample, bool whole_text) {
  Utf8Counts counts;
  for (size_t i = 0, looked_at = 0; i < sample.size();) {
    if (i >= looked_at && i + kBlockBytes <= sample.size()) {
      looked_at = i + kBlockBytes;
      if (all_printable(sample.data() + i)) {
        i += kBlockBytes;
        continue;
      }
    }
    const auto byte = static_cast<unsigned char>(sample[i]);
    if (byte < 0x80) {
      counts.control += byte == 0x7f || (byte < 0x20 && (byte < '\t' || byte > '\r'));
      ++i;
      continue;
    }
    const int length = utf8_length(sample, i);
    if (length < 0 && !whole_text) break;
    counts.invalid += length <= 0;
    counts.characters += length > 0;
    i += static_cast<size_t>(std::max(length, 1));
  }
  return counts;
}

bool is_much(size_t count, std::string_view sample) {
  return static_cast<double>(count) > kMostStrange * static_cast<double>(sample.size());
}

bool has_nul(std::string_view sample) {
  return sample.substr(0, kNulSampleBytes).find('\0') != std::string_view::npos;
}

// What a converted sample holds beyond ASCII.
struct Foreign {
  size_t letters = 0, marks = 0, others = 0, controls = 0;
  size_t all() const { return letters + marks + others + controls; }
};

bool is_letter(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  static constexpr Range kLetters[] = {
      {0xaa, 0xaa},     {0xb5, 0xb5},     {0xba, 0xba},      {0xc0, 0xd6},     {0xd8, 0xf6},     {0xf8, 0x24f},
      {0x370, 0x3ff},   {0x400, 0x52f},   {0x5b0, 0x6ff},    {0x900, 0xe7f},   {0x10a0, 0x10ff}, {0x1100, 0x11ff},
      {0x1e00, 0x1fff}, {0x3005, 0x3007}, {0x3041, 0x30ff},  {0x3105, 0x318e}, {0x3400, 0x9fff}, {0xac00, 0xd7a3},
      {0xf900, 0xfaff}, {0xff10, 0xff9f}, {0x20000, 0x3ffff}};
  return std::any_of(std::begin(kLetters), std::end(kLetters),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

bool is_punctuation(char32_t c) {
  return (c >= 0xa0 && c <= 0xbf) || c == 0xd7 || c == 0xf7 || (c >= 0x300 && c <= 0x36f) ||
         (c >= 0x2010 && c <= 0x205e) || (c >= 0x20a0 && c <= 0x2122) || (c >= 0x3000 && c <= 0x303f) ||
         (c >= 0xff01 && c <= 0xffef) || c == 0xfeff;
}

Foreign foreign_in(std::string_view utf8) {
  Foreign foreign;
  for (size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const int length = lead < 0x80 ? 1 : utf8_length(utf8, i);
    if (length <= 0) break;
    char32_t c = length == 1 ? lead : lead & (0x7f >> length);
    for (int k = 1; k < length; ++k) c = c << 6 | (static_cast<unsigned char>(utf8[i + static_cast<size_t>(k)]) & 0x3f);
    i += static_cast<size_t>(length);
    if (c < 0x80) {
      foreign.controls += c == 0x7f || (c < 0x20 && (c < '\t' || c > '\r'));
    } else if (c < 0xa0 || (c >= 0xe000 && c < 0xf900) || (c & 0xfffe) == 0xfffe || c == 0xfffd || c >= 0xe0000) {
      ++foreign.controls;  // private and unassigned ones mean nothing in a text either
    } else {
      ++(is_letter(c) ? foreign.letters : is_punctuation(c) ? foreign.marks : foreign.others);
    }
  }
  return foreign;
}

// The sample in UTF-8, where it means something in this encoding: nearly every byte.
std::optional<std::string> converted(std::string_view sample, const Encoding& encoding, bool whole_text) {
  Converter converter(encoding.name);
  if (!converter.ready()) return {};
  std::string text;
  const Converter::Sink sink = [&](std::string_view more) { text += more; };
  converter.push(sample, sink);
  if (whole_text) converter.finish(sink);
  if (static_cast<double>(converter.meaningless()) > kMostMeaningless * static_cast<double>(sample.size())) return {};
  return text;
}

bool is_text(std::string_view utf8) {
  return !has_nul(utf8) && !looks_binary(utf8, false);
}

// Whether no unit of the sample is one that text has none of: controls, and what is no character. Data fails this
// within a few bytes, so that it costs nothing to ask.
bool may_be_wide(std::string_view sample, size_t unit, bool little_endian) {
  bool high_half = false;  // of a pair of UTF-16
  for (size_t i = 0; i + unit <= sample.size(); i += unit) {
    uint32_t c = 0;
    for (size_t k = 0; k < unit; ++k)
      c = c << 8 | static_cast<unsigned char>(sample[i + (little_endian ? unit - 1 - k : k)]);
    const bool surrogate = c >= 0xd800 && c < 0xe000, low_half = surrogate && c >= 0xdc00;
    if (c < 0x20 && (c < '\t' || c > '\r')) return false;
    if (c > 0x10ffff || (c & 0xfffe) == 0xfffe || low_half != high_half || (surrogate && unit == 4)) return false;
    high_half = surrogate && !low_half;
  }
  return true;
}

// UTF-16 and UTF-32 have a form that other data lacks: no controls, no single surrogates, and mostly one script.
Recognised wide_without_mark(std::string_view sample, bool whole_text) {
  for (const char* name : {"UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE"}) {
    const Encoding& encoding = *encoding_named(name);
    if (sample.size() < kFewestUnits * encoding.unit || (whole_text && sample.size() % encoding.unit != 0)) continue;
    if (!may_be_wide(sample, encoding.unit, encoding.name.ends_with("LE"))) continue;
    const auto text = converted(sample, encoding, whole_text);
    if (!text || text->find('\0') != std::string::npos) continue;
    const Foreign foreign = foreign_in(*text);
    const size_t ascii = static_cast<size_t>(
        std::count_if(text->begin(), text->end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
    const size_t characters = ascii + foreign.all();
    // Bytes in the wrong order are letters of scripts that hardly anybody mixes, without a space among them.
    if (foreign.controls * 1000 > characters || foreign.others * 20 > characters || ascii * 50 < characters) continue;
    return {Verdict::kConvert, encoding.name};
  }
  return {Verdict::kBinary};
}

Recognised by_mark(std::string_view sample, bool whole_text) {
  using namespace std::string_view_literals;
  struct Mark {
    std::string_view bytes;
    const char* name;
  };
  static constexpr Mark kMarks[] = {{"\xff\xfe\0\0"sv, "UTF-32LE"},
                                    {"\0\0\xfe\xff"sv, "UTF-32BE"},
                                    {"\xff\xfe"sv, "UTF-16LE"},
                                    {"\xfe\xff"sv, "UTF-16BE"}};
  for (const Mark& mark : kMarks) {
    if (!sample.starts_with(mark.bytes)) continue;
    const auto text = converted(sample.substr(mark.bytes.size()), *encoding_named(mark.name), whole_text);
    if (text && is_text(*text)) return {Verdict::kConvert, encoding_named(mark.name)->name, mark.bytes.size()};
  }
  return {Verdict::kBinary};
}

// KOI8-U has letters where KOI8-R has eight of its characters for boxes; of a box there are others too.
bool has_ukrainian_letters(std::string_view sample) {
  using namespace std::string_view_literals;
  return sample.find_first_of("\xa4\xa6\xa7\xad\xb4\xb6\xb7\xbd"sv) != std::string_view::npos &&
         sample.find_first_of("\x80\x81\x82\x83\x84\x85\x86\xa0\xa1"sv) == std::string_view::npos;
}

Recognised by_detector(std::string_view sample, bool whole_text) {
  const std::unique_ptr<uchardet, void (*)(uchardet_t)> detector(uchardet_new(), uchardet_delete);
  if (uchardet_handle_data(detector.get(), sample.data(), sample.size()) != 0) return {Verdict::kUnknown};
  uchardet_data_end(detector.get());
  const std::string_view found = uchardet_get_charset(detector.get());
  const bool is_ukrainian = found == "KOI8-R" && has_ukrainian_letters(sample);
  for (const Encoding& encoding : kEncodings) {
    if (encoding.found != (is_ukrainian ? "KOI8-U" : found)) continue;
    const auto text = converted(sample, encoding, whole_text);
    if (!text || !is_text(*text)) break;
    const Foreign foreign = foreign_in(*text);
    if (foreign.letters + foreign.marks < kFewestForeign || foreign.controls * 100 > foreign.all() ||
        static_cast<double>(foreign.letters) < kFewestLetters * static_cast<double>(foreign.all()) ||
        static_cast<double>(foreign.others) > kMostOthers * static_cast<double>(foreign.all()))
      break;
    return {Verdict::kConvert, encoding.name};
  }
  return {Verdict::kUnknown};
}

}  // namespace

bool looks_binary(std::string_view sample, bool whole_text) {
  if (has_nul(sample)) return true;
  const Utf8Counts counts = counts_of(sample, whole_text);
  return is_much(counts.control + counts.invalid, sample);
}

size_t first_beyond_ascii(std::string_view bytes) {
  constexpr size_t kBlock = 256;
  size_t i = 0;
  for (; i + kBlock <= bytes.size(); i += kBlock) {
    uint8_t any = 0;
    for (size_t k = 0; k < kBlock; ++k) any |= static_cast<uint8_t>(bytes[i + k]);
    if (any >= 0x80) break;
  }
  while (i < bytes.size() && static_cast<unsigned char>(bytes[i]) < 0x80) ++i;
  return i;
}

Recognised recognise(std::string_view sample, bool whole_text, bool first) {
  using namespace std::string_view_literals;
  if (first) {
    if (const Recognised marked = by_mark(sample, whole_text); marked.verdict == Verdict::kConvert) return marked;
    if (has_nul(sample)) return wide_without_mark(sample, whole_text);
  }
  const size_t mark_bytes = first && sample.starts_with("\xef\xbb\xbf"sv) ? 3 : 0;
  const Utf8Counts counts = counts_of(sample, whole_text);
  if (is_much(counts.control, sample)) return {Verdict::kBinary};
  if (counts.invalid == 0) {
    if (counts.characters > 0) return {Verdict::kUtf8, {}, mark_bytes};
    // The one common encoding that is all ASCII: Japanese mail.
    if (counts.control > 0 && sample.find("\x1b$"sv) != std::string_view::npos)
      if (const Recognised mail = by_detector(sample, whole_text); mail.verdict == Verdict::kConvert) return mail;
    return {Verdict::kAscii};
  }
  if (mark_bytes == 0 && counts.characters < kGoodForOneBad * counts.invalid)
    if (const Recognised found = by_detector(sample, whole_text); found.verdict == Verdict::kConvert) return found;
  if (!is_much(counts.control + counts.invalid, sample)) return {Verdict::kOtherText, {}, mark_bytes};
  // Text in an encoding that is not known has hardly any control characters; data has them like all other bytes.
  return {counts.control * 1000 < sample.size() ? Verdict::kUnknown : Verdict::kBinary};
}

Converter::Converter(std::string_view encoding) {
  const Encoding* const row = encoding_named(encoding);
  CHECK(row != nullptr, "an encoding that recognise() names");
  unit_ = row->unit;
  handle_ = ::iconv_open("UTF-8", row->iconv);
}

Converter::~Converter() {
  if (ready()) ::iconv_close(handle_);
}

bool Converter::ready() const {
  return handle_ != reinterpret_cast<void*>(-1);
}

void Converter::push(std::string_view bytes, const Sink& sink) {
  bytes_ += bytes.size();
  if (held_.empty()) return convert(bytes, false, sink);
  held_ += bytes;
  convert(std::exchange(held_, {}), false, sink);
}

void Converter::finish(const Sink& sink) {
  convert(std::exchange(held_, {}), true, sink);
}

void Converter::convert(std::string_view bytes, bool last, const Sink& sink) {
  std::array<char, 16 << 10> out;
  char* from = const_cast<char*>(bytes.data());  // iconv does not write there
  size_t left = bytes.size();
  while (left > 0 || last) {
    char* to = out.data();
    size_t room = out.size();
    errno = 0;
    const bool flushes = left == 0;
    const size_t result =
        flushes ? ::iconv(handle_, nullptr, nullptr, &to, &room) : ::iconv(handle_, &from, &left, &to, &room);
    const int error = result == static_cast<size_t>(-1) ? errno : 0;
    if (to != out.data()) sink({out.data(), static_cast<size_t>(to - out.data())});
    if (flushes && error != E2BIG) return;
    if (error == EINVAL && !last) {
      held_.assign(from, left);
      return;
    }
    if (error == EILSEQ || error == EINVAL) {
      ++meaningless_;
      sink("\xef\xbf\xbd");
      const size_t skipped = std::min(unit_, left);
      from += skipped, left -= skipped;
    }
  }
}

}  // namespace flywheel::data
