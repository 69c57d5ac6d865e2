//! The messages between the server and its helper: one per packet, integers little-endian.
//!
//! Both ends are the same executable, so there is no version. Decoding still checks everything: a
//! message that makes no sense ends the connection, never the process with a panic.

use crate::error::Step;
use crate::program::{Limits, Program, User};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// The longest message in bytes; it bounds arguments and environment together, and stays below the
/// least send buffer that a kernel gives a socket (208 KiB), so that a packet always fits.
pub(crate) const MAX_MESSAGE_BYTES: usize = 160 * 1024;

/// More than the longest reply takes.
pub(crate) const MAX_REPLY_BYTES: usize = 64;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
}

/// From the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Spawn(Box<Spawn>),
    /// End the group: SIGTERM now and SIGKILL after the grace; a grace of zero is SIGKILL at once.
    End {
        id: u64,
        grace: Duration,
    },
    /// End all that is not the group of an unfinished program, or really all.
    Sweep {
        request: u64,
        grace: Duration,
        scope: Scope,
    },
    Count {
        request: u64,
    },
    /// Take over what a dead helper's session holds. Of these groups nothing may live on: they were
    /// unfinished programs'.
    Adopt {
        session: i32,
        unfinished: Vec<i32>,
    },
}

/// What a sweep ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What finished programs have left behind.
    Background,
    /// That, and the unfinished programs.
    Everything,
}

/// To the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Ready,
    Started {
        id: u64,
        pid: i32,
    },
    Failed {
        id: u64,
        step: Step,
        errno: i32,
    },
    /// The child has not executed for so long that it may never do.
    Hangs {
        id: u64,
    },
    /// Also of a program of which nothing was told before.
    Exited {
        id: u64,
        pid: i32,
        ended: Ended,
    },
    Counted {
        request: u64,
        programs: u32,
        background: u32,
    },
    Swept {
        request: u64,
        left: u32,
    },
}

/// A program as the helper gets it. The descriptors of its pipes travel beside the message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spawn {
    pub(crate) id: u64,
    pub(crate) pipes: Pipes,
    pub(crate) file: CString,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: Option<CString>,
    pub(crate) user: Option<User>,
    pub(crate) limits: Limits,
}

/// Which of descriptors 0, 1 and 2 are pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pipes(pub(crate) [bool; 3]);

/// A message that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed message between server and process helper")]
pub(crate) struct Malformed;

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn start(tag: u8) -> Self {
        Self(vec![tag])
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    fn duration(&mut self, value: Duration) -> &mut Self {
        self.u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    /// A length, then the parts end to end. A length over 32 bits is far over the cap of a message,
    /// which is checked when the message is whole.
    fn bytes(&mut self, parts: &[&[u8]]) -> &mut Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
        for part in parts {
            self.0.extend_from_slice(part);
        }
        self
    }

    fn count(&mut self, value: usize) -> &mut Self {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX))
    }

    fn optional(&mut self, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.byte(1).u64(value),
            None => self.byte(0),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_invalid| Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn duration(&mut self) -> Result<Duration, Malformed> {
        self.u64().map(Duration::from_millis)
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        self.u32().and_then(|count| usize::try_from(count).map_err(|_invalid| Malformed))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count()?;
        self.take(length)
    }

    fn c_string(&mut self) -> Result<CString, Malformed> {
        CString::new(self.bytes()?).map_err(|_invalid| Malformed)
    }

    fn c_strings(&mut self) -> Result<Vec<CString>, Malformed> {
        // Not collected into a vector of the declared length: that is only a claim.
        let count = self.count()?;
        (0..count).map(|_| self.c_string()).collect()
    }

    fn optional(&mut self) -> Result<Option<u64>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.u64().map(Some),
            _ => Err(Malformed),
        }
    }

    fn end<T>(&self, message: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(message) } else { Err(Malformed) }
    }
}

/// The message that asks for a program.
pub(crate) fn encode_spawn(id: u64, pipes: Pipes, file: &OsStr, program: &Program) -> Vec<u8> {
    let mut writer = Writer::start(1);
    writer.u64(id);
    for piped in pipes.0 {
        writer.byte(u8::from(piped));
    }
    writer.bytes(&[file.as_bytes()]).count(program.argv.len());
    for argument in &program.argv {
        writer.bytes(&[argument.as_bytes()]);
    }
    writer.count(program.env.iter().count());
    for (name, value) in program.env.iter() {
        writer.bytes(&[name.as_bytes(), b"=", value.as_bytes()]);
    }
    match &program.cwd {
        Some(cwd) => writer.byte(1).bytes(&[cwd.as_os_str().as_bytes()]),
        None => writer.byte(0),
    };
    match &program.user {
        None => writer.byte(0),
        Some(User::Id(id)) => writer.byte(1).u32(*id),
        Some(User::Name(name)) => writer.byte(2).bytes(&[name.as_bytes()]),
    };
    let limits = &program.limits;
    let seconds = limits.cpu.map(|cpu| cpu.as_secs().saturating_add(u64::from(cpu.subsec_nanos() > 0)));
    for limit in [seconds, limits.memory_bytes, limits.file_bytes, limits.open_files, limits.processes] {
        writer.optional(limit);
    }
    writer.0
}

