// Uniform search: the yardstick for the others, and what keeps every part of the space possible.
#include "search/proposers/proposer.h"

namespace flywheel::search {
namespace {

class RandomProposer : public Proposer {
 public:
  std::string_view name() const override { return "random"; }
  std::optional<Proposal> propose(const SearchView& view, Rng& rng) override {
    auto values = free_sample(view, rng);
    if (!values) return std::nullopt;
    return Proposal{std::move(*values), view.rung_flops.front(), std::nullopt, "", ""};
  }
};

}  // namespace

std::unique_ptr<Proposer> make_random(const workload::SearchSpace&, const ProposerOptions&) {
  return std::make_unique<RandomProposer>();
}

}  // namespace flywheel::search
