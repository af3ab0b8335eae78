#include "report/report_json.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "ledger/ledger.h"
#include "testing/temporary_folder.h"

namespace flywheel::report {
namespace {

TEST(ReportJson, TellsTheBytesOfEverySplit) {
  testing::TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  ledger->append(ledger::CorpusRecord{
      .files = 2,
      .bytes = 1000,
      .splits = {
          {"train", {.bytes = 900}}, {"search", {.bytes = 40}}, {"audit", {.bytes = 40}}, {"locked", {.bytes = 20}}}});
  const OrderedJson corpus = report_json(*ledger).at("corpus");
  EXPECT_EQ(corpus.at("bytes"), 1000);
  EXPECT_EQ(corpus.at("train_bytes"), 900);
  EXPECT_EQ(corpus.at("search_bytes"), 40);
  EXPECT_EQ(corpus.at("audit_bytes"), 40);
  EXPECT_EQ(corpus.at("locked_bytes"), 20);
}

}  // namespace
}  // namespace flywheel::report
