//! Every message survives its way over the wire, and nothing else is taken for one.

use super::*;
use crate::program::Env;

fn program() -> Program {
    Program {
        cwd: Some("/tmp".into()),
        user: Some(User::Name("nobody".to_owned())),
        env: [("A", "1"), ("B", "x=y")].into_iter().collect::<Env>(),
        limits: Limits { cpu: Some(Duration::from_millis(1500)), open_files: Some(9), ..Limits::default() },
        ..Program::new(["sh", "-c", "exit 3"])
    }
}

fn spawn_message() -> Vec<u8> {
    encode_spawn(7, Pipes([true, false, true]), OsStr::new("/bin/sh"), &program())
}

#[test]
fn a_program_arrives_as_it_was_sent() {
    let c = |text: &str| CString::new(text).unwrap();
    let expect = Spawn {
        id: 7,
        pipes: Pipes([true, false, true]),
        file: c("/bin/sh"),
        argv: vec![c("sh"), c("-c"), c("exit 3")],
        env: vec![c("A=1"), c("B=x=y")],
        cwd: Some(c("/tmp")),
        user: Some(User::Name("nobody".to_owned())),
        limits: Limits { cpu: Some(Duration::from_secs(2)), open_files: Some(9), ..Limits::default() },
    };
    assert_eq!(Request::decode(&spawn_message()), Ok(Request::Spawn(Box::new(expect))));
}

#[test]
fn requests_arrive_as_they_were_sent() {
    let grace = Duration::from_millis(1234);
    assert_eq!(Request::decode(&encode_end(3, grace)), Ok(Request::End { id: 3, grace }));
    for scope in [Scope::Background, Scope::Everything] {
        let sent = encode_sweep(4, grace, scope);
        assert_eq!(Request::decode(&sent), Ok(Request::Sweep { request: 4, grace, scope }));
    }
    assert_eq!(Request::decode(&encode_count(5)), Ok(Request::Count { request: 5 }));
    let adopt = Request::Adopt { session: 6, unfinished: vec![7, 8] };
    assert_eq!(Request::decode(&encode_adopt(6, &[7, 8])), Ok(adopt));
}

#[test]
fn replies_arrive_as_they_were_sent() {
    for reply in [
        Reply::Ready,
        Reply::Started { id: 1, pid: 99 },
        Reply::Failed { id: 2, step: Step::Interpreter, errno: 2 },
        Reply::Hangs { id: u64::MAX },
        Reply::Exited { id: 3, pid: 30, ended: Ended::Code(255) },
        Reply::Exited { id: 4, pid: i32::MAX, ended: Ended::Signal(9) },
        Reply::Counted { request: 5, programs: 6, background: 7 },
        Reply::Swept { request: 8, left: 9 },
    ] {
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }
}

#[test]
fn a_message_cut_short_or_with_a_tail_is_malformed() {
    let whole = spawn_message();
    for length in 0..whole.len() {
        let cut = whole.get(..length).unwrap();
        assert_eq!(Request::decode(cut), Err(Malformed), "cut at {length}");
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert_eq!(Request::decode(&longer), Err(Malformed));
    assert_eq!(Reply::decode(&[9]), Err(Malformed));
}

#[test]
fn a_claimed_count_takes_no_memory() {
    let mut writer = Writer::start(1);
    writer.u64(1).byte(0).byte(0).byte(0).bytes(&[b"sh"]).u32(u32::MAX);
    assert_eq!(Request::decode(&writer.0), Err(Malformed));
}
