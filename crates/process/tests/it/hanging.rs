//! Starts that hang before the program executes, as on a network disk that does not answer.

use crate::{folder, launcher, program, run, sh};
use jackfield_process::{ExitStatus, SpawnError};
use jackfield_runtime::Tasks;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

/// fcntl(2): which signal tells that a lease is to be given up.
const F_SETSIG: libc::c_int = 10;

/// Lets nobody open the file before this is dropped, or 45 s (`lease-break-time`) are over. `None` on a file system without leases.
#[allow(unsafe_code, reason = "leases have no safe interface")]
fn held(file: &Path) -> Option<File> {
    let held = File::open(file).unwrap();
    // SAFETY: both change only how this descriptor is treated. Who is to give up the lease is told by SIGURG, which
    // is ignored unless somebody asks for it.
    let taken = unsafe {
        libc::fcntl(held.as_raw_fd(), F_SETSIG, libc::SIGURG) == 0
            && libc::fcntl(held.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
    };
    taken.then_some(held)
}

#[tokio::test]
async fn starts_that_hang_hold_up_others_for_a_second_only() {
    let launcher = launcher().await;
    let file = folder("hanging").join("hangs");
    fs::copy("/bin/true", &file).unwrap();
    let Some(held) = held(&file) else { return };
    let tasks = Tasks::new();
    let hanging: Vec<_> = (0..64)
        .map(|_| {
            let (launcher, program) = (launcher.clone(), program([&file]));
            tasks.spawn("start", async move { launcher.spawn(program).await.unwrap().wait().await })
        })
        .collect();
    // The last of these questions waits for its turn until those starts count as hanging.
    while launcher.running().await.unwrap().programs < 64 {}
    assert_eq!(run(&launcher, sh("exit 7")).await.0, ExitStatus::Code(7));
    let error = loop {
        match tokio::time::timeout(std::time::Duration::from_secs(2), launcher.spawn(program([&file]))).await
        {
            Ok(refused) => break refused.unwrap_err(),
            Err(_hangs_too) => {}
        }
    };
    assert!(matches!(error, SpawnError::Hangs { .. }) && error.is_retryable(), "{error}");
    assert_eq!(run(&launcher, sh("exit 7")).await.0, ExitStatus::Code(7));

    drop(held);
    for hanging in hanging {
        assert_eq!(hanging.join().await.unwrap(), ExitStatus::Code(0));
    }
    assert_eq!(run(&launcher, program([&file])).await.0, ExitStatus::Code(0));
}
