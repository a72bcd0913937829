//! Wakes the thread that owns the pipeline: by a question, by the kernel's ring, or by time.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};

/// Where questions are asked.
#[derive(Debug)]
pub struct Ringer<T> {
    rope: Arc<OwnedFd>,
    questions: Sender<T>,
}

impl<T> Clone for Ringer<T> {
    fn clone(&self) -> Self {
        Self { rope: Arc::clone(&self.rope), questions: self.questions.clone() }
    }
}

/// Where they are heard.
#[derive(Debug)]
pub struct Bell<T> {
    rope: Arc<OwnedFd>,
    questions: Receiver<T>,
}

/// Why a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// A question.
    Asked(T),
    /// The ring, or time.
    Nothing,
    /// Nobody is left who could ask.
    Deserted,
}

/// A bell and its rope.
pub fn hang<T>() -> io::Result<(Ringer<T>, Bell<T>)> {
    let rope = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (asking, questions) = channel();
    Ok((Ringer { rope: Arc::clone(&rope), questions: asking }, Bell { rope, questions }))
}

impl<T> Ringer<T> {
    /// Asks. If nobody listens any more, nobody will answer.
    pub fn ring(&self, question: T) {
        if self.questions.send(question).is_ok() {
            // The counter cannot be full: it is emptied with each wait.
            let _ = write(&*self.rope, &1u64.to_ne_bytes());
        }
    }
}

impl<T> Bell<T> {
    /// Waits for a question, for `ring` to be readable if it is given, or until `most` has passed.
    pub fn wait(&self, ring: Option<BorrowedFd<'_>>, most: Duration) -> io::Result<Heard<T>> {
        let mut fds = Vec::with_capacity(2);
        fds.push(PollFd::new(&*self.rope, PollFlags::IN));
        fds.extend(ring.map(|ring| PollFd::from_borrowed_fd(ring, PollFlags::IN)));
        let most = Timespec::try_from(most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut fds, Some(&most)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        match self.questions.try_recv() {
            Ok(question) => {
                let mut counter = [0; 8];
                // More than one question may stand behind one ring; each wait takes one, and time
                // brings the next.
                let _ = read(&*self.rope, &mut counter);
                if u64::from_ne_bytes(counter) > 1 {
                    let left = u64::from_ne_bytes(counter) - 1;
                    let _ = write(&*self.rope, &left.to_ne_bytes());
                }
                Ok(Heard::Asked(question))
            }
            Err(TryRecvError::Empty) => Ok(Heard::Nothing),
            Err(TryRecvError::Disconnected) => Ok(Heard::Deserted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_heard_in_order() {
        let (ringer, bell) = hang().unwrap();
        let long = Duration::from_mins(1);
        for question in 0..3 {
            ringer.ring(question);
        }
        for question in 0..3 {
            assert_eq!(bell.wait(None, long).unwrap(), Heard::Asked(question));
        }
        assert_eq!(bell.wait(None, Duration::ZERO).unwrap(), Heard::Nothing);
        drop(ringer);
        assert_eq!(bell.wait(None, Duration::ZERO).unwrap(), Heard::Deserted);
    }
}
