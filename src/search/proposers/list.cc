// A user's file of changes to try, in its order:
//   [[change]]
//   id = "longer-warmup"
//   patches = ["schedule.warmup_steps=40"]
// "optimizer.learning_rate*=0.5" is half of what the recipe has when the change is proposed, within the field's range;
// of a field with a list of values it must be one of these. A file that is no TOML is refused. A change that does not
// parse, contradicts itself or makes no valid recipe becomes a proposal that failed, with the reason, and the others go
// on.
#include <fmt/format.h>

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "base/csv.h"
#include "base/json_reader.h"
#include "base/toml_text.h"
#include "search/proposers/proposer.h"

namespace flywheel::search {
namespace {

constexpr double kSameValue = 0.02;  // relative: of a factor's value and one that the space lists

struct Change {
  std::string id;
  std::vector<std::string> patches;
  std::string failure;
  bool whole = false;
};

std::vector<std::string> patches_of(const toml::table& table, const std::string& where) {
  const toml::array* array = table["patches"].as_array();
  if (array == nullptr || array->empty())
    throw_bad_input("{}: expected patches = [\"field=value\", ...] with at least one patch", where);
  std::vector<std::string> patches;
  for (const toml::node& node : *array) {
    const auto text = node.value_exact<std::string>();
    if (!text) throw_bad_input("{}: patches: expected text as in \"field=value\"", where);
    patches.push_back(*text);
  }
  return patches;
}

Change read_change(const toml::node& node, size_t number, const std::string& source) {
  Change change;
  const std::string where = fmt::format("{}: line {}", source, node.source().begin.line);
  change.id = fmt::format("change-{}", number);
  try {
    const toml::table* table = node.as_table();
    if (table == nullptr) throw_bad_input("{}: expected a table [[change]]", where);
    for (const auto& [key, value] : *table)
      if (key.str() != "id" && key.str() != "patches" && key.str() != "why")
        throw_bad_input("{}: unknown field \"{}\"; a change has id, patches and why", where, key.str());
    if (table->contains("id")) {
      const auto id = (*table)["id"].value_exact<std::string>();
      if (!id || id->empty()) throw_bad_input("{}: id: expected text", where);
      change.id = *id;
    }
    change.patches = patches_of(*table, where);
  } catch (const Error& error) {
    change.failure = error.what();
  }
  return change;
}

std::vector<Change> read_changes(const std::string& text, const std::string& source) {
  check_toml_text(text, source);
  toml::table root;
  try {
    root = toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    throw_bad_input("{}: line {}: {}", source, error.source().begin.line, error.description());
  }
  for (const auto& [key, value] : root)
    if (key.str() != "change")
      throw_bad_input("{}: line {}: unknown \"{}\"; expected tables [[change]]", source, value.source().begin.line,
                      key.str());
  const toml::array* array = root["change"].as_array();
  if (array == nullptr || array->empty())
    throw_bad_input("{}: expected at least one [[change]] with id and patches", source);
  std::vector<Change> changes;
  std::set<std::string> ids;
  for (const toml::node& node : *array) {
    changes.push_back(read_change(node, changes.size() + 1, source));
    if (!ids.insert(changes.back().id).second && changes.back().failure.empty())
      changes.back().failure =
          fmt::format("{}: line {}: id \"{}\" is there twice", source, node.source().begin.line, changes.back().id);
  }
  return changes;
}

// "field*=factor" as "field=value", from the incumbent's value; other patches as they are. Throws kBadInput.
std::string absolute(const std::string& patch, const SearchView& view) {
  const size_t at = patch.find("*=");
  if (at == std::string::npos) return patch;
  const std::string name = patch.substr(0, at);
  const auto factor = number_in_cell(patch.substr(at + 2));
  if (!factor || !(*factor > 0)) throw_bad_input("{}: expected a factor above 0 after *=", patch);
  const auto& fields = view.space.fields();
  const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == name; });
  if (field == fields.end()) {
    std::vector<std::string> names;
    for (const auto& f : fields) names.push_back(f.name);
    const std::string near = nearest_name(name, names);
    throw_bad_input("{}: no field \"{}\" to search{}", patch, name,
                    near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
  }
  if (!field->is_numeric()) throw_bad_input("{}: {} is no number", patch, name);
  const workload::Values& from = view.incumbent != nullptr ? view.incumbent->values : view.space.centre();
  const double value = from[static_cast<size_t>(field - fields.begin())];
  if (std::isnan(value)) throw_bad_input("{}: the recipe has no such field", patch);
  const double old = field->number(value), wanted = old * *factor;
  double next = old;
  if (field->is_list()) {  // a change is what its name says, or it is refused
    for (size_t i = 0; i < field->choices.size(); ++i) {
      const double choice = field->number(static_cast<double>(i));
      if (choice != old && std::abs(choice - wanted) <= kSameValue * std::abs(wanted)) next = choice;
    }
    if (next == old)
      throw_bad_input("{}: {:g} is none of the values that {} takes in this search; name one as {}=value", patch,
                      wanted, name, name);
  } else {
    next = std::clamp(wanted, field->low, field->high);
    const bool whole = field->axis == workload::Axis::kInteger || field->axis == workload::Axis::kLogInteger;
    if (whole) next = wanted > old ? std::floor(next) : std::ceil(next);
  }
  if (next == old) throw_bad_input("{}: {} is at the end of its range, {:g}", patch, name, old);
  return fmt::format("{}={}", name, next);
}

class ListProposer : public Proposer {
 public:
  explicit ListProposer(std::vector<Change> changes) : changes_(std::move(changes)) {}
  std::string_view name() const override { return "list"; }

