// What a lab found, in sentences and lines for people who have not read the docs: the headline of report.html, and what
// `flywheel run`, `report` and `status` print. Pure: from the ledger and the report's JSON.
#pragma once

#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "ledger/ledger.h"

namespace flywheel::report {

// The headline, most important sentence first. `main`: what was found and what more compute is forecast to bring.
// `more`: what limits that: the wall, an optimum that is not identified, splits that disagree.
struct Headline {
  std::string main;
  std::vector<std::string> more;
};

// `report`: report_json() of the ledger.
Headline headline(const ledger::Ledger& ledger, const OrderedJson& report);

// Where a lab stands, in a few words: "finished after 2 min 22 s", "not finished".
std::string standing(const ledger::Ledger& ledger);

// What is known so far and what to do next, one labelled line each, at most 80 columns; the last line says what to do.
// `lab`: its folder as a command names it; `at_work`: a process works on it, so there is nothing to start.
std::string known_lines(const ledger::Ledger& ledger, const OrderedJson& report, const std::string& lab,
                        bool at_work = false);

// Each finding with what it is worth, or why there is none.
std::string findings_text(const ledger::Ledger& ledger);

// What people see on the terminal at the end: the headline, then the lines.
std::string summary(const ledger::Ledger& ledger, const std::string& lab);

}  // namespace flywheel::report
