#include "job/model_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "espdl/package.h"

namespace espquant::job {
namespace {

std::string edition_of(const espdl::Header& header) {
  return fmt::format("EDL{}{}", static_cast<int>(header.edition),
                     header.encrypted ? ", encrypted" : "");
}

}  // namespace

report::FileFacts facts_of(std::span<const std::byte> bytes, const ModelFile& file) {
  report::FileFacts facts;
  facts.path = file.path.string();
  if (espdl::is_package(bytes)) {
    const auto package = espdl::open_package(bytes);
    const auto& entry = file.name.empty() ? package.at(0) : package.find(file.name);
    std::vector<std::string> names;
    for (const auto& other : package.entries) names.push_back(other.name);
    facts.path += fmt::format(": {}", entry.name);
    facts.container =
        fmt::format("PDL{} package of {} models ({})", static_cast<int>(package.edition),
                    names.size(), fmt::join(names, ", "));
    facts.size = espdl::parse_header(entry.file).file_size();
  } else {
    const auto header = espdl::parse_header(bytes);
    facts.container = edition_of(header);
    facts.size = header.file_size();
  }
  return facts;
}

}  // namespace espquant::job
