#include "base/error.h"

#include <fmt/format.h>

#include <cctype>
#include <utility>

namespace espquant {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::Usage:
      return "usage";
    case ErrorCode::Io:
      return "io";
    case ErrorCode::Malformed:
      return "malformed";
    case ErrorCode::Unsupported:
      return "unsupported";
    case ErrorCode::Illegal:
      return "illegal";
    case ErrorCode::BadData:
      return "bad-data";
    case ErrorCode::Cancelled:
      return "cancelled";
    case ErrorCode::Internal:
      return "internal";
  }
  return "internal";
}

int exit_code(ErrorCode code) {
  if (code == ErrorCode::Usage) return 2;
  return code == ErrorCode::Internal ? 3 : 1;
}

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {
  compose();
}

// The innermost place wins: an outer catch adds what is still unknown and overwrites nothing.
Error& Error::file(std::string_view name) & {
  if (file_.empty()) file_ = name;
  compose();
  return *this;
}
Error& Error::node(std::string_view name) & {
  if (node_.empty()) node_ = name;
  compose();
  return *this;
}
Error& Error::tensor(std::string_view name) & {
  if (tensor_.empty()) tensor_ = name;
  compose();
  return *this;
}
Error& Error::remedy(std::string_view text) & {
  if (remedy_.empty()) remedy_ = text;
  compose();
  return *this;
}
Error&& Error::file(std::string_view name) && { return std::move(file(name)); }
Error&& Error::node(std::string_view name) && { return std::move(node(name)); }
Error&& Error::tensor(std::string_view name) && { return std::move(tensor(name)); }
Error&& Error::remedy(std::string_view text) && { return std::move(remedy(text)); }

void Error::compose() {
  text_.clear();
  if (!file_.empty()) text_ += file_ + ": ";
  if (!node_.empty()) text_ += "node '" + node_ + "': ";
  if (!tensor_.empty()) text_ += "tensor '" + tensor_ + "': ";
  text_ += message_;
  if (remedy_.empty()) return;
  text_ += ". ";
  text_ += static_cast<char>(std::toupper(static_cast<unsigned char>(remedy_.front())));
  text_ += remedy_.substr(1);
}

void internal_error(std::string_view what, std::string_view source, int line) {
  throw Error(ErrorCode::Internal, fmt::format("{} ({}:{})", what, source, line))
      .remedy("This is a fault of espquant: please report it with the command and the model");
}

}  // namespace espquant
