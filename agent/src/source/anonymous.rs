//! A recording without who made it: for a report in public, and for a test.
//!
//! What stays: heads (without credentials), sizes, times, addresses, process ids, names of programs
//! and of services. What goes: names of the host, paths, arguments, the rest of the environments,
//! control groups, and every process that had no traffic.

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom, Write};

use agent_common::record::{self, Kind};
use zerocopy::{FromBytes, IntoBytes};

use super::note::Note;
use super::read::{Frame, What};
use super::write::Counts;
use super::{Batch, Error, Header, Reader, Step, Table, Writer};
use crate::event::Pid;
use crate::host::{Cgroup, Machine, Process};

/// Processes with traffic that are kept.
const PROCESSES: usize = 65_536;
/// The variable that is kept.
const NAME: &[u8] = b"OTEL_SERVICE_NAME=";

/// Copies the recording `from` to `to`, at most `limit` bytes of it. It is read twice.
pub fn anonymise(
    mut from: impl Read + Seek,
    to: impl Write,
    limit: u64,
) -> Result<(Counts, impl Write), Error> {
    let begin = from.stream_position().map_err(|e| failed(What::Read(e)))?;
    let kept = with_traffic(&mut Reader::open(&mut from)?)?;
    from.seek(SeekFrom::Start(begin)).map_err(|e| failed(What::Read(e)))?;
    let mut reader = Reader::open(from)?;
    let write = |e| failed(What::Write(e));
    let mut writer = Writer::new(to, &header(reader.header()), limit).map_err(write)?;
    let mut batch = Batch::default();
    let mut copy = Batch::default();
    loop {
        match reader.next(&mut batch)? {
            Frame::Step(Step::Records) => {
                records(&batch, &kept, &mut copy);
                if batch.is_empty() || !copy.is_empty() {
                    writer.records(&copy).map_err(write)?;
                }
            }
            Frame::Step(Step::Rows(table)) => writer.rows(table, &batch).map_err(write)?,
            Frame::Step(Step::Tick(now)) => writer.tick(now).map_err(write)?,
            Frame::Step(Step::Clocks(anchor)) => writer.clocks(anchor).map_err(write)?,
            Frame::Note(told) => {
                if let Some(told) = note(told, &kept) {
                    writer.note(&told).map_err(write)?;
                }
            }
            Frame::Step(Step::End) => break,
        }
    }
    let counts = writer.counts();
    Ok((counts, writer.finish().map_err(write)?))
}

fn failed(what: What) -> Error {
    Error { offset: 0, what }
}

/// The processes that used a socket.
fn with_traffic<R: Read>(reader: &mut Reader<R>) -> Result<HashSet<u32>, Error> {
    let mut kept = HashSet::new();
    let mut batch = Batch::default();
    loop {
        match reader.next(&mut batch)? {
            Frame::Step(Step::Records | Step::Rows(Table::SWEEP)) => {
                let all = batch.records().flat_map(users).filter(|pid| *pid != 0);
                for pid in all {
                    if kept.len() < PROCESSES {
                        kept.insert(pid);
                    }
                }
            }
            Frame::Step(Step::End) => return Ok(kept),
            Frame::Step(_) | Frame::Note(_) => {}
        }
    }
}

/// The processes at a socket that a record names; zero for none.
fn users(record: &[u8]) -> [u32; 2] {
    let one = |pid| [pid, 0];
    match record.first().copied().and_then(Kind::of) {
        Some(Kind::Pair) => record::Pair::read_from_prefix(record)
            .map_or([0; 2], |(pair, _)| [pair.ask_tgid, pair.answer_tgid]),
        Some(Kind::Segment) => record::Segment::read_from_prefix(record)
            .map_or([0; 2], |(segment, _)| one(segment.tgid)),
        Some(Kind::ConnectFailed) => record::ConnectFailed::read_from_prefix(record)
            .map_or([0; 2], |(connect, _)| one(connect.tgid)),
        _ => [0; 2],
    }
}

fn records(batch: &Batch, kept: &HashSet<u32>, copy: &mut Batch) {
    copy.clear();
    for record in batch.records() {
        match record.first().copied().and_then(Kind::of) {
            Some(Kind::Exec) => {
                if let Some(exec) = exec(record, kept) {
                    copy.push(&exec);
                }
            }
            Some(Kind::Fork) => {
                if record::Fork::read_from_prefix(record)
                    .is_ok_and(|(f, _)| kept.contains(&f.child))
                {
                    copy.push(record);
                }
            }
            Some(Kind::Exit) => {
                if record::Exit::read_from_prefix(record).is_ok_and(|(e, _)| kept.contains(&e.tgid))
                {
                    copy.push(record);
                }
            }
            _ => copy.push(record),
        }
    }
}

fn exec(record: &[u8], kept: &HashSet<u32>) -> Option<Vec<u8>> {
    let (mut header, rest) = record::Exec::read_from_prefix(record).ok()?;
    if !kept.contains(&header.tgid) {
        return None;
    }
    let (args, rest) = rest.split_at_checked(usize::from(header.args))?;
    let args = program(args);
    let env = service_name(rest.get(..usize::from(header.env))?);
    header.args = u16::try_from(args.len()).ok()?;
    header.env = u16::try_from(env.len()).ok()?;
    header.groups = 0;
    Some([header.as_bytes(), &args, &env].concat())
}

fn note(told: Note, kept: &HashSet<u32>) -> Option<Note> {
    let stays = |pid: &Pid| kept.contains(&pid.0);
    Some(match told {
        Note::Process(pid, answer) if stays(&pid) => {
            Note::Process(pid, answer.map(|process| Box::new(nameless(*process))))
        }
        Note::Cgroup(pid, answer) if stays(&pid) => {
            Note::Cgroup(pid, answer.map(|_| Cgroup::default()))
        }
        Note::Gone(pid) if stays(&pid) => told,
        Note::Pids(pids) => Note::Pids(pids.into_iter().filter(stays).collect()),
        Note::Process(..) | Note::Cgroup(..) | Note::Gone(_) => return None,
    })
}

fn header(header: &Header) -> Header {
    let Header { machine, anchor } = header;
    let release = machine.kernel.split(|c: char| c != '.' && !c.is_ascii_digit()).next();
    let machine = Machine {
        id: String::new(),
        name: "host".to_owned(),
        arch: machine.arch.clone(),
        kernel: release.unwrap_or_default().to_owned(),
        boot: String::new(),
    };
    Header { machine, anchor: *anchor }
}

fn nameless(process: Process) -> Process {
    let Process { pid, parent, started, comm, exe, cwd: _, args, env, cgroup: _, toolchain } =
        process;
    let file = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    Process {
        pid,
        parent,
        started,
        comm,
        exe: exe.map(file),
        cwd: None,
        args: program(&args),
        env: service_name(&env),
        cgroup: Cgroup::default(),
        toolchain,
    }
}

/// Of a command line the program's name.
fn program(args: &[u8]) -> Vec<u8> {
    let first = args.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // Some programs write a title of many words over their arguments.
    let name = name.split(|byte| *byte == b' ').next().unwrap_or_default();
    [name, b"\0"].concat()
}

/// Of an environment the service's name.
fn service_name(env: &[u8]) -> Vec<u8> {
    let found = env.split(|byte| *byte == 0).find(|variable| variable.starts_with(NAME));
    found.map(|variable| [variable, b"\0"].concat()).unwrap_or_default()
}
