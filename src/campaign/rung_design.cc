#include "campaign/rung_design.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace flywheel::campaign {

std::vector<size_t> choose_rung(const scaling::Forecaster& forecaster, std::span<const scaling::DesignSite> here,
                                const scaling::DesignSite& target, int most) {
  std::vector<std::pair<double, double>> sites;
  std::vector<double> costs, noise;
  for (const scaling::DesignSite& site : here) {
    sites.emplace_back(site.N, site.D);
    costs.push_back(site.flops);
    noise.push_back(forecaster.noise_sd(site.N, site.D));
  }
  sites.emplace_back(target.N, target.D);
  scaling::Design design(forecaster.covariance(sites), costs, noise);
  std::vector<size_t> chosen;
  // No size is chosen twice: another size carries more information, and replicates fill idle slots anyway.
  const auto is_new = [&](size_t c) { return std::find(chosen.begin(), chosen.end(), c) == chosen.end(); };
  while (static_cast<int>(chosen.size()) < most) {
    const size_t next = design.best(INFINITY, is_new);
    if (next >= here.size()) break;
    scaling::Design with = design;
    with.add(next);
    const double gain = 2 * std::log(design.target_sd() / with.target_sd());
    if (static_cast<int>(chosen.size()) >= kFewestSizes && gain < kLeastReduction) break;
    design = std::move(with);
    chosen.push_back(next);
  }
  // No size reduces the variance at the target: take those nearest to the middle.
  for (size_t step = 0; static_cast<int>(chosen.size()) < std::min<int>(kFewestSizes, static_cast<int>(here.size()));
       ++step) {
    const size_t middle = here.size() / 2, c = step % 2 == 0 ? middle + step / 2 : middle - (step + 1) / 2;
    if (c < here.size() && is_new(c)) chosen.push_back(c);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace flywheel::campaign
