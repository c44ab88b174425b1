#pragma once

#include "dl_model_base.hpp"

namespace dl::module {

class LUT : public Module {
 public:
  LUT(char* called, TensorBase* of) : Module(called), table(of) {}

 private:
  TensorBase* table;
};

}  // namespace dl::module
