#include "cli/cli.h"

int main(int argc, char** argv) {
  return flywheel::cli::run(argc, argv);
}
