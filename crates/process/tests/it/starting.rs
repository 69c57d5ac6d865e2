//! How programs start, what they get, and what is told when they cannot.

use crate::{folder, launcher, program, run, sh, stdout_of};
use jackfield_process::{Begun, Env, ExitStatus, Limits, Output, Program, SpawnError, Stdin, Step, User};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn an_exit_code_or_a_signal_is_told_as_it_was() {
    let launcher = launcher().await;
    for code in [0, 1, 75, 77, 127, 255] {
        let (status, ..) = run(&launcher, sh(&format!("exit {code}"))).await;
        assert_eq!((status, status.success()), (ExitStatus::Code(code), code == 0));
    }
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("PIPE", 13)] {
        let (status, ..) = run(&launcher, sh(&format!("kill -{name} $$"))).await;
        assert_eq!(status, ExitStatus::Signal(number));
    }
}

#[tokio::test]
async fn waiting_again_tells_the_same() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(sh("exit 3")).await.unwrap();
    assert_eq!((child.wait().await, child.wait().await), (ExitStatus::Code(3), ExitStatus::Code(3)));
}

#[tokio::test]
async fn what_it_writes_comes_by_the_pipe_it_wrote_to() {
    let launcher = launcher().await;
    let outcome = run(&launcher, sh("echo out; echo err >&2")).await;
    assert_eq!(outcome, (ExitStatus::Code(0), "out\n".to_owned(), "err\n".to_owned()));
    let silent = Program { stdout: Output::Null, stderr: Output::Null, ..sh("echo out; echo err >&2") };
    assert_eq!(run(&launcher, silent).await, (ExitStatus::Code(0), String::new(), String::new()));
    let half = Program { stdout: Output::Null, ..sh("echo out; echo err >&2") };
    assert_eq!(run(&launcher, half).await, (ExitStatus::Code(0), String::new(), "err\n".to_owned()));
}

#[tokio::test]
async fn standard_input_is_what_was_written_to_it() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(Program { stdin: Stdin::Pipe, ..program(["cat"]) }).await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one line\n").await.unwrap();
    drop(stdin);
    let mut lines = crate::lines(&mut child);
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("one line"));
    assert_eq!(child.wait().await, ExitStatus::Code(0));
    assert_eq!(stdout_of(&launcher, program(["cat"])).await, "", "the null device is at its end");
}

#[tokio::test]
async fn an_input_that_is_given_with_the_program_arrives_whole() {
    let launcher = launcher().await;
    for length in [0, 1, 4096, 65_536, 1 << 20] {
        let stdin = Stdin::Bytes(vec![b'x'; length]);
        let mut child = launcher.spawn(Program { stdin, ..program(["wc", "-c"]) }).await.unwrap();
        if let Some(mut rest) = child.stdin.take() {
            rest.write_all(&child.unwritten).await.unwrap();
        }
        let said = crate::lines(&mut child).next_line().await.unwrap().unwrap();
        assert_eq!((said.as_str(), child.wait().await), (length.to_string().as_str(), ExitStatus::Code(0)));
    }
}

#[tokio::test]
async fn what_a_program_wrote_that_is_over_at_once_can_be_read() {
    let launcher = launcher().await;
    let begin = || launcher.begin(sh("echo out; echo err >&2; sleep 1000 2>/dev/null & exit 3"));
    // On a busy machine some take longer than the helper waits before its first look.
    let over = loop {
        match begin().await.unwrap() {
            Begun::Finished(over) => break over,
            Begun::Running(mut child) => assert_eq!(child.wait().await, ExitStatus::Code(3)),
        }
    };
    assert_eq!(over.status, ExitStatus::Code(3));
    let (mut out, mut err) = ([0; 16], [0; 16]);
    let (stdout, stderr) = (over.stdout.unwrap(), over.stderr.unwrap());
    assert_eq!((rustix::io::read(&stdout, &mut out), &out[..4]), (Ok(4), b"out\n".as_slice()));
    assert_eq!((rustix::io::read(&stderr, &mut err), &err[..4]), (Ok(4), b"err\n".as_slice()));
    // Somebody still holds the one, and we do not wait for that; the other is closed.
    assert_eq!(rustix::io::read(&stdout, &mut out), Err(rustix::io::Errno::AGAIN));
    // As soon as what was left behind has given it up.
    let end = loop {
        match rustix::io::read(&stderr, &mut err) {
            Err(rustix::io::Errno::AGAIN) => tokio::task::yield_now().await,
            end => break end,
        }
    };
    assert_eq!(end, Ok(0));

    let Begun::Running(mut lasts) = launcher.begin(sh("echo up; exec sleep 1000")).await.unwrap() else {
        panic!("it has not ended");
    };
    assert_eq!(crate::lines(&mut lasts).next_line().await.unwrap().as_deref(), Some("up"));
    lasts.kill();
    assert_eq!(lasts.wait().await, ExitStatus::Signal(9));
}

