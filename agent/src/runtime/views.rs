//! What the HTTP server shows: every answer is of the moment it was asked for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::bell::Ringer;
use super::turnstile::{Ask, Moment};
use super::usage::Caller;
use crate::export::own;
use crate::export::prometheus::{self, Format};
use crate::health::Status;
use crate::health::server::{Page, Views};
use crate::metric::snapshot::{Resource, ResourceMetrics, Scope, Snapshot};

/// How long the pipeline may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the turnstile.
pub struct Asked {
    /// Where it takes questions.
    pub turnstile: Ringer<Ask>,
    /// Who reads USE: asked first, so that the answer has it as it is now.
    pub collector: Option<Caller>,
    /// Who the agent itself is.
    pub own: Arc<Resource>,
}

impl Asked {
    fn moment(&self) -> Option<Moment> {
        let (answer, moment) = mpsc::sync_channel(1);
        tokio::task::block_in_place(|| {
            if let Some(collector) = &self.collector {
                collector.call_and_wait();
            }
            self.turnstile.ring(Ask::Moment(answer));
            moment.recv_timeout(PATIENCE).ok()
        })
    }
}

impl Asked {
    /// The observed services and the agent itself on one page.
    fn render(&self, moment: &Moment, format: Format) -> String {
        let mut snapshot = Snapshot::clone(&moment.snapshot);
        snapshot.resources.push(ResourceMetrics {
            resource: Arc::clone(&self.own),
            scopes: vec![Scope { name: own::SCOPE, metrics: moment.own.metrics() }],
        });
        prometheus::render(&snapshot, format)
    }
}

impl Views for Asked {
    fn metrics(&self, accept: Option<&str>) -> Page {
        let format = Format::accepted(accept);
        let body = self.moment().map(|moment| self.render(&moment, format)).unwrap_or_default();
        Page { content_type: format.content_type().into(), body: body.into() }
    }

    fn ailments(&self) -> Vec<String> {
        let Some(moment) = self.moment() else {
            return vec![format!("the pipeline has not answered for {} s", PATIENCE.as_secs())];
        };
        let failed = moment.status.capture.tier.is_none();
        failed.then(|| "no way of capture works".to_owned()).into_iter().collect()
    }

    fn status(&self) -> Status {
        self.moment().map(|m| m.status).unwrap_or_default()
    }
}
