#include "base/host/standard_streams.h"
#include "cli/cli.h"

int main(int argc, char** argv) {
  flywheel::set_up_standard_streams();
  return flywheel::with_usual_stack([&] { return flywheel::cli::run(argc, argv); });
}
