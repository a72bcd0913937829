//! The thread that finds out how connections are translated: reading the kernel's table of a busy host takes
//! longer than the pipeline may wait.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::bell::Ringer;
use super::turnstile::Ask;
use crate::event::Pid;
use crate::host::{HostRoot, Translations};

/// The nice value of the thread.
const MODESTY: i32 = 5;

/// Where it is asked.
#[derive(Clone, Debug)]
pub struct Conntrack {
    orders: Sender<Vec<Pid>>,
}

impl Conntrack {
    /// Begins the thread. It ends when nobody is left who could ask, or when the host keeps no such table.
    pub fn start(host: HostRoot, turnstile: Ringer<Ask>) -> std::io::Result<Self> {
        let (orders, ordered) = channel();
        std::thread::Builder::new().name("steth-conntrack".to_owned()).spawn(move || {
            let _ = rustix::process::setpriority_process(None, MODESTY);
            run(&host, &ordered, &turnstile);
        })?;
        Ok(Self { orders })
    }

    /// Asks for the connections of these processes; false if nobody answers any more.
    pub fn ask(&self, pids: Vec<Pid>) -> bool {
        self.orders.send(pids).is_ok()
    }
}

fn run(host: &HostRoot, ordered: &Receiver<Vec<Pid>>, turnstile: &Ringer<Ask>) {
    while let Ok(mut pids) = ordered.recv() {
        pids.extend(ordered.try_iter().flatten());
        match Translations::read(host, pids.iter().map(|pid| pid.0)) {
            Ok(all) if all.is_empty() => {}
            Ok(all) => turnstile.ring(Ask::Translations(all)),
            Err(error) => {
                tracing::info!(
                    ?error,
                    "this host tracks no connections: spans are not linked through translated ports"
                );
                return;
            }
        }
    }
}
