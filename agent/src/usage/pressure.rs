//! Pressure stall information of the host: how long work was held up for want of a resource.

use super::sheet::{self, fixed};
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot, Unread, keyed};
use crate::metric::instrument::pressure::STETH_SYSTEM_PRESSURE_STALL_TIME;
use crate::metric::key;

/// The resources, as the files are named.
pub(crate) const RESOURCES: [&str; 4] = ["cpu", "memory", "io", "irq"];

/// By resource and scope.
#[derive(Debug)]
pub(crate) struct Series([[Labels; 2]; 4]);

impl Default for Series {
    fn default() -> Self {
        Self(RESOURCES.map(|resource| {
            ["some", "full"].map(|scope| {
                fixed(&[(key::STETH_PRESSURE_SCOPE, scope), (key::STETH_RESOURCE, resource)])
            })
        }))
    }
}

impl Series {
    /// The attributes and nanoseconds of each line in the file of the resource at `index`.
    pub(crate) fn read<'a>(
        &'a self,
        index: usize,
        content: &'a [u8],
    ) -> impl Iterator<Item = (&'a Labels, u64)> {
        keyed::stalls(content).filter_map(move |(scope, nanos)| {
            let at = match scope {
                "some" => 0,
                "full" => 1,
                _ => return None,
            };
            Some((self.0.get(index)?.get(at)?, nanos))
        })
    }
}

/// Reads pressure stall information.
#[derive(Debug, Default)]
pub struct Pressure {
    series: Series,
}

impl Probe for Pressure {
    fn family(&self) -> Family {
        Family::Pressure
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let mut missing = None;
        for (index, resource) in RESOURCES.iter().enumerate() {
            match keyed::lines_of(host, &format!("/proc/pressure/{resource}"), 4096) {
                Ok(text) => {
                    for (labels, nanos) in self.series.read(index, &text) {
                        let amount = Amount::total(nanos);
                        into.put(&Owner::Host, &STETH_SYSTEM_PRESSURE_STALL_TIME, labels, amount);
                    }
                }
                // Since Linux 6.1, and only where time in interrupts is accounted.
                Err(Unread::Vanished) if *resource == "irq" => {
                    let why = "this kernel does not account time in interrupts";
                    into.lacks("pressure of interrupts", Reason::Disabled(why.into()));
                }
                Err(why) => missing = missing.or(Some(why)),
            }
        }
        match missing {
            None => Ok(()),
            Some(Unread::Vanished) => {
                Err(Reason::Disabled("this kernel has no pressure stall information".into()))
            }
            // Opening the file fails so where it is compiled in and off.
            Some(Unread::Failed) => {
                Err(Reason::Disabled("pressure stall information is off: boot with psi=1".into()))
            }
            Some(why) => Err(sheet::reason("/proc/pressure", why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, told};
    use super::*;

    #[test]
    fn stalls_are_told_by_resource_and_scope() {
        let host = Host::new(&[
            ("/proc/pressure/cpu", "some avg10=0.28 avg60=0.61 avg300=0.33 total=41\n"),
            ("/proc/pressure/memory", "some total=1\nfull total=2\nodd total=3\n"),
            ("/proc/pressure/io", ""),
        ]);
        let (lines, outcome, sink) = told(&mut Pressure::default(), &host.root());
        assert_eq!(outcome, Ok(()));
        assert_eq!(
            lines,
            [
                "steth.system.pressure.stall.time{full,memory} 2000",
                "steth.system.pressure.stall.time{some,cpu} 41000",
                "steth.system.pressure.stall.time{some,memory} 1000",
            ]
        );
        assert_eq!(sink.lacks.len(), 1);
    }

    #[test]
    fn a_kernel_without_it_is_a_reason() {
        let (lines, outcome, _) = told(&mut Pressure::default(), &Host::new(&[]).root());
        let why = "this kernel has no pressure stall information";
        assert_eq!((lines.len(), outcome), (0, Err(Reason::Disabled(why.into()))));
        // A directory cannot be read, as the file of a kernel that has it off.
        let host = Host::new(&[("/proc/pressure/cpu/x", ""), ("/proc/pressure/io/x", "")]);
        host.write("/proc/pressure/memory", "");
        let (_, outcome, _) = told(&mut Pressure::default(), &host.root());
        let why = "pressure stall information is off: boot with psi=1";
        assert_eq!(outcome, Err(Reason::Disabled(why.into())));
    }

    #[test]
    fn hostile_text_is_nothing() {
        for text in HOSTILE {
            let host = Host::new(&[]);
            for resource in RESOURCES {
                host.write(&format!("/proc/pressure/{resource}"), text);
            }
            let (lines, outcome, _) = told(&mut Pressure::default(), &host.root());
            assert_eq!((lines.len(), outcome), (0, Ok(())));
        }
    }
}
