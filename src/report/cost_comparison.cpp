#include "report/cost_comparison.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "report/table.h"

namespace espquant::report {

std::string cost_comparison(const FileCost& before, const FileCost& after) {
  using enum Table::Align;
  Table table({{"", Left}, {"before", Right}, {"after", Right}, {"", Right}});
  const auto row = [&](const char* name, std::string a, std::string b, double from, double to) {
    table.add_row({name, std::move(a), std::move(b),
                   from > 0 ? fmt::format("{:+.1f} %", 100 * (to - from) / from) : ""});
  };
  const auto bytes_row = [&](const char* name, std::size_t a, std::size_t b) {
    row(name, with_separators(static_cast<std::int64_t>(a)),
        with_separators(static_cast<std::int64_t>(b)), static_cast<double>(a),
        static_cast<double>(b));
  };
  const double from = before.cost.latency.milliseconds, to = after.cost.latency.milliseconds;
  row("ms, estimated", milliseconds_text(from), milliseconds_text(to), from, to);
  bytes_row("bytes of activations", before.cost.memory.activation_bytes(),
            after.cost.memory.activation_bytes());
  bytes_row("bytes of RAM in all", before.cost.memory.ram_bytes(), after.cost.memory.ram_bytes());
  bytes_row("bytes of the file", before.file_bytes, after.file_bytes);
  bytes_row("nodes", before.nodes, after.nodes);
  return table.to_string();
}

nlohmann::ordered_json json_of(const FileCost& file) {
  return {{"milliseconds", file.cost.latency.milliseconds},
          {"activations", file.cost.memory.activation_bytes()},
          {"ram", file.cost.memory.ram_bytes()},
          {"file", file.file_bytes},
          {"nodes", file.nodes}};
}

nlohmann::ordered_json json_of(const cost::InternalRam& internal) {
  return {{"max_internal_size", internal.bytes},
          {"milliseconds", internal.milliseconds},
          {"internal", internal.internal_bytes},
          {"psram", internal.psram_bytes}};
}

}  // namespace espquant::report
