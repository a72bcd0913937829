//! The kernel side's debug log: nothing at all unless it is built with the feature `log`, because its
//! code is dear to verify. The agent passes its lines on to its own log.

/// One line, from a program that still has its context.
macro_rules! debug {
    ($context:expr, $($line:tt)*) => {
        #[cfg(feature = "log")]
        aya_log_ebpf::debug!($context, $($line)*);
    };
}

pub(crate) use debug;
