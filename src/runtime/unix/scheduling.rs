//! Ordinary scheduling for the threads of the library, whichever thread starts them.
//!
//! A new thread inherits policy, priority, niceness and CPUs of the thread that makes it,
//! and that is the one that captures first: perhaps an audio thread with real-time
//! priority, or a worker that is bound to one CPU. A thread of the library takes those of
//! the process's main thread instead, which are what the process was started with, and is
//! never a real-time thread.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Policies without real-time priority.
const ORDINARY: [libc::c_int; 3] = [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE];
/// In calls for scheduling it stands for the calling thread.
const THIS_THREAD: libc::pid_t = 0;

/// Gives the calling thread the scheduling of the process's main thread. What the system
/// does not allow stays as it is: a lower niceness may need a privilege.
pub(crate) fn become_ordinary() {
    // SAFETY: it only reads a number.
    let main = unsafe { libc::getpid() };
    take_policy(main);
    take_niceness(main);
    take_cpus(main);
}

fn take_policy(main: libc::pid_t) {
    // As system calls: musl's functions of these names do nothing.
    // SAFETY: it only reads a number.
    let of_main = unsafe { libc::syscall(libc::SYS_sched_getscheduler, main) };
    let of_main = of_main & !libc::c_long::from(libc::SCHED_RESET_ON_FORK);
    let same = ORDINARY.into_iter().find(|policy| libc::c_long::from(*policy) == of_main);
    let policy = same.unwrap_or(libc::SCHED_OTHER);
    // SAFETY: all zeros are a valid value: a priority of 0, the only one of these policies.
    let priority = unsafe { MaybeUninit::<libc::sched_param>::zeroed().assume_init() };
    // SAFETY: it changes the calling thread only, and reads the parameter.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, THIS_THREAD, policy, &raw const priority) };
}

fn take_niceness(main: libc::pid_t) {
    let (Ok(main), Ok(this)) = (libc::id_t::try_from(main), libc::id_t::try_from(THIS_THREAD)) else {
        return;
    };
    // SAFETY: on Linux a niceness belongs to a thread, and these calls read that of the main
    // thread and change that of the calling one. -1 is also returned for an error, which
    // does not occur for a process that exists.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, this, libc::getpriority(libc::PRIO_PROCESS, main)) };
}

fn take_cpus(main: libc::pid_t) {
    let mut cpus = MaybeUninit::<libc::cpu_set_t>::zeroed();
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: the set is written by the first call, for at most its size, before the second
    // reads it; that changes the calling thread only. On a machine with more CPUs than the
    // set has bits the first call fails, and nothing changes.
    unsafe {
        if libc::sched_getaffinity(main, size, cpus.as_mut_ptr()) == 0 {
            libc::sched_setaffinity(THIS_THREAD, size, cpus.as_ptr());
        }
    }
}
