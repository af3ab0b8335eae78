#include "ledger/index.h"

#include "base/json.h"

namespace flywheel::ledger {

void Index::set_rows(std::vector<RunRow> rows) {
  rows_ = std::move(rows);
  place_.clear();
  runs_ = {};
  for (size_t i = 0; i < rows_.size(); ++i) {
    place_[rows_[i].run] = i;
    count(rows_[i], 1);
  }
}

void Index::count(const RunRow& row, int sign) {
  runs_.slot_seconds += sign * row.seconds;
  runs_.train_flops += sign * row.spent_flops;
  runs_.optimizer_flops += sign * row.spent_optimizer_flops;
  runs_.evaluation_flops += sign * row.spent_evaluation_flops;
  runs_.runs_done += row.state == protocol::RunState::kDone ? sign : 0;
  runs_.runs_failed += row.state == protocol::RunState::kFailed ? sign : 0;
}

void Index::apply(const RawRecord& record, const RunRow* row) {
  if (row != nullptr) {
    const auto [found, fresh] = place_.try_emplace(row->run, rows_.size());
    if (fresh) {
      rows_.push_back(*row);
    } else {
      count(rows_[found->second], -1);
      rows_[found->second] = *row;
    }
    count(*row, 1);
  }
  const std::string where = fmt::format("ledger: record {}", record.sequence);
  if (record.kind == "attempt") {
    attempts_[Codec<AttemptEnded>::decode(record.payload, where).run].push_back(record.sequence);
  } else if (record.kind == "plan") {
    const Json payload = parse_json(record.payload, where);
    decisions_.try_emplace(json_field_or<std::string>(payload, "stage", "", where), record.payload);
  } else if (record.kind == "spend") {
    other_seconds_ += Codec<SpendRecord>::decode(record.payload, where).seconds;
  } else if (record.kind == kKindOf<EvaluationRecord>.kind) {
    other_evaluation_flops_ += Codec<EvaluationRecord>::decode(record.payload, where).evaluation_flops.value_or(0);
  }
}

const RunRow* Index::row(std::string_view id) const {
  const auto found = place_.find(id);
  return found == place_.end() ? nullptr : &rows_[found->second];
}

const std::vector<int64_t>& Index::attempts(std::string_view id) const {
  static const std::vector<int64_t> kNone;
  const auto found = attempts_.find(id);
  return found == attempts_.end() ? kNone : found->second;
}

const std::string* Index::decision(const std::string& stage) const {
  const auto found = decisions_.find(stage);
  return found == decisions_.end() ? nullptr : &found->second;
}

Spend Index::spend() const {
  Spend spend = runs_;
  spend.slot_seconds += other_seconds_;
  spend.evaluation_flops += other_evaluation_flops_;
  return spend;
}

}  // namespace flywheel::ledger
