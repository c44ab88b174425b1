#pragma once

#include <algorithm>
#include <array>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

/// What tests/golden/cases_test.cpp runs, and what is not right yet.
namespace espquant::test {

struct Case {
  const char* name;
  /// Noise to signal against the float network.
  double limit_int8 = 0.01, limit_int16 = 0.0001;
  /// Where the runtime cannot do it, an explained refusal will do.
  bool may_be_refused = false;
  /// Recipes beside int8 and int16.
  bool mixed = false;

  std::vector<std::string> recipes() const {
    if (mixed) return {"int8", "int16", "mixed", "balanced"};
    return {"int8", "int16"};
  }
  /// The chips on which a recipe's result is not right yet, as "esp32s3 esp32p4 esp32".
  std::string still_wrong(std::string_view recipe) const;

  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

inline std::vector<Case> all_cases() {
  return {
      {.name = "add_of_large_and_small", .limit_int8 = 0.001},
      {.name = "already_quantized_qdq", .may_be_refused = true},
      {.name = "average_pool_padding_excluded"},
      {.name = "batch_norm_opset7_five_outputs"},
      {.name = "causal_mask_1e9"},
      {.name = "causal_mask_buffer"},
      {.name = "causal_mask_float_min"},
      {.name = "causal_mask_minus_infinity"},
      {.name = "causal_mask_where"},
      {.name = "concat_of_large_and_small"},
      {.name = "constant_if"},
      {.name = "einsum"},
      {.name = "group_norm"},
      {.name = "gru_two_layers_state_input"},
      {.name = "in_place_behind_reshape", .mixed = true},
      {.name = "in_place_inserted_requantize", .mixed = true},
      {.name = "in_place_output_overwritten", .mixed = true},
      {.name = "in_place_swish_behind_squeeze", .mixed = true},
      {.name = "in_place_two_heads", .mixed = true},
      {.name = "input_is_output"},
      {.name = "input_nobody_reads"},
      {.name = "instance_norm"},
      {.name = "l2_norm_spelled_out"},
      {.name = "layernorm_spelled_out_3d"},
      {.name = "layernorm_spelled_out_one_row"},
      {.name = "linear_attention_division"},
      {.name = "lstm_cell_grows", .may_be_refused = true},
      {.name = "matrix_times_vector"},
      {.name = "max_of_two"},
      {.name = "model_local_function"},
      {.name = "names_not_ascii"},
      {.name = "prelu_residual"},
      {.name = "prelu_slopes_above_one"},
      {.name = "prelu_slopes_of_all_sizes"},
      {.name = "prelu_then_add"},
      {.name = "sin_cos"},
      {.name = "softmax_large_logits"},
      {.name = "softsign"},
      {.name = "space_to_batch_dilation"},
      {.name = "sqrt_of_negative"},
      {.name = "tile_expand"},
      {.name = "token_embedding"},
      {.name = "uint8_input_cast"},
  };
}

/// One line per case and recipe. The test fails on what is right and stands here all the same.
struct StillWrong {
  std::string_view name, recipe, chips;
};
inline constexpr std::array<StillWrong, 0> kStillWrong = {};

inline std::string Case::still_wrong(std::string_view recipe) const {
  const auto* found =
      std::find_if(kStillWrong.begin(), kStillWrong.end(),
                   [&](const StillWrong& w) { return w.name == name && w.recipe == recipe; });
  return found == kStillWrong.end() ? "" : std::string(found->chips);
}

}  // namespace espquant::test
