//! What `/proc` answered, taken down beside the records and given again in a replay.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::wire::{Put, Take};
use crate::event::Pid;
use crate::host::process::otel_only;
use crate::host::{Cgroup, Facts, Process, Ticks, Toolchain, Unread, cgroup};

/// Notes that wait to be written, and answers that wait to be asked for.
const WAITING: usize = 16_384;
/// Answers to one question that wait.
const ANSWERS: usize = 16;

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What a process is.
    Process(Pid, Result<Box<Process>, Unread>),
    /// Its control group alone.
    Cgroup(Pid, Result<Cgroup, Unread>),
    /// The processes there are.
    Pids(Vec<Pid>),
    /// A process of which it was asked whether it lives does not.
    Gone(Pid),
}

impl Note {
    pub(super) fn put(&self, put: &mut Put) {
        match self {
            Self::Process(pid, answer) => {
                put.byte(0);
                put.word(pid.0);
                if put_answer(put, answer.as_ref().err().copied())
                    && let Ok(process) = answer
                {
                    put_process(put, process);
                }
            }
            Self::Cgroup(pid, answer) => {
                put.byte(1);
                put.word(pid.0);
                if put_answer(put, answer.as_ref().err().copied())
                    && let Ok(cgroup) = answer
                {
                    put_cgroup(put, cgroup);
                }
            }
            Self::Pids(pids) => {
                put.byte(2);
                for pid in pids {
                    put.word(pid.0);
                }
            }
            Self::Gone(pid) => {
                put.byte(3);
                put.word(pid.0);
            }
        }
    }

    pub(super) fn take(payload: &[u8]) -> Option<Self> {
        let mut take = Take(payload);
        let note = match take.byte()? {
            0 => {
                let pid = Pid(take.word()?);
                Self::Process(
                    pid,
                    match take_answer(&mut take)? {
                        Ok(()) => Ok(Box::new(take_process(&mut take, pid)?)),
                        Err(why) => Err(why),
                    },
                )
            }
            1 => {
                let pid = Pid(take.word()?);
                Self::Cgroup(
                    pid,
                    match take_answer(&mut take)? {
                        Ok(()) => Ok(take_cgroup(&mut take)?),
                        Err(why) => Err(why),
                    },
                )
            }
            2 => {
                let mut pids = Vec::new();
                while !take.0.is_empty() {
                    pids.push(Pid(take.word()?));
                }
                Self::Pids(pids)
            }
            3 => Self::Gone(Pid(take.word()?)),
            _ => return None,
        };
        take.end(note)
    }
}

/// True if an answer follows.
fn put_answer(put: &mut Put, why: Option<Unread>) -> bool {
    put.byte(match why {
        None => 0,
        Some(Unread::Vanished) => 1,
        Some(Unread::Denied) => 2,
        Some(Unread::Malformed) => 3,
        Some(Unread::Failed) => 4,
    });
    why.is_none()
}

fn take_answer(take: &mut Take<'_>) -> Option<Result<(), Unread>> {
    Some(match take.byte()? {
        0 => Ok(()),
        1 => Err(Unread::Vanished),
        2 => Err(Unread::Denied),
        3 => Err(Unread::Malformed),
        4 => Err(Unread::Failed),
        _ => return None,
    })
}

fn put_process(put: &mut Put, process: &Process) {
    let Process { pid: _, parent, started, comm, exe, cwd, args, env, cgroup, toolchain } = process;
    put.word(parent.0);
    put.long(started.0);
    put.bytes(comm.as_bytes());
    put.option(exe.as_deref());
    put.option(cwd.as_deref());
    put.bytes(args);
    // Whoever answered: nothing else of an environment is written.
    put.bytes(&otel_only(env));
    put_cgroup(put, cgroup);
    put.byte(*toolchain as u8);
}

fn take_process(take: &mut Take<'_>, pid: Pid) -> Option<Process> {
    Some(Process {
        pid,
        parent: Pid(take.word()?),
        started: Ticks(take.long()?),
        comm: take.text()?,
        exe: take.option().ok()?,
        cwd: take.option().ok()?,
        args: take.bytes()?.to_vec(),
        env: take.bytes()?.to_vec(),
        cgroup: take_cgroup(take)?,
        toolchain: Toolchain::of(take.byte()?)?,
    })
}

fn put_cgroup(put: &mut Put, cgroup: &Cgroup) {
    // The pod is in the path.
    let Cgroup { path, container, pod: _, unit } = cgroup;
    put.bytes(path.as_bytes());
    put.option(container.as_deref());
    put.option(unit.as_deref());
}

fn take_cgroup(take: &mut Take<'_>) -> Option<Cgroup> {
    let (path, container) = (take.text()?, take.option().ok()?);
    let (pod, unit) = (cgroup::pod_of(&path), take.option().ok()?);
    Some(Cgroup { path, container, pod, unit })
}

