#include <cstdio>

#include "model_facts.hpp"
#include "selftest.hpp"

extern "C" void app_main() {
  bool good = true;
  for (size_t i = 0; i < firmware::kModelCount; ++i)
    good = firmware::run_selftest(firmware::kModels[i]) && good;
  printf("self-test: %s\n", good ? "PASSED" : "FAILED");
}
