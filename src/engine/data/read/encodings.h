// What the bytes of a file are: UTF-8, text in another encoding, or no text. Recognised by marks, by what UTF-16 and
// UTF-32 must look like, and by uchardet; converted by iconv.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace flywheel::data {

inline constexpr size_t kSampleBytes = 64 << 10;  // by which a text is recognised

inline constexpr const char* kBinaryRule =
    "binary: a NUL byte in the first 8 KiB, or more than 5% of the bytes of the first 64 KiB neither text nor white "
    "space, in UTF-8 or another encoding";

// By the rule above for UTF-8, on the first 64 KiB of a text (or all of it when shorter).
bool looks_binary(std::string_view sample, bool whole_text);

// The first byte that is not ASCII, or the length.
size_t first_beyond_ascii(std::string_view bytes);

struct Recognised {
  enum class Verdict {
    kAscii,      // so far
    kUtf8,       // also with a few bytes that are not
    kConvert,    // from `encoding`
    kOtherText,  // text with a few bytes of an encoding that was not recognised
    kUnknown,    // text, by all signs, in an encoding that was not recognised
    kBinary
  } verdict;
  std::string_view encoding{};  // the field's name for it; a literal
  size_t mark_bytes = 0;        // of a byte order mark that is no part of the text
};
// `sample` begins where the text begins, or at its first byte that is not ASCII when all before it was (`first` false).
Recognised recognise(std::string_view sample, bool whole_text, bool first = true);

// Text of one of the encodings that recognise() names, to UTF-8. Bytes that mean nothing there become U+FFFD.
class Converter {
 public:
  using Sink = std::function<void(std::string_view)>;
  explicit Converter(std::string_view encoding);
  ~Converter();
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;
  bool ready() const;  // false: this system's iconv does not know the encoding
  void push(std::string_view bytes, const Sink& sink);
  void finish(const Sink& sink);
  uint64_t bytes() const { return bytes_; }
  uint64_t meaningless() const { return meaningless_; }  // places

 private:
  void convert(std::string_view bytes, bool last, const Sink& sink);
  void* handle_;
  size_t unit_ = 1;  // bytes that are skipped where they mean nothing
  std::string held_;
  uint64_t bytes_ = 0, meaningless_ = 0;
};

}  // namespace flywheel::data
