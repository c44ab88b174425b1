#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "esp_err.h"

/// What generated projects use of ESP-DL, under its names, on a PC: the models run in espquant's
/// simulator. Environment variables play the board: STANDIN_PARTITION and STANDIN_SDCARD name the
/// file of the partition and the folder of the card, STANDIN_FAULT=tensor:element adds one there
/// after each run.
namespace fbs {

enum model_location_type_t {
  MODEL_LOCATION_IN_FLASH_RODATA = 0,
  MODEL_LOCATION_IN_FLASH_PARTITION = 1,
  MODEL_LOCATION_IN_SDCARD = 2,
};

}  // namespace fbs

namespace dl {

enum dtype_t {
  DATA_TYPE_UNDEFINED = 0,
  DATA_TYPE_FLOAT = 1,
  DATA_TYPE_UINT8 = 2,
  DATA_TYPE_INT8 = 3,
  DATA_TYPE_UINT16 = 4,
  DATA_TYPE_INT16 = 5,
  DATA_TYPE_INT32 = 6,
  DATA_TYPE_INT64 = 7,
  DATA_TYPE_BOOL = 9,
};

enum memory_manager_t { MEMORY_MANAGER_GREEDY = 0, LINEAR_MEMORY_MANAGER = 1 };
enum runtime_mode_t {
  RUNTIME_MODE_AUTO = 0,
  RUNTIME_MODE_SINGLE_CORE = 1,
  RUNTIME_MODE_MULTI_CORE = 2,
};

struct module_info {
  std::string type;
  uint32_t latency;
};

/// One exponent, or one for each channel.
class ExponentInfo {
 public:
  ExponentInfo(const std::vector<int>& exponents) : exponents_(exponents) {}
  ExponentInfo& operator=(int exponent) {
    exponents_ = {exponent};
    return *this;
  }
  operator int() const { return exponents_.empty() ? 0 : exponents_.front(); }
  bool is_per_channel() const { return exponents_.size() > 1; }

 private:
  std::vector<int> exponents_;
};

class TensorBase {
 public:
  TensorBase(void* elements, int count, dtype_t type, const std::vector<int>& exponents = {})
      : data(elements), size(count), dtype(type), exponent(exponents) {}
  void* get_element_ptr() { return data; }
  int get_size() { return size; }
  dtype_t get_dtype() { return dtype; }

  void* data;
  int size;
  dtype_t dtype;
  ExponentInfo exponent;
};

namespace module {

class Module {
 public:
  explicit Module(char* called) : name(called) {}
  virtual ~Module() = default;
  char* name;
};

}  // namespace module

class Model {
 public:
  Model(const char* rodata_address_or_partition_label_or_path,
        fbs::model_location_type_t location = fbs::MODEL_LOCATION_IN_FLASH_RODATA,
        int max_internal_size = 0, memory_manager_t mm_type = MEMORY_MANAGER_GREEDY,
        const uint8_t* key = nullptr, bool param_copy = true,
        const std::map<std::string, std::vector<int>>& input_shapes = {});
  Model(const char* rodata_address_or_partition_label_or_path, const char* model_name,
        fbs::model_location_type_t location = fbs::MODEL_LOCATION_IN_FLASH_RODATA,
        int max_internal_size = 0, memory_manager_t mm_type = MEMORY_MANAGER_GREEDY,
        const uint8_t* key = nullptr, bool param_copy = true,
        const std::map<std::string, std::vector<int>>& input_shapes = {});
  virtual ~Model();

  virtual void run(runtime_mode_t mode = RUNTIME_MODE_SINGLE_CORE);
  virtual void run(int stage_num, int stage_index, runtime_mode_t mode = RUNTIME_MODE_SINGLE_CORE);
  esp_err_t test();
  virtual void reset();
  std::map<std::string, module_info> get_module_info();
  virtual std::map<std::string, TensorBase*>& get_inputs();
  virtual std::map<std::string, TensorBase*>& get_outputs();
  virtual TensorBase* get_input(const std::string& name);
  virtual TensorBase* get_output(const std::string& name);
  virtual TensorBase* get_intermediate(const std::string& name);

  struct Simulated;
  /// Of the stand-in alone, for tests.
  Simulated& simulated() { return *simulated_; }

 private:
  std::unique_ptr<Simulated> simulated_;
  std::vector<module::Module*> m_execution_plan;
};

}  // namespace dl
