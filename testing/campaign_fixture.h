// A campaign on a made-up engine and a virtual clock, for the tests of what campaigns decide.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include "base/hash.h"
#include "base/rng.h"
#include "campaign/campaign.h"
#include "testing/engine_workload.h"
#include "testing/fake_clock.h"
#include "testing/fake_engine.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {

using flywheel::testing::EngineWorkload;
using flywheel::testing::FakeClock;
using flywheel::testing::FakeEngine;
using flywheel::testing::TemporaryFolder;

// A made-up world: a law, a best learning rate, noise between seeds, a machine speed.
struct World {
  double flops_per_second = 40e9;
  double noise_sd = 0.003;
  double best_multiplier = 1.4;
  double of_size = 40;  // what small models lose: less makes smaller ones the best

  double loss(const recipe::RunSpec& spec) const {
    const auto n = static_cast<double>(count(spec.recipe, spec.size).matrix_parameters);
    const auto d = static_cast<double>(spec.size.tokens());
    const double multiplier = spec.recipe.optimizer.learning_rate / recipe::Recipe{}.optimizer.learning_rate;
    const double off = std::log(multiplier / best_multiplier);
    Rng rng(spec.seed, hash64(spec.id));
    return (0.9 + of_size / std::pow(n, 0.42) + 160 / std::pow(d, 0.42)) * (1 + 0.01 * off * off) +
           noise_sd * rng.normal();
  }
  double seconds(const recipe::RunSpec& spec) const {
    const double own = recipe::new_training_flops(spec.recipe, spec.size),
                 all = recipe::training_flops(spec.recipe, spec.size);
    const double evaluations =
        std::round(1 / spec.eval_every_fraction) * static_cast<double>(spec.eval_tokens) * own / all;
    return 0.08 + (own + evaluations * count(spec.recipe, spec.size).forward_flops_per_token) / flops_per_second;
  }
};

class CampaignTest : public ::testing::Test {
 protected:
  CampaignTest() : runner_(clock_) {
    runner_.seconds_of = [this](const recipe::RunSpec& spec) { return world_.seconds(spec); };
    runner_.bits_per_byte_of = [this](const recipe::RunSpec& spec) { return world_.loss(spec); };
    options_.lab = folder_.path();
    options_.budget.seconds = 600;
    options_.slots = 2;
    options_.configuration = workload::make_configuration(recipe::Recipe{});
    options_.train_tokens = 100'000'000;
    options_.search_tokens = 1'000'000;
  }

  CampaignEnd run() {
    runner_.forget();
    options_.started_clock_seconds = clock_.now_seconds();
    const auto ledger = ledger::Ledger::open(folder_.path());
    runner_.set_capacity({.cores = options_.slots, .memory_bytes = 0, .gpus = 0});
    Campaign campaign(*ledger, runner_, workload_, clock_, options_);
    campaign.stop_when([this] { return stop_(); });
    campaign.on_line([this](const std::string& line) { said_ += line + "\n"; });
    const CampaignEnd end = campaign.run();
    elapsed_ = campaign.elapsed_seconds();
    return end;
  }
  std::unique_ptr<ledger::Ledger> read() const { return ledger::Ledger::open_read_only(folder_.path()); }

  TemporaryFolder folder_;
  FakeClock clock_;
  World world_;
  FakeEngine runner_;
  EngineWorkload workload_;
  CampaignOptions options_;
  std::function<bool()> stop_ = [] { return false; };
  std::string said_;
  double elapsed_ = 0;
};

}  // namespace flywheel::campaign