fn decode_spawn(mut reader: Reader<'_>) -> Result<Request, Malformed> {
    let id = reader.u64()?;
    let pipes = Pipes(reader.array::<3>()?.map(|piped| piped != 0));
    let file = reader.c_string()?;
    let argv = reader.c_strings()?;
    let env = reader.c_strings()?;
    let cwd = match reader.byte()? {
        0 => None,
        _ => Some(reader.c_string()?),
    };
    let user = match reader.byte()? {
        0 => None,
        1 => Some(User::Id(reader.u32()?)),
        _ => Some(User::Name(String::from_utf8(reader.bytes()?.to_vec()).map_err(|_invalid| Malformed)?)),
    };
    let limits = Limits {
        cpu: reader.optional()?.map(Duration::from_secs),
        memory_bytes: reader.optional()?,
        file_bytes: reader.optional()?,
        open_files: reader.optional()?,
        processes: reader.optional()?,
    };
    reader.end(Request::Spawn(Box::new(Spawn { id, pipes, file, argv, env, cwd, user, limits })))
}

/// The message that asks for the end of a group.
pub(crate) fn encode_end(id: u64, grace: Duration) -> Vec<u8> {
    let mut writer = Writer::start(2);
    writer.u64(id).duration(grace);
    writer.0
}

/// The message that asks for a sweep.
pub(crate) fn encode_sweep(request: u64, grace: Duration, scope: Scope) -> Vec<u8> {
    let mut writer = Writer::start(3);
    writer.u64(request).duration(grace).byte(u8::from(scope == Scope::Everything));
    writer.0
}

/// The message that asks how many there are.
pub(crate) fn encode_count(request: u64) -> Vec<u8> {
    let mut writer = Writer::start(4);
    writer.u64(request);
    writer.0
}

/// The message that hands over a dead helper's session.
pub(crate) fn encode_adopt(session: i32, unfinished: &[i32]) -> Vec<u8> {
    let mut writer = Writer::start(5);
    writer.i32(session).count(unfinished.len());
    for group in unfinished {
        writer.i32(*group);
    }
    writer.0
}

impl Request {
    pub(crate) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(message);
        match reader.byte()? {
            1 => decode_spawn(reader),
            2 => {
                let end = Self::End { id: reader.u64()?, grace: reader.duration()? };
                reader.end(end)
            }
            3 => {
                let (request, grace) = (reader.u64()?, reader.duration()?);
                let scope = if reader.byte()? == 0 { Scope::Background } else { Scope::Everything };
                reader.end(Self::Sweep { request, grace, scope })
            }
            4 => {
                let count = Self::Count { request: reader.u64()? };
                reader.end(count)
            }
            5 => {
                let (session, count) = (reader.i32()?, reader.count()?);
                let unfinished = (0..count).map(|_| reader.i32()).collect::<Result<_, _>>()?;
                reader.end(Self::Adopt { session, unfinished })
            }
            _ => Err(Malformed),
        }
    }
}

impl Reply {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer;
        match self {
            Self::Ready => writer = Writer::start(1),
            Self::Started { id, pid } => {
                writer = Writer::start(2);
                writer.u64(*id).i32(*pid);
            }
            Self::Failed { id, step, errno } => {
                writer = Writer::start(3);
                writer.u64(*id).byte(step.code()).i32(*errno);
            }
            Self::Exited { id, pid, ended } => {
                let (tag, value) = match ended {
                    Ended::Code(code) => (0, *code),
                    Ended::Signal(signal) => (1, *signal),
                };
                writer = Writer::start(4);
                writer.u64(*id).i32(*pid).byte(tag).i32(value);
            }
            Self::Counted { request, programs, background } => {
                writer = Writer::start(5);
                writer.u64(*request).u32(*programs).u32(*background);
            }
            Self::Swept { request, left } => {
                writer = Writer::start(6);
                writer.u64(*request).u32(*left);
            }
            Self::Hangs { id } => {
                writer = Writer::start(7);
                writer.u64(*id);
            }
        }
        writer.0
    }

    pub(crate) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(message);
        let reply = match reader.byte()? {
            1 => Self::Ready,
            2 => Self::Started { id: reader.u64()?, pid: reader.i32()? },
            3 => Self::Failed {
                id: reader.u64()?,
                step: Step::of_code(reader.byte()?).ok_or(Malformed)?,
                errno: reader.i32()?,
            },
            4 => {
                let (id, pid, tag, value) = (reader.u64()?, reader.i32()?, reader.byte()?, reader.i32()?);
                Self::Exited {
                    id,
                    pid,
                    ended: if tag == 0 { Ended::Code(value) } else { Ended::Signal(value) },
                }
            }
            5 => Self::Counted { request: reader.u64()?, programs: reader.u32()?, background: reader.u32()? },
            6 => Self::Swept { request: reader.u64()?, left: reader.u32()? },
            7 => Self::Hangs { id: reader.u64()? },
            _ => return Err(Malformed),
        };
        reader.end(reply)
    }
}

#[cfg(test)]
mod tests;
