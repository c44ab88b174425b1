#pragma once

#include <cstddef>

#include "espdl/model.h"

namespace espquant::espdl {

/// Where the bytes of a file go. Elements count as stored, padded to 16 bytes.
struct SizeByKind {
  std::size_t filters = 0;      ///< weights of convolutions, Gemm, MatMul, LSTM and GRU
  std::size_t biases = 0;       ///< and their biases
  std::size_t tables = 0;       ///< lookup tables of activations
  std::size_t parameters = 0;   ///< every other constant
  std::size_t test_values = 0;  ///< which a release build leaves out
  std::size_t structure = 0;    ///< names, nodes, shapes, header

  std::size_t total() const {
    return filters + biases + tables + parameters + test_values + structure;
  }
};

/// For a file of `file_size` bytes that holds the model.
SizeByKind size_by_kind(const Model& model, std::size_t file_size);

/// As write_model() writes it.
SizeByKind size_by_kind(const Model& model);

}  // namespace espquant::espdl
