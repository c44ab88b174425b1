#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "espquant/export.h"

namespace espquant {

/// What went wrong, and by that whose fault it is: see exit_code().
enum class ErrorCode {
  Usage,        ///< the command line or a call's arguments make no sense
  Io,           ///< a file cannot be read or written
  Malformed,    ///< a file is not what its format demands
  Unsupported,  ///< well-formed, but outside what this program handles
  Illegal,      ///< the target chip cannot run it correctly
  BadData,      ///< numbers or shapes that do not fit: NaN, wrong size
  Cancelled,    ///< the caller wished it: see espquant/progress.h
  Internal,     ///< a bug of ours
};

/// "usage", "io", ...: stable names for machines.
ESPQUANT_API std::string_view to_string(ErrorCode code);

/// 1: the input is refused, 2: wrong usage, 3: our own fault.
ESPQUANT_API int exit_code(ErrorCode code);

/// The one exception of the library. The message says what is wrong, the remedy what to do about
/// it; file, node and tensor say where. Filled in on the way up: a parser knows the tensor, its
/// caller the file.
///
///     throw Error(ErrorCode::Malformed, "3 dimensions, expected 4").tensor("w").remedy("export
///     again");
class ESPQUANT_API Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message);

  Error& file(std::string_view name) &;
  Error& node(std::string_view name) &;
  Error& tensor(std::string_view name) &;
  Error& remedy(std::string_view text) &;
  Error&& file(std::string_view name) &&;
  Error&& node(std::string_view name) &&;
  Error&& tensor(std::string_view name) &&;
  Error&& remedy(std::string_view text) &&;

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& file() const { return file_; }
  const std::string& node() const { return node_; }
  const std::string& tensor() const { return tensor_; }
  const std::string& remedy() const { return remedy_; }

  /// "FILE: node 'N': tensor 'T': MESSAGE. REMEDY", without the parts that are unknown.
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  void compose();

  ErrorCode code_;
  std::string message_, file_, node_, tensor_, remedy_, text_;
};

}  // namespace espquant
