// The rules of a search as data: the rules of campaigns and the plain rules.
#pragma once

#include "evidence/search_policy.h"

namespace flywheel::search {

struct SearchRules {
  // True: the base is measured first, proposals are screened against it, promising ones are replicated, the best are
  // confirmed with fresh seeds on the audit split, confirmed ones are adopted, and adopted ones are ablated one at a
  // time at the end (evidence/search_policy.h). Runs come in batches of one per slot, with decisions between batches
  // only. False: every proposal runs once and its loss is taken at face value.
  bool tested = true;
  evidence::PolicyOptions policy = evidence::campaign_policy();
  // The noise is estimated from the base's runs and is at least this share of the loss; 0: the noise is given.
  double least_noise = 5e-4;
  bool measures_base_anew = true;  // after every adoption
  // Proposals that reach the same loss with the same seed count as one.
  bool same_loss_is_same = true;
  double look_at = 0.5;      // fraction of a screening run's steps at which its curve is judged
  double stop_error = 0.05;  // largest share of winning runs that may be stopped; 0: no run is stopped
  // Chance of winning from which it is resumed; above stop_error, so that a borderline run does not alternate.
  double resume_error = 0.1;
};

// Those of `flywheel run`.
inline SearchRules campaign_rules() {
  return {};
}
// Those of `flywheel replay`, which measures what proposers cost.
inline SearchRules plain_rules() {
  SearchRules rules;
  rules.tested = false;
  rules.stop_error = rules.resume_error = 0;
  return rules;
}

}  // namespace flywheel::search
