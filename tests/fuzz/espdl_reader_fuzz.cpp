#include <span>

#include "base/error.h"
#include "espdl/info.h"
#include "espdl/reader.h"
#include "espdl/writer.h"

/// Any bytes are read or refused with an Error of the input's; what is read can be shown, written
/// and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace espquant;
  espdl::Model model;
  try {
    model = espdl::read_model(std::as_bytes(std::span(data, size)));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::Internal) __builtin_trap();
    return 0;
  }
  (void)espdl::info_text(model);
  const auto written = espdl::write_model(model);
  if (espdl::write_model(espdl::read_model(written)) != written) __builtin_trap();
  return 0;
}
