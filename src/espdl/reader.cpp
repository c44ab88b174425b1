#include "espdl/reader.h"

#include "base/error.h"
#include "base/file.h"
#include "espdl/decode.h"
#include "espdl/package.h"

namespace espquant::espdl {
namespace {

Model read(std::span<const std::byte> file, const ReadOptions& options, Defects defects) {
  if (is_package(file)) {
    const Package package = open_package(file);
    file = options.name.empty() ? package.at(options.index).file : package.find(options.name).file;
  } else if (!options.name.empty()) {
    throw Error(ErrorCode::Usage,
                "holds one model, so there is none of the name '" + options.name + "'")
        .remedy("Leave --model out: only packages need it");
  }
  return decode_model(open_payload(file, options.key), defects);
}

}  // namespace

Model read_model(std::span<const std::byte> file, const ReadOptions& options) {
  return read(file, options, Defects());
}

Model read_model(std::span<const std::byte> file, const ReadOptions& options,
                 std::vector<Error>& defects) {
  return read(file, options, Defects(defects));
}

Model read_model_file(const std::filesystem::path& path, const ReadOptions& options) {
  try {
    return read_model(read_file(path), options);
  } catch (Error& e) {
    e.file(path.string());
    throw;
  }
}

}  // namespace espquant::espdl
