//! The recorded form of the seam: keeps what is published, in memory and in a file.
//!
//! The file holds OTLP requests, cumulative and exponential, each behind its length as a varint, as
//! `prost` and every protobuf library read delimited messages.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prost::encoding::encode_varint;

use super::Export;
use super::config::{Aggregation, Temporality};
use super::counters::{Counters, DropReason, Tally, add};
use super::otlp::batch::{self, LIMIT};
use super::otlp::delta::Baselines;
use super::otlp::point::Form;
use crate::metric::snapshot::Snapshot;

/// Keeps every snapshot: for tests and for `steth replay`, not for a daemon.
#[derive(Debug, Default)]
pub struct Recorder {
    snapshots: Mutex<Vec<Arc<Snapshot>>>,
    file: Option<Mutex<File>>,
    tally: Tally,
}

impl Recorder {
    /// Keeps snapshots in memory only.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Writes them to a new file too.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Some(Mutex::new(File::create(path)?)), ..Self::default() })
    }

    /// All that was published, in order.
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, file: &mut File, snapshot: &Snapshot) -> io::Result<()> {
        let form =
            Form { temporality: Temporality::Cumulative, histograms: Aggregation::Exponential };
        let mut place = 0;
        while let Some(batch) = batch::next(snapshot, place, form, &Baselines::default(), LIMIT) {
            place = batch.end;
            self.tally.drop_points(DropReason::TooLarge, batch.too_large);
            self.tally.drop_points(DropReason::Malformed, batch.malformed);
            if batch.points > 0 {
                let mut delimited = Vec::with_capacity(batch.body.len() + 10);
                encode_varint(batch.body.len() as u64, &mut delimited);
                delimited.extend_from_slice(&batch.body);
                file.write_all(&delimited)?;
                add(&self.tally.requests, 1);
                add(&self.tally.bytes, batch.body.len() as u64);
                add(&self.tally.exported, batch.points);
            }
        }
        Ok(())
    }
}

impl Export for Recorder {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        add(&self.tally.published, 1);
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.write(&mut file, &snapshot) {
                tracing::error!(%error, "the recording of the export cannot be written");
            }
        }
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).push(snapshot);
    }

    fn counters(&self) -> Counters {
        self.tally.counters()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use prost::Message;

    use super::Recorder;
    use crate::export::{Export, sample};

    #[test]
    fn what_is_published_is_kept_and_readable_from_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("export");
        let recorder = Recorder::to_file(&path).unwrap();
        for snapshot in [sample::snapshot(5, &[("shop", 3)]), sample::wide_snapshot(1000)] {
            recorder.publish(Arc::new(snapshot));
        }
        assert_eq!(recorder.snapshots().len(), 2);
        let bytes = std::fs::read(&path).unwrap();
        let (mut rest, mut points, mut requests) = (&bytes[..], 0, 0);
        while !rest.is_empty() {
            let request = ExportMetricsServiceRequest::decode_length_delimited(&mut rest).unwrap();
            points += sample::points_in(&request);
            requests += 1;
        }
        let counters = recorder.counters();
        assert_eq!((points, requests), (1002, 2));
        assert_eq!((counters.published, counters.exported, counters.requests), (2, 1002, 2));
        assert_eq!(Recorder::in_memory().snapshots().len(), 0);
    }
}