/// Notes taken since they were last collected.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<(Vec<Note>, u64)>>);

impl Notes {
    /// What was taken down, to be written behind the step in whose handling it was.
    pub fn take(&self) -> Vec<Note> {
        std::mem::take(&mut locked(&self.0).0)
    }

    /// Notes that were not taken down because nobody collected them.
    pub fn left_out(&self) -> u64 {
        locked(&self.0).1
    }

    fn add(&self, note: impl FnOnce() -> Note) {
        let (notes, left_out) = &mut *locked(&self.0);
        if notes.len() < WAITING {
            notes.push(note());
        } else {
            *left_out += 1;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// [`Facts`] that take down every answer.
#[derive(Debug)]
pub struct Noted<F> {
    facts: F,
    notes: Notes,
}

impl<F: Facts> Noted<F> {
    /// Takes down in `notes` what `facts` answer.
    pub fn new(facts: F, notes: Notes) -> Self {
        Self { facts, notes }
    }
}

impl<F: Facts> Facts for Noted<F> {
    fn process(&mut self, pid: Pid) -> Result<Process, Unread> {
        let answer = self.facts.process(pid);
        self.notes.add(|| Note::Process(pid, answer.clone().map(Box::new)));
        answer
    }

    fn cgroup(&mut self, pid: Pid) -> Result<Cgroup, Unread> {
        let answer = self.facts.cgroup(pid);
        self.notes.add(|| Note::Cgroup(pid, answer.clone()));
        answer
    }

    fn pids(&mut self, limit: usize) -> Vec<Pid> {
        let answer = self.facts.pids(limit);
        self.notes.add(|| Note::Pids(answer.clone()));
        answer
    }

    fn is_alive(&mut self, pid: Pid, started: Option<Ticks>) -> bool {
        let is_alive = self.facts.is_alive(pid, started);
        if !is_alive {
            self.notes.add(|| Note::Gone(pid));
        }
        is_alive
    }
}

#[derive(Debug, Default)]
struct Answers {
    processes: HashMap<Pid, VecDeque<Result<Box<Process>, Unread>>>,
    cgroups: HashMap<Pid, VecDeque<Result<Cgroup, Unread>>>,
    pids: VecDeque<Vec<Pid>>,
    gone: HashSet<Pid>,
    left_out: u64,
}

/// [`Facts`] from a recording: every question is answered as it was, in the same order.
#[derive(Clone, Debug, Default)]
pub struct Recorded(Arc<Mutex<Answers>>);

impl Recorded {
    /// An answer that will be asked for.
    pub fn add(&self, note: Note) {
        let Answers { processes, cgroups, pids, gone, left_out } = &mut *locked(&self.0);
        match note {
            Note::Process(pid, answer) => add(processes, pid, answer, left_out),
            Note::Cgroup(pid, answer) => add(cgroups, pid, answer, left_out),
            Note::Pids(all) if pids.len() < ANSWERS => pids.push_back(all),
            Note::Gone(pid) if gone.len() < WAITING => {
                gone.insert(pid);
            }
            Note::Pids(_) | Note::Gone(_) => *left_out += 1,
        }
    }

    /// Answers that were never asked for and found no place.
    pub fn left_out(&self) -> u64 {
        locked(&self.0).left_out
    }
}

fn add<T>(answers: &mut HashMap<Pid, VecDeque<T>>, pid: Pid, answer: T, left_out: &mut u64) {
    if answers.len() >= WAITING && !answers.contains_key(&pid) {
        *left_out += 1;
        return;
    }
    let waiting = answers.entry(pid).or_default();
    if waiting.len() >= ANSWERS {
        *left_out += 1;
        return;
    }
    waiting.push_back(answer);
}

fn next<T>(answers: &mut HashMap<Pid, VecDeque<Result<T, Unread>>>, pid: Pid) -> Result<T, Unread> {
    let Some(waiting) = answers.get_mut(&pid) else { return Err(Unread::Vanished) };
    let answer = waiting.pop_front();
    if waiting.is_empty() {
        answers.remove(&pid);
    }
    answer.unwrap_or(Err(Unread::Vanished))
}

impl Facts for Recorded {
    fn process(&mut self, pid: Pid) -> Result<Process, Unread> {
        next(&mut locked(&self.0).processes, pid).map(|process| *process)
    }

    fn cgroup(&mut self, pid: Pid) -> Result<Cgroup, Unread> {
        next(&mut locked(&self.0).cgroups, pid)
    }

    fn pids(&mut self, limit: usize) -> Vec<Pid> {
        let mut pids = locked(&self.0).pids.pop_front().unwrap_or_default();
        pids.truncate(limit);
        pids
    }

    fn is_alive(&mut self, pid: Pid, _started: Option<Ticks>) -> bool {
        !locked(&self.0).gone.remove(&pid)
    }
}
