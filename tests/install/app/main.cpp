#include <espquant/analyze.h>
#include <espquant/compare.h>
#include <espquant/errors.h>
#include <espquant/quantize.h>

#include <cstdio>

/// Quantizes argv[1] on argv[2] into argv[3], and runs it.
int main(int argc, char** argv) try {
  if (argc != 4) return 2;
  espquant::Data calib;
  calib.path = argv[2];
  const espquant::Quantized made = espquant::quantize({argv[1], {}, {}, {}, false}, calib);
  for (const auto& verdict : made.model().verify(true))
    if (!verdict.passed) return 1;
  std::printf("%s\n", made.save(argv[3]).front().c_str());
  try {
    espquant::Model::open("nothing.espdl");
  } catch (const espquant::Error& error) {
    return error.code() == espquant::ErrorCode::Io ? 0 : 1;
  }
  return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
