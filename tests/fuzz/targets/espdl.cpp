#include "espdl/info.h"
#include "espdl/reader.h"
#include "espdl/writer.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {

void fuzz_espdl(FuzzInput bytes) {
  espdl::ReadOptions options;
  options.key.emplace();  // of zeros
  std::vector<Error> defects;
  accepted([&] { (void)espdl::read_model(bytes, options, defects); });
  espdl::Model model;
  if (!accepted([&] { model = espdl::read_model(bytes, options); })) return;
  promised(defects.empty(), "a file without a defect has defects");
  (void)espdl::info_text(model);
  const auto written = espdl::write_model(model);
  promised(espdl::write_model(espdl::read_model(written)) == written,
           "a model that was written is another when it is read");
}

}  // namespace espquant::test
