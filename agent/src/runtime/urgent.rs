//! The pipeline's thread, made before the agent gives up the privilege to make it urgent.
//!
//! A thread inherits its nice value from the one that starts it, and stepping back is open to all: the main thread goes
//! ahead, gives up what it will, starts this one and goes back.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use rustix::process::{getpriority_process, setpriority_process};

/// The nice value: the ring fills while the thread waits for a processor, so it goes before those it observes, and
/// needs little. Without the privilege it takes its turn like any other.
const URGENCY: i32 = -10;

type Work = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// A thread that waits for its work.
pub(super) struct Urgent {
    work: SyncSender<Work>,
    thread: JoinHandle<io::Result<()>>,
}

impl Urgent {
    /// Starts it as the thread that `before` leaves behind.
    pub(super) fn start<T>(name: &str, before: impl FnOnce() -> T) -> io::Result<(T, Self)> {
        let usual = getpriority_process(None)?;
        let _ = setpriority_process(None, URGENCY.min(usual));
        let done = before();
        let (work, given) = sync_channel::<Work>(1);
        let thread = Builder::new().name(name.to_owned()).spawn(move || match given.recv() {
            Ok(work) => work(),
            // Whoever started it gave up.
            Err(_) => Ok(()),
        });
        setpriority_process(None, usual)?;
        Ok((done, Self { work, thread: thread? }))
    }

    /// Hands it its work, and gives the thread to be waited for.
    pub(super) fn run(
        self,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> JoinHandle<io::Result<()>> {
        // It waits for nothing else.
        let _ = self.work.send(Box::new(work));
        self.thread
    }
}
