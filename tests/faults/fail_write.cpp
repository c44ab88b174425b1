// Preloaded into a program, makes one of its write-related calls fail, or kills it there:
//
//   LD_PRELOAD=libespquant_fail_write.so ESPQUANT_FAULT=fail:3 espquant ...
//
// fail:N   the N-th call fails with ENOSPC        kill:N   the process dies before the N-th call
// full:N   it and all after it fail, but those    count:0  nothing fails; the number of calls is
//          that remove                                     written to ESPQUANT_FAULT_COUNT
//
// Counted are calls that change files, or make sure that they are on the disk; the standard streams
// are left alone.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

long calls = 0;

enum class Kind { Makes, Removes };

/// True where the call is to fail; errno says why.
bool fails(Kind kind) {
  static const char* const wish = std::getenv("ESPQUANT_FAULT");
  if (wish == nullptr) return false;
  static const long wanted =
      std::strchr(wish, ':') != nullptr ? std::atol(std::strchr(wish, ':') + 1) : 0;
  ++calls;
  if (std::strncmp(wish, "kill:", 5) == 0 && calls == wanted) ::kill(::getpid(), SIGKILL);
  const bool one = std::strncmp(wish, "fail:", 5) == 0 && calls == wanted;
  const bool rest = std::strncmp(wish, "full:", 5) == 0 && calls >= wanted && kind == Kind::Makes;
  if (!one && !rest) return false;
  errno = ENOSPC;
  return true;
}

__attribute__((destructor)) void tell() {
  const char* path = std::getenv("ESPQUANT_FAULT_COUNT");
  if (path == nullptr) return;
  if (std::FILE* file = std::fopen(path, "w")) {
    std::fprintf(file, "%ld\n", calls);
    std::fclose(file);
  }
}

template <typename F>
F* real(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

bool is_standard(int fd) { return fd <= STDERR_FILENO; }
bool writes(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0; }

}  // namespace

#define ESPQUANT_OPEN(name)                                                       \
  extern "C" int name(const char* path, int flags, ...) {                         \
    va_list list;                                                                 \
    va_start(list, flags);                                                        \
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : mode_t{}; \
    va_end(list);                                                                 \
    if (writes(flags) && fails(Kind::Makes)) return -1;                           \
    static auto* const next = real<int(const char*, int, ...)>(#name);            \
    return next(path, flags, mode);                                               \
  }
ESPQUANT_OPEN(open)
ESPQUANT_OPEN(open64)

extern "C" ssize_t write(int fd, const void* bytes, size_t count) {
  static auto* const next = real<ssize_t(int, const void*, size_t)>("write");
  if (!is_standard(fd) && count > 8 && fails(Kind::Makes)) {
    // A disk that fills up has taken a part before.
    next(fd, bytes, count / 2);
    errno = ENOSPC;
    return -1;
  }
  return next(fd, bytes, count);
}

#define ESPQUANT_PWRITE(name, offset_type)                                                 \
  extern "C" ssize_t name(int fd, const void* bytes, size_t count, offset_type offset) {   \
    if (fails(Kind::Makes)) return -1;                                                     \
    static auto* const next = real<ssize_t(int, const void*, size_t, offset_type)>(#name); \
    return next(fd, bytes, count, offset);                                                 \
  }
ESPQUANT_PWRITE(pwrite, off_t)
ESPQUANT_PWRITE(pwrite64, off64_t)

#define ESPQUANT_CALL(name, kind, parameters, arguments)   \
  extern "C" int name parameters {                         \
    if (fails(kind)) return -1;                            \
    static auto* const next = real<int parameters>(#name); \
    return next arguments;                                 \
  }
ESPQUANT_CALL(fsync, Kind::Makes, (int fd), (fd))
ESPQUANT_CALL(mkdir, Kind::Makes, (const char* path, mode_t mode), (path, mode))
ESPQUANT_CALL(rmdir, Kind::Removes, (const char* path), (path))
ESPQUANT_CALL(unlink, Kind::Removes, (const char* path), (path))
ESPQUANT_CALL(chmod, Kind::Makes, (const char* path, mode_t mode), (path, mode))
ESPQUANT_CALL(rename, Kind::Makes, (const char* from, const char* to), (from, to))
ESPQUANT_CALL(link, Kind::Makes, (const char* from, const char* to), (from, to))
ESPQUANT_CALL(flock, Kind::Makes, (int fd, int operation), (fd, operation))
