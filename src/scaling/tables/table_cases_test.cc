// One law's runs in every form that people bring them in: each reads as the plain file does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "scaling/tables/curve_table.h"
#include "scaling/tables/runs_clean.h"

namespace flywheel::scaling {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using namespace std::string_literals;

struct TableCase {
  const char* what;
  std::string bytes;
  std::vector<std::string> columns = {};
};

std::string utf16(const std::string& text, bool little, bool mark) {
  std::string bytes = !mark ? "" : little ? "\xFF\xFE" : "\xFE\xFF";
  for (const char c : text) bytes += little ? std::string{c, '\0'} : std::string{'\0', c};
  return bytes;
}

const std::string kPlain = "N,D,L\n721688,230940000,7.64372\n1443380,115470000,7.20427\n2886750,57735000,6.98257\n";

TEST(TableCases, EveryFormReadsAsThePlainOne) {
  std::string carriage = kPlain;
  for (char& c : carriage) c = c == '\n' ? '\r' : c;
  const TableCase cases[] = {
      {"byte order mark", "\xEF\xBB\xBF" + kPlain},
      {"CR", carriage},
      {"UTF-16 LE", utf16(kPlain, true, true)},
      {"UTF-16 BE", utf16(kPlain, false, true)},
      {"UTF-16 without a mark", utf16(kPlain, true, false)},
      {"decimal comma",
       "N;D;L\n721688;2,3094e+08;7,64372\n1,44338e+06;1,1547e+08;7,20427\n2,88675e6;57735000;6,98257\n"},
      {"bars", "N|D|L\n721688|230940000|7.64372\n1443380|115470000|7.20427\n2886750|57735000|6.98257\n"},
      {"sep=", "sep=;\nN;D;L\n721688;230940000;7.64372\n1443380;115470000;7.20427\n2886750;57735000;6.98257\n"},
      {"a comma in a note",
       "N;D;L;note\n721688;2.3094e8;7.64372;warm, old\n1443380;1.1547e8;7.20427;\n2886750;5.7735e7;6.98257;\n"},
      {"thousands",
       "N,D,L\n\"721,688\",\"230,940,000\",7.64372\n\"1,443,380\",115 470 000,7.20427\n2_886_750,57'735'000,6.98257\n"},
      {"full width and hard blanks",
       "N,D,L\n721688\u00A0\u3000,２３０９４００００,7.64372\n1443380,115470000,７．２０４２７\n2886750,57735000,6."
       "98257\n"},
      {"index of pandas",
       ",N,D,L\n0,721688,230940000,7.64372\n1,1443380,115470000,7.20427\n2,2886750,57735000,6.98257\n"},
      {"names of W&B",
       "\"Name\",\"State\",\"config.n_params\",\"config.train_tokens\",\"train/loss\",\"val/"
       "loss\"\n\"a\",\"finished\",\"721688\",\"230940000\",\"1\",\"7.64372\"\n"
       "\"b\",\"finished\",\"1443380\",\"115470000\",\"1\",\"7.20427\"\n\"c\",\"finished\",\"2886750\",\"57735000\","
       "\"1\",\"6.98257\"\n\"d\",\"running\",\"\",\"\",\"\",\"\"\n"},
      {"units in names",
       "params_m,Tokens (B),loss\n0.721688,0.23094,7.64372\n1.44338,0.11547,7.20427\n2.88675,0.057735,6.98257\n"},
      {"chosen with arithmetic",
       "params,tokens,pile_loss\n0.721688,0.23094,7.64372\n1.44338,0.11547,7.20427\n2.88675,0.057735,6.98257\n",
       {"N=params*1e6,D=tokens*1e9", "L=pile_loss"}},
      {"a sum, and a name in quotes",
       "a,b,my "
       "tokens,val/bpc\n721000,688,230940000,7.64372\n1443000,380,115470000,7.20427\n2886000,750,57735000,6.98257\n",
       {"N=a+b,D=\"my tokens\",L=val/bpc"}},
      {"JSON lines",
       "{\"model\": {\"n_params\": 721688}, \"tokens\": 230940000, \"val_loss\": 7.64372}\n{\"model\": {\"n_params\": "
       "1443380}, \"tokens\": 115470000, \"val_loss\": 7.20427}\n"
       "{\"model\": {\"n_params\": 2886750}, \"tokens\": 57735000, \"val_loss\": 6.98257, \"x\": NaN}\n"},
      {"JSON list",
       "[{\"N\":721688,\"D\":230940000,\"L\":7.64372},\n "
       "{\"N\":1443380,\"D\":115470000,\"L\":7.20427},{\"N\":2886750,\"D\":57735000,\"L\":6.98257}]"},
      {"notes",
       "N,D,L,notes\n721688,230940000,7.64372,19\" rack\n1443380,115470000,7.20427,\"first\nthen, "
       "again\"\n2886750,57735000,6.98257,\"the \"\"big\"\" one\"\n"},
      {"nanochat",
       "params_wte,params_lm_head,params_transformer,tokens_trained,val_bpb\n1,688,721000,230940000,7.64372\n1,380,"
       "1443000,115470000,7.20427\n1,750,2886000,57735000,6.98257\n"},
  };
  const RunsTable plain = parse_runs(kPlain, "x");
  for (const TableCase& one : cases) {
    SCOPED_TRACE(one.what);
    TableOptions options;
    options.columns = one.columns;
    const RunsTable table = parse_runs(one.bytes, "x", options);
    ASSERT_EQ(table.points.size(), plain.points.size());
    for (size_t i = 0; i < plain.points.size(); ++i) {
      EXPECT_DOUBLE_EQ(table.points[i].N, plain.points[i].N);
      EXPECT_DOUBLE_EQ(table.points[i].D, plain.points[i].D);
      EXPECT_DOUBLE_EQ(table.points[i].L, plain.points[i].L);
    }
  }
}

std::string refusal_of(const std::string& bytes, const std::vector<std::string>& columns = {}) {
  try {
    TableOptions options;
    options.columns = columns;
    parse_runs(bytes, "x", options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  return "accepted";
}

TEST(TableCases, WhatIsNotReadIsNamedWithTheWayOut) {
  EXPECT_THAT(refusal_of("n_params,n_tokens,c4_loss,pile_loss\n1e6,1e7,3,4\n"),
              AllOf(HasSubstr("c4_loss, pile_loss"), HasSubstr("--columns L=c4_loss")));
  EXPECT_THAT(refusal_of("my_params,tokens,loss\n1e6,1e7,3\n"), HasSubstr("--columns N=my_params"));
  EXPECT_THAT(refusal_of(kPlain, {"N=NN"}), HasSubstr("no column \"NN\""));
  EXPECT_THAT(refusal_of(kPlain, {"X=N"}), HasSubstr("expected one of N, D, L"));
  EXPECT_THAT(refusal_of(kPlain, {"N=N*"}), HasSubstr("at the end"));
  EXPECT_THAT(refusal_of("N,D,L\n1e308,1e308,3\n"), HasSubstr("line 2"));
  EXPECT_THAT(refusal_of("N,D,L\n1e6,1e400,3\n"), HasSubstr("line 2: column D"));
  EXPECT_THAT(refusal_of("{\"N\":1e400,\"D\":1,\"L\":2}\n"), AllOf(HasSubstr("line 1"), HasSubstr("too large")));
  EXPECT_THAT(refusal_of("N,D\0,L\n"s), HasSubstr("NUL byte"));
  EXPECT_THAT(refusal_of(std::string(200'000, ',') + "\n"), HasSubstr("more than 10000 columns"));
}

TEST(TableCases, OfCheckpointsOfOneRunTheLastCounts) {
  const std::string text = "run,N,step,D,L\na,1e6,1,1e7,5\na,1e6,2,2e7,4\nb,2e6,1,2e7,4.5\nb,2e6,2,4e7,3.5\n";
  const RunsTable last = parse_runs(text, "x");
  EXPECT_THAT(last.rows, testing::ElementsAre(3, 5));
  EXPECT_THAT(last.warnings, testing::ElementsAre(HasSubstr("--checkpoints")));
  TableOptions all;
  all.checkpoints = true;
  EXPECT_EQ(parse_runs(text, "x", all).points.size(), 4u);
  EXPECT_EQ(parse_runs("N,D,L\n1e6,1e7,5\n1e6,2e7,4\n1e6,3e7,3.9\n1e6,4e7,3.8\n", "x").points.size(), 4u);
}

TEST(TableCases, ColumnsThatLookShortenedAreNamedWithTheOption) {
  EXPECT_THAT(suspicions(parse_runs("params,tokens,loss\n190,1.91,3.7\n371,7.43,3.4\n", "x"), "x"),
              testing::Contains(AllOf(HasSubstr("billions"), HasSubstr("--columns N=params*1e6,D=tokens*1e9"))));
}

TEST(TableCases, CurvesAreReadByTheSameReader) {
  EXPECT_EQ(parse_curves("run;step;lr;loss\na, seed 1;1;0,1;3,5\na, seed 1;2;0,1;3\n", "x")[0].losses[0].loss, 3.5);
}

}  // namespace
}  // namespace flywheel::scaling