#[tokio::test]
async fn a_program_that_never_reads_or_closes_its_input_is_no_error() {
    let launcher = launcher().await;
    for script in ["exit 0", "exec <&-; exit 0"] {
        let mut child = launcher.spawn(Program { stdin: Stdin::Pipe, ..sh(script) }).await.unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let megabyte = vec![b'x'; 1 << 20];
        let written = stdin.write_all(&megabyte).await;
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        assert_eq!(child.wait().await, ExitStatus::Code(0));
    }
}

#[tokio::test]
async fn a_program_that_cannot_start_says_why() {
    let launcher = launcher().await;
    let folder = folder("cannot-start");
    let write = |name: &str, mode: u32, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    };
    let error = async |program: Program| launcher.spawn(program).await.unwrap_err();
    let missing = folder.join("missing");

    assert!(
        matches!(error(Program::new([&missing])).await, SpawnError::NotFound { file } if file == missing)
    );
    assert!(matches!(error(Program::new(["no-such-program"])).await, SpawnError::NotFound { .. }));
    assert!(matches!(error(Program::new([&folder])).await, SpawnError::NotExecutable { .. }));
    let plain = write("plain", 0o644, "#!/bin/sh\n");
    assert!(matches!(error(Program::new([plain])).await, SpawnError::NotExecutable { .. }));
    let lost = write("lost", 0o755, "#!/no/such/interpreter\n");
    assert!(matches!(error(Program::new([lost])).await, SpawnError::InterpreterNotFound { .. }));
    let binary = write("binary", 0o755, "\x7fELF\0\0nonsense");
    assert!(matches!(error(Program::new([binary])).await, SpawnError::NotExecutable { .. }));
    let cwd = Program { cwd: Some(missing.clone()), ..sh("exit 0") };
    assert!(matches!(error(cwd).await, SpawnError::Folder { cwd, .. } if cwd == missing));
    let user = Program { user: Some(User::Name("no-such-user".to_owned())), ..sh("exit 0") };
    assert!(matches!(error(user).await, SpawnError::User { user, .. } if user == "no-such-user"));
    assert!(matches!(error(Program::new([""; 0])).await, SpawnError::Empty));
    assert!(matches!(error(Program::new(["sh", "a\0b"])).await, SpawnError::Unpassable(_)));
    let equals = Program { env: [("A=B", "1")].into_iter().collect::<Env>(), ..sh("exit 0") };
    assert!(matches!(error(equals).await, SpawnError::Unpassable(_)));

    assert_eq!(run(&launcher, sh("exit 0")).await.0, ExitStatus::Code(0), "the helper works on");
    assert_eq!(launcher.running().await.unwrap().programs, 0);
}

#[tokio::test]
async fn arguments_beyond_the_limit_are_refused_and_below_it_arrive() {
    let launcher = launcher().await;
    let long = |length: usize| {
        let mut env: Env = [("PATH", "/usr/bin:/bin")].into_iter().collect();
        env.set("LONG", "x".repeat(length));
        Program { env, ..sh("echo ${#LONG}") }
    };
    assert_eq!(stdout_of(&launcher, long(120_000)).await, "120000\n");
    let error = launcher.spawn(long(1_000_000)).await.unwrap_err();
    assert!(matches!(error, SpawnError::TooBig { bytes, .. } if bytes > 1_000_000));
    // What the server takes and the kernel does not (a string of more than 128 KiB) is told too.
    let error = launcher.spawn(long(140_000)).await.unwrap_err();
    assert!(matches!(error, SpawnError::Step { step: Step::Exec, .. }), "{error}");
}

