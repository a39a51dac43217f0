// What a thread says of itself to the kernel.
#pragma once

namespace foz {

// Names the calling thread, in at most 15 characters. `prompt`: it does little at a time, and others wait for that;
// where all cores are busy it is to run soon after it has been woken (sched_setattr(2): a short slice; from Linux 6.12
// on, nothing happens on others).
void introduce_thread(const char* name, bool prompt = false) noexcept;

}  // namespace foz
