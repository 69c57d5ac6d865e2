//! Starts, supervises and ends the programs of the user, through a small helper process.
//!
//! The server never forks: each GiB that it has touched would cost 40 to 50 ms in which a thread stands
//! still. A helper, started before the heap grows, starts programs for it ([`run_helper_if_asked`], [`Launcher`]).
//!
//! # Contract
//! - A program starts in its own process group, with its pipes or the null device as descriptors 0, 1 and 2 and no other, the environment
//!   that [`Program::env`] says and no other, default signal dispositions, an empty signal mask, no
//!   core file, no new privileges, no controlling terminal, and the server's umask. It is killed if the helper dies.
//! - Every start ends in a [`Child`] or in a [`SpawnError`] that says which step failed. A `Child` yields one
//!   [`ExitStatus`]: that of the program itself, whoever else holds its pipes.
//! - An unfinished program is ended with its group ([`Child::terminate`], [`Child::kill`], dropping the `Child`). When the program
//!   itself has ended, what it left in the background lives on until [`Launcher::end_background`], [`Launcher::stop`] or the server's
//!   death, whichever way the server dies. The helper adopts every orphan below it, so that nothing gets away, not even by `setsid`.
//! - No signal ever reaches a group that the helper did not start: a number is signalled only while a process
//!   that the helper has not reaped holds it.
//! - If the helper dies, its programs are [`ExitStatus::Lost`], and another is started.
//!
//! ```no_run
//! use jackfield_process::{ExitStatus, Launcher, LauncherConfig, Program};
//! use jackfield_runtime::Tasks;
//! use tokio::io::AsyncReadExt;
//!
//! fn main() {
//!     jackfield_process::run_helper_if_asked();
//!     let runtime = tokio::runtime::Runtime::new().unwrap();
//!     runtime.block_on(async {
//!         let launcher = Launcher::start(LauncherConfig::default(), &Tasks::new()).await.unwrap();
//!         let mut child = launcher.spawn(Program::new(["echo", "hello"])).await.unwrap();
//!         let mut said = String::new();
//!         child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
//!         assert_eq!((said.as_str(), child.wait().await), ("hello\n", ExitStatus::Code(0)));
//!     });
//! }
//! ```
//!
//! | system interface | where |
//! |---|---|
//! | `PR_SET_CHILD_SUBREAPER`, `PR_SET_PDEATHSIG`, `PR_SET_NO_NEW_PRIVS` | prctl(2), Linux 3.5 |
//! | `SCM_RIGHTS` over `SOCK_SEQPACKET` | unix(7) |
//! | `pidfd_open` | pidfd_open(2), Linux 5.3: the oldest that this works on |
//! | `close_range` | close_range(2), Linux 5.9; older ones rely on close-on-exec |
//!
//! It does not split command lines, choose environments, read or parse what programs say, retry, or pool: that is
//! for its callers.

mod error;
mod helper;
mod launcher;
mod program;
mod socket;
mod sys;
mod wire;

pub use error::{SpawnError, StartError, Step};
pub use helper::run_helper_if_asked;
pub use launcher::{Begun, Child, ExitStatus, Finished, Launcher, LauncherConfig, Running, Unswept};
pub use program::{Env, Limits, Output, Program, Stdin, User};

/// Lets a test binary be its own helper: to be written once at the top of `tests/it/main.rs`.
///
/// The test harness owns `main`, so this runs [`run_helper_if_asked`] before it, as an initialiser of the executable.
#[macro_export]
macro_rules! helper_in_tests {
    () => {
        #[allow(unsafe_code, reason = "an initialiser is placed in a section by name")]
        const _: () = {
            extern "C" fn before_main() {
                $crate::run_helper_if_asked();
            }
            #[used]
            #[unsafe(link_section = ".init_array")]
            static BEFORE_MAIN: extern "C" fn() = before_main;
        };
    };
}