#[tokio::test]
async fn a_script_without_a_first_line_is_run_by_the_shell() {
    let launcher = launcher().await;
    let file = folder("no-first-line").join("script");
    fs::write(&file, "echo \"$0 $1\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let said = stdout_of(&launcher, program([file.as_os_str(), "one".as_ref()])).await;
    assert_eq!(said, format!("{} one\n", file.display()));
}

#[tokio::test]
async fn the_file_may_be_another_than_its_name_and_is_searched_in_path() {
    let launcher = launcher().await;
    let named = Program { file: Some("/bin/sh".into()), ..program(["other", "-c", "echo $0"]) };
    assert_eq!(stdout_of(&launcher, named).await, "other\n");
    let folder = folder("in-path");
    let file = folder.join("jackfield-test-program");
    fs::write(&file, "#!/bin/sh\necho found\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let mut found = Program::new(["jackfield-test-program"]);
    found.env.set("PATH", format!("/nonexistent::{}", folder.display()));
    assert_eq!(stdout_of(&launcher, found).await, "found\n");
    // Without PATH the usual places are searched.
    assert_eq!(stdout_of(&launcher, Program::new(["echo", "hello"])).await, "hello\n");
}

#[tokio::test]
async fn the_working_folder_is_the_one_asked_for_or_the_servers() {
    let launcher = launcher().await;
    let there = Program { cwd: Some("/".into()), ..sh("pwd") };
    assert_eq!(stdout_of(&launcher, there).await, "/\n");
    let own = std::env::current_dir().unwrap();
    assert_eq!(stdout_of(&launcher, program(["pwd"])).await, format!("{}\n", own.display()));
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_nothing_else() {
    let launcher = launcher().await;
    let mut program = Program::new(["/usr/bin/env"]);
    assert_eq!(stdout_of(&launcher, program.clone()).await, "");
    program.env.set("B", "two words").set("A", "1");
    assert_eq!(stdout_of(&launcher, program.clone()).await, "A=1\nB=two words\n");
    program.env = Env::of_the_server();
    assert!(stdout_of(&launcher, program).await.contains("PATH="));
}

#[tokio::test]
async fn a_program_has_three_descriptors_and_no_other() {
    use std::os::fd::AsRawFd;
    // One that any child of this process would inherit.
    let leaky = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::empty()).unwrap();
    assert!(leaky.as_raw_fd() > 2);
    let launcher = launcher().await;
    // `ls` itself opens the fourth, to read the folder.
    for stdin in [Stdin::Null, Stdin::Pipe] {
        let list = Program { stdin, ..program(["ls", "/proc/self/fd"]) };
        assert_eq!(stdout_of(&launcher, list).await, "0\n1\n2\n3\n");
    }
}

#[tokio::test]
async fn a_program_starts_in_its_own_group_with_clean_signals_and_few_rights() {
    let launcher = launcher().await;
    let cat = program(["cat", "/proc/self/stat", "/proc/self/status", "/proc/self/limits"]);
    let mut child = launcher.spawn(cat).await.unwrap();
    let pid = child.pid().to_string();
    let mut lines = crate::lines(&mut child);
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        all.push(line);
    }
    let stat: Vec<&str> = all.first().unwrap().split(' ').collect();
    assert_eq!((stat[0], stat[4]), (pid.as_str(), pid.as_str()), "pid and group");
    let field = |name: &str| all.iter().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    for signals in ["SigPnd:", "SigBlk:", "SigIgn:", "SigCgt:"] {
        assert_eq!(field(signals), "0000000000000000", "{signals}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    let core: Vec<String> = field("Max core file size").split_whitespace().map(str::to_owned).collect();
    assert_eq!(core[..2], ["0", "0"]);
}

#[tokio::test]
async fn limits_are_set_where_they_are_asked_for() {
    let launcher = launcher().await;
    let limits = Limits { open_files: Some(17), file_bytes: Some(1024), ..Limits::default() };
    let said = stdout_of(&launcher, Program { limits, ..sh("ulimit -n; ulimit -f") }).await;
    assert_eq!(said, "17\n2\n", "descriptors, and blocks of 512 bytes");
    let mine = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let said = stdout_of(&launcher, sh("ulimit -n")).await;
    assert_eq!(said.trim().parse().ok(), mine);
}

#[tokio::test]
async fn a_program_runs_as_the_user_asked_for() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let launcher = launcher().await;
    let id = |user: User| Program { user: Some(user), cwd: Some("/".into()), ..sh("id -u; id -g; id -G") };
    let nobody = stdout_of(&launcher, id(User::Name("nobody".to_owned()))).await;
    assert_eq!(nobody, "65534\n65534\n65534\n");
    let unknown = stdout_of(&launcher, id(User::Id(54_321))).await;
    assert_eq!(unknown, "54321\n54321\n54321\n");
}

#[tokio::test]
async fn many_starts_at_once_all_end_well() {
    let launcher = launcher().await;
    let tasks = jackfield_runtime::Tasks::new();
    let joining: Vec<_> = (0..200)
        .map(|n| {
            let launcher = launcher.clone();
            tasks.spawn("start", async move { (n, stdout_of(&launcher, sh(&format!("echo {n}"))).await) })
        })
        .collect();
    for joining in joining {
        let (n, said) = joining.join().await.unwrap();
        assert_eq!(said, format!("{n}\n"));
    }
}

#[tokio::test]
async fn a_thousand_starts_leave_no_descriptor_and_no_zombie() {
    let launcher = launcher().await;
    let count = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    run(&launcher, sh("exit 0")).await;
    let helper = launcher.running().await.unwrap().helper;
    let before = (count(std::process::id()), count(helper));
    for _ in 0..1000 {
        let mut child = launcher.spawn(Program { stdin: Stdin::Pipe, ..program(["true"]) }).await.unwrap();
        assert_eq!(child.wait().await, ExitStatus::Code(0));
    }
    let running = launcher.running().await.unwrap();
    assert_eq!((running.programs, running.background), (0, 0));
    assert_eq!((count(std::process::id()), count(helper)), before);
    let children = fs::read_to_string(format!("/proc/{helper}/task/{helper}/children")).unwrap();
    assert_eq!(children, "", "zombies are children too");
}
