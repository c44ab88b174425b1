#include "selftest.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>

#include "compare.hpp"
#include "esp_heap_caps.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "model.hpp"

namespace firmware {
namespace {

extern "C" const uint8_t samples_bin[] asm("_binary_samples_bin_start");

constexpr int kRuns = 10;

struct FreeRam {
  size_t internal = heap_caps_get_free_size(MALLOC_CAP_INTERNAL);
  size_t psram = heap_caps_get_free_size(MALLOC_CAP_SPIRAM);
};

size_t used(size_t before, size_t after) { return before > after ? before - after : 0; }

void print_difference(size_t sample, const TensorFacts& output, const Difference& d) {
  printf(
      "sample %u: FAILED, output '%s' differs in %u of %u elements, first at element %u: %g, "
      "expected %g\n",
      static_cast<unsigned>(sample), output.name, static_cast<unsigned>(d.different),
      static_cast<unsigned>(output.elements), static_cast<unsigned>(d.first), d.got, d.expected);
}

// One sample, from where it lies in samples.bin; moves `at` behind it.
bool run_sample(dl::Model* model, const ModelFacts& facts, size_t sample, const uint8_t*& at) {
  for (size_t i = 0; i < facts.input_count; ++i) {
    std::memcpy(input_data(model, facts.inputs[i]), at, facts.inputs[i].bytes());
    at += in_blocks(facts.inputs[i].bytes());
  }
  model->run();
  bool good = true;
  size_t off_by_little = 0;
  for (size_t i = 0; i < facts.output_count; ++i) {
    const TensorFacts& output = facts.outputs[i];
    const Difference d = compare(output, output_data(model, output), at);
    at += in_blocks(output.bytes());
    if (d.beyond > 0) {
      print_difference(sample, output, d);
      good = false;
    }
    off_by_little += d.different - d.beyond;
  }
  if (good && off_by_little == 0) printf("sample %u: ok\n", static_cast<unsigned>(sample));
  if (good && off_by_little > 0)
    printf("sample %u: ok, %u elements within ESP-DL's tolerance\n", static_cast<unsigned>(sample),
           static_cast<unsigned>(off_by_little));
  vTaskDelay(1);
  return good;
}

// In the form that `espquant latency --fit` reads: the time that counts is the last of a row.
void print_times(dl::Model* model, const ModelFacts& facts) {
  const auto info = model->get_module_info();
  int width = 4;
  for (size_t n = 0; n < facts.node_count; ++n)
    if (const int length = static_cast<int>(std::strlen(facts.nodes[n].name)); length > width)
      width = length;
  printf("%-*s  %-20s  %12s  %12s\n", width, "name", "type", "estimated", "latency us");
  uint32_t total = 0;
  for (size_t n = 0; n < facts.node_count; ++n) {
    const NodeFacts& node = facts.nodes[n];
    const auto found = info.find(node.name);
    if (found == info.end()) continue;
    total += found->second.latency;
    printf("%-*s  %-20s  %10" PRIu32 "us  %10" PRIu32 "us\n", width, node.name, node.type,
           node.estimated_us, found->second.latency);
  }
  printf("%-*s  %-20s  %10" PRIu32 "us  %10" PRIu32 "us\n", width, "total", "", facts.estimated_us,
         total);
}

void print_run_time(dl::Model* model) {
  int64_t least = INT64_MAX;
  for (int i = 0; i < kRuns; ++i) {
    const int64_t start = esp_timer_get_time();
    model->run();
    const int64_t time = esp_timer_get_time() - start;
    if (time < least) least = time;
    vTaskDelay(1);
  }
  printf("run:%.3f ms\n", static_cast<double>(least) / 1000);
}

}  // namespace

bool run_selftest(const ModelFacts& facts) {
  printf("model %s\nsha256 %s\nmade for %s\n", facts.name, facts.sha256, facts.made_for);
  const FreeRam before;
  const std::unique_ptr<dl::Model> model(load_model(facts));
  if (!model) return false;
  bool good = true;
  if (facts.has_test_values) {
    const bool same = model->test() == ESP_OK;
    printf("test values of the file: %s\n", same ? "ok" : "FAILED");
    good = same;
  }
  model->reset();
  const uint8_t* at = samples_bin + facts.samples_offset;
  for (size_t sample = 0; sample < facts.sample_count; ++sample)
    good = run_sample(model.get(), facts, sample, at) && good;
  const FreeRam after;
  printf("RAM: %u bytes internal and %u bytes PSRAM taken, %u bytes planned\n",
         static_cast<unsigned>(used(before.internal, after.internal)),
         static_cast<unsigned>(used(before.psram, after.psram)),
         static_cast<unsigned>(facts.planned_ram));
  print_times(model.get(), facts);
  print_run_time(model.get());
  return good;
}

}  // namespace firmware
