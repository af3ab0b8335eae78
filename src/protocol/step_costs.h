// What a step of training costs beside the model's own FLOPs, as engine and lab both count it. docs/architecture.md,
// "Conventions".
#pragma once

namespace flywheel::protocol {

struct StepCosts {
  double optimizer_flops = 0;         // of a step; tables have as many rows looked up as its batch does
  double lookup_bytes_per_token = 0;  // rows of tables read, and their gradients read and written
  double lookup_bytes_per_step = 0;   // what the optimizer reads and writes of the tables
  double table_parameters = 0;        // in look-up tables, which no matrix product uses
  double artifact_bytes = 0;          // weights in the file that a finished run leaves

  double lookup_bytes(double tokens, double steps) const {
    return lookup_bytes_per_token * tokens + lookup_bytes_per_step * steps;
  }
};

}  // namespace flywheel::protocol
