#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "base/file.h"
#include "cost/memory_plan.h"
#include "dl_model_base.hpp"
#include "espdl/reader.h"
#include "tests/deploy/standin/board.h"
#include "tests/deploy/standin/seen_model.h"

namespace dl {
namespace {

using namespace espquant;
namespace standin = espquant::test::standin;

std::uint32_t word_at(const char* bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// The bytes at an address in flash: how many there are stands in the header.
std::vector<std::byte> bytes_at(const char* address) {
  const bool package = std::memcmp(address, "PDL3", 4) == 0;
  constexpr std::size_t kHeader = 16;
  const std::size_t size = package ? word_at(address + 20) : kHeader + word_at(address + 8);
  const auto* bytes = reinterpret_cast<const std::byte*>(address);
  return {bytes, bytes + size};
}

std::vector<std::byte> stored_bytes(const char* where, fbs::model_location_type_t location) {
  if (location == fbs::MODEL_LOCATION_IN_FLASH_RODATA) {
    if (reinterpret_cast<std::uintptr_t>(where) % 16 != 0)
      throw std::runtime_error("the model is not aligned");
    return bytes_at(where);
  }
  if (location == fbs::MODEL_LOCATION_IN_FLASH_PARTITION) {
    if (std::string(where) != "model") throw std::runtime_error("there is no such partition");
    return read_file(standin::setting("STANDIN_PARTITION"));
  }
  constexpr std::string_view kMount = "/sdcard";
  return read_file(standin::setting("STANDIN_SDCARD") + (where + kMount.size()));
}

espdl::Model read(const char* where, const char* name, fbs::model_location_type_t location,
                  const uint8_t* key) {
  espdl::ReadOptions options;
  if (name != nullptr) options.name = name;
  if (key != nullptr) {
    options.key.emplace();
    std::memcpy(options.key->data(), key, options.key->size());
  }
  return espdl::read_model(stored_bytes(where, location), options);
}

}  // namespace

struct Model::Simulated {
  standin::SeenModel seen;
  std::size_t ram = 0;

  explicit Simulated(espdl::Model read)
      : seen(std::move(read)), ram(cost::plan_memory(seen.model(), seen.target()).ram_bytes()) {
    standin::ram_taken() += ram;
  }
  ~Simulated() { standin::ram_taken() -= ram; }

  void run(std::size_t begin, std::size_t end) {
    seen.run(begin, end);
    const std::string fault = standin::setting("STANDIN_FAULT");
    if (fault.empty() || end < seen.model().nodes.size()) return;
    const auto colon = fault.rfind(':');
    TensorBase& tensor = *seen.tensor(fault.substr(0, colon));
    const std::size_t at = std::stoul(fault.substr(colon + 1)) *
                           size_of(seen.model().find_value(fault.substr(0, colon))->dtype);
    ++static_cast<unsigned char*>(tensor.data)[at];
  }
};

espquant::test::standin::SeenModel& seen_model(Model& model) { return model.simulated().seen; }

Model::Model(const char* where, fbs::model_location_type_t location, int, memory_manager_t,
             const uint8_t* key, bool, const std::map<std::string, std::vector<int>>&)
    : simulated_(std::make_unique<Simulated>(read(where, nullptr, location, key))),
      m_execution_plan(simulated_->seen.modules()) {}

Model::Model(const char* where, const char* model_name, fbs::model_location_type_t location, int,
             memory_manager_t, const uint8_t* key, bool,
             const std::map<std::string, std::vector<int>>&)
    : simulated_(std::make_unique<Simulated>(read(where, model_name, location, key))),
      m_execution_plan(simulated_->seen.modules()) {}

Model::~Model() = default;

void Model::run(runtime_mode_t) { simulated_->run(0, simulated_->seen.model().nodes.size()); }

void Model::run(int stage_num, int stage_index, runtime_mode_t) {
  const std::size_t nodes = simulated_->seen.model().nodes.size();
  const auto number = static_cast<std::size_t>(stage_num),
             i = static_cast<std::size_t>(stage_index);
  simulated_->run(i * nodes / number, (i + 1) * nodes / number);
}

esp_err_t Model::test() {
  standin::SeenModel& seen = simulated_->seen;
  const auto bytes_of = [&](const espdl::Constant& value) {
    return std::span(static_cast<std::byte*>(seen.tensor(value.name)->data),
                     value.data.byte_size());
  };
  for (const auto& value : seen.model().test_inputs)
    std::ranges::copy(value.data.bytes(), bytes_of(value).begin());
  run();
  return std::ranges::all_of(seen.model().test_outputs,
                             [&](const espdl::Constant& value) {
                               return std::ranges::equal(bytes_of(value), value.data.bytes());
                             })
             ? ESP_OK
             : ESP_FAIL;
}

void Model::reset() {}

std::map<std::string, module_info> Model::get_module_info() {
  std::map<std::string, module_info> info;
  constexpr uint32_t kStep = 37;
  uint32_t latency = 0, total = 0;
  for (const auto& node : simulated_->seen.model().nodes) {
    latency += kStep;
    total += latency;
    info[node.name] = {node.op, latency};
  }
  info["total"] = {"", total};
  return info;
}

std::map<std::string, TensorBase*>& Model::get_inputs() { return simulated_->seen.inputs; }
std::map<std::string, TensorBase*>& Model::get_outputs() { return simulated_->seen.outputs; }
TensorBase* Model::get_input(const std::string& name) { return get_inputs().at(name); }
TensorBase* Model::get_output(const std::string& name) { return get_outputs().at(name); }
TensorBase* Model::get_intermediate(const std::string& name) {
  return simulated_->seen.tensor(name);
}

}  // namespace dl
