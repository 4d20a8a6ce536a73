//! What the engine counts. Labels come from closed sets only: an object's name is never one.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::inquiry::Asked;
use super::world::Kind;
use crate::api::Reason;

/// What the engine counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    scans: Family<Outcome, Counter>,
    scan_seconds: Histogram,
    tags: Counter,
    sources: Family<OfSource, Counter>,
    choices: Family<Outcome, Counter>,
    commits: Counter,
    push_attempts: Family<Outcome, Counter>,
    failures: Family<Failure, Counter>,
    objects: Family<OfKind, Gauge<i64>>,
    status_writes: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    step: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

impl Metrics {
    /// Makes the metrics and names them in `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        let metrics = Self {
            scans: Family::default(),
            scan_seconds: Histogram::new(buckets),
            tags: Counter::default(),
            sources: Family::default(),
            choices: Family::default(),
            commits: Counter::default(),
            push_attempts: Family::default(),
            failures: Family::default(),
            objects: Family::default(),
            status_writes: Counter::default(),
        };
        registry.register("scans", "Scans of a registry, by how they ended", metrics.scans.clone());
        registry.register_with_unit(
            "scan",
            "How long a scan took",
            Unit::Seconds,
            metrics.scan_seconds.clone(),
        );
        registry.register("tags_read", "Tags read from registries", metrics.tags.clone());
        registry.register(
            "scan_sources",
            "Sources asked by scans of hosts that have mirrors, by what became of it",
            metrics.sources.clone(),
        );
        registry.register("choices", "Choices of a policy, by what they did", metrics.choices.clone());
        registry.register("commits", "Commits pushed", metrics.commits.clone());
        registry.register("push_attempts", "Pushes tried, by how they ended", metrics.push_attempts.clone());
        registry.register("failures", "Failures, by step and reason", metrics.failures.clone());
        registry.register("objects", "Objects known, by kind", metrics.objects.clone());
        registry.register("status_writes", "Statuses written to the API", metrics.status_writes.clone());
        metrics
    }

    /// `tags` were read, or none because the list is the one before.
    pub(super) fn scanned(&self, seconds: f64, tags: Option<u64>) {
        let result = if tags.is_some() { "whole" } else { "unchanged" };
        self.scans.get_or_create(&Outcome { result }).inc();
        self.scan_seconds.observe(seconds);
        self.tags.inc_by(tags.unwrap_or_default());
    }

    /// Who was asked, where there are mirrors.
    pub(super) fn asked(&self, asked: Option<&Asked>) {
        let Some(asked) = asked else { return };
        let count = |source, result| self.sources.get_or_create_owned(&OfSource { source, result });
        count("mirror", "passed_over").inc_by(asked.passed_over.len() as u64);
        count(if asked.is_mirror { "mirror" } else { "host" }, "answered").inc();
    }

    pub(super) fn scan_failed(&self, reason: Reason) {
        self.scans.get_or_create(&Outcome { result: "failed" }).inc();
        self.failed("scan", reason);
    }

    pub(super) fn chose(&self, result: &'static str) {
        self.choices.get_or_create(&Outcome { result }).inc();
    }

    pub(super) fn pushed(&self, result: &'static str) {
        self.push_attempts.get_or_create(&Outcome { result }).inc();
    }

    pub(super) fn committed(&self) {
        self.commits.inc();
    }

    pub(super) fn failed(&self, step: &'static str, reason: Reason) {
        self.failures.get_or_create(&Failure { step, reason: reason.as_str() }).inc();
    }

    pub(super) fn known(&self, kind: Kind, count: usize) {
        self.objects
            .get_or_create(&OfKind { kind: kind.as_str() })
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn status_written(&self) {
        self.status_writes.inc();
    }
}
