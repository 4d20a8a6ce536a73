//! How deliveries ended.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::answer::Answer;
use crate::api::WebhookKind;

/// How deliveries ended. A clone counts together with the first.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Family<Delivery, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivery {
    kind: &'static str,
    result: &'static str,
}

impl Metrics {
    /// Makes them and names them in `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("deliveries", "Deliveries of webhooks, by how they ended", metrics.0.clone());
        metrics
    }

    /// Counts a delivery; of no kind where there is no such webhook.
    pub fn count(&self, kind: Option<WebhookKind>, answer: &Answer) {
        let kind = kind.map_or("none", WebhookKind::as_str);
        self.0.get_or_create(&Delivery { kind, result: answer.word() }).inc();
    }
}
