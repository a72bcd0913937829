//! The pushes over OTLP that are on: metrics, spans, and the agent's own telemetry.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::turnstile::Moment;
use crate::export::config::Config;
use crate::export::counters::Counters;
use crate::export::own::Own;
use crate::export::{self, Export, Exporter, spans};
use crate::trace;

/// What is asked when somebody wants to know what became of what was pushed.
type Count = Box<dyn Fn() -> Counters + Send>;

/// The pushes that are on.
pub(super) struct Pushes {
    metrics: Option<export::Handle>,
    spans: Option<spans::Handle>,
    own: Option<Arc<Own>>,
}

impl Pushes {
    /// Starts them. To be called inside the runtime; connects to nothing yet.
    pub(super) fn start(exports: &Config, instance: &str) -> anyhow::Result<Self> {
        let metrics = exports.metrics.as_ref().map(Exporter::spawn).transpose().context("OTLP")?;
        let spans = exports.traces.as_ref().map(spans::spawn).transpose().context("OTLP")?;
        let own = exports.metrics.as_ref().map(|metrics| {
            Own::start(metrics, exports.interval, instance, &exports.resource_attributes)
        });
        let own = own.transpose().context("the agent's own telemetry")?.map(Arc::new);
        Ok(Self { metrics, spans, own })
    }

    /// What became of points.
    pub(super) fn points(&self) -> Count {
        let publisher = self.metrics.as_ref().map(export::Handle::publisher);
        Box::new(move || publisher.as_ref().map(Export::counters).unwrap_or_default())
    }

    /// What became of spans.
    pub(super) fn spans(&self) -> Count {
        let publisher = self.spans.as_ref().map(spans::Handle::publisher);
        Box::new(move || publisher.as_ref().map(spans::Publisher::counters).unwrap_or_default())
    }

    /// Takes moments.
    pub(super) fn moments(&self) -> Box<dyn Fn(&Moment) + Send> {
        let own = self.own.clone();
        let publisher = self.metrics.as_ref().map(export::Handle::publisher);
        Box::new(move |moment| {
            if let Some(own) = &own {
                own.update(&moment.own);
            }
            if let Some(publisher) = &publisher {
                publisher.publish(Arc::clone(&moment.snapshot));
            }
        })
    }

    /// Takes spans.
    pub(super) fn batches(&self) -> Box<dyn Fn(trace::Batch) + Send> {
        let publisher = self.spans.as_ref().map(spans::Handle::publisher);
        Box::new(move |batch| {
            if let Some(publisher) = &publisher {
                publisher.publish(batch);
            }
        })
    }

    /// Sends what there is, all at once, and stops.
    pub(super) async fn shutdown(self, deadline: Duration) {
        let Self { metrics, spans, own } = self;
        let metrics = async {
            if let Some(metrics) = metrics {
                metrics.shutdown(deadline).await;
            }
        };
        let spans = async {
            if let Some(spans) = spans {
                spans.shutdown(deadline).await;
            }
        };
        let own = async {
            if let Some(own) = own.and_then(Arc::into_inner) {
                own.shutdown(deadline).await;
            }
        };
        tokio::join!(metrics, spans, own);
    }
}
