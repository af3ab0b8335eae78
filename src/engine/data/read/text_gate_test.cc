#include "engine/data/read/text_gate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <iconv.h>

#include "base/rng.h"

namespace flywheel::data {
namespace {

using Kind = ReadOutcome::Kind;

struct Read {
  ReadOutcome outcome;
  std::string text;
};

Read read_in_pieces(std::string_view bytes, size_t most_at_once, uint64_t seed = 1) {
  Read read;
  const std::function<void(std::string_view)> sink = [&](std::string_view more) { read.text += more; };
  TextGate gate(sink);
  Rng rng(seed);
  while (!bytes.empty()) {
    const size_t length = std::min<size_t>(1 + rng.below(most_at_once), bytes.size());
    if (!gate.push(bytes.substr(0, length))) break;
    bytes.remove_prefix(length);
  }
  read.outcome = gate.finish();
  return read;
}

// The same however the bytes come.
Read read(const std::string& bytes) {
  const Read whole = read_in_pieces(bytes, bytes.size() + 1);
  for (const size_t at_once : {size_t{3}, size_t{70000}}) {
    const Read pieces = read_in_pieces(bytes, at_once, at_once);
    EXPECT_EQ(pieces.outcome.kind, whole.outcome.kind);
    EXPECT_EQ(pieces.outcome.encoding, whole.outcome.encoding);
    EXPECT_TRUE(whole.outcome.kind != Kind::kText || pieces.text == whole.text);
  }
  return whole;
}

std::string encoded(const std::string& text, const char* encoding) {
  const iconv_t converter = ::iconv_open(encoding, "UTF-8");
  EXPECT_NE(converter, reinterpret_cast<iconv_t>(-1)) << encoding;
  std::string from = text, to(4 * text.size() + 16, '\0');
  char *in = from.data(), *out = to.data();
  size_t in_left = from.size(), out_left = to.size();
  EXPECT_NE(::iconv(converter, &in, &in_left, &out, &out_left), static_cast<size_t>(-1)) << encoding;
  ::iconv_close(converter);
  to.resize(to.size() - out_left);
  return to;
}

const std::string kRussian =
    "\u041a\u043e\u0433\u0434\u0430 \u043f\u0440\u043e\u0433\u0440\u0430\u043c\u043c\u0430 \u0437\u0430\u043f\u0443"
    "\u0441\u043a\u0430\u0435\u0442\u0441\u044f, \u043e\u043d\u0430 \u0447\u0438\u0442\u0430\u0435\u0442 \u0444\u0430"
    "\u0439\u043b\u044b \u0438 \u0434\u0435\u043b\u0438\u0442 \u0438\u0445 \u043d\u0430 \u0447\u0430\u0441\u0442\u0438"
    ". \u042d\u0442\u043e \u043f\u0440\u043e\u0441\u0442\u043e\u0439 \u0442\u0435\u043a\u0441\u0442.\n";
const std::string kJapanese =
    "\u3053\u306e\u30d7\u30ed\u30b0\u30e9\u30e0\u306f\u30d5\u30a1\u30a4\u30eb\u3092\u8aad\u307f\u8fbc\u307f\u3001\u6587"
    "\u66f8\u306b\u5206\u3051\u307e\u3059\u3002\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002\n";
const std::string kChinese =
    "\u8fd9\u4e2a\u7a0b\u5e8f\u8bfb\u53d6\u6587\u4ef6\u5e76\u5c06\u5176\u5206\u6210\u6587\u6863\u3002\u6211\u4eec\u5728"
    "\u4e2d\u56fd\u7684\u5927\u5b66\u91cc\u5b66\u4e60\u4e2d\u6587\uff0c\u8fd9\u662f\u4e00\u4e2a\u7b80\u5355\u7684\u6587"
    "\u672c\u3002\n";
const std::string kKorean =
    "\uc774 \ud504\ub85c\uadf8\ub7a8\uc740 \ud30c\uc77c\uc744 \uc77d\uace0 \ubb38\uc11c\ub85c "
    "\ub098\ub215\ub2c8\ub2e4. "
    "\uc6b0\ub9ac\ub294 \ud55c\uad6d\uc5b4\ub97c \ubc30\uc6b0\uace0 \uc788\uc2b5\ub2c8\ub2e4.\n";
const std::string kFrench =
    "Quand le programme d\u00e9marre, il lit les fichiers et les s\u00e9pare en documents d\u00e9j\u00e0 pr\u00eats. "
    "\u00c9t\u00e9 comme hiver, la for\u00eat \u00e9tait tr\u00e8s \u00e9loign\u00e9e de l\u2019\u00e9cole.\n";

std::string times(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(TextGate, TextInOtherEncodingsIsConverted) {
  struct Encoded {
    const std::string& text;
    const char *iconv, *name;
  };
  for (const Encoded& c : {Encoded{kRussian, "KOI8-R", "KOI8-R"}, Encoded{kRussian, "CP1251", "windows-1251"},
                           Encoded{kJapanese, "SHIFT_JIS", "Shift-JIS"}, Encoded{kJapanese, "EUC-JP", "EUC-JP"},
                           Encoded{kJapanese, "ISO-2022-JP", "ISO-2022-JP"}, Encoded{kChinese, "GB18030", "GB18030"},
                           Encoded{kKorean, "EUC-KR", "EUC-KR"}, Encoded{kFrench, "CP1252", "windows-1252"}}) {
    for (const int count : {10, 2000}) {
      const std::string text = times(c.text, count);
      const Read got = read(encoded(text, c.iconv));
      EXPECT_EQ(got.outcome.kind, Kind::kText) << c.iconv;
      EXPECT_EQ(got.outcome.encoding, c.name);
      EXPECT_TRUE(got.text == text) << c.iconv << " " << got.text.substr(0, 200);
    }
  }
}

TEST(TextGate, Utf16AndUtf32AreConvertedWithAndWithoutTheirMark) {
  for (const std::string& line : {std::string("Plain text, some lines.\r\n"), kRussian, kFrench, kKorean})
    for (const char* encoding : {"UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"})
      for (const bool marked : {true, false}) {
        const std::string text = times(line, 700);
        const Read got = read(encoded((marked ? "\ufeff" : "") + text, encoding));
        EXPECT_EQ(got.outcome.kind, Kind::kText) << encoding << marked << line;
        EXPECT_EQ(got.outcome.encoding, encoding);
        EXPECT_TRUE(got.text == text) << encoding << marked << line;
      }
}

TEST(TextGate, Utf8IsPassedOnAsItIsWithoutItsMark) {
  for (const std::string& line : {std::string("Plain text\r\n"), kRussian, kJapanese, kFrench}) {
    const std::string text = times(line, 3000);
    for (const char* mark : {"", "\xef\xbb\xbf"}) {
      const Read got = read(mark + text);
      EXPECT_EQ(got.outcome.kind, Kind::kText);
      EXPECT_EQ(got.outcome.encoding, "");
      EXPECT_FALSE(got.outcome.strange_bytes);
      EXPECT_TRUE(got.text == text);
    }
  }
  EXPECT_EQ(read("\xef\xbb\xbf").outcome.kind, Kind::kEmpty);
}

TEST(TextGate, AnEncodingThatShowsLateIsRecognised) {
  const std::string text = times("Only ASCII for a long time.\n", 9000) + times(kFrench, 50);
  ASSERT_GT(text.size(), 200000u);
  const Read got = read(encoded(text, "CP1252"));
  EXPECT_EQ(got.outcome.encoding, "windows-1252");
  EXPECT_TRUE(got.text == text);
  EXPECT_TRUE(read(text).text == text);
}

TEST(TextGate, DamagedUtf8IsKeptAndCounted) {
  std::string text = times(kRussian, 100);
  text[text.size() / 2 - 1] = '\xff';
  const Read got = read(text);
  EXPECT_EQ(got.outcome.kind, Kind::kText);
  EXPECT_TRUE(got.outcome.strange_bytes);
  EXPECT_TRUE(got.text == text);
}

TEST(TextGate, DataIsNoTextInAnyEncoding) {
  Rng rng(7);
  for (const size_t bytes : {40, 3000, 200000})
    for (int i = 0; i < 40; ++i) {
      std::string data;
      // Random bytes; random without NUL; small numbers of 16 bits; sound; random high bytes.
      for (size_t k = 0; k < bytes; ++k) {
        const uint64_t r = rng.next();
        switch (i % 5) {
          case 0:
            data += static_cast<char>(r);
            break;
          case 1:
            data += static_cast<char>(1 + r % 255);
            break;
          case 2:
            data += static_cast<char>(k % 2 == 0 ? r % 100 : 0);
            break;
          case 3:
            data += static_cast<char>(k % 2 == 0 ? r : r % 5 < 3 ? 0 : 0xff);
            break;
          default:
            data += static_cast<char>(0x80 + r % 128);
        }
      }
      const Kind kind = read(data).outcome.kind;
      EXPECT_TRUE(kind == Kind::kBinary || kind == Kind::kEncoding) << i << " of " << bytes << " bytes";
    }
}

}  // namespace
}  // namespace flywheel::data
