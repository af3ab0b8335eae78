// flywheel replay TABLE.csv: measures what proposers would have cost on a table of existing runs.
#include "search/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/format.h"
#include "cli/cli.h"
#include "cli/studies/print_line.h"
#include "cli/table_file.h"
#include "search/replay/landscape.h"

namespace flywheel::cli {
namespace {

using search::ReplayCost;
using search::ReplaySearch;
using search::ReplayTable;

struct ReplayCommand {
  std::string table, list, prior = "none";
  search::ReplayQuestion question;
  search::ReplayOptions replay;
  std::vector<std::string> policies = {"bayes"};
  std::vector<double> within;  // percent
  bool json = false, per_grid = false;
};

struct PolicyResult {
  std::string policy;
  std::vector<search::ReplaySearch> searches;
  std::vector<search::ProposerAccount> accounts;  // summed over the searches
};

void add_accounts(PolicyResult& result, const std::vector<search::ProposerAccount>& accounts) {
  result.accounts.resize(accounts.size());
  for (size_t i = 0; i < accounts.size(); ++i) {
    search::ProposerAccount& sum = result.accounts[i];
    sum.proposer = accounts[i].proposer;
    sum.proposed += accounts[i].proposed;
    sum.repeats += accounts[i].repeats;
    sum.failed += accounts[i].failed;
    sum.done += accounts[i].done;
    sum.improved += accounts[i].improved;
    sum.gain += accounts[i].gain;
    sum.cost_flops += accounts[i].cost_flops;
  }
}

// What the rules of campaigns made of it.
struct CampaignTotals {
  double runs = 0, adopted = 0, excess = 0;  // means of a search
  int false_adopted = 0;                     // of all searches
};

CampaignTotals campaign_totals(const PolicyResult& result) {
  CampaignTotals totals;
  const auto n = static_cast<double>(result.searches.size());
  for (const search::ReplaySearch& search : result.searches) {
    totals.runs += search.trials / n;
    totals.adopted += search.adopted / n;
    totals.excess += search.best_excess / n;
    totals.false_adopted += search.false_adopted;
  }
  return totals;
}

OrderedJson campaign_json(const PolicyResult& result) {
  const CampaignTotals totals = campaign_totals(result);
  return {{"runs", totals.runs},
          {"adopted", totals.adopted},
          {"false_adopted", totals.false_adopted},
          {"mean_excess", totals.excess}};
}

OrderedJson accounts_json(const PolicyResult& result) {
  OrderedJson rows = OrderedJson::array();
  for (size_t i = 0; i < result.accounts.size(); ++i) {
    const search::ProposerAccount& a = result.accounts[i];
    rows.push_back({{"proposer", a.proposer},
                    {"proposed", a.proposed},
                    {"repeats", a.repeats},
                    {"failed", a.failed},
                    {"done", a.done},
                    {"improved", a.improved},
                    {"gain", a.gain},
                    {"flops", a.cost_flops}});
  }
  return rows;
}

OrderedJson cost_json(const search::ReplayCost& cost, double tolerance) {
  return {{"within_percent", 100 * tolerance},
          {"runs_mean", cost.mean},
          {"runs_low95", cost.low95},
          {"runs_high95", cost.high95},
          {"runs_median", cost.median},
          {"runs_quartiles", {cost.quartile_low, cost.quartile_high}},
          {"flops_mean", cost.flops_mean > 0 ? OrderedJson(cost.flops_mean) : OrderedJson(nullptr)},
          {"reached", cost.reached}};
}

OrderedJson costs_json(const ReplayCommand& options, const PolicyResult& result, const std::vector<double>& run_flops,
                       std::optional<size_t> grid = std::nullopt) {
  OrderedJson costs = OrderedJson::array();
  const std::vector<double>& tolerances = options.replay.tolerances;
  for (size_t t = 0; t < tolerances.size(); ++t)
    costs.push_back(cost_json(search::summarise(result.searches, run_flops, t, grid), tolerances[t]));
  return costs;
}

OrderedJson result_json(const ReplayCommand& options, const search::ReplayTable& table,
                        const std::vector<PolicyResult>& results, const std::vector<double>& run_flops) {
  OrderedJson json{{"schema", 1},
                   {"target", table.target},
                   {"cloud", table.is_cloud},
                   {"seeds", options.replay.seeds},
                   {"budget", options.replay.budget},
                   {"slots", options.replay.slots},
                   {"prior", options.prior},
                   {"left_out", table.left_out}};
  json["fields"] = OrderedJson::array();
  for (const auto& field : table.space->fields()) json["fields"].push_back(field.name);
  json["policies"] = OrderedJson::array();
  for (const PolicyResult& result : results) {
    OrderedJson policy{{"policy", result.policy},
                       {"cost", costs_json(options, result, run_flops)},
                       {"proposers", accounts_json(result)}};
    if (options.replay.as_campaign) policy["campaign"] = campaign_json(result);
    policy["grids"] = OrderedJson::array();
    for (size_t g = 0; g < table.grids.size(); ++g) {
      OrderedJson runs = OrderedJson::array();
      for (const search::ReplaySearch& search : result.searches) {
        if (search.grid != g) continue;
        OrderedJson one = OrderedJson::array();
        for (const auto& r : search.runs) one.push_back(r ? OrderedJson(*r) : OrderedJson(nullptr));
        runs.push_back(std::move(one));
      }
      policy["grids"].push_back({{"grid", table.grids[g].name},
                                 {"run_flops", run_flops[g] > 0 ? OrderedJson(run_flops[g]) : OrderedJson(nullptr)},
                                 {"cost", costs_json(options, result, run_flops, g)},
                                 {"runs", std::move(runs)}});
    }
    json["policies"].push_back(std::move(policy));
  }
  return json;
}

void print_cost(const search::ReplayCost& cost, double tolerance) {
  // Where not all got there the mean is of searches that ended before.
  const std::string runs =
      fmt::format("{}{:.2f} ({:.2f} to {:.2f})", cost.reached < 1 ? ">=" : "", cost.mean, cost.low95, cost.high95);
  const std::string median =
      fmt::format("{:.1f} ({:.1f} to {:.1f})", cost.median, cost.quartile_low, cost.quartile_high);
  fmt::print("  {:>6.2f}%  {:<26}{:<23}{:<15}{:>3.0f}%\n", 100 * tolerance, runs, median,
             cost.flops_mean > 0 ? format_flops(cost.flops_mean) : "unknown", 100 * cost.reached);
}

void print_text(const ReplayCommand& options, const search::ReplayTable& table,
                const std::vector<PolicyResult>& results, const std::vector<double>& run_flops) {
  std::string fields;
  for (const auto& field : table.space->fields()) fields += (fields.empty() ? "" : ", ") + field.name;
  size_t rows = 0;
  for (const auto& grid : table.grids) rows += grid.rows.size();
  print_line(0, fmt::format("{} rows, {} {}, searching {} for the lowest {}", rows, table.grids.size(),
                            table.grids.size() == 1 ? "grid" : "grids", fields, table.target));
  for (const std::string& column : table.left_out) print_line(2, fmt::format("not searched: {}", column));
  if (table.is_cloud)
    print_line(2, "note: the rows are no grid; a proposal runs as the nearest row that was not used yet");
  if (options.prior != "none") print_line(2, "prior: the landscapes of grids with other N in the same table");
  print_line(0, fmt::format("cost until within a share of the best of the grid, {} seed{}, at most {} runs each:",
                            options.replay.seeds, options.replay.seeds == 1 ? "" : "s", options.replay.budget));
  fmt::print("  {:>7}  {:<26}{:<23}{:<14}{}\n", "within", "runs, mean (95%)", "median (quartiles)", "FLOPs, mean",
             "reached");
  for (const PolicyResult& result : results) {
    const auto print_costs = [&](const std::string& name, std::optional<size_t> grid) {
      fmt::print("  {}\n", name);
      for (size_t t = 0; t < options.replay.tolerances.size(); ++t)
        print_cost(search::summarise(result.searches, run_flops, t, grid), options.replay.tolerances[t]);
    };
    print_costs(result.policy, {});
    for (size_t g = 0; options.per_grid && g < table.grids.size(); ++g)
      print_costs(fmt::format("{}, {}", result.policy, table.grids[g].name), g);
  }
  for (const PolicyResult& result : results)
    if (options.replay.as_campaign) {
      const CampaignTotals totals = campaign_totals(result);
      print_line(
          2,
          fmt::format("{}: {:.1f} runs and {:.2f} adoptions a search, {} of them no better; {:.2f}% above the best at "
                      "its end",
                      result.policy, totals.runs, totals.adopted, totals.false_adopted, 100 * totals.excess));
    }
  for (const PolicyResult& result : results)
    for (size_t i = 0; result.accounts.size() > 1 && i < result.accounts.size(); ++i)
      print_line(2, fmt::format("{}: {} proposed {} runs, {} of them the best so far", result.policy,
                                result.accounts[i].proposer, result.accounts[i].proposed, result.accounts[i].improved));
}

void check(const ReplayCommand& options) {
  if (options.question.target.empty()) throw_bad_input("replay: expected --target, the column of the loss");
  for (const std::string& policy : options.policies)
    if (policy.empty()) throw_bad_input("replay: --policy: expected a proposer's name, found an empty one");
}

int replay(ReplayCommand& options) {
  check(options);
  if (!options.within.empty()) {
    std::sort(options.within.begin(), options.within.end());
    options.replay.tolerances.clear();
    for (const double percent : options.within) options.replay.tolerances.push_back(percent / 100);
  }
  const search::ReplayTable table =
      search::read_replay_table(read_table_file(options.table), table_name(options.table), options.question);
  if (!options.list.empty()) {
    options.replay.proposer_options.list = read_table_file(options.list, "changes in TOML");
    options.replay.proposer_options.list_source = options.list;
  }
  if (options.prior == "others")
    options.replay.prior = [&table](const search::ReplayGrid& grid) {
      return search::landscape_of_others(table, grid);
    };
  std::vector<double> run_flops;
  for (const auto& grid : table.grids) run_flops.push_back(search::ReplayWorld(table, grid, 1).usual_flops());
  std::vector<PolicyResult> results;
  for (const std::string& policy : options.policies) {
    PolicyResult result{policy, {}, {}};
    for (char& c : options.replay.policy = policy) c = c == '+' ? ',' : c;
    for (size_t g = 0; g < table.grids.size(); ++g)
      for (int seed = 0; seed < options.replay.seeds; ++seed) {
        std::vector<search::ProposerAccount> accounts;
        result.searches.push_back(search::replay_search(table, g, seed, options.replay, &accounts));
        add_accounts(result, accounts);
      }
    results.push_back(std::move(result));
  }
  if (options.json)
    fmt::print("{}\n", json_line(result_json(options, table, results, run_flops)));
  else
    print_text(options, table, results, run_flops);
  return 0;
}

}  // namespace

Action declare_replay(Arguments& arguments) {
  auto options = std::make_shared<ReplayCommand>();
  arguments.option("table", options->table, "Table of finished runs, one a row (CSV, TSV, JSONL; - for standard input)")
      .required();
  arguments.option("--columns", options->question.columns, kColumnsHelp).repeatable();
  arguments.option("--target", options->question.target, "Column of the loss; lower is better");
  arguments
      .option("--policy", options->policies,
              "Proposers, comma-separated, each measured alone; random+bayes: together, sharing the budget")
      .separated_by(',')
      .show_default();
  arguments.option("--fields", options->question.fields, "Columns to search; by default all that vary in a grid")
      .separated_by(',');
  arguments.option("--group-by", options->question.group_by, "Columns that make a grid each; by default N and D")
      .separated_by(',');
  arguments.option("--cost", options->question.cost, "Column of a run's FLOPs; by default C, or 6 N D");
  arguments.option("--success", options->question.success, "Column that is false where a run failed");
  arguments.option("--seeds", options->replay.seeds, "Searches of each grid").range(1, 100000).show_default();
  arguments.option("--budget", options->replay.budget, "Runs of a search at most").range(1, 1000000).show_default();
  arguments
      .option("--within", options->within,
              "Shares of the best loss, in percent, that count as reached; by default 0.25,0.5,1. A search ends within "
              "the smallest")
      .separated_by(',')
      .range(0.0, 1e6);
  arguments.option("--slots", options->replay.slots, "Runs in flight").range(1, 10000).show_default();
  arguments
      .option("--prior", options->prior,
              "others: bayes also knows the landscapes of grids with other N; none: it starts from nothing")
      .one_of({"none", "others"})
      .show_default();
  arguments.flag(
      "--as-campaign", options->replay.as_campaign,
      "By the rules of campaigns: the middle of the ranges is the base, and what counts is what was confirmed");
  arguments
      .option("--noise", options->replay.noise_sd,
              "With --as-campaign: a run's noise, as a share of the loss, where the table has no repeats")
      .range(0.0, 1.0);
  arguments
      .option("--worth", options->replay.gain_runs,
              "With --as-campaign: runs that a gain of one noise floor is valued at")
      .range(1.0, 1e6)
      .show_default();
  arguments.option("--list", options->list, "TOML file of changes, for the policy list");
  arguments.option("--seed", options->replay.seed, "Seed of everything").show_default();
  arguments.flag("--grids", options->per_grid, "A line for every grid");
  arguments.flag("--json", options->json, "Print one JSON object");
  return [options] { return replay(*options); };
}

}  // namespace flywheel::cli
