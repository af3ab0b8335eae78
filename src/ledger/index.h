// The in-memory index of a ledger: rows of runs, attempts, decisions and spend. Built from the file once and updated
// with every record.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/ledger.h"

namespace flywheel::ledger {

class Index {
 public:
  // Rows in order of their run records.
  void set_rows(std::vector<RunRow> rows);
  // Takes in a record; `row`: what its run has become, where it is one of a run.
  void apply(const RawRecord& record, const RunRow* row);

  const std::vector<RunRow>& rows() const { return rows_; }
  const RunRow* row(std::string_view id) const;
  // Sequences of the attempt records of a run.
  const std::vector<int64_t>& attempts(std::string_view id) const;
  // Null: not decided.
  const std::string* decision(const std::string& stage) const;
  Spend spend() const;

 private:
  std::vector<RunRow> rows_;
  std::map<std::string, size_t, std::less<>> place_;  // of a run in rows_
  std::map<std::string, std::vector<int64_t>, std::less<>> attempts_;
  std::map<std::string, std::string> decisions_;  // payload by stage; the first one stands
  Spend runs_;                                    // of all rows
  double other_seconds_ = 0;                      // of spend records
  double other_evaluation_flops_ = 0;             // of evaluation records

  void count(const RunRow& row, int sign);
};

}  // namespace flywheel::ledger
