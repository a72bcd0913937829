//! What [`crate::trace`] is given.

use crate::config::Config;
use crate::config::keys::{Sampler, Traces};
use crate::config::unit::Share;
use crate::event::Nanos;
use crate::metric::key::{HTTP_REQUEST_HEADER, Key};
use crate::protocol::Wanted;
use crate::trace::sampling::{self, Parent, Threshold};
use crate::trace::{self, Told};

/// The share that is kept if nobody says.
const RATIO: f64 = 0.01;
/// Bytes of one head's lines that are kept until its span is made.
const LINES: usize = 4096;

impl Config {
    /// The stage of spans, whose ids begin at `seed` and which holds `untaken` spans that wait to be
    /// pushed. To be asked once: the names of headers that are told are kept for good.
    pub fn trace(&self, seed: [u64; 4], untaken: usize) -> trace::Config {
        let Traces {
            enabled: _,
            ratio,
            sampler,
            slow,
            hanging,
            rate,
            per_service,
            total,
            window,
            window_bytes,
            hosts,
            event_loops,
            why: _,
            query_parameters,
            request_headers,
        } = &self.traces;
        let ratio = ratio.map(Share::number);
        let headers: Vec<&'static str> = request_headers
            .iter()
            .map(|name| &*name.as_str().to_ascii_lowercase().leak())
            .collect();
        let keys = headers.iter().map(|name| {
            let key = format!("{HTTP_REQUEST_HEADER}{name}");
            (*name, Key(key.leak()))
        });
        let nanos =
            |time: std::time::Duration| Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        trace::Config {
            sampler: self::sampler(*sampler, ratio),
            slow: Some(nanos(slow.duration())),
            hanging: nanos(hanging.duration()),
            rate: rate.number(),
            per_service: per_service.number(),
            total: total.number(),
            hold: nanos(window.duration()),
            bytes: usize::try_from(window_bytes.bytes()).unwrap_or(usize::MAX),
            untaken,
            hosts: hosts.group().is_some(),
            slices: *event_loops,
            told: Told { query: query_parameters.clone(), headers: keys.collect() },
            wanted: Wanted { bytes: LINES, more: headers.leak() },
            seed,
        }
    }
}

fn sampler(sampler: Option<Sampler>, ratio: Option<f64>) -> sampling::Sampler {
    let share = Threshold::of_share(ratio.unwrap_or(1.0));
    let (threshold, parent, tail) = match sampler {
        None => (Threshold::of_share(ratio.unwrap_or(RATIO)), Parent::Keeps, true),
        Some(Sampler::AlwaysOn) => (Threshold::ALL, Parent::Ignored, true),
        Some(Sampler::AlwaysOff) => (Threshold::NONE, Parent::Ignored, false),
        Some(Sampler::TraceIdRatio) => (share, Parent::Ignored, true),
        Some(Sampler::ParentBasedAlwaysOn) => (Threshold::ALL, Parent::Decides, true),
        Some(Sampler::ParentBasedAlwaysOff) => (Threshold::NONE, Parent::Decides, false),
        Some(Sampler::ParentBasedTraceIdRatio) => (share, Parent::Decides, true),
    };
    sampling::Sampler { threshold, parent, tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::loaded;

    #[test]
    fn samplers_mean_what_the_specification_says() {
        let check = |environment: &[(&str, &str)], share, parent, tail| {
            let config = loaded("", environment).config.trace([0; 4], 1);
            let threshold = Threshold::of_share(share);
            let expect = sampling::Sampler { threshold, parent, tail };
            assert_eq!(config.sampler, expect, "{environment:?}");
        };
        let (name, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
        check(&[], 0.01, Parent::Keeps, true);
        check(&[(argument, "0.2")], 0.2, Parent::Keeps, true);
        check(&[(name, "always_on"), (argument, "0.2")], 1.0, Parent::Ignored, true);
        check(&[(name, "ALWAYS_OFF")], 0.0, Parent::Ignored, false);
        check(&[(name, "traceidratio")], 1.0, Parent::Ignored, true);
        check(&[(name, "traceidratio"), (argument, "0.25")], 0.25, Parent::Ignored, true);
        check(&[(name, "parentbased_always_on")], 1.0, Parent::Decides, true);
        check(&[(name, "parentbased_always_off")], 0.0, Parent::Decides, false);
        let ratio = [(name, "parentbased_traceidratio"), (argument, "0.5")];
        check(&ratio, 0.5, Parent::Decides, true);
        check(&[("STETH_TRACES_RATIO", "5%")], 0.05, Parent::Keeps, true);
    }

    #[test]
    fn headers_are_told_under_their_own_keys() {
        let file = "traces: {request_headers: [X-Tenant], query_parameters: [page]}\n";
        let config = loaded(file, &[]).config.trace([0; 4], 1);
        assert_eq!(config.told.headers, [("x-tenant", Key("http.request.header.x-tenant"))]);
        assert_eq!(config.wanted.more, ["x-tenant"]);
        assert_eq!(config.told.query, ["page"]);
    }
}
