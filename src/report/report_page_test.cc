#include "report/report_page.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/json.h"
#include "testing/embedded_data.h"

namespace flywheel::report {
namespace {

using flywheel::testing::embedded;

TEST(ReportPage, DataReadsBackAsItWas) {
  const Json data = {{"headline", "10x more compute"}, {"runs", Json::array({1.25, nullptr, true})}};
  EXPECT_EQ(Json::parse(embedded(render_report_page(data))), data);
}

TEST(ReportPage, HostileStringsStayInsideTheDataElement) {
  const char* hostile[] = {"</script><script>alert(1)</script>",
                           "</SCRIPT >",
                           "<!--<script>",
                           "-->",
                           "]]>",
                           "&lt;/script&gt;",
                           "\\u003c/script>",
                           "\"},{\"",
                           "\xE2\x80\xA8 \xE2\x80\xA9",
                           "id=\"data\">",
                           "\x01\x1f\x7f\t\n",
                           "$& $1 \\0"};
  const std::string plain = render_report_page(Json::object());
  for (const char* text : hostile) {
    const Json data = {{text, text}, {"list", {text, {{"deep", text}}}}};
    const std::string html = render_report_page(data);
    const std::string inside = embedded(html);
    EXPECT_EQ(Json::parse(inside), data) << text;
    EXPECT_EQ(inside.find_first_of("<>&"), std::string::npos) << text;
    EXPECT_EQ(inside.find("\xE2\x80\xA8"), std::string::npos) << text;
    EXPECT_EQ(inside.find("\xE2\x80\xA9"), std::string::npos) << text;
    // Nothing else of the page depends on the data.
    EXPECT_EQ(html.size() - inside.size(), plain.size() - embedded(plain).size()) << text;
  }
}

TEST(ReportPage, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  const Json data = {{"sample", "a\xff\xfe z\xC3"}};
  const Json read = Json::parse(embedded(render_report_page(data)));
  EXPECT_EQ(read.at("sample"), "a\xEF\xBF\xBD\xEF\xBF\xBD z\xEF\xBF\xBD");
}

TEST(ReportPage, NumbersThatAreNotFiniteBecomeNull) {
  const Json data = {{"loss", std::numeric_limits<double>::quiet_NaN()},
                     {"flops", std::numeric_limits<double>::infinity()}};
  const Json read = Json::parse(embedded(render_report_page(data)));
  EXPECT_TRUE(read.at("loss").is_null());
  EXPECT_TRUE(read.at("flops").is_null());
}

TEST(ReportPage, NeedsNoOtherFileAndNoNetwork) {
  const std::string html = render_report_page(Json::object());
  EXPECT_EQ(html.find("<link rel=\"stylesheet\""), std::string::npos);
  EXPECT_EQ(html.find(" src=\""), std::string::npos);
  EXPECT_EQ(html.find("@import"), std::string::npos);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos) << "the page's own policy forbids every fetch";
}

}  // namespace
}  // namespace flywheel::report
