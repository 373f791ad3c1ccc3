// Early return on error, for functions that return absl::Status or absl::StatusOr<T>.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define PANDO_MACRO_JOIN_INNER(a, b) a##b
#define PANDO_MACRO_JOIN(a, b) PANDO_MACRO_JOIN_INNER(a, b)

#define PANDO_RETURN_IF_ERROR(expr)                                 \
  do {                                                              \
    if (absl::Status pando_status_ = (expr); !pando_status_.ok()) { \
      return pando_status_;                                         \
    }                                                               \
  } while (false)

#define PANDO_ASSIGN_OR_RETURN(lhs, expr) \
  PANDO_ASSIGN_OR_RETURN_INNER(PANDO_MACRO_JOIN(pando_or_, __LINE__), lhs, expr)

// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot be put in parentheses.
#define PANDO_ASSIGN_OR_RETURN_INNER(temp, lhs, expr) \
  auto temp = (expr);                                 \
  if (!temp.ok()) return temp.status();               \
  lhs = *std::move(temp)
// NOLINTEND(bugprone-macro-parentheses)
