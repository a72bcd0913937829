//! The way of the SDK's thread into the agent's runtime, which can be shut.
//!
//! | while | the SDK's thread | who stops the agent |
//! |---|---|---|
//! | open | polls its export inside the runtime | shuts the door, between two polls |
//! | shut | is woken, gives the export up, enters nothing more | may end the runtime |
//!
//! A runtime that ends wakes whoever waits for its timers and sockets, and asking them once more is a
//! panic. The SDK's thread cannot be waited for instead: a collector, or the resolver of its name, that
//! hangs would hold the end for as long as it likes.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::runtime::Handle;

/// Open until it is shut, for good.
#[derive(Debug)]
pub(super) struct Door(Mutex<Way>);

#[derive(Debug)]
struct Way {
    /// None once it is shut.
    runtime: Option<Handle>,
    /// Who waits inside. There is one thread.
    waits: Option<Waker>,
}

impl Door {
    /// An open one.
    pub(super) fn new(runtime: Handle) -> Self {
        Self(Mutex::new(Way { runtime: Some(runtime), waits: None }))
    }

    /// What comes of `work`, polled inside the runtime; none if the door is shut before it is done.
    pub(super) async fn through<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| {
            // Held while polling: nobody is inside when the door has been shut.
            let Way { runtime, waits } = &mut *self.way();
            let Some(runtime) = runtime else { return Poll::Ready(None) };
            let _entered = runtime.enter();
            let done = work.as_mut().poll(context).map(Some);
            *waits = done.is_pending().then(|| context.waker().clone());
            done
        })
        .await
    }

    /// Shuts it: whoever waits inside is sent away.
    pub(super) fn shut(&self) {
        let waits = {
            let mut way = self.way();
            way.runtime = None;
            way.waits.take()
        };
        if let Some(waits) = waits {
            waits.wake();
        }
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::sync::{Arc, mpsc};
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::Thread;
    use std::time::Duration;

    use tokio::runtime::{Builder, Handle, Runtime};

    use super::Door;

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Waits as the SDK's thread does, which knows no runtime.
    fn wait_for<T>(work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                return done;
            }
            std::thread::park();
        }
    }

    #[test]
    fn work_is_done_inside_until_the_door_is_shut() {
        let runtime = runtime();
        let door = Door::new(runtime.handle().clone());
        let brief = async {
            tokio::time::sleep(Duration::from_nanos(1)).await;
            Handle::try_current().is_ok()
        };
        assert_eq!(wait_for(door.through(brief)), Some(true));
        assert!(Handle::try_current().is_err(), "the thread is outside again");
        door.shut();
        assert_eq!(wait_for(door.through(ready(7))), None);
    }

    #[test]
    fn whoever_waits_inside_is_sent_away_and_the_runtime_can_end() {
        let runtime = runtime();
        let door = Arc::new(Door::new(runtime.handle().clone()));
        let (enter, entered) = mpsc::channel();
        let inside = Arc::clone(&door);
        let thread = std::thread::spawn(move || {
            wait_for(inside.through(async {
                enter.send(()).unwrap();
                tokio::time::sleep(Duration::from_hours(1)).await;
            }))
        });
        entered.recv().unwrap();
        door.shut();
        runtime.shutdown_background();
        assert_eq!(thread.join().unwrap(), None);
    }
}