  // A change without effect (its field is inactive) is proposed again after all others: a change adopted by then may
  // have activated its field.
  std::optional<Proposal> propose(const SearchView& view, Rng&) override {
    while (next_ < changes_.size()) {
      const Change& change = changes_[next_++];
      Proposal proposal = parsed(change, view);
      if (proposal.failure.empty() || !change.failure.empty()) return proposal;
      later_.push_back(change);
    }
    if (later_.empty()) return std::nullopt;
    const Change change = later_.front();
    later_.erase(later_.begin());
    return parsed(change, view);
  }

 private:
  static Proposal parsed(const Change& change, const SearchView& view) {
    Proposal proposal{{}, view.rung_flops.front(), std::nullopt, change.id, change.failure, change.whole};
    if (!proposal.failure.empty()) return proposal;
    std::vector<std::string> own;
    try {
      for (const std::string& patch : change.patches) own.push_back(absolute(patch, view));
      proposal.values = view.space.parse(own);
      proposal.failure = view.space.refusal(proposal.values);
    } catch (const Error& error) {
      proposal.failure = error.what();
      if (own.size() < change.patches.size()) return proposal;
    }
    if (proposal.failure.empty() || view.incumbent == nullptr || view.incumbent->patches.empty()) return proposal;
    try {  // on top of what was adopted
      std::vector<std::string> patches = own;
      const auto field_of = [](const std::string& patch) { return patch.substr(0, patch.find('=')); };
      for (const std::string& patch : view.incumbent->patches)
        if (std::none_of(own.begin(), own.end(),
                         [&](const std::string& mine) { return field_of(mine) == field_of(patch); }))
          patches.push_back(patch);
      const workload::Values values = view.space.parse(patches);
      if (!view.space.refusal(values).empty()) return proposal;
      proposal.values = values;
      proposal.failure.clear();
    } catch (const Error&) {
      // The first reason is the one to tell.
    }
    return proposal;
  }

  std::vector<Change> changes_, later_;
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Proposer> make_list(const workload::SearchSpace&, const ProposerOptions& options) {
  if (options.list.empty()) throw_bad_input("proposer \"list\": no file of changes was given, or it is empty");
  std::vector<Change> changes = read_changes(options.list, options.list_source);
  if (!options.whole.empty()) changes.insert(changes.begin(), {options.whole_label, options.whole, "", true});
  return std::make_unique<ListProposer>(std::move(changes));
}

void check_list(const std::string& text, const std::string& source,
                const std::function<void(const std::string& patch)>& check_patch) {
  if (text.empty()) throw_bad_input("{}: an empty file; expected at least one [[change]] with id and patches", source);
  for (const Change& change : read_changes(text, source)) {
    if (!change.failure.empty()) throw_bad_input("{}", change.failure);
    for (const std::string& patch : check_patch ? change.patches : std::vector<std::string>{}) {
      try {
        check_patch(patch);
      } catch (const Error& error) {
        throw_bad_input("{}: change \"{}\": {}", source, change.id, error.what());
      }
    }
  }
}

std::vector<std::string> patches_in_list(const std::string& text) {
  std::vector<std::string> patches;
  if (text.empty()) return patches;
  for (const Change& change : read_changes(text, "the list of changes"))
    for (const std::string& patch : change.patches)
      if (patch.find("*=") == std::string::npos) patches.push_back(patch);  // a factor stays within the range there is
  return patches;
}

}  // namespace flywheel::search
