#pragma once

#include <cstdint>
#include <functional>

namespace espquant {

/// Threads that parallel loops use; 0 restores the default (all cores). Results never depend on it.
void set_thread_count(int threads);
int thread_count();

/// Runs body(i) for i in [0, count), in any order, on thread_count() threads. The first exception
/// is rethrown. Throws Error(Cancelled) as CancelScope says. Libraries called inside (oneDNN) run
/// single-threaded: the parallelism is over tasks. A sum over tasks is made by writing to slot i
/// and adding the slots in order afterwards.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body);

/// Index of the calling worker inside a parallel_for, in [0, thread_count()); 0 outside. For
/// per-worker buffers; see PerWorker.
int worker_index();

}  // namespace espquant
