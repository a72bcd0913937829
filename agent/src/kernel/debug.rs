//! The kernel side's debug log, passed on to the agent's: there only if the programs were built
//! with it (`cargo xtask build` does not).

use aya::Ebpf;
use aya_log::EbpfLogger;

/// Lines that wait in the kernel.
pub(crate) struct Debug(EbpfLogger<ToTracing>);

impl Debug {
    /// Listens, if there is anything to hear.
    pub(crate) fn listen(bpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(bpf, ToTracing).ok().map(Self)
    }

    /// Passes on what waits.
    pub(crate) fn pass_on(&mut self) {
        self.0.flush();
    }
}

struct ToTracing;

impl log::Log for ToTracing {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, line: &log::Record<'_>) {
        tracing::debug!(program = line.target(), "kernel: {}", line.args());
    }

    fn flush(&self) {}
}
