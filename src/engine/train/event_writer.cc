#include "engine/train/event_writer.h"

#include <cmath>

#include "base/json.h"

namespace flywheel::train {

OrderedJson sample_fields(const SampleLoss& loss) {
  OrderedJson fields{{"segments", loss.segments},
                     {"bytes", loss.bytes},
                     {"documents", loss.documents.size()},
                     {"sampling_sd", loss.sampling ? OrderedJson(loss.sampling->sd) : OrderedJson()},
                     {"sampling_degrees", loss.sampling ? OrderedJson(loss.sampling->degrees) : OrderedJson()}};
  if (loss.units) {
    fields["clusters"] = loss.units->clusters;
    fields["cut_documents"] = loss.units->cut_documents;
    fields["blocks"] = loss.units->blocks;
  }
  return fields;
}

EventWriter::EventWriter(FileSystem& files, Clock& clock, const Path& path, double seconds_before)
    : clock_(clock), file_(files.open_append(path)), origin_(clock.now_seconds() - seconds_before) {}

double EventWriter::seconds() const {
  return clock_.now_seconds() - origin_;
}

void EventWriter::write(const std::string& type, const OrderedJson& fields) {
  OrderedJson event{{"t", std::round(seconds() * 1e4) / 1e4}, {"type", type}};
  event.update(fields);
  file_->append(event.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
}

}  // namespace flywheel::train
